/** What a packet engine would hold after an endpoint's effects: enough to say whether a packet gets through. */
import type { SocketAddress } from '../../../../protocol/net.ts'
import type { ChildSaSpec, IkeEffect } from '../types.ts'

export class ModelEngine {
  readonly installed = new Map<number, ChildSaSpec & { remoteAddress: SocketAddress }>()
  /** Id of the Child SA that each child sends on. */
  readonly active = new Map<string, number>()
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
        else this.active.set(sa.child, sa.id)
        return
      }
      case 'remove-child': {
        const sa = this.installed.get(effect.id)
        if (sa === undefined) this.faults.push(`removed but not installed: ${effect.id}`)
        else if (this.active.get(sa.child) === sa.id) this.active.delete(sa.child)
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

  /** The SA that a packet of this child would leave on now. */
  sender(child: string): ChildSaSpec | undefined {
    const id = this.active.get(child)
    return id === undefined ? undefined : this.installed.get(id)
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
