/**
 * The cryptography that a session of a function is given. Synchronous. The SDK takes curves and hashes from
 * @noble, the connector from `node:crypto`, the AEAD of both is `wasm/stream-aead.ts`.
 */
import type { RandomBytes } from './machine.ts'

export interface StreamKeyPair {
  /** X25519, 32 bytes each. */
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
}

export interface StreamCrypto {
  readonly random: RandomBytes
  /** A fresh X25519 key pair. */
  generateKeyPair(): StreamKeyPair
  /** X25519 (RFC 7748). Undefined where the result is all zeros: the peer's key is of low order. */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined
  /** SHA-256 of the parts, one after the other. */
  hash(...parts: readonly Uint8Array[]): Uint8Array
  /** HMAC-SHA-256 of the parts. */
  hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array
  /** A Noise CipherState with this key of 32 bytes and the counter 0. The caller wipes its copy of the key. */
  cipher(key: Uint8Array): StreamCipher
}

/**
 * A CipherState of ChaCha20-Poly1305 (Noise section 5.1, 12.3). It counts its nonces itself, from 0, each used once:
 * 4 zero octets and the counter in 8, little-endian.
 */
export interface StreamCipher {
  /**
   * Ciphertext of the parts, joined, and the tag behind it: a fresh array, the caller's. At most 65,519 bytes in all.
   * Throws RangeError beyond that, and after the last nonce (2^64 - 2).
   */
  seal(parts: readonly Uint8Array[], ad?: Uint8Array): Uint8Array
  /** The plaintext, a fresh array, or undefined where the tag does not fit; then the counter stays where it was. */
  open(ciphertext: Uint8Array, ad?: Uint8Array): Uint8Array | undefined
  /** REKEY of Noise section 4.2. The counter goes on. */
  rekey(): void
  /** Erases the key. Any later call but `wipe` throws. */
  wipe(): void
}
