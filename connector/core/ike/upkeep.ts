/**
 * All that happens to a session by the passage of time. Each timer is an instant and what happens then, so that the
 * deadline and the deed cannot disagree; what fires moves its own instant.
 */
import type { Instant } from '../../../protocol/machine.ts'
import { type ChildSa, promoteChild } from './child.ts'
import { carrier, carriers, childByInboundSpi, openChildren, planReplacement, removeChild } from './children.ts'
import { retransmit } from './exchange.ts'
import { addKeyTimers } from './keys.ts'
import { engineRefused, noResponse, peerDead } from './report.ts'
import { nextLack } from './resources.ts'
import type { IkeSa } from './sa.ts'
import type { Session } from './session.ts'
import { slotOf } from './slot.ts'
import { ChildTask, childFailed, mayRekey, rekeyChild } from './tasks/create-child.ts'
import { deleteChild, LivenessTask } from './tasks/delete.ts'
import { RekeyIkeTask } from './tasks/rekey-ike.ts'

interface Timer {
  readonly at: Instant
  readonly fire: (now: Instant) => void
}

/** Rounds of timers that set off others in the same instant. */
const MAX_ROUNDS = 16

/** Does what is due, then sends what can be sent. */
export function tick(session: Session, now: Instant): void {
  for (let round = 0; round < MAX_ROUNDS && !hasEnded(session); round++) {
    const due = timersOf(session).filter((timer) => timer.at <= now)
    if (due.length === 0) break
    for (const timer of due) if (!hasEnded(session)) timer.fire(now)
    session.pump(now)
  }
}

export function deadlineOf(session: Session): Instant | undefined {
  let earliest = Number.POSITIVE_INFINITY
  for (const timer of timersOf(session)) earliest = Math.min(earliest, timer.at)
  return earliest === Number.POSITIVE_INFINITY ? undefined : earliest
}

/** ESP of the peer came in on this SA: it is alive, and it has the answer that made the SA. */
export function trafficSeen(session: Session, inboundSpi: number, now: Instant): void {
  session.heard(now)
  const child = childByInboundSpi(session, inboundSpi)
  if (child?.state !== 'installed') return
  session.confirmed = true
  const carrying = session.connection.active.get(child.slot)
  if (session.state !== 'established') return
  if (child.promoteAt !== undefined || carrying?.incoming === child) promoteChild(session, child)
}

/** The engine ran into a limit of an outbound SA. */
export function limitReached(session: Session, outboundSpi: number, hard: boolean, now: Instant): void {
  const child = openChildren(session).find((it) => it.outboundSpi === outboundSpi)
  if (child === undefined) return
  if (hard) expire(session, child, now)
  else child.expiry.rekeyAt = Math.min(child.expiry.rekeyAt, now)
  session.pump(now)
}

/** The engine has no room for this SA: nothing may count on it, here or at the peer. */
export function refusedByEngine(session: Session, id: number, reason: string, now: Instant): void {
  const child = openChildren(session).find((it) => it.id === id)
  if (child === undefined) return
  deleteChild(session, child, reason)
  childFailed(session, child, engineRefused(child.config, reason), now)
  session.pump(now)
}

export function requestIkeRekey(session: Session): void {
  if (!session.has('rekey-ike') && session.current?.state === 'established') session.enqueue(new RekeyIkeTask())
}

/** Each timer that fires may end the session. */
function hasEnded(session: Session): boolean {
  return session.state === 'ended'
}

function timersOf(session: Session): Timer[] {
  const timers: Timer[] = []
  const add = (at: Instant | undefined, fire: (now: Instant) => void) => {
    if (at !== undefined && at !== Number.POSITIVE_INFINITY) timers.push({ at, fire })
  }
  for (const sa of session.sas) addSaTimers(session, sa, add)
  for (const child of session.children) addChildTimers(session, child, add)
  add(session.closeAt, (now) => closeNow(session, now))
  if (session.state !== 'established') return timers
  const { current } = session
  if (current?.state === 'established' && current.outstanding === undefined && session.queue.length > 0)
    add(current.usableAt, () => {})
  const { dpdIntervalMs } = session.connection.config
  if (dpdIntervalMs > 0 && current !== undefined && current.outstanding === undefined && !session.has('liveness'))
    add(Math.min(session.lastHeard + dpdIntervalMs, session.measureAt), () => session.enqueue(new LivenessTask()))
  if (!session.has('rekey-ike')) {
    add(session.rekeyAt, () => {
      session.rekeyAt = Number.POSITIVE_INFINITY
      requestIkeRekey(session)
    })
  }
  add(session.hardAt, (now) => session.close(now, 'its lifetime is over'))
  add(session.keepaliveAt, (now) => {
    const { local, remote } = session.path
    session.context.emit({ type: 'keepalive', local, remote })
    session.armKeepalive(now)
  })
  addKeyTimers(session, add)
  addMissingChildren(session, add)
  addLackingChild(session, add)
  return timers
}

type Add = (at: Instant | undefined, fire: (now: Instant) => void) => void

function addSaTimers(session: Session, sa: IkeSa, add: Add): void {
  add(sa.outstanding?.ladder.deadline, (now) => {
    if (sa.outstanding === undefined || sa.outstanding.ladder.deadline > now) return
    if (!retransmit(sa, now)) giveUp(session, sa, now)
  })
  if (sa.state !== 'replaced') return
  add(sa.expireAt, (now) => {
    if (sa.surplus) session.endSa(sa, now, 'surplus', false)
    else session.closeSa(sa, 'the peer did not delete it')
  })
}

function addChildTimers(session: Session, child: ChildSa, add: Add): void {
  add(child.removeAt, () => removeChild(session, child))
  if (child.state === 'closed') return
  if (session.state === 'established') add(child.promoteAt, () => promoteChild(session, child))
  if (child.state === 'deleting') return
  add(child.expireAt, () => deleteChild(session, child, 'the peer did not delete it'))
  if (child.state !== 'installed') return
  add(child.expiry.hardAt, (now) => expire(session, child, now))
  if (mayRekey(child)) add(child.expiry.rekeyAt, () => rekeyChild(session, child))
}

/** Each configured child that is not there is made, once its pause is over. */
function addMissingChildren(session: Session, add: Add): void {
  if (!session.remakesChildren) return
  const { home, config } = session.connection
  for (const child of config.children) {
    const slot = slotOf(child.name, home)
    if (carrier(session, child.name) !== undefined || session.isMaking(slot)) continue
    const at = session.childRetries.get(slot)?.at ?? session.createdAt
    add(at, () => session.enqueue(new ChildTask(child, home)))
  }
}

/** Then the additional ones of resources that lack theirs, one by one. */
function addLackingChild(session: Session, add: Add): void {
  const lack = nextLack(session)
  add(lack?.at, () => {
    if (!session.has('create-child')) session.enqueue(new ChildTask(lack!.config, lack!.resource))
  })
}

/** Past its hard limit an SA must not be used. A replaced one only makes room: the peer deletes it. */
function expire(session: Session, child: ChildSa, now: Instant): void {
  child.expiry.hardAt = Number.POSITIVE_INFINITY
  if (child.state === 'replaced') {
    if (child.successor?.state === 'installed') promoteChild(session, child.successor)
    return
  }
  if (child.state !== 'installed') return
  const others = carriers(session, child.name).length > 1
  if (session.noAdditionalSas && !others) {
    session.close(now, 'the peer makes no second Child SA in an IKE SA')
    return
  }
  deleteChild(session, child, 'its lifetime is over')
  planReplacement(session, child, now, true)
}

/** Nobody answers: fatal for the SA in use, the end of one that is on its way out anyhow. */
function giveUp(session: Session, sa: IkeSa, now: Instant): void {
  const { remote } = session.path
  const { connection } = session
  if (session.state === 'closing' || sa !== session.current) {
    session.endSa(sa, now, 'the peer does not answer', false)
    return
  }
  if (session.state === 'connecting') session.fail(noResponse(remote, connection.hint), now)
  else session.fail(peerDead(remote), now)
}

function closeNow(session: Session, now: Instant): void {
  session.closeAt = undefined
  if (session.state === 'closing') session.end(now, session.current?.closeReason ?? 'closed')
  else session.close(now, 'another IKE SA with the same peer came up at the same time')
}
