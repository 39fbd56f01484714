/** Arguments of control calls that do not fit into numbers, on their way into the module. All have been checked before. */
import { addressBytes, familyOf } from '../protocol/net.ts'
import type { RawExports } from './engine-exports.ts'
import type { SaHandle, SaKeys, TrafficSelector } from './packet-engine.ts'

export class ControlArea {
  readonly #raw: RawExports
  readonly #bytes: Uint8Array

  constructor(raw: RawExports) {
    this.#raw = raw
    this.#bytes = new Uint8Array(raw.memory.buffer)
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
