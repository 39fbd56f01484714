/**
 * The AEAD of sessions in WebAssembly: ChaCha20-Poly1305 (RFC 8439) as CipherStates of the Noise specification. Keys and
 * counters live in the module's memory, which nothing outside this file sees. Runs wherever there is WebAssembly. Where
 * the host has something faster for large texts, it lends that key and nonce; the counter stays here.
 */
import type { StreamCipher } from '../protocol/stream-crypto.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAX_TEXT = 65_535 - TAG_BYTES
const MAX_AD = 512
/** Parts up to so many bytes are joined for the host. */
const SMALL = 2048

const DONE = 1
const STALE = -1
const EXHAUSTED = -2

/** What wasm/assembly/stream.ts exports. */
interface RawExports {
  readonly memory: WebAssembly.Memory
  readonly KEY: Address
  readonly NONCE: Address
  readonly AD: Address
  readonly TEXT: Address
  readonly PLAINTEXT: Address
  make(): number
  generation(index: number): number
  seal(index: number, generation: number, adLength: number, length: number): number
  open(index: number, generation: number, adLength: number, length: number): number
  lend(index: number, generation: number): number
  give(index: number, generation: number): number
  spend(index: number, generation: number): void
  rekey(index: number, generation: number): number
  wipe(index: number, generation: number): void
}

interface Address {
  readonly value: number
}

/** ChaCha20-Poly1305 of the host, for texts that are large. */
export interface HostAead {
  /** Bytes of text from which on it is the faster one. */
  readonly sealFrom: number
  readonly openFrom: number
  /** Keeps a copy of the 32 bytes. */
  key(bytes: Uint8Array): HostKey
}

export interface HostKey {
  /** Ciphertext of the parts, joined, of `length` bytes in all, and the tag: a fresh array. Arguments are borrowed. */
  seal(nonce: Uint8Array, parts: readonly Uint8Array[], length: number, ad: Uint8Array | undefined): Uint8Array
  /** The text, a fresh array, or undefined where the tag does not fit. */
  open(nonce: Uint8Array, ciphertext: Uint8Array, ad: Uint8Array | undefined): Uint8Array | undefined
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
export function createStreamAead(module: WebAssembly.Module, host?: HostAead): StreamAead {
  return streamAeadOf(new WebAssembly.Instance(module), host)
}

/** The same on an instance of the module, into whose memory tests look. */
export function streamAeadOf(instance: WebAssembly.Instance, host?: HostAead): StreamAead {
  const core = new Core(instance.exports as unknown as RawExports, host)
  return { cipher: (key) => core.cipher(key) }
}

class Core {
  readonly #raw: RawExports
  readonly #host: HostAead | undefined
  readonly #key: number
  readonly #nonce: number
  readonly #ad: number
  readonly #text: number
  readonly #plaintext: number
  #bytes: Uint8Array

  constructor(raw: RawExports, host: HostAead | undefined) {
    this.#raw = raw
    this.#host = host
    this.#key = raw.KEY.value
    this.#nonce = raw.NONCE.value
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

  seal(state: State, parts: readonly Uint8Array[], ad: Uint8Array | undefined): Uint8Array {
    let length = 0
    for (const part of parts) length += part.length
    if (length > MAX_TEXT) throw new RangeError(`more than ${MAX_TEXT} bytes of text`)
    const adLength = this.#setAd(ad)
    if (this.#host !== undefined && length >= this.#host.sealFrom) {
      check(this.#raw.give(state.index, state.generation))
      return this.#hostKey(state, this.#host).seal(this.#lentNonce(), joinedSmall(parts), length, ad)
    }
    let at = this.#text
    for (const part of parts) {
      this.#bytes.set(part, at)
      at += part.length
    }
    check(this.#raw.seal(state.index, state.generation, adLength, length))
    return this.#bytes.slice(this.#text, this.#text + length + TAG_BYTES)
  }

  open(state: State, text: Uint8Array, ad: Uint8Array | undefined): Uint8Array | undefined {
    const length = text.length - TAG_BYTES
    if (length < 0 || length > MAX_TEXT) return undefined
    const adLength = this.#setAd(ad)
    if (this.#host !== undefined && length >= this.#host.openFrom) {
      check(this.#raw.lend(state.index, state.generation))
      const opened = this.#hostKey(state, this.#host).open(this.#lentNonce(), text, ad)
      if (opened !== undefined) this.#raw.spend(state.index, state.generation)
      return opened
    }
    this.#bytes.set(text, this.#text)
    if (check(this.#raw.open(state.index, state.generation, adLength, length)) !== DONE) return undefined
    return this.#bytes.slice(this.#plaintext, this.#plaintext + length)
  }

  rekey(state: State): void {
    check(this.#raw.rekey(state.index, state.generation))
    state.hostKey = undefined
  }

  wipe(state: State): void {
    this.#raw.wipe(state.index, state.generation)
    state.hostKey = undefined
  }

  /** The host's copy of the key that was lent, which is erased. */
  #hostKey(state: State, host: HostAead): HostKey {
    const key = this.#bytes.subarray(this.#key, this.#key + KEY_BYTES)
    state.hostKey ??= host.key(key)
    key.fill(0)
    return state.hostKey
  }

  #lentNonce(): Uint8Array {
    return this.#bytes.subarray(this.#nonce, this.#nonce + NONCE_BYTES)
  }

  #setAd(ad: Uint8Array | undefined): number {
    if (ad === undefined) return 0
    if (ad.length > MAX_AD) throw new RangeError(`more than ${MAX_AD} bytes of additional data`)
    this.#bytes.set(ad, this.#ad)
    return ad.length
  }
}

/** What names a cipher state, and the host's key where a large text has needed one. */
interface State {
  readonly index: number
  readonly generation: number
  hostKey: HostKey | undefined
}

class WasmCipher implements StreamCipher {
  readonly #core: Core
  readonly #state: State

  constructor(core: Core, index: number, generation: number) {
    this.#core = core
    this.#state = { index, generation, hostKey: undefined }
  }

  seal(parts: readonly Uint8Array[], ad?: Uint8Array): Uint8Array {
    return this.#core.seal(this.#state, parts, ad)
  }

  open(ciphertext: Uint8Array, ad?: Uint8Array): Uint8Array | undefined {
    return this.#core.open(this.#state, ciphertext, ad)
  }

  rekey(): void {
    this.#core.rekey(this.#state)
  }

  wipe(): void {
    this.#core.wipe(this.#state)
  }
}

/** The same bytes in fewer parts: each costs the host a call. */
function joinedSmall(parts: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = []
  for (let at = 0; at < parts.length; ) {
    let end = at
    let length = 0
    while (end < parts.length && length + parts[end]!.length <= SMALL) length += parts[end++]!.length
    if (end - at < 2) {
      joined.push(parts[at++]!)
      continue
    }
    const small = new Uint8Array(length)
    let filled = 0
    for (; at < end; at++) {
      small.set(parts[at]!, filled)
      filled += parts[at]!.length
    }
    joined.push(small)
  }
  return joined
}

function check(result: number): number {
  if (result === STALE) throw new Error('the cipher was wiped')
  if (result === EXHAUSTED) throw new RangeError('the cipher has used all its nonces')
  return result
}
