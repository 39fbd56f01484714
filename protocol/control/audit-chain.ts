/**
 * The audit log is a chain: each event carries the hash of the one before it, so that a change, a removal or an
 * insertion anywhere breaks it from there on. Cutting off the end leaves a good chain; whoever keeps a later head
 * (an export, a backup) can tell. Whoever writes the log and whoever verifies an export of it have this in common.
 */
import { canonicalJson } from './canonical.ts'
import type { AuditEvent } from './resources.ts'

/** SHA-256 of the UTF-8 of a text, base64url: 43 characters. */
export type HashText = (text: string) => string

/** The newest event; `seq` 0 and any hash while there is none. */
export interface AuditHead {
  readonly seq: number
  readonly hash: string
}

export type AuditVerdict =
  | { readonly ok: true; readonly head: AuditHead }
  | { readonly ok: false; readonly brokenAt: number; readonly why: string }

/** What the first event of a network follows: no event can be moved to another network. */
export function auditGenesis(network: string, hashText: HashText): string {
  return hashText(`isthmus audit ${network}`)
}

/** Over all fields but `hash` itself. */
export function hashEvent(event: Omit<AuditEvent, 'hash'>, hashText: HashText): string {
  const { hash: _, ...rest } = event as AuditEvent
  return hashText(canonicalJson(rest))
}

/**
 * Verifies `events` in their order, as the ones that follow `head` (by default, all from the first). Feed a long log
 * in pieces, each with the head of the piece before.
 */
export function verifyEvents(
  network: string,
  events: Iterable<AuditEvent>,
  hashText: HashText,
  head?: AuditHead,
): AuditVerdict {
  let seq = head?.seq ?? 0
  let previous = head === undefined || head.seq === 0 ? auditGenesis(network, hashText) : head.hash
  for (const event of events) {
    const expected = seq + 1
    const broken = (why: string): AuditVerdict => ({ ok: false, brokenAt: expected, why })
    if (event.seq !== expected) return broken(`event ${event.seq} stands where ${expected} belongs`)
    if (event.previous !== previous) return broken('it does not follow the event before it')
    if (event.hash !== hashEvent(event, hashText)) return broken('its content is not what was hashed')
    seq = expected
    previous = event.hash
  }
  return { ok: true, head: { seq, hash: previous } }
}
