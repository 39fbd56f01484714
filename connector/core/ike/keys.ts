/**
 * The pre-shared keys of a connection while they change: an IKE SA that was authenticated with another key than the one
 * to use is replaced by a new one, made before the old one is broken (RFC 7296 section 2.8.3).
 */
import type { Instant } from '../../../protocol/machine.ts'
import { usableCarrier } from './children.ts'
import type { Connection } from './connection.ts'
import type { Session } from './session.ts'
import { LivenessTask } from './tasks/delete.ts'
import { MISSING_KEY_MS, SUPERSEDE_CLOSE_MS, SUPERSEDE_MS } from './timing.ts'
import type { ConnectionConfig, IkeKey } from './types.ts'

/** As responder each key may have to be tried, which costs a few PRFs for every IKE_AUTH. */
export const MAX_KEYS = 4

/** The connection's own copies, which `setKeys` wipes. */
export function keysOf({ keys, psk }: ConnectionConfig): IkeKey[] {
  return copied(keys ?? [{ id: '', psk }])
}

/**
 * From here on the first key is the one to use, and all of them are accepted. Sessions under a key that is no longer
 * among them end: when their replacement is up, or after MISSING_KEY_MS without one.
 */
export function setKeys(connection: Connection, keys: readonly IkeKey[], now: Instant): void {
  if (keys.length === 0) return
  for (const { psk } of connection.keys) psk.fill(0)
  connection.keys = copied(keys)
  for (const session of connection.sessions) {
    session.isOutdated = session.keyId !== connection.keys[0]!.id
    const known = connection.keys.some(({ id }) => id === session.keyId)
    if (known) session.keyMissingAt = undefined
    else if (session.state === 'established') session.keyMissingAt ??= now + MISSING_KEY_MS
  }
  if (isStale(connection)) connection.retryAt = now
}

/**
 * The session in use is under another key than the one to use, and it is for us to replace it: we initiated it, or the
 * peer never does. A session that such a peer has made since shows which key it has, and stays.
 */
export function isStale(connection: Connection): boolean {
  const { session, config } = connection
  if (session?.state !== 'established' || session.closeAt !== undefined) return false
  if (!session.byUs && !(config.renews === true && session.isOutdated)) return false
  return session.keyId !== connection.keys[0]!.id
}

/**
 * The new session is up: those that it replaces end when it carries all that they carry, or after a while when it
 * carries each child on some resource. One that it cannot take the place of goes on for as long as its key is accepted.
 */
export function supersede(session: Session, now: Instant): void {
  if (!session.byUs) return
  for (const other of session.connection.sessions) {
    if (other === session || other.state !== 'established' || other.keyId === session.keyId) continue
    if (!other.byUs && !(session.connection.config.renews === true && other.isOutdated)) continue
    session.supersedes = { session: other, until: now + SUPERSEDE_MS }
    // The peer learns by our request that we have its answer, also where there is no traffic.
    session.enqueue(new LivenessTask())
  }
}

type Add = (at: Instant | undefined, fire: (now: Instant) => void) => void

export function addKeyTimers(session: Session, add: Add): void {
  add(session.keyMissingAt, (now) => {
    session.keyMissingAt = undefined
    session.close(now, 'its key is no longer accepted')
  })
  const { supersedes } = session
  if (supersedes === undefined) return
  const old = supersedes.session
  add(carriesAllOf(session, old, 'slots') ? session.createdAt : supersedes.until, (now) => {
    if (carriesAllOf(session, old, 'children')) {
      session.supersedes = undefined
      old.close(now, 'authenticated anew', SUPERSEDE_CLOSE_MS)
    } else session.supersedes = { session: old, until: now + SUPERSEDE_MS }
  })
}

/** What the old session sends on has, on the same resource or on any, an SA in the new one that the peer has too. */
function carriesAllOf(session: Session, old: Session, what: 'slots' | 'children'): boolean {
  for (const child of session.connection.active.values()) {
    if (!old.children.includes(child)) continue
    const resource = what === 'slots' ? child.resource : undefined
    if (usableCarrier(session, child.name, resource) === undefined) return false
  }
  return true
}

function copied(keys: readonly IkeKey[]): IkeKey[] {
  return keys.slice(0, MAX_KEYS).map(({ id, psk }) => ({ id, psk: psk.slice() }))
}
