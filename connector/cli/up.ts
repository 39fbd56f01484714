import { existsSync } from 'node:fs'
import type { ConnectorEvent, ConnectorHandle } from '../handle.ts'
import { EXIT, StartFailure } from '../handle.ts'
import type { ControlApi } from '../ops/control-api.ts'
import type { Logger } from '../ops/log.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { MetricsServer } from '../ops/metrics-server.ts'
import type { ConnectorPlan } from '../plan.ts'
import { type CliIo, type Command, CommandFailure, type CommandInput, textOption } from './command.ts'
import {
  CONFIG_OPTION,
  CONTROL_SOCKET_OPTION,
  configPath,
  SERVICES_OPTION,
  STATE_OPTION,
  stateDirectory,
} from './options.ts'

/** A peer that does not answer our goodbye must not hold up the end for long. */
const STOP_LIMIT_MS = 10_000
/** The launcher and the terminal may both deliver one Ctrl-C. */
const SAME_SIGNAL_MS = 1_000

export type StartConnector = (
  plan: ConnectorPlan,
  options: { onEvent: (event: ConnectorEvent) => void },
) => Promise<ConnectorHandle>

export const up: Command = {
  name: 'up',
  summary: 'run the connector in the foreground',
  description:
    'Reads the configuration, makes the TUN device, connects to the peers and runs until SIGINT, SIGTERM or isthmus down; then it deletes the SAs at the peers and removes its routes and device. The log goes to standard output. Needs CAP_NET_ADMIN, mostly root.',
  options: [CONFIG_OPTION, SERVICES_OPTION, STATE_OPTION, CONTROL_SOCKET_OPTION],
  examples: [
    { command: 'sudo isthmus up', what: 'run with ./isthmus.yaml or /etc/isthmus/isthmus.yaml' },
    { command: 'sudo isthmus up --config hq.yaml', what: 'run with another configuration' },
  ],
  exits: ['badConfig', 'permission', 'portBusy', 'noTun', 'unreadableFile'],
  async action(input, io) {
    const managed = await enrolledHere(input, io)
    if (managed !== undefined) return managed()
    if (textOption(input, 'services') !== undefined) throw notManaged()
    const { startConnector } = await import('../io/connector.ts')
    return runUp(input, io, startConnector)
  },
}

function notManaged(): CommandFailure {
  const cause = '--services is for a connector that belongs to a network, and this one runs by its configuration'
  return new CommandFailure(cause, 'join a network with isthmus join, or leave --services out', EXIT.usage)
}

/** How to run the connector that has joined a network, where no configuration is named or lies about. */
async function enrolledHere(input: CommandInput, io: CliIo): Promise<(() => Promise<number>) | undefined> {
  if (textOption(input, 'config') !== undefined || existsSync(configPath(input, io))) return undefined
  const { runManaged } = await import('./managed.ts')
  const { readEnrollment } = await import('../store/enrollment.ts')
  const directory = stateDirectory(input, io)
  const enrollment = readEnrollment(directory)
  return enrollment === undefined ? undefined : () => runManaged(enrollment, directory, input, io)
}

/** Resolves to the exit code when the connector has ended. Rejects with StartFailure when it could not start. */
export async function runUp(input: CommandInput, io: CliIo, start: StartConnector): Promise<number> {
  const { formatFault, loadConfig } = await import('../config.ts')
  const loaded = loadConfig(configPath(input, io))
  if ('faults' in loaded) {
    for (const fault of loaded.faults) io.stderr(`${formatFault(fault)}\n`)
    io.stderr('  What to do: correct this, then isthmus check tells whether all is well.\n')
    return loaded.faults.every(({ kind }) => kind === 'file') ? EXIT.unreadableFile : EXIT.badConfig
  }
  const { createLogger, logFailure } = await import('../ops/log.ts')
  const format = loaded.log.format === 'auto' ? (io.isTty ? 'text' : 'json') : loaded.log.format
  const log = createLogger({ level: loaded.log.level, format, color: io.color, write: (line) => io.stdout(line) })
  for (const warning of loaded.warnings) log.warn({ code: 'config' }, formatFault(warning))
  try {
    const { controlSocket, metrics } = loaded.plan
    const failure = await runConnector(
      { controlSocket, ...(metrics === undefined ? {} : { metrics }) },
      log,
      (onEvent) => start(loaded.plan, { onEvent }),
    )
    if (failure === undefined) return EXIT.ok
    throw failure
  } catch (error) {
    // On a terminal the report on standard error says it already.
    if (error instanceof StartFailure && format === 'json') logFailure(log, error)
    throw error
  }
}

/** Where a running connector can be talked to. */
export type Services = Pick<ConnectorPlan, 'controlSocket' | 'metrics'>

/** Resolves when the connector has ended: undefined after an orderly stop. */
export async function runConnector(
  services: Services,
  log: Logger,
  start: (onEvent: (event: ConnectorEvent) => void) => Promise<ConnectorHandle>,
): Promise<StartFailure | undefined> {
  const { ensureAlone, startControlApi } = await import('../ops/control-api.ts')
  const { createMetrics } = await import('../ops/metrics.ts')
  const { logEvent } = await import('../ops/log.ts')
  await ensureAlone(services.controlSocket)
  const stop = stopSignal(log)
  let handle: ConnectorHandle | undefined
  let api: ControlApi | undefined
  let server: MetricsServer | undefined
  try {
    const metrics = createMetrics({
      status: () => handle!.status(),
      now: () => performance.now(),
      processMetrics: true,
    })
    const onEvent = (event: ConnectorEvent) => {
      metrics.observe(event)
      logEvent(log, event)
    }
    handle = await start(onEvent)
    const onError = (error: unknown) =>
      log.error({ code: 'api' }, error instanceof Error ? error.message : String(error))
    api = await startControlApi(services.controlSocket, {
      handle,
      metrics,
      onStop: () => stop.request('isthmus down'),
      onError,
    })
    server = await openMetrics(services, handle, metrics, log, onError)
    const failure = await Promise.race([handle.ended, stop.requested])
    if (failure instanceof StartFailure) return failure
    return undefined
  } finally {
    await endInTime(handle, log)
    await api?.close()
    await server?.close()
    stop.dispose()
  }
}

async function openMetrics(
  services: Services,
  handle: ConnectorHandle,
  metrics: Metrics,
  log: Logger,
  onError: (error: unknown) => void,
): Promise<MetricsServer | undefined> {
  if (services.metrics === undefined) return undefined
  const { startMetricsServer } = await import('../ops/metrics-server.ts')
  const server = await startMetricsServer({ ...services.metrics, metrics, status: () => handle.status(), onError })
  if ('close' in server) return server
  log.warn({ event: 'warning', code: 'metrics', remedy: server.remedy }, server.cause)
  return undefined
}

async function endInTime(handle: ConnectorHandle | undefined, log: Logger): Promise<void> {
  if (handle === undefined) return
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), STOP_LIMIT_MS)
  })
  const outcome = await Promise.race([handle.stop(), tooLong])
  clearTimeout(timer)
  if (outcome === 'late') {
    log.error(
      { code: 'stop-timeout' },
      `the connector did not stop within ${STOP_LIMIT_MS / 1000} s; ending the process`,
    )
    process.exitCode = EXIT.failed
    setTimeout(() => process.exit(EXIT.failed), 500).unref()
  }
}

interface StopSignal {
  readonly requested: Promise<undefined>
  request(by: string): void
  dispose(): void
}

/** The first signal asks for an orderly stop; another one, a second or more later, ends the process at once. */
function stopSignal(log: Logger): StopSignal {
  let settle = () => {}
  let requestedAt: number | undefined
  const requested = new Promise<undefined>((resolve) => {
    settle = () => resolve(undefined)
  })
  const request = (by: string) => {
    if (requestedAt === undefined) {
      requestedAt = performance.now()
      log.info({ event: 'stop-requested', by }, 'asked to stop')
      settle()
    } else if (by.startsWith('SIG') && performance.now() - requestedAt > SAME_SIGNAL_MS) {
      log.warn({ code: 'stopped-hard', by }, 'ending at once; the next start cleans up routes and device')
      process.exit(EXIT.failed)
    }
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const listeners = signals.map((signal) => [signal, () => request(signal)] as const)
  for (const [signal, listener] of listeners) process.on(signal, listener)
  const dispose = () => {
    for (const [signal, listener] of listeners) process.off(signal, listener)
  }
  return { requested, request, dispose }
}
