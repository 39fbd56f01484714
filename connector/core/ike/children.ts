/** The Child SAs of one session: finding, closing and replacing them. */
import type { Instant } from '../../../protocol/machine.ts'
import { type ChildSa, childRekeyed, promoteChild } from './child.ts'
import type { Connection } from './connection.ts'
import type { Session } from './session.ts'
import { type Slot, slotOf } from './slot.ts'
import { GRACE_MS, MISSING_CHILD_MS, REPLACED_MS, SETTLED_MS } from './timing.ts'

/** Those that the peer may still name. */
export function openChildren(session: Session): ChildSa[] {
  return session.children.filter((child) => child.state !== 'closed')
}

/** By the SPI that the peer receives on, which is how it names an SA (RFC 7296 sections 1.3.3 and 1.4.1). */
export function childByOutboundSpi(session: Session, spi: number): ChildSa | undefined {
  return openChildren(session).find((child) => child.outboundSpi === spi)
}

export function childByInboundSpi(session: Session, spi: number): ChildSa | undefined {
  return session.children.find((child) => child.inboundSpi === spi)
}

/** The SA that does, or could, carry a child's traffic in this session: on this resource, or the newest on any. */
export function carrier(session: Session, name: string, resource?: number): ChildSa | undefined {
  return carriers(session, name).findLast((child) => resource === undefined || child.resource === resource)
}

/** Every such SA, oldest first. */
export function carriers(session: Session, name: string): ChildSa[] {
  return session.children.filter((child) => child.name === name && child.state === 'installed')
}

/** As `carrier`, but only an SA that the peer is known to have. */
export function usableCarrier(session: Session, name: string, resource?: number): ChildSa | undefined {
  return carriers(session, name).findLast((child) => {
    return child.promoteAt === undefined && (resource === undefined || child.resource === resource)
  })
}

/** `old` has a successor. The end that made the successor deletes `old`; the other end waits for that. */
export function replaceChild(old: ChildSa, successor: ChildSa, now: Instant): void {
  old.successor = successor
  if (old.state !== 'installed') return
  old.state = 'replaced'
  old.expireAt = now + REPLACED_MS
}

/**
 * The SA is gone for both ends. Its traffic goes over to the successor or whatever else there is; where there is such
 * an SA, this one still opens what was on its way.
 */
export function closeChild(session: Session, child: ChildSa, now: Instant, reason: string): void {
  if (child.state === 'closed') return
  child.state = 'closed'
  child.promoteAt = undefined
  child.expireAt = undefined
  revive(child)
  const { connection } = session
  if (child.successor === undefined && child.incoming?.state === 'installed') {
    child.successor = child.incoming
    childRekeyed(session, child.incoming, child, now)
  }
  const heir = heirOf(session, child)
  const sending = connection.active.get(child.slot)
  if (sending === child || sending === undefined) {
    connection.active.delete(child.slot)
    if (heir !== undefined) promoteChild(heir.session, heir.child)
    else if (sending !== undefined && connection.carries(child.name)) demote(session, child)
  }
  keepLast(session, child.slot)
  const alone = heir === undefined && !connection.carries(child.name)
  if (child.successor === undefined) {
    connection.report({ type: 'child-closed', child: child.name, id: child.id, reason })
    session.enough.delete(child.name)
    if (heir === undefined) planReplacement(session, child, now, alone && now - child.establishedAt >= SETTLED_MS)
  }
  if (alone) removeChild(session, child)
  else child.removeAt = now + GRACE_MS
}

/**
 * To be called before the peer learns that the SA ends: its traffic leaves on another SA of its slot that the peer is
 * known to have, or else on other resources. Where there is nothing else, it goes on.
 */
export function standDown(session: Session, child: ChildSa): void {
  const { active } = session.connection
  if (active.get(child.slot) !== child) return
  const usable = (other: ChildSa) => other !== child && other.promoteAt === undefined && other.expireAt === undefined
  const heir = carriers(session, child.name).findLast((other) => other.slot === child.slot && usable(other))
  if (heir !== undefined) {
    promoteChild(session, heir)
    return
  }
  active.delete(child.slot)
  if (session.connection.carries(child.name)) demote(session, child)
  else active.set(child.slot, child)
}

/** The last SA of a slot is nobody's surplus. */
export function keepLast(session: Session, slot: Slot): void {
  const [last, another] = session.children.filter((child) => child.slot === slot && child.state === 'installed')
  if (last !== undefined && another === undefined) last.expireAt = undefined
}

export function removeChild(session: Session, child: ChildSa): void {
  const at = session.children.indexOf(child)
  if (at < 0) return
  session.children.splice(at, 1)
  if (session.connection.active.get(child.slot) === child) session.connection.active.delete(child.slot)
  session.context.releaseChildSpi(child.inboundSpi)
  session.context.emit({ type: 'remove-child', id: child.id })
  child.predecessor = undefined
  child.successor = undefined
  // Until our own rekey is answered, the crossing one decides what to do with its outcome.
  if (child.rekeying !== 'sent') child.incoming = undefined
}

/** When the session may make the child anew: after a pause where the peer ended it, or at once. */
export function planReplacement(
  session: Session,
  { name, resource }: { readonly name: string; readonly resource: number },
  now: Instant,
  atOnce = false,
): void {
  const { retryMs } = session.context.limits
  const pause = session.byUs ? (atOnce ? 0 : retryMs) : Math.max(retryMs, MISSING_CHILD_MS)
  session.childRetries.set(slotOf(name, resource), { at: now + pause, pause: retryMs })
}

/** The session is about to end: what another session can carry goes over to it first, so that nothing is lost. */
export function handOver(session: Session): void {
  const { active, sessions } = session.connection
  const others = sessions.filter((other) => other !== session && other.state === 'established')
  const mine = [...active.values()].filter((child) => session.children.includes(child))
  const left = mine.filter((child) => {
    const other = others.findLast((each) => usableCarrier(each, child.name, child.resource) !== undefined)
    if (other !== undefined) promoteChild(other, usableCarrier(other, child.name, child.resource)!)
    return other === undefined
  })
  for (const child of left) {
    if (!others.some((other) => carriers(other, child.name).some((sa) => active.get(sa.slot) === sa))) continue
    active.delete(child.slot)
    demote(session, child)
  }
}

/** Its resource sends nothing of this child any more. */
function demote(session: Session, child: ChildSa): void {
  session.context.emit({ type: 'demote-child', id: child.id })
}

/** A successor that is gone before its predecessor leaves that one in its place. */
function revive(child: ChildSa): void {
  const old = child.predecessor
  if (old === undefined) return
  if (old.incoming === child) old.incoming = undefined
  if (old.successor !== child) return
  old.successor = undefined
  if (old.state !== 'replaced') return
  old.state = 'installed'
  old.expireAt = undefined
}

/**
 * Newest first: the successor's line, then any other SA of the slot, also of another session. One that the peer may not
 * have yet, or no longer because its session is closing, is taken only where no other resource can send.
 */
function heirOf(session: Session, child: ChildSa): { session: Session; child: ChildSa } | undefined {
  for (let next = child.successor, steps = 0; next !== undefined && steps < 8; next = next.successor, steps++)
    if (next.state === 'installed') return { session, child: next }
  if (child.incoming?.state === 'installed') return { session, child: child.incoming }
  const { connection } = session
  const alive = [session, ...connection.sessions].filter(({ state }) => state !== 'ended')
  const lasting = alive.filter(goesOn)
  const among = (sessions: readonly Session[], find: typeof carrier) => {
    for (const other of sessions) {
      const found = find(other, child.name, child.resource)
      if (found !== undefined && found !== child) return { session: other, child: found }
    }
    return undefined
  }
  const usable = among(lasting, usableCarrier)
  if (usable !== undefined || sendsElsewhere(connection, child)) return usable
  const any = among(lasting, carrier) ?? among(alive, carrier)
  if (any !== undefined) return any
  const current = session.connection.active.get(child.slot)
  return current === undefined || current === child ? undefined : { session, child: current }
}

function goesOn({ state }: Session): boolean {
  return state === 'established'
}

/** Another resource sends on an SA of a session that goes on. */
function sendsElsewhere({ active, sessions }: Connection, child: ChildSa): boolean {
  for (const [slot, other] of active) {
    if (slot === child.slot || other.name !== child.name) continue
    if (sessions.some((session) => goesOn(session) && session.children.includes(other))) return true
  }
  return false
}
