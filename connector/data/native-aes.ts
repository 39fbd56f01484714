/**
 * AES by the OpenSSL that Node carries, called where the blocks are: `update` of `node:crypto` makes a buffer for each
 * result, which is memory that no cache holds and a copy back.
 */
import { NodeAes } from '../../wasm/aes-offload.ts'
import type { AesSuite } from '../../wasm/engine-offload.ts'
import type { SaHandle } from '../../wasm/packet-engine.ts'
import { addressOf, type Libcrypto, libcrypto, Scratch } from '../io/ffi.ts'

/**
 * One EVP_CIPHER_CTX for each SA, from its installation to its removal, which erases its key schedule. Whole packets go
 * the way of `node:crypto`.
 */
export class NativeAes extends NodeAes {
  override readonly name = 'OpenSSL'
  readonly #library: Libcrypto
  readonly #contexts = new Map<SaHandle, number>()
  readonly #scratch = new Scratch(64)
  /** What the last blocks were in, and where that is. */
  #buffer: ArrayBufferLike | undefined
  #base = 0

  constructor(library: Libcrypto) {
    super()
    this.#library = library
  }

  override install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void {
    this.remove(sa)
    super.install(sa, suite, key)
    const { EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_EncryptInit_ex } = this.#library
    const cipher = suite === 'aes-128-gcm' ? this.#library.EVP_aes_128_ecb() : this.#library.EVP_aes_256_ecb()
    const context = EVP_CIPHER_CTX_new()
    if (context === 0) throw new Error('OpenSSL has no memory')
    this.#contexts.set(sa, context)
    const { bytes, address } = this.#scratch
    bytes.set(key)
    const made = EVP_EncryptInit_ex(context, cipher, 0, address, 0)
    bytes.fill(0)
    if (made !== 1 || EVP_CIPHER_CTX_set_padding(context, 0) !== 1) {
      this.remove(sa)
      throw new Error(`OpenSSL refuses ${suite}`)
    }
  }

  override remove(sa: SaHandle): void {
    super.remove(sa)
    const context = this.#contexts.get(sa)
    if (context === undefined) return
    this.#contexts.delete(sa)
    this.#library.EVP_CIPHER_CTX_free(context)
  }

  override encrypt(sa: SaHandle, blocks: Uint8Array): void {
    const context = this.#contexts.get(sa)
    if (context === undefined) throw new Error(`no cipher for SA ${sa}`)
    if (blocks.buffer !== this.#buffer) {
      this.#buffer = blocks.buffer
      this.#base = addressOf(blocks.buffer as ArrayBuffer)
    }
    const at = this.#base + blocks.byteOffset
    if (this.#library.EVP_EncryptUpdate(context, at, this.#scratch.address, at, blocks.length) !== 1) {
      throw new Error('OpenSSL could not encrypt')
    }
  }
}

/** FIPS 197 appendix B. */
const KEY = Buffer.from('2b7e151628aed2a6abf7158809cf4f3c', 'hex')
const PLAIN = Buffer.from('3243f6a8885a308d313198a2e0370734', 'hex')
const CIPHER = '3925841d02dc09fbdc118597196a0b32'

/** Makes such ciphers, or undefined where this Node does not show its OpenSSL or that does not encrypt as it should. */
export function nativeAes(library: Libcrypto | undefined = libcrypto()): (() => NativeAes) | undefined {
  if (library === undefined) return undefined
  const aes = new NativeAes(library)
  try {
    const block = new Uint8Array(PLAIN)
    aes.install(0, 'aes-128-gcm', KEY)
    aes.encrypt(0, block)
    return Buffer.from(block).toString('hex') === CIPHER ? () => new NativeAes(library) : undefined
  } catch {
    return undefined
  } finally {
    aes.remove(0)
  }
}
