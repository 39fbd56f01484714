/** What a packet engine would hold after an endpoint's effects: enough to say whether a packet gets through. */
import type { SocketAddress } from '../../../../protocol/net.ts'
import { type Slot, slotOf } from '../slot.ts'
import type { ChildSaSpec, IkeEffect } from '../types.ts'

export class ModelEngine {
  readonly installed = new Map<number, ChildSaSpec & { remoteAddress: SocketAddress }>()
  /** Id of the Child SA that each child sends on, on each resource; the newest promoted one last. */
  readonly active = new Map<Slot, number>()
  /** Effects that break the order that the contract promises. */
  readonly faults: string[] = []

  apply(effect: IkeEffect): void {
    switch (effect.type) {
      case 'install-child':
        if (this.installed.has(effect.sa.id)) this.faults.push(`installed twice: ${effect.sa.id}`)
        this.installed.set(effect.sa.id, effect.sa)
        return
      case 'promote-child': {
        const sa = this.installed.get(effect.id)
        if (sa === undefined) this.faults.push(`promoted before it was installed: ${effect.id}`)
        else {
          const slot = slotOf(sa.child, sa.resource)
          this.active.delete(slot)
          this.active.set(slot, sa.id)
        }
        return
      }
      case 'demote-child': {
        const sa = this.installed.get(effect.id)
        if (sa === undefined) this.faults.push(`demoted but not installed: ${effect.id}`)
        else this.active.delete(slotOf(sa.child, sa.resource))
        return
      }
      case 'remove-child': {
        const sa = this.installed.get(effect.id)
        if (sa === undefined) this.faults.push(`removed but not installed: ${effect.id}`)
        else this.#forget(sa)
        this.installed.delete(effect.id)
        return
      }
      case 'move-child': {
        const sa = this.installed.get(effect.id)
        if (sa === undefined) this.faults.push(`moved but not installed: ${effect.id}`)
        else this.installed.set(effect.id, { ...sa, remoteAddress: effect.remoteAddress })
        return
      }
      default:
    }
  }

  /**
   * The SA that a packet of this child would leave on now: the resource's own, or else the newest promoted one, to
   * whose resource it is handed over.
   */
  sender(child: string, resource?: number): ChildSaSpec | undefined {
    const own = resource === undefined ? undefined : this.active.get(slotOf(child, resource))
    if (own !== undefined) return this.installed.get(own)
    const promoted = [...this.active.values()].map((id) => this.installed.get(id))
    return promoted.findLast((sa) => sa?.child === child)
  }

  #forget(sa: ChildSaSpec): void {
    const slot = slotOf(sa.child, sa.resource)
    if (this.active.get(slot) === sa.id) this.active.delete(slot)
  }

  /** The SA that would open a packet that `sealed` sealed: same SPI, same key. */
  receiver(sealed: ChildSaSpec): ChildSaSpec | undefined {
    return [...this.installed.values()].find(
      (sa) =>
        sa.inbound.spi === sealed.outbound.spi &&
        sa.suite === sealed.suite &&
        sa.esn === sealed.esn &&
        sameBytes(sa.inbound.key, sealed.outbound.key) &&
        sameBytes(sa.inbound.salt, sealed.outbound.salt),
    )
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i])
}
