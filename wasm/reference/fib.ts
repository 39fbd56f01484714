/** The forwarding table: longest prefix to a next-hop group. One map per prefix length, longest asked first. */
import { type Address, addressBytes, type Prefix } from '../../protocol/net.ts'
import { MAX_ROUTES } from '../abi.ts'
import { EngineError, type GroupHandle } from '../packet-engine.ts'

export class ForwardingTable {
  /** By family ('4' bytes or '16' bytes long addresses), then prefix length, then the masked address. */
  readonly #groups = new Map<string, GroupHandle>()

  /** Throws EngineError when the table is full. */
  set(prefix: Prefix, group: GroupHandle): void {
    const key = prefixKey(prefix)
    if (!this.#groups.has(key) && this.#groups.size >= MAX_ROUTES) throw new EngineError('forwarding table is full')
    this.#groups.set(key, group)
  }

  remove(prefix: Prefix): void {
    this.#groups.delete(prefixKey(prefix))
  }

  lookup(destination: Uint8Array): GroupHandle | undefined {
    for (let bits = destination.length * 8; bits >= 0; bits--) {
      const group = this.#groups.get(maskedKey(destination, bits))
      if (group !== undefined) return group
    }
    return undefined
  }
}

function prefixKey(prefix: Prefix): string {
  const slash = prefix.indexOf('/')
  return maskedKey(addressBytes(prefix.slice(0, slash) as Address), Number(prefix.slice(slash + 1)))
}

function maskedKey(address: Uint8Array, bits: number): string {
  const masked = address.map((byte, i) => byte & (0xff << Math.max(0, Math.min(8, (i + 1) * 8 - bits))))
  return `${masked.join('.')}/${bits}`
}
