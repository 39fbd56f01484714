import type { ConnectorStatus } from '../../protocol/status.ts'
import { EXIT } from '../handle.ts'
import type { CliIo, Command, CommandInput } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION, numberOption, SOCKET_OPTION, socketPath } from './options.ts'

export const status: Command = {
  name: 'status',
  summary: 'is it up, since when, what is wrong, what next',
  description:
    'Shows whether the tunnels stand, what is wrong and what to do about it, then per tunnel: peer, suite, SA ages and time to rekey, traffic each way, round trip, loss, MTU and why. The exit code tells a script the same.',
  options: [
    JSON_OPTION,
    { flags: '-w, --watch', description: 'refresh until Ctrl-C' },
    { flags: '--interval <seconds>', description: 'time between two refreshes with --watch', default: '1' },
    SOCKET_OPTION,
    CONFIG_OPTION,
  ],
  examples: [
    { command: 'isthmus status', what: 'once, for people' },
    { command: 'isthmus status --watch', what: 'live, until Ctrl-C' },
    { command: "isthmus status --json | jq '.tunnels[].state'", what: 'for programs' },
  ],
  exits: ['notRunning', 'permission', 'tunnelDown'],
  async action(input, io) {
    const { controlClient } = await import('../ops/client.ts')
    const client = controlClient(await socketPath(input, io))
    if (input.options.watch === true) return watch(() => client.status(), input, io)
    const document = await client.status()
    await print(document, input, io)
    return exitCodeOf(document)
  },
}

/** A tunnel that waits for its peer to call is no fault of ours. */
export function exitCodeOf(document: ConnectorStatus): number {
  const works = document.tun.state === 'up' && document.tunnels.every(({ state }) => state === 'up' || state === 'idle')
  return works ? EXIT.ok : EXIT.tunnelDown
}

async function print(document: ConnectorStatus, input: CommandInput, io: CliIo): Promise<void> {
  if (input.options.json === true) {
    io.stdout(`${JSON.stringify(document, null, input.options.watch === true ? 0 : 2)}\n`)
    return
  }
  const { renderStatus } = await import('./status-view.ts')
  const text = `${renderStatus(document, io.columns, io.color)}\n`
  io.stdout(input.options.watch === true && io.isTty ? `\x1b[H\x1b[2J${text}` : text)
}

/** With --json one line per refresh. Ends by Ctrl-C, or with the connector. */
async function watch(read: () => Promise<ConnectorStatus>, input: CommandInput, io: CliIo): Promise<number> {
  const intervalMs = numberOption(input, 'interval', { min: 0.1, max: 3600, fallback: 1 }) * 1000
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    for (;;) {
      const document = await read()
      await print(document, input, io)
      await pause(intervalMs, interrupted.signal)
      if (interrupted.signal.aborted) return exitCodeOf(document)
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
