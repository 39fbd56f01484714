/** Snapshots for `status`; taking one changes nothing. */
import { childStatus } from './child.ts'
import type { Connection } from './connection.ts'
import type { SaState } from './sa.ts'
import type { ConnectionStatus } from './types.ts'

/** One IKE SA, for tests and diagnosis. */
export interface IkeSaStatus {
  readonly connection: string
  readonly role: 'initiator' | 'responder'
  readonly initiatorSpi: string
  readonly responderSpi: string
  readonly state: SaState
}

export function connectionStatus(connection: Connection): ConnectionStatus {
  const { session, traffic, lastError } = connection
  const { rtt } = traffic
  const sa = session?.current
  const children = connection.sessions.flatMap((each) =>
    each.children
      .filter((child) => child.state === 'installed')
      .map((child) => childStatus(child, connection.active.get(child.slot) === child)),
  )
  return {
    connection: connection.name,
    state: connection.state,
    since: connection.since,
    ...(sa === undefined ? {} : { role: session!.byUs ? ('initiator' as const) : ('responder' as const) }),
    ...(session === undefined ? {} : { local: session.path.local, remote: session.path.remote }),
    ...(sa?.suiteText === undefined ? {} : { suite: sa.suiteText }),
    ...(sa === undefined ? {} : sa.spiTexts),
    ...(session?.establishedAt === undefined
      ? {}
      : {
          establishedAt: session.establishedAt,
          natDetected: session.path.natDetected,
          ...(Number.isFinite(session.rekeyAt) ? { rekeyAt: session.rekeyAt } : {}),
        }),
    ...(session?.establishedAt === undefined ? {} : { keyId: session.keyId, keyConfirmed: session.confirmed }),
    ikeRekeys: session?.rekeys ?? 0,
    ...(rtt === undefined ? {} : { rtt }),
    requestsSent: traffic.sent,
    requestsRetransmitted: traffic.resent,
    children,
    ...(lastError === undefined ? {} : { lastError }),
  }
}

export function ikeSaStatus(connection: Connection): IkeSaStatus[] {
  return connection.sessions.flatMap((session) =>
    session.sas.map((sa) => ({ connection: connection.name, role: sa.role, ...sa.spiTexts, state: sa.state })),
  )
}
