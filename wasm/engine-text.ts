/** Seals and opens texts under bare AEAD keys, by way of the module's area for them. */
import { MAX_INNER } from './abi.ts'
import type { RawExports } from './engine-exports.ts'
import { EngineError, type SaHandle } from './packet-engine.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const AAD_MAX = 4096

/** The caller has made sure that handles are those of bare keys. Arguments that do not fit throw EngineError. */
export class BareText {
  readonly #raw: RawExports
  readonly #bytes: Uint8Array

  constructor(raw: RawExports) {
    this.#raw = raw
    this.#bytes = new Uint8Array(raw.memory.buffer)
  }

  /** Ciphertext and tag, freshly allocated. */
  seal(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#put(nonce, aad, plaintext, MAX_INNER)
    this.#raw.sealText(key, aad.length, plaintext.length)
    return this.#take(plaintext.length + TAG_BYTES)
  }

  /** Undefined where the tag does not verify. */
  open(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    this.#put(nonce, aad, sealed, MAX_INNER + TAG_BYTES)
    if (sealed.length < TAG_BYTES) return undefined
    const length = sealed.length - TAG_BYTES
    return this.#raw.openText(key, aad.length, length) === 0 ? undefined : this.#take(length)
  }

  #put(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, max: number): void {
    if (nonce.length !== NONCE_BYTES) throw new EngineError(`a nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`)
    if (aad.length > AAD_MAX) throw new EngineError(`more than ${AAD_MAX} bytes of additional data`)
    if (text.length > max) throw new EngineError(`more than ${max} bytes of text`)
    this.#bytes.set(nonce, this.#raw.CONTROL_NONCE.value)
    this.#bytes.set(aad, this.#raw.AEAD_AAD.value)
    this.#bytes.set(text, this.#raw.AEAD_SOURCE.value)
  }

  /** A copy of the result; nothing of it stays in engine memory. */
  #take(length: number): Uint8Array {
    const at = this.#raw.AEAD_TARGET.value
    const text = this.#bytes.slice(at, at + length)
    this.#raw.wipeText(length + TAG_BYTES)
    return text
  }
}
