/** INFORMATIONAL with DELETE, and the liveness check (RFC 7296 sections 1.4 and 2.4). */
import type { Instant } from '../../../../protocol/machine.ts'
import type { ChildSa } from '../child.ts'
import { closeChild, keepLast, standDown } from '../children.ts'
import { spiBytes } from '../messages.ts'
import type { IkeSa } from '../sa.ts'
import type { Session } from '../session.ts'
import type { Task, TaskRequest } from '../task.ts'
import { MEASURE_MS } from '../timing.ts'
import { EXCHANGE, PROTOCOL } from '../wire/constants.ts'
import type { Payload } from '../wire/types.ts'

/** Queues the DELETE of a Child SA; from now on a rekey of it by the peer is refused. */
export function deleteChild(session: Session, child: ChildSa, reason: string): void {
  if (child.state === 'deleting' || child.state === 'closed') return
  standDown(session, child)
  child.state = 'deleting'
  child.expireAt = undefined
  keepLast(session, child.slot)
  session.enqueue(new DeleteChildTask(child, reason))
}

export class DeleteChildTask implements Task {
  readonly kind = 'delete-child'
  readonly #child: ChildSa
  readonly #reason: string

  constructor(child: ChildSa, reason: string) {
    this.#child = child
    this.#reason = reason
  }

  build(): TaskRequest | undefined {
    if (this.#child.state === 'closed') return undefined
    this.#child.deleteSent = true
    return deletion(PROTOCOL.ESP, [spiBytes(this.#child.inboundSpi)])
  }

  process(sa: IkeSa, _payloads: readonly Payload[], now: Instant) {
    if (sa.session !== undefined) closeChild(sa.session, this.#child, now, this.#reason)
    return 'done' as const
  }

  abandon(): void {
    if (this.#child.state !== 'deleting') return
    // Its IKE SA ended before the answer: the session, if it goes on, asks again.
    this.#child.state = 'replaced'
    this.#child.deleteSent = false
    this.#child.expireAt = 0
  }
}

/** DELETE of a Child SA that the peer has and we could not make. */
export class DeleteSpiTask implements Task {
  readonly kind = 'delete-child'
  readonly #inboundSpi: number

  constructor(inboundSpi: number) {
    this.#inboundSpi = inboundSpi
  }

  build(): TaskRequest {
    return deletion(PROTOCOL.ESP, [spiBytes(this.#inboundSpi)])
  }

  process(sa: IkeSa) {
    sa.context.releaseChildSpi(this.#inboundSpi)
    return 'done' as const
  }
}

export class DeleteIkeTask implements Task {
  readonly kind = 'delete-ike'

  build(): TaskRequest {
    return deletion(PROTOCOL.IKE, [])
  }

  process(sa: IkeSa, _payloads: readonly Payload[], now: Instant) {
    sa.session?.endSa(sa, now, sa.closeReason ?? 'closed', false)
    return 'done' as const
  }
}

/** An empty request: any authentic answer shows that the peer is alive, and how long the way is. */
export class LivenessTask implements Task {
  readonly kind = 'liveness'

  build(sa: IkeSa, now: Instant): TaskRequest {
    sa.session!.measureAt = now + MEASURE_MS
    return { exchange: EXCHANGE.INFORMATIONAL, payloads: [] }
  }

  process() {
    return 'done' as const
  }
}

function deletion(protocol: number, spis: readonly Uint8Array[]): TaskRequest {
  return { exchange: EXCHANGE.INFORMATIONAL, payloads: [{ type: 'D', protocol, spis }] }
}
