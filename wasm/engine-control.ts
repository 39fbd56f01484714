/** Arguments of control calls that do not fit into numbers, on their way into the module. All have been checked before. */
import { addressBytes, familyOf, type Prefix } from '../protocol/net.ts'
import type { PrefixBlock } from '../protocol/prefix-block.ts'
import { splitPrefix } from './engine-arguments.ts'
import type { RawExports } from './engine-exports.ts'
import type { SaHandle, SaKeys, TrafficSelector } from './packet-engine.ts'

export class ControlArea {
  readonly #raw: RawExports
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(raw: RawExports) {
    this.#raw = raw
    this.#bytes = new Uint8Array(raw.memory.buffer)
    this.#view = new DataView(raw.memory.buffer)
  }

  /** For the next call that takes keys; `wipe` has to follow it. */
  putKeys(keys: SaKeys): void {
    this.#bytes.set(keys.key, this.#raw.CONTROL_KEY.value)
    this.#bytes.set(keys.salt, this.#raw.CONTROL_NONCE.value)
  }

  wipe(): void {
    this.#bytes.fill(0, this.#raw.CONTROL_KEY.value, this.#raw.CONTROL_KEY.value + 64)
    this.#bytes.fill(0, this.#raw.CONTROL_NONCE.value, this.#raw.CONTROL_NONCE.value + 64)
  }

  /** For the next call that takes an address. */
  putAddress(address: Uint8Array): void {
    this.#bytes.set(address, this.#raw.CONTROL_ADDRESSES.value)
  }

  /** False where the table is full. */
  setRoute(prefix: Prefix, group: number): boolean {
    const { version, address, bits } = splitPrefix(prefix)
    this.putAddress(address)
    return this.#raw.setRoute(version, bits, group) !== 0
  }

  removeRoute(prefix: Prefix): void {
    const { version, address, bits } = splitPrefix(prefix)
    this.putAddress(address)
    this.#raw.removeRoute(version, bits)
  }

  /** False where the table is full; those before the one that did not fit are in it. */
  setRoutes(prefixes: PrefixBlock, group: number): boolean {
    const { family, lengths } = prefixes
    for (let i = 0; i < lengths.length; i++) {
      this.#putPrefix(prefixes, i)
      if (this.#raw.setRoute(family, lengths[i]!, group) === 0) return false
    }
    return true
  }

  removeRoutes(prefixes: PrefixBlock): void {
    const { family, lengths } = prefixes
    for (let i = 0; i < lengths.length; i++) {
      this.#putPrefix(prefixes, i)
      this.#raw.removeRoute(family, lengths[i]!)
    }
  }

  #putPrefix({ family, words }: PrefixBlock, index: number): void {
    const at = this.#raw.CONTROL_ADDRESSES.value
    const stride = family === 4 ? 1 : 4
    for (let word = 0; word < stride; word++) this.#view.setUint32(at + 4 * word, words[index * stride + word]!)
  }

  putOwnAddresses(addresses: readonly Uint8Array[]): void {
    this.#raw.clearOwnAddresses()
    for (const address of addresses) {
      this.putAddress(address)
      this.#raw.setOwnAddress(address.length === 4 ? 4 : 6)
    }
  }

  addSelectors(handle: SaHandle, local: boolean, selectors: readonly TrafficSelector[]): void {
    const at = this.#raw.CONTROL_ADDRESSES.value
    for (const { protocol, startPort, endPort, startAddress, endAddress } of selectors) {
      this.#bytes.fill(0, at, at + 32)
      this.#bytes.set(addressBytes(startAddress), at)
      this.#bytes.set(addressBytes(endAddress), at + 16)
      this.#raw.addSelector(handle, +local, familyOf(startAddress), protocol, startPort, endPort)
    }
  }
}
