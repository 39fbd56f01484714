/** `isthmus control`: the control plane in the foreground, until a signal. */
import type { ControlPlane, NodeOptions } from '../../../control/entry/node.ts'
import { readAwsNetworks, startControl } from '../../../control/entry/node.ts'
import { EXIT } from '../../handle.ts'
import { createLogger, type Logger, type LogLevel } from '../../ops/log.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'
import { ownAddresses } from '../managed.ts'
import { numberOption } from '../options.ts'
import { VERSION } from '../version.ts'
import { firstStart } from './first-start.ts'
import { asFailure, storePlace } from './settings.ts'

const ALL_ADDRESSES = '0.0.0.0'
const LEVELS = ['debug', 'info', 'warn', 'error']
/** The launcher and the terminal may both deliver one Ctrl-C. */
const SAME_SIGNAL_MS = 1000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export async function serve(input: CommandInput, io: CliIo): Promise<number> {
  const log = createLogger({
    level: logLevel(input),
    format: io.isTty ? 'text' : 'json',
    color: io.color,
    write: (line) => io.stdout(line),
  })
  const options = nodeOptions(input, io, log)
  const named = urlOption(input)
  const stop = stopSignal(log)
  let plane: ControlPlane | undefined
  try {
    plane = await startControl(options).catch((error: unknown) => {
      throw asFailure(error, `${options.host}:${options.port}`)
    })
    const url = named ?? reachableUrl(plane.url)
    if (plane.adminToken !== undefined) firstStart(url, plane.adminToken, input, io)
    else io.stderr(`The control plane is at ${url}\n`)
    log.info({ event: 'started', url, version: VERSION }, 'the control plane runs')
    await stop.requested
    return EXIT.ok
  } finally {
    await plane?.close()
    stop.dispose()
  }
}

function nodeOptions(input: CommandInput, io: CliIo, log: Logger): NodeOptions {
  const keyring = io.env.ISTHMUS_CONTROL_KEYS || undefined
  const proxies = textOption(input, 'trustedProxies')
  const aws = readAwsNetworks(textOption(input, 'aws') ?? io.env.ISTHMUS_AWS_NETWORKS)
  return {
    ...storePlace(input, io),
    host: textOption(input, 'host') ?? ALL_ADDRESSES,
    port: Math.trunc(numberOption(input, 'port', { min: 0, max: 65_535, fallback: 9701 })),
    ...(keyring === undefined ? {} : { keyring }),
    ...(proxies === undefined ? {} : { trustedProxies: proxies.split(',').map((text) => text.trim()) }),
    ...(aws === undefined ? {} : { aws }),
    awsTimes: {
      watchMs: 1000 * numberOption(input, 'awsWatch', { min: 1, max: 86_400, fallback: 60 }),
      settleMs: 1000 * numberOption(input, 'awsSettle', { min: 1, max: 3_600, fallback: 60 }),
    },
    log,
    version: VERSION,
  }
}

function logLevel(input: CommandInput): LogLevel {
  const level = textOption(input, 'logLevel') ?? 'info'
  if (LEVELS.includes(level)) return level as LogLevel
  throw new CommandFailure(
    `--log-level ${JSON.stringify(level)} does not fit`,
    `give one of ${LEVELS.join(', ')}`,
    EXIT.usage,
  )
}

function urlOption(input: CommandInput): string | undefined {
  const text = textOption(input, 'url')
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/') return url.origin
  throw new CommandFailure(
    `--url ${JSON.stringify(text)} is no address`,
    'write it like https://control.example.net, without a path',
    EXIT.usage,
  )
}

/** Where others reach what listens on every address: an own one, best IPv4. */
function reachableUrl(url: string): string {
  if (!url.includes(`//${ALL_ADDRESSES}:`)) return url
  const own = ownAddresses()
  const address = own.find((text) => text.includes('.')) ?? '127.0.0.1'
  return url.replace(ALL_ADDRESSES, address)
}

/** The first signal asks for an orderly stop; another one, a second or more later, ends the process at once. */
function stopSignal(log: Logger): { readonly requested: Promise<void>; dispose(): void } {
  let settle = () => {}
  let askedAt: number | undefined
  const requested = new Promise<void>((resolve) => {
    settle = resolve
  })
  const onSignal = (signal: NodeJS.Signals) => {
    if (askedAt === undefined) {
      askedAt = performance.now()
      log.info({ event: 'stop-requested', by: signal }, 'asked to stop')
      settle()
    } else if (performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(EXIT.failed)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  const dispose = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  return { requested, dispose }
}
