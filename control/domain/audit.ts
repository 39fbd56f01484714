/** The audit log as it is written: events chained by their hashes. `protocol/control/audit-chain.ts` says what that is. */
import * as chain from '../../protocol/control/audit-chain.ts'
import type { AuditEvent } from '../../protocol/control/resources.ts'
import { hashText } from './bytes.ts'

export type { AuditHead, AuditVerdict } from '../../protocol/control/audit-chain.ts'

export type AuditDraft = Omit<AuditEvent, 'seq' | 'previous' | 'hash'>

/** What the first event of a network follows. */
export function auditGenesis(network: string): string {
  return chain.auditGenesis(network, hashText)
}

/** The events that follow `head`, numbered and chained. */
export function chainEvents(network: string, head: chain.AuditHead, drafts: readonly AuditDraft[]): AuditEvent[] {
  let { seq } = head
  let previous = seq === 0 ? auditGenesis(network) : head.hash
  return drafts.map((draft) => {
    seq += 1
    const unhashed = { ...draft, seq, previous }
    previous = hashEvent(unhashed)
    return { ...unhashed, hash: previous }
  })
}

/** Over all fields but `hash` itself. */
export function hashEvent(event: Omit<AuditEvent, 'hash'>): string {
  return chain.hashEvent(event, hashText)
}

/** Verifies `events` in their order, as the ones that follow `head`; by default, all from the first. */
export function verifyEvents(
  network: string,
  events: Iterable<AuditEvent>,
  head?: chain.AuditHead,
): chain.AuditVerdict {
  return chain.verifyEvents(network, events, hashText, head)
}
