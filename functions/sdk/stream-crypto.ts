/** The cryptography of sessions where there is no `node:crypto`: curves and hashes from @noble, AEAD in WebAssembly. */
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import type { StreamCrypto, StreamKeyPair } from '../../protocol/stream-crypto.ts'
import type { StreamAead } from '../../wasm/stream-aead.ts'

const KEY_BYTES = 32

export function webStreamCrypto(aead: StreamAead): StreamCrypto {
  return {
    random,
    generateKeyPair,
    dh,
    hash(...parts) {
      const hash = sha256.create()
      for (const part of parts) hash.update(part)
      return hash.digest()
    },
    hmac(key, ...parts) {
      const mac = hmac.create(sha256, key)
      for (const part of parts) mac.update(part)
      return mac.digest()
    },
    cipher: (key) => aead.cipher(key),
  }
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}

function generateKeyPair(): StreamKeyPair {
  // Any 32 bytes are a private key (RFC 7748 section 5).
  const privateKey = random(KEY_BYTES)
  return { privateKey, publicKey: x25519.getPublicKey(privateKey) }
}

function dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  if (privateKey.length !== KEY_BYTES || publicKey.length !== KEY_BYTES) throw new RangeError('a key has 32 bytes')
  try {
    return x25519.getSharedSecret(privateKey, publicKey)
  } catch {
    // A result of zeros, and nothing else of keys of 32 bytes.
    return undefined
  }
}
