/** Running a connector that belongs to a network: what `join` and `up` share. */
import { networkInterfaces } from 'node:os'
import { parseAddress } from '../../protocol/net.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { connectorAddress } from '../io/managed/local-address.ts'
import type { Enrollment } from '../store/enrollment.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from './command.ts'
import { DEFAULT_CONTROL_SOCKET, servicesPath } from './options.ts'
import { runConnector } from './up.ts'
import { VERSION } from './version.ts'

const METRICS = { address: parseAddress('127.0.0.1')!, port: 9700 }

/** Resolves to the exit code when the connector has ended. Rejects with StartFailure when it could not start. */
export async function runManaged(enrollment: Enrollment, directory: string, input: CommandInput, io: CliIo) {
  const { createLogger, logFailure } = await import('../ops/log.ts')
  const { startManaged } = await import('../io/managed/managed.ts')
  const { startConnector } = await import('../io/connector.ts')
  const format = io.isTty ? 'text' : 'json'
  const log = createLogger({ level: 'info', format, color: io.color, write: (line) => io.stdout(line) })
  const address = enrollment.address ?? (await connectorAddress(enrollment.url))
  if (address === undefined) throw noAddress(enrollment.url)
  const controlSocket = textOption(input, 'socket') ?? DEFAULT_CONTROL_SOCKET
  const workers = workersOf(io)
  const more = workers === undefined ? {} : { more: { workers } }
  const settings = { address, stateDirectory: directory, controlSocket, ...more }
  try {
    const failure = await runConnector({ controlSocket, metrics: METRICS }, log, (onEvent) =>
      startManaged({
        enrollment,
        settings,
        software: VERSION,
        services: servicesPath(input, io),
        ownPorts: [METRICS.port],
        onEvent,
        start: startConnector,
      }),
    )
    if (failure !== undefined) throw failure
    return EXIT.ok
  } catch (error) {
    if (error instanceof StartFailure && format === 'json') logFailure(log, error)
    throw error
  }
}

export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address)
    .slice(0, 16)
}

/** Packet workers by $ISTHMUS_WORKERS: how many suit a machine is not for the control plane to say. */
function workersOf(io: CliIo): number | undefined {
  const text = io.env.ISTHMUS_WORKERS || undefined
  if (text === undefined) return undefined
  if (/^([1-9]|1[0-6])$/.test(text)) return Number(text)
  throw new CommandFailure(`ISTHMUS_WORKERS=${text} does not fit`, 'set a number from 1 to 16', EXIT.usage)
}

function noAddress(url: string): CommandFailure {
  return new CommandFailure(
    `there is no way from this machine to ${url}, so that its own address is not known`,
    'check the network, or name the address with isthmus join --address',
    EXIT.failed,
  )
}
