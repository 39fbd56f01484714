/**
 * Additional Child SAs, one for each of our resources (RFC 9611). The first SA of a child, on the connection's home
 * resource, is the one that every peer makes; where both ends announce SA_RESOURCE_INFO, each makes those that it
 * lacks, the initiator of the IKE SA at once. Which of our resources an SA is on does not concern the peer.
 */
import type { Instant } from '../../../protocol/machine.ts'
import { MAX_RESOURCES } from '../resource.ts'
import type { ChildSa } from './child.ts'
import { carrier, carriers } from './children.ts'
import { findNotify, notify } from './messages.ts'
import { type SelectorPair, sameSelectors } from './selectors.ts'
import type { Session } from './session.ts'
import { slotOf } from './slot.ts'
import { MISSING_CHILD_MS } from './timing.ts'
import type { ChildConfig } from './types.ts'
import { NOTIFY } from './wire/notify.ts'
import type { NotifyPayload, Payload } from './wire/types.ts'

/** In each exchange that makes a Child SA: more of the same selectors are welcome. Says nothing about the resource. */
export function resourceInfo(): NotifyPayload {
  return notify(NOTIFY.SA_RESOURCE_INFO)
}

/** What the peer's request or answer says of it. An additional SA that it answers without shows that it makes none. */
export function noteResourceInfo(
  session: Session,
  child: string,
  payloads: readonly Payload[],
  sibling?: ChildSa,
): void {
  if (findNotify(payloads, NOTIFY.SA_RESOURCE_INFO) !== undefined) session.shared.add(child)
  else if (sibling !== undefined) session.shared.delete(child)
}

/** The SA of the child with these selectors, which one more of them would be additional to. */
export function siblingOf(session: Session, child: string, selectors: SelectorPair): ChildSa | undefined {
  return carriers(session, child).find((sa) => sameSelectors(sa.selectors, selectors))
}

export interface Place {
  readonly resource: number
  /** No resource of ours lacked it: it is there for the peer's sake. */
  readonly extra: boolean
}

/** Where an additional SA that the peer asks for goes. Undefined: there are as many as may be (TS_MAX_QUEUE). */
export function placeAdditional(session: Session, child: string): Place | undefined {
  const present = carriers(session, child).filter((sa) => sa.predecessor?.state !== 'installed')
  if (present.length >= MAX_RESOURCES) return undefined
  const all = session.connection.resources
  const lacking = all.filter((resource) => carrier(session, child, resource) === undefined)
  const untouched = lacking.find((resource) => !session.isMaking(slotOf(child, resource)))
  const resource = untouched ?? lacking[0]
  if (resource !== undefined) return { resource, extra: false }
  const load = (of: number) => present.filter((sa) => sa.resource === of).length
  const least = all.reduce((best, other) => (load(other) < load(best) ? other : best))
  return { resource: least, extra: true }
}

export interface Lack {
  readonly config: ChildConfig
  readonly resource: number
  /** When we may make it. */
  readonly at: Instant
}

/** The additional SA to be made next, one at a time. A child that has no SA at all is missing, and not looked at here. */
export function nextLack(session: Session): Lack | undefined {
  if (session.closeAt !== undefined || session.noAdditionalSas || session.has('create-child')) return undefined
  let next: Lack | undefined
  for (const config of session.connection.config.children) {
    if (!session.shared.has(config.name) || session.enough.has(config.name)) continue
    const present = carriers(session, config.name)
    if (present.length === 0) continue
    // As responder: what the initiator goes on to make may be all that we need.
    const theirs = present.findLast((child) => !child.byUs)
    const from = session.byUs || theirs === undefined ? session.createdAt : theirs.establishedAt + MISSING_CHILD_MS
    for (const resource of session.connection.resources) {
      if (present.some((child) => child.resource === resource)) continue
      const at = Math.max(from, session.childRetries.get(slotOf(config.name, resource))?.at ?? from)
      if (next === undefined || at < next.at) next = { config, resource, at }
      // The home SA comes first, however long it has to wait: a peer may take one more, and no other.
      if (resource === session.connection.home) break
    }
  }
  return next
}
