/** AES by the host: between the two halves of a batch call the counter blocks go through a cipher of its own. */
import { OUTBOX } from './abi.ts'
import type { RawExports } from './engine-exports.ts'
import type { AeadSuite, SaHandle } from './packet-engine.ts'

export type AesSuite = 'aes-128-gcm' | 'aes-256-gcm'
export const AES_SUITES: readonly AesSuite[] = ['aes-128-gcm', 'aes-256-gcm']

/** The bare block cipher under the keys of SAs. */
export interface HostAes {
  /** What does it, for `status`. */
  readonly name: string
  /** The caller wipes `key`. */
  install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void
  remove(sa: SaHandle): void
  /** Encrypts each 16 bytes of `blocks` by itself, where they are. Throws when it cannot. */
  encrypt(sa: SaHandle, blocks: Uint8Array): void
}

export interface AesPlan {
  /** Suites for which the host encrypts. */
  readonly suites: readonly AesSuite[]
  /** Blocks under one key in one batch from which on a call of the host is worth it. */
  readonly leastBlocks: number
}

/** Which way AES goes, for `status`. */
export interface AesUse {
  readonly suites: Readonly<Record<AesSuite, 'wasm' | 'offload'>>
  readonly why: string
}

const ENTRY_WORDS = 3
const HEAD_WORDS = 4

/** Completes batch calls of one engine. Allocates a view of the blocks of each key in a batch. */
export class StreamRunner {
  readonly #raw: RawExports
  readonly #bytes: Uint8Array
  /** Count of keys, then from word 4 on SA handle, offset and bytes of each. */
  readonly #keys: Uint32Array
  readonly #aes: HostAes
  readonly #suites: ReadonlySet<AeadSuite>

  constructor(raw: RawExports, aes: HostAes, plan: AesPlan) {
    this.#raw = raw
    this.#bytes = new Uint8Array(raw.memory.buffer)
    this.#keys = new Uint32Array(raw.memory.buffer, raw.STREAM_KEYS.value, HEAD_WORDS + OUTBOX * ENTRY_WORDS)
    this.#aes = aes
    this.#suites = new Set(plan.suites)
    raw.setOffload(+this.#suites.has('aes-128-gcm'), +this.#suites.has('aes-256-gcm'), plan.leastBlocks)
  }

  install(sa: SaHandle, suite: AeadSuite, key: Uint8Array): void {
    if (this.#suites.has(suite)) this.#aes.install(sa, suite as AesSuite, key)
  }

  remove(sa: SaHandle): void {
    this.#aes.remove(sa)
  }

  /** To be called after every batch call of the module, before anything else of it. */
  complete(): void {
    const count = this.#keys[0]!
    if (count === 0) return
    this.#raw.completeBatch(+this.#encrypt(count))
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
}
