/**
 * The cryptography that IKE needs, as an argument: synchronous, so that no second message gets in half-way.
 * `connector/io/crypto-node.ts` provides it on `node:crypto`. Transform numbers are IANA's (RFC 7296 section 3.3.2).
 */

export interface KeyExchange {
  /** The KE payload's data for the peer. */
  readonly publicValue: Uint8Array
  /**
   * The shared secret g^ir, padded to the length of the modulus, or undefined when the peer's value is invalid
   * (RFC 6989 checks; all-zero output of X25519 per RFC 7748 section 6.1). Usable once; the private value is wiped.
   */
  complete(peerValue: Uint8Array): Uint8Array | undefined
}

export interface IkeCipher {
  /** AEAD: ENCR number; otherwise undefined INTEG means AEAD (RFC 5282). */
  readonly encr: number
  readonly keyLengthBits: number
  readonly integ?: number
}

export interface IkeCrypto {
  /** PRF by transform ID: 5 SHA2-256, 6 SHA2-384, 7 SHA2-512 (RFC 4868). */
  prf(id: number, key: Uint8Array, ...data: Uint8Array[]): Uint8Array
  /** SHA-1 over the concatenation, for NAT detection (RFC 7296 section 2.23). */
  sha1(...data: Uint8Array[]): Uint8Array
  /** Starts a key exchange in one of the groups 14, 15, 16, 19, 20, 21, 31. */
  generate(group: number): KeyExchange
  /**
   * Seals an SK or SKF body. `aad` runs from the IKE header to the end of the encrypted payload's (or
   * fragment's) fixed header. Returns IV | ciphertext | ICV. `key` is SK_e with, for AEAD, the 4-byte salt at
   * its end; `integKey` is SK_a, empty for AEAD. Padding is the caller's work. `iv` has `ivLength` bytes and
   * never repeats under one key.
   */
  seal(
    cipher: IkeCipher,
    key: Uint8Array,
    integKey: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array
  /** The padded plaintext, or undefined if the checksum does not verify (compared in constant time, before decryption). */
  open(
    cipher: IkeCipher,
    key: Uint8Array,
    integKey: Uint8Array,
    aad: Uint8Array,
    body: Uint8Array,
  ): Uint8Array | undefined
  /** True when equal; constant time in the contents. */
  equal(left: Uint8Array, right: Uint8Array): boolean
}
