/** A task is one purpose of ours that takes a request and its response; an IKE SA works through a queue of them. */
import type { Instant } from '../../../protocol/machine.ts'
import type { Received } from './exchange.ts'
import type { IkeSa } from './sa.ts'
import type { Slot } from './slot.ts'
import type { Payload } from './wire/types.ts'

export type TaskKind =
  | 'init'
  | 'auth'
  | 'create-child'
  | 'rekey-child'
  | 'delete-child'
  | 'rekey-ike'
  | 'delete-ike'
  | 'liveness'

export interface TaskRequest {
  readonly exchange: number
  readonly payloads: readonly Payload[]
}

export interface Task {
  readonly kind: TaskKind
  /** The one that a new Child SA is made for. */
  readonly slot?: Slot
  /** The request, or undefined when there is nothing left to do. Called once per try, when the window is open. */
  build(sa: IkeSa, now: Instant): TaskRequest | undefined
  /**
   * Takes the response, which is authentic except in IKE_SA_INIT. `again`: build another request at once. `ignored`:
   * go on waiting, nothing happened.
   */
  process(sa: IkeSa, payloads: readonly Payload[], now: Instant, received: Received): 'done' | 'again' | 'ignored'
  /** The IKE SA ended, or the request was not answered: wipes what the task keeps. */
  abandon?(): void
}

/** Our own rekey, creation or deletion of a Child SA: a rekey of the IKE SA has to wait (RFC 7296 section 2.25.2). */
export function concernsChild(kind: TaskKind): boolean {
  return kind === 'create-child' || kind === 'rekey-child' || kind === 'delete-child'
}
