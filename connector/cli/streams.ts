import type { FlowRecord } from '../core/functions/records.ts'
import { EXIT } from '../handle.ts'
import { type CliIo, type Command, type CommandInput, textOption } from './command.ts'
import { CONTROL_SOCKET_OPTION, DEFAULT_CONTROL_SOCKET, JSON_OPTION, numberOption } from './options.ts'

const WATCH_MS = 1000

export const streams: Command = {
  name: 'streams',
  summary: 'who used what: the last streams of functions',
  description:
    'Shows the last streams that functions had through this connector, up to 1,000, oldest first: which function, what it asked for, how much passed each way, how long it took, and how it ended. Refused ones too. The log has all of them (event function-stream).',
  options: [
    JSON_OPTION,
    { flags: '-w, --watch', description: 'go on with new ones until Ctrl-C; with --json one line each' },
    { flags: '-n, --last <count>', description: 'so many of the last ones', default: '50' },
    CONTROL_SOCKET_OPTION,
  ],
  examples: [
    { command: 'isthmus streams', what: 'the last 50' },
    { command: 'isthmus streams --watch', what: 'as they end, until Ctrl-C' },
    {
      command: 'isthmus streams --json -n 1000 | jq \'.streams[] | select(.outcome != "ok")\'',
      what: 'what went wrong',
    },
  ],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const { controlRequest } = await import('../ops/client.ts')
    const socket = textOption(input, 'socket') ?? DEFAULT_CONTROL_SOCKET
    const last = numberOption(input, 'last', { min: 1, max: 1000, fallback: 50 })
    const read = async () => recordsOf(await controlRequest(socket, 'GET', '/streams'))
    const records = (await read()).slice(-last)
    if (input.options.watch === true) return watch(records, read, input, io)
    if (input.options.json === true) io.stdout(`${JSON.stringify({ streams: records }, null, 2)}\n`)
    else io.stdout([HEAD, ...records.map(recordLine)].map((line) => `${line}\n`).join(''))
    return EXIT.ok
  },
}

async function watch(
  first: readonly FlowRecord[],
  read: () => Promise<readonly FlowRecord[]>,
  input: CommandInput,
  io: CliIo,
): Promise<number> {
  const show = (records: readonly FlowRecord[]) => {
    const line = input.options.json === true ? JSON.stringify : recordLine
    for (const record of records) io.stdout(`${line(record)}\n`)
  }
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    if (input.options.json !== true) io.stdout(`${HEAD}\n`)
    show(first)
    let seen = keysOf(first)
    while (!interrupted.signal.aborted) {
      await (io.pause ?? pause)(WATCH_MS, interrupted.signal)
      if (interrupted.signal.aborted) break
      const records = await read()
      show(records.filter((record) => !seen.has(keyOf(record))))
      seen = keysOf(records)
    }
    return EXIT.ok
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

function keyOf({ session, stream, startedAt }: FlowRecord): string {
  return `${session} ${stream} ${startedAt}`
}

function keysOf(records: readonly FlowRecord[]): ReadonlySet<string> {
  return new Set(records.map(keyOf))
}

/** The other end is ours; what does not look like it is of another release. */
function recordsOf(answer: unknown): readonly FlowRecord[] {
  const { streams } = (answer ?? {}) as { streams?: unknown }
  return Array.isArray(streams) ? (streams as FlowRecord[]) : []
}

const HEAD = `${'TIME'.padEnd(23)} ${'FUNCTION'.padEnd(16)} ${'SERVICE'.padEnd(12)} ${'OUTCOME'.padEnd(18)} ${'IN'.padStart(9)} ${'OUT'.padStart(9)} ${'MS'.padStart(7)}  ${'VIA'.padEnd(6)} ASKED`

export function recordLine(record: FlowRecord): string {
  const { endedAt, startedAt, functionName, service, outcome, bytesIn, bytesOut, via, host, port, request, status } =
    record
  const time = new Date(endedAt).toISOString().replace('T', ' ').replace('Z', '')
  const asked = `${host}:${port}${request === undefined ? '' : ` ${request}`}${status === undefined ? '' : ` ${status}`}`
  const columns = [
    time,
    functionName.padEnd(16),
    (service ?? '-').padEnd(12),
    outcome.padEnd(18),
    String(bytesIn).padStart(9),
    String(bytesOut).padStart(9),
    String(endedAt - startedAt).padStart(7),
    ` ${via.padEnd(6)}`,
    asked,
  ]
  return columns.join(' ').replace(/\p{Cc}/gu, ' ')
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
