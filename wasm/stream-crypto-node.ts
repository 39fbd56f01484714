/** The cryptography of sessions on `node:crypto`, but for the AEAD. */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import type { StreamCrypto, StreamKeyPair } from '../protocol/stream-crypto.ts'
import type { StreamAead } from './stream-aead.ts'

const KEY_BYTES = 32
/** What stands before a raw key in DER: PKCS #8 and SubjectPublicKeyInfo of RFC 8410. */
const PRIVATE_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_HEAD = Buffer.from('302a300506032b656e032100', 'hex')

export function nodeStreamCrypto(aead: StreamAead): StreamCrypto {
  return {
    random: (length) => new Uint8Array(randomBytes(length)),
    generateKeyPair,
    dh,
    hash(...parts) {
      const hash = createHash('sha256')
      for (const part of parts) hash.update(part)
      return new Uint8Array(hash.digest())
    },
    hmac(key, ...parts) {
      const mac = createHmac('sha256', key)
      for (const part of parts) mac.update(part)
      return new Uint8Array(mac.digest())
    },
    cipher: (key) => aead.cipher(key),
  }
}

/** The public half of a private X25519 key of 32 bytes. */
export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKeyObject(privateKey)).export({ format: 'der', type: 'spki' })
  return new Uint8Array(der.subarray(PUBLIC_HEAD.length))
}

function generateKeyPair(): StreamKeyPair {
  // Any 32 bytes are a private key (RFC 7748 section 5).
  const privateKey = new Uint8Array(randomBytes(KEY_BYTES))
  return { privateKey, publicKey: x25519PublicKey(privateKey) }
}

function dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  if (publicKey.length !== KEY_BYTES) throw new RangeError(`a public key of ${publicKey.length} bytes`)
  const theirs = createPublicKey({ key: Buffer.concat([PUBLIC_HEAD, publicKey]), format: 'der', type: 'spki' })
  const ours = privateKeyObject(privateKey)
  try {
    return new Uint8Array(diffieHellman({ privateKey: ours, publicKey: theirs }))
  } catch {
    // OpenSSL refuses a result of zeros, and nothing else of keys that it has read.
    return undefined
  }
}

function privateKeyObject(privateKey: Uint8Array): KeyObject {
  if (privateKey.length !== KEY_BYTES) throw new RangeError(`a private key of ${privateKey.length} bytes`)
  const der = Buffer.concat([PRIVATE_HEAD, privateKey])
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}
