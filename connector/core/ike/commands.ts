/** Inputs about one connection: what the operator, the engine and the path to the peer have to say. */
import { type Instant, unreachable } from '../../../protocol/machine.ts'
import { carriers, childByInboundSpi } from './children.ts'
import type { Connection } from './connection.ts'
import { setKeys } from './keys.ts'
import { sameSelectors } from './selectors.ts'
import type { Session } from './session.ts'
import { rekeyChild } from './tasks/create-child.ts'
import type { ChildConfig, IkeInput } from './types.ts'
import { limitReached, refusedByEngine, requestIkeRekey, trafficSeen } from './upkeep.ts'

/** Inputs about one connection. */
export type Command = Exclude<
  IkeInput,
  { type: 'datagram' | 'time' | 'shutdown' | 'add-connection' | 'remove-connection' }
>

/** Carries it out; what it sets off by time is up to the caller. */
export function command(connection: Connection, input: Command, now: Instant): void {
  switch (input.type) {
    case 'initiate':
      connection.wanted = connection.config.remoteAddress !== undefined
      connection.initiate(now)
      return
    case 'terminate':
      connection.wanted = false
      connection.retryAt = undefined
      for (const session of [...connection.sessions]) session.close(now, 'terminated by command')
      return
    case 'set-keys':
      setKeys(connection, input.keys, now)
      return
    case 'set-children':
      setChildren(connection, input.children, now)
      return
    case 'rekey-ike':
      forSession(connection, requestIkeRekey, now)
      return
    case 'rekey-child':
      forSession(connection, (session) => rekeyByName(session, input.child), now)
      return
    case 'child-limit':
      for (const session of [...connection.sessions]) limitReached(session, input.spi, input.hard, now)
      return
    case 'child-refused':
      for (const session of [...connection.sessions]) refusedByEngine(session, input.id, input.reason, now)
      return
    case 'child-traffic': {
      const session = sessionOf(connection, input.inboundSpi)
      if (session !== undefined) trafficSeen(session, input.inboundSpi, now)
      return
    }
    case 'peer-moved': {
      const session = sessionOf(connection, input.inboundSpi)
      if (session?.path.mayFollow(session.path.local, input.remote)) session.move(input.remote, session.path.local.port)
      return
    }
    default:
      unreachable(input)
  }
}

/** A rekey that cannot begin now begins as soon as it can. */
function setChildren(connection: Connection, children: readonly ChildConfig[], now: Instant): void {
  connection.config = { ...connection.config, children }
  for (const { children: sas } of connection.sessions) {
    for (const child of sas) {
      const wanted = children.find(({ name }) => name === child.name)
      if (wanted === undefined) continue
      child.config = wanted
      if (!sameSelectors(child.selectors, wanted)) child.expiry.rekeyAt = Math.min(child.expiry.rekeyAt, now)
    }
  }
}

function forSession(connection: Connection, act: (session: Session) => void, now: Instant): void {
  const { session } = connection
  if (session?.state !== 'established') return
  act(session)
  session.pump(now)
}

function rekeyByName(session: Session, name: string): void {
  for (const child of carriers(session, name)) rekeyChild(session, child)
}

function sessionOf(connection: Connection, inboundSpi: number): Session | undefined {
  return connection.sessions.find((session) => childByInboundSpi(session, inboundSpi) !== undefined)
}
