/** The keys of epochs, on `node:crypto`. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import type { EpochCrypto } from '../../core/managed/psk.ts'

/** What stands in front of the 32 bytes in a PKCS #8 and in an SPKI structure of X25519 (RFC 8410 section 7). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')

export const epochCrypto: EpochCrypto = {
  sharedSecret(privateKey, publicKey) {
    try {
      return new Uint8Array(diffieHellman({ privateKey: privateOf(privateKey), publicKey: publicOf(publicKey) }))
    } catch {
      // OpenSSL refuses the public keys of low order.
      return undefined
    }
  },
  hkdfSha256: (secret, salt, info, length) => new Uint8Array(hkdfSync('sha256', secret, salt, info, length)),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
}

/** A fresh X25519 pair, 32 bytes each; the caller's, who wipes the private one. */
export function makeEpochPair(): { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return {
    privateKey: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8.length)),
    publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length)),
  }
}

function privateOf(bytes: Uint8Array): KeyObject {
  const key = Buffer.concat([PKCS8, bytes])
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } finally {
    key.fill(0)
  }
}

function publicOf(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' })
}
