/**
 * The AEAD of sessions in WebAssembly: ChaCha20-Poly1305 (RFC 8439) as CipherStates of the Noise specification. Keys and
 * counters live in the module's memory, which nothing outside this file sees. Runs wherever there is WebAssembly.
 */
import type { StreamCipher } from '../protocol/stream-crypto.ts'

const KEY_BYTES = 32
const TAG_BYTES = 16
const MAX_TEXT = 65_535 - TAG_BYTES
const MAX_AD = 512

const DONE = 1
const STALE = -1
const EXHAUSTED = -2

/** What wasm/assembly/stream.ts exports. */
interface RawExports {
  readonly memory: WebAssembly.Memory
  readonly KEY: Address
  readonly AD: Address
  readonly TEXT: Address
  readonly PLAINTEXT: Address
  make(): number
  generation(index: number): number
  seal(index: number, generation: number, adLength: number, length: number): number
  open(index: number, generation: number, adLength: number, length: number): number
  rekey(index: number, generation: number): number
  wipe(index: number, generation: number): void
}

interface Address {
  readonly value: number
}

/** Makes ciphers; one for a process will do. Not for several threads at once. */
export interface StreamAead {
  /**
   * A CipherState of this key with the counter 0; the caller wipes its copy. Its `ad` has at most 512 bytes. Whoever
   * made it wipes it. Throws RangeError for another length, and where some 60,000 are in use: a session has two, four
   * while it is made.
   */
  cipher(key: Uint8Array): StreamCipher
}

/** The module is `wasm/build/stream.relaxed.wasm`, or `stream.strict.wasm` for hosts without relaxed SIMD. */
export function createStreamAead(module: WebAssembly.Module): StreamAead {
  return streamAeadOf(new WebAssembly.Instance(module))
}

/** The same on an instance of the module, into whose memory tests look. */
export function streamAeadOf(instance: WebAssembly.Instance): StreamAead {
  const core = new Core(instance.exports as unknown as RawExports)
  return { cipher: (key) => core.cipher(key) }
}

class Core {
  readonly #raw: RawExports
  readonly #key: number
  readonly #ad: number
  readonly #text: number
  readonly #plaintext: number
  #bytes: Uint8Array

  constructor(raw: RawExports) {
    this.#raw = raw
    this.#key = raw.KEY.value
    this.#ad = raw.AD.value
    this.#text = raw.TEXT.value
    this.#plaintext = raw.PLAINTEXT.value
    this.#bytes = new Uint8Array(raw.memory.buffer)
  }

  cipher(key: Uint8Array): StreamCipher {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key of ${key.length} bytes`)
    this.#bytes.set(key, this.#key)
    const index = this.#raw.make()
    // It may have grown, which takes the old view away.
    this.#bytes = new Uint8Array(this.#raw.memory.buffer)
    if (index < 0) {
      this.#bytes.fill(0, this.#key, this.#key + KEY_BYTES)
      throw new RangeError('too many cipher states')
    }
    return new WasmCipher(this, index, this.#raw.generation(index))
  }

  seal(index: number, generation: number, parts: readonly Uint8Array[], ad: Uint8Array | undefined): Uint8Array {
    let length = 0
    for (const part of parts) {
      if (length + part.length > MAX_TEXT) throw new RangeError(`more than ${MAX_TEXT} bytes of text`)
      this.#bytes.set(part, this.#text + length)
      length += part.length
    }
    const adLength = this.#setAd(ad)
    check(this.#raw.seal(index, generation, adLength, length))
    return this.#bytes.slice(this.#text, this.#text + length + TAG_BYTES)
  }

  open(index: number, generation: number, text: Uint8Array, ad: Uint8Array | undefined): Uint8Array | undefined {
    const length = text.length - TAG_BYTES
    if (length < 0 || length > MAX_TEXT) return undefined
    this.#bytes.set(text, this.#text)
    const adLength = this.#setAd(ad)
    if (check(this.#raw.open(index, generation, adLength, length)) !== DONE) return undefined
    return this.#bytes.slice(this.#plaintext, this.#plaintext + length)
  }

  rekey(index: number, generation: number): void {
    check(this.#raw.rekey(index, generation))
  }

  wipe(index: number, generation: number): void {
    this.#raw.wipe(index, generation)
  }

  #setAd(ad: Uint8Array | undefined): number {
    if (ad === undefined) return 0
    if (ad.length > MAX_AD) throw new RangeError(`more than ${MAX_AD} bytes of additional data`)
    this.#bytes.set(ad, this.#ad)
    return ad.length
  }
}

class WasmCipher implements StreamCipher {
  readonly #core: Core
  readonly #index: number
  readonly #generation: number

  constructor(core: Core, index: number, generation: number) {
    this.#core = core
    this.#index = index
    this.#generation = generation
  }

  seal(parts: readonly Uint8Array[], ad?: Uint8Array): Uint8Array {
    return this.#core.seal(this.#index, this.#generation, parts, ad)
  }

  open(ciphertext: Uint8Array, ad?: Uint8Array): Uint8Array | undefined {
    return this.#core.open(this.#index, this.#generation, ciphertext, ad)
  }

  rekey(): void {
    this.#core.rekey(this.#index, this.#generation)
  }

  wipe(): void {
    this.#core.wipe(this.#index, this.#generation)
  }
}

function check(result: number): number {
  if (result === STALE) throw new Error('the cipher was wiped')
  if (result === EXHAUSTED) throw new RangeError('the cipher has used all its nonces')
  return result
}
