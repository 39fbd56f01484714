/** What the AEAD tests measure against: node:crypto, and random input that a seed repeats. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import type { AeadSuite } from '../../wasm/packet-engine.ts'
import { NONCE_BYTES, TAG_BYTES } from './aead-module.ts'

export function keyBytes(suite: AeadSuite): number {
  return suite === 'aes-128-gcm' ? 16 : 32
}

/** Ciphertext and tag. */
export function nodeSeal(
  suite: AeadSuite,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Buffer {
  // Each branch has its own overload in the types of node:crypto.
  const cipher =
    suite === 'chacha20-poly1305'
      ? createCipheriv(suite, key, nonce, { authTagLength: TAG_BYTES })
      : createCipheriv(suite, key, nonce)
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** The plaintext; throws when the tag does not verify. */
export function nodeOpen(
  suite: AeadSuite,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Buffer {
  const length = sealed.length - TAG_BYTES
  const decipher =
    suite === 'chacha20-poly1305'
      ? createDecipheriv(suite, key, nonce, { authTagLength: TAG_BYTES })
      : createDecipheriv(suite, key, nonce)
  decipher.setAAD(aad, { plaintextLength: length })
  decipher.setAuthTag(sealed.subarray(length))
  return Buffer.concat([decipher.update(sealed.subarray(0, length)), decipher.final()])
}

/** Bytes and numbers that follow from the seed alone. */
export class SeededRandom {
  readonly seed: string
  readonly #stream

  constructor(seed: string) {
    this.seed = seed
    const key = createHash('sha256').update(seed).digest()
    this.#stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  }

  bytes(count: number): Buffer {
    return this.#stream.update(Buffer.alloc(count))
  }

  /** From 0 to `limit` - 1, for limits well below 2^32. */
  below(limit: number): number {
    return this.bytes(4).readUInt32LE() % limit
  }

  /** Key, nonce and texts of a packet. */
  packet(suite: AeadSuite, length: number, aadLength: number) {
    return {
      key: this.bytes(keyBytes(suite)),
      nonce: this.bytes(NONCE_BYTES),
      aad: this.bytes(aadLength),
      plaintext: this.bytes(length),
    }
  }
}
