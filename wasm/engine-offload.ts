/**
 * AES by the host: between the two halves of a batch call the counter blocks go through a cipher of its own, and long
 * packets through its whole AES-GCM.
 */
import { OUTBOX } from './abi.ts'
import type { RawExports } from './engine-exports.ts'
import type { AeadSuite, SaHandle } from './packet-engine.ts'

export type AesSuite = 'aes-128-gcm' | 'aes-256-gcm'
export const AES_SUITES: readonly AesSuite[] = ['aes-128-gcm', 'aes-256-gcm']
const TAG_BYTES = 16

/** AES under the keys of SAs. What is in the arguments may change once a call has returned. */
export interface HostAes {
  /** What does it, for `status`. */
  readonly name: string
  /** The caller wipes `key`. */
  install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void
  remove(sa: SaHandle): void
  /** Encrypts each 16 bytes of `blocks` by itself, where they are. Throws when it cannot. */
  encrypt(sa: SaHandle, blocks: Uint8Array): void
  /** AES-GCM with a 12-byte nonce: the ciphertext, as long as the text, and the 16-byte tag. They are the caller's. */
  seal(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): { text: Uint8Array; tag: Uint8Array }
  /** The plaintext, or undefined where the tag does not verify. */
  open(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): Uint8Array | undefined
}

export interface AesPlan {
  /** Suites for which the host encrypts. */
  readonly suites: readonly AesSuite[]
  /** Blocks under one key in one batch from which on a call of the host is worth it. */
  readonly leastBlocks: number
  /** Bytes of text from which on the host seals and opens a packet whole; never where there is none. */
  readonly leastWhole: Partial<Record<AesSuite, number>>
}

/** Which way AES goes, for `status`. */
export interface AesUse {
  readonly suites: Readonly<Record<AesSuite, 'wasm' | 'offload'>>
  readonly why: string
}

const ENTRY_WORDS = 3
const HEAD_WORDS = 4
/** Of an entry of `assembly/host-packets.ts`, and of what is in front of the first. */
const PACKET_BYTES = 64
const AAD_AT = 32
const NONCE_AT = 48
const NONCE_BYTES = 12
const SHORT_AAD = 8
const LONG_AAD = 12
const DONE = 1
const FORGED = 2

/** Views of one entry of HOST_PACKETS, made once. */
interface PacketViews {
  readonly nonce: Uint8Array
  readonly shortAad: Uint8Array
  readonly longAad: Uint8Array
}

/**
 * Completes batch calls of one engine. Allocates a view of the blocks of each key in a batch, and what the host returns
 * for each packet that it does whole.
 */
export class OffloadRunner {
  readonly #raw: RawExports
  readonly #bytes: Uint8Array
  /** Count of keys, then from word 4 on SA handle, offset and bytes of each. */
  readonly #keys: Uint32Array
  /** Count of packets, then from word 16 on 16 words of each. */
  readonly #packets: Uint32Array
  readonly #views: readonly PacketViews[]
  readonly #aes: HostAes
  readonly #suites: ReadonlySet<AeadSuite>

  constructor(raw: RawExports, aes: HostAes, { suites, leastBlocks, leastWhole }: AesPlan) {
    const memory = raw.memory.buffer
    const packets = raw.HOST_PACKETS.value
    this.#raw = raw
    this.#bytes = new Uint8Array(memory)
    this.#keys = new Uint32Array(memory, raw.STREAM_KEYS.value, HEAD_WORDS + OUTBOX * ENTRY_WORDS)
    this.#packets = new Uint32Array(memory, packets, ((1 + OUTBOX) * PACKET_BYTES) / 4)
    this.#views = Array.from({ length: OUTBOX }, (_, i) => packetViews(memory, packets + (1 + i) * PACKET_BYTES))
    this.#aes = aes
    this.#suites = new Set([...suites, ...AES_SUITES.filter((suite) => leastWhole[suite] !== undefined)])
    raw.setOffload(+suites.includes('aes-128-gcm'), +suites.includes('aes-256-gcm'), leastBlocks)
    raw.setHostPackets(leastWhole['aes-128-gcm'] ?? 0, leastWhole['aes-256-gcm'] ?? 0)
  }

  install(sa: SaHandle, suite: AeadSuite, key: Uint8Array): void {
    if (this.#suites.has(suite)) this.#aes.install(sa, suite as AesSuite, key)
  }

  remove(sa: SaHandle): void {
    this.#aes.remove(sa)
  }

  /** To be called after every batch call that seals, before anything else of the module. */
  completeSeal(): void {
    const keys = this.#keys[0]!
    const packets = this.#packets[0]!
    if (keys === 0 && packets === 0) return
    this.#each(packets, this.#seal)
    this.#raw.completeBatch(+this.#encrypt(keys))
  }

  /** As `completeSeal`, after those that open. */
  completeOpen(): void {
    const keys = this.#keys[0]!
    const packets = this.#packets[0]!
    if (keys === 0 && packets === 0) return
    this.#each(packets, this.#open)
    this.#raw.completeBatch(+this.#encrypt(keys))
  }

  /** Returns false when the cipher fails; the engine then does this batch by itself. */
  #encrypt(count: number): boolean {
    try {
      for (let i = 0, at = HEAD_WORDS; i < count; i++, at += ENTRY_WORDS) {
        const offset = this.#keys[at + 1]!
        if (offset === 0) continue
        const end = offset + this.#keys[at + 2]!
        this.#aes.encrypt(this.#keys[at]!, this.#bytes.subarray(offset, end))
      }
      return true
    } catch {
      return false
    }
  }

  /** What `step` does not return an outcome for, the engine does by itself. */
  #each(count: number, step: (at: number, views: PacketViews) => number): void {
    try {
      for (let i = 0; i < count; i++) {
        const at = ((1 + i) * PACKET_BYTES) / 4
        this.#packets[at + 5] = step(at, this.#views[i]!)
      }
    } catch {
      // A cipher that fails has written nothing: what is left is the engine's.
    }
  }

  readonly #seal = (at: number, views: PacketViews): number => {
    const [handle, src, dst, length] = this.#entry(at)
    const sealed = this.#aes.seal(handle, views.nonce, this.#aad(at, views), this.#bytes.subarray(src, src + length))
    this.#bytes.set(sealed.text, dst)
    this.#bytes.set(sealed.tag, dst + length)
    return DONE
  }

  readonly #open = (at: number, views: PacketViews): number => {
    const [handle, src, dst, length] = this.#entry(at)
    const end = src + length
    const text = this.#bytes.subarray(src, end)
    const tag = this.#bytes.subarray(end, end + TAG_BYTES)
    const plaintext = this.#aes.open(handle, views.nonce, this.#aad(at, views), text, tag)
    if (plaintext === undefined) return FORGED
    this.#bytes.set(plaintext, dst)
    return DONE
  }

  #entry(at: number): readonly [handle: number, src: number, dst: number, length: number] {
    return [this.#packets[at]!, this.#packets[at + 1]!, this.#packets[at + 2]!, this.#packets[at + 3]!]
  }

  #aad(at: number, { shortAad, longAad }: PacketViews): Uint8Array {
    return this.#packets[at + 4] === SHORT_AAD ? shortAad : longAad
  }
}

function packetViews(memory: ArrayBuffer, at: number): PacketViews {
  return {
    nonce: new Uint8Array(memory, at + NONCE_AT, NONCE_BYTES),
    shortAad: new Uint8Array(memory, at + AAD_AT, SHORT_AAD),
    longAad: new Uint8Array(memory, at + AAD_AT, LONG_AAD),
  }
}
