import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { type AuditHead, verifyEvents } from '../../../protocol/control/audit-chain.ts'
import { type AuditEvent, auditEventSchema } from '../../../protocol/control/resources.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { numberOption } from '../options.ts'
import { openNetwork, type Place } from './access.ts'
import { readCredentials } from './credentials.ts'
import { printJson } from './options.ts'
import { isIdOf } from './resolve.ts'
import { ApiFailure } from './transport.ts'
import { type Cell, grouped, moment, renderTable } from './view.ts'

/** Where the log of a network comes from: its lines, and whose it is. */
interface Source {
  readonly network: string
  readonly what: string
  readonly lines: AsyncIterable<string>
}

export async function listEvents(input: CommandInput, io: CliIo): Promise<number> {
  const last = Math.floor(numberOption(input, 'last', { min: 1, max: 100_000, fallback: 30 }))
  const place = await openNetwork(input, io)
  const events: AuditEvent[] = []
  for await (const line of downloaded(place)) {
    events.push(eventOf(line))
    if (events.length > last) events.shift()
  }
  if (input.options.json === true) {
    printJson(io, { items: events })
    return EXIT.ok
  }
  const rows = events.map(({ seq, at, actor, action, target }): Cell[] => [
    String(seq),
    moment(at),
    actor,
    action,
    target,
  ])
  const columns = [
    { title: '#', align: 'right' },
    { title: 'WHEN (UTC)' },
    { title: 'WHO', shrinks: true },
    { title: 'WHAT', shrinks: true },
    { title: 'TO WHAT', shrinks: true },
  ] as const
  io.stdout(renderTable(columns, rows, io))
  return EXIT.ok
}

/** One event on each line, as it was written, oldest first. */
export async function exportEvents(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]
  const place = await openNetwork(input, io)
  if (path === undefined || path === '-') {
    for await (const line of downloaded(place)) io.stdout(`${line}\n`)
    return EXIT.ok
  }
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(path, error.code)
  })
  let head: AuditHead = { seq: 0, hash: '' }
  try {
    for await (const line of downloaded(place)) {
      const { seq, hash } = eventOf(line)
      head = { seq, hash }
      await file.write(`${line}\n`)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  if (input.options.json === true) printJson(io, { file: path, events: head.seq, head })
  else io.stdout(`${path} has ${grouped(head.seq)} events. The last is ${head.seq}:${head.hash}\n`)
  return EXIT.ok
}

export async function verifyLog(input: CommandInput, io: CliIo): Promise<number> {
  const known = headOption(input)
  const source = await sourceOf(input, io)
  let head: AuditHead | undefined
  let sawKnown = false
  let fault: { brokenAt: number; why: string } | undefined
  for await (const line of source.lines) {
    const event = readEvent(line)
    const expected = (head?.seq ?? 0) + 1
    if (event === undefined) fault = { brokenAt: expected, why: 'it is not an event' }
    else {
      const verdict = verifyEvents(source.network, [event], hashText, head)
      if (verdict.ok) head = verdict.head
      else fault = { brokenAt: verdict.brokenAt, why: verdict.why }
    }
    if (fault !== undefined) break
    if (head?.seq === known?.seq && head?.hash === known?.hash) sawKnown = true
  }
  if (fault === undefined && known !== undefined && !sawKnown) {
    fault = {
      brokenAt: known.seq,
      why: 'it does not have the event that --head names: the log was cut off or replaced',
    }
  }
  if (input.options.json === true)
    printJson(io, fault === undefined ? { intact: true, head } : { intact: false, ...fault })
  else if (fault !== undefined) {
    io.stderr(`${source.what} is broken at event ${fault.brokenAt}: ${fault.why}.\n`)
    io.stderr(
      '  What to do: keep it, compare it with a backup or an earlier export, and ask who could write to the store.\n',
    )
  } else if (head === undefined) io.stdout(`${source.what} has no events.\n`)
  else io.stdout(`${source.what} is whole: ${grouped(head.seq)} events. The last is ${head.seq}:${head.hash}\n`)
  return fault === undefined ? EXIT.ok : EXIT.notGenuine
}

async function sourceOf(input: CommandInput, io: CliIo): Promise<Source> {
  const path = input.args[0]
  if (path === undefined) {
    const place = await openNetwork(input, io)
    return { network: place.network.id, what: `The audit log of ${place.network.name}`, lines: downloaded(place) }
  }
  // An id is enough to verify a file; a control plane is only asked what a name means.
  const named = textOption(input, 'network') ?? (io.env.ISTHMUS_NETWORK || undefined) ?? readCredentials(io)?.network
  const isId = named !== undefined && isIdOf('network', named)
  const network = isId ? named : (await openNetwork(input, io)).network.id
  return { network, what: path, lines: linesOfFile(path) }
}

async function* downloaded({ api, params }: Place): AsyncGenerator<string> {
  const body = await api.text('audit.list', { params, query: { format: 'ndjson' } }, 'application/x-ndjson')
  const input = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
  try {
    for await (const line of linesOf(input)) yield line
  } catch (error) {
    throw new ApiFailure(
      `the audit log came in part only (${(error as Error).message})`,
      'try again',
      EXIT.noControl,
      'unreachable',
    )
  }
}

async function* linesOfFile(path: string): AsyncGenerator<string> {
  try {
    yield* linesOf(createReadStream(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailure(
      `${path} cannot be read (${code})`,
      'name a file that isthmus audit export made',
      EXIT.unreadableFile,
    )
  }
}

/** Errors of the stream end the lines, too. */
async function* linesOf(input: Readable): AsyncGenerator<string> {
  const lines = createInterface({ input, crlfDelay: Infinity })
  let failure: Error | undefined
  input.on('error', (error) => {
    failure = error
    lines.close()
  })
  for await (const line of lines) if (line !== '') yield line
  if (failure !== undefined) throw failure
}

function readEvent(line: string): AuditEvent | undefined {
  try {
    return auditEventSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

function eventOf(line: string): AuditEvent {
  const event = readEvent(line)
  if (event !== undefined) return event
  throw new ApiFailure(
    'the audit log has a line that is no event',
    'bring both to the same release',
    EXIT.noControl,
    'not-control',
  )
}

/** `12:<hash>`: an event that somebody has kept. */
function headOption(input: CommandInput): AuditHead | undefined {
  const text = textOption(input, 'head')
  if (text === undefined) return undefined
  const [, seq, hash] = /^(\d{1,15}):([\w-]{43})$/.exec(text) ?? []
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash }
  const remedy = 'give it as isthmus audit export and verify print it: number, colon, hash'
  throw new CommandFailure(`--head ${JSON.stringify(text)} does not fit`, remedy, EXIT.usage)
}

function hashText(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function unwritable(path: string, code: string | undefined): CommandFailure {
  if (code === 'EEXIST') return new CommandFailure(`${path} exists already`, 'name another file', EXIT.failed)
  return new CommandFailure(
    `${path} cannot be written (${code})`,
    'name a file in a directory of yours',
    EXIT.permission,
  )
}
