/** `IkeCrypto` on `node:crypto`: every call returns at once, nothing is kept between calls. */
import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  timingSafeEqual,
} from 'node:crypto'
import type { IkeCipher, IkeCrypto } from '../core/ike/crypto.ts'
import { concat } from '../core/ike/wire/bytes.ts'
import { generateKeyExchange } from './key-exchange-node.ts'

const PRF_HASHES: Readonly<Record<number, string>> = { 5: 'sha256', 6: 'sha384', 7: 'sha512' }
const INTEG_HASHES: Readonly<Record<number, string>> = { 12: 'sha256', 13: 'sha384', 14: 'sha512' }

/**
 * PRFs 5, 6, 7; groups 14, 15, 16, 19, 20, 21, 31; ENCR 20 (AES-GCM-16) and 28 (ChaCha20-Poly1305) without INTEG;
 * ENCR 12 (AES-CBC) with INTEG 12, 13, 14; AES keys of 128 and 256 bits. Another algorithm, or a key or IV of our
 * own that has the wrong length, is a caller's mistake and throws a RangeError. What the peer sends never throws.
 */
export const nodeCrypto: IkeCrypto = {
  prf(id, key, ...data) {
    return mac(known(PRF_HASHES[id], `PRF ${id}`), key, data)
  },

  sha1(...data) {
    const digest = createHash('sha1')
    for (const part of data) digest.update(part)
    return plain(digest.digest())
  },

  generate: generateKeyExchange,

  seal(cipher, key, integKey, iv, aad, plaintext) {
    const suite = suiteOf(cipher)
    if (key.length !== suite.keyLength || integKey.length !== suite.integKeyLength || iv.length !== suite.ivLength)
      throw new RangeError(`keys or IV do not fit ENCR ${cipher.encr}`)
    return suite.integHash === undefined
      ? sealAead(suite, key, iv, aad, plaintext)
      : sealCbc(suite, key, integKey, iv, aad, plaintext)
  },

  open(cipher, key, integKey, aad, body) {
    const suite = suiteOf(cipher)
    if (key.length !== suite.keyLength || integKey.length !== suite.integKeyLength)
      throw new RangeError(`keys do not fit ENCR ${cipher.encr}`)
    if (body.length < suite.ivLength + suite.icvLength) return undefined
    return suite.integHash === undefined ? openAead(suite, key, aad, body) : openCbc(suite, key, integKey, aad, body)
  },

  equal(left, right) {
    return left.length === right.length && timingSafeEqual(left, right)
  },
}

interface Suite {
  readonly name: string
  /** With the salt, for an AEAD. */
  readonly keyLength: number
  readonly integKeyLength: number
  readonly ivLength: number
  readonly icvLength: number
  /** Undefined for an AEAD. */
  readonly integHash: string | undefined
}

const SALT_LENGTH = 4
const TAG_LENGTH = 16
const BLOCK_LENGTH = 16
const AEAD = { integKeyLength: 0, ivLength: 8, icvLength: TAG_LENGTH, integHash: undefined } as const

function suiteOf({ encr, keyLengthBits, integ }: IkeCipher): Suite {
  const aes = keyLengthBits === 128 || keyLengthBits === 256
  if (encr === 20 && aes && integ === undefined)
    return { name: `aes-${keyLengthBits}-gcm`, keyLength: keyLengthBits / 8 + SALT_LENGTH, ...AEAD }
  if (encr === 28 && keyLengthBits === 256 && integ === undefined)
    return { name: 'chacha20-poly1305', keyLength: 32 + SALT_LENGTH, ...AEAD }
  const integHash = integ === undefined ? undefined : INTEG_HASHES[integ]
  if (encr === 12 && aes && integHash !== undefined) {
    const hashLength = Number(integHash.slice(3)) / 8
    const integrity = { integKeyLength: hashLength, icvLength: hashLength / 2, integHash }
    return { name: `aes-${keyLengthBits}-cbc`, keyLength: keyLengthBits / 8, ivLength: BLOCK_LENGTH, ...integrity }
  }
  throw new RangeError(`no cipher with ENCR ${encr}, ${keyLengthBits} bits and INTEG ${integ ?? 'none'}`)
}

/** RFC 5282 section 4, RFC 7634 section 2: the nonce is salt | IV. Both ciphers take the same calls in Node. */
function aeadParameters(suite: Suite, key: Uint8Array, iv: Uint8Array) {
  const keyLength = suite.keyLength - SALT_LENGTH
  const nonce = new Uint8Array(SALT_LENGTH + iv.length)
  nonce.set(key.subarray(keyLength))
  nonce.set(iv, SALT_LENGTH)
  return { name: suite.name as CipherGCMTypes, key: key.subarray(0, keyLength), nonce }
}

function sealAead(suite: Suite, key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const parameters = aeadParameters(suite, key, iv)
  const cipher = createCipheriv(parameters.name, parameters.key, parameters.nonce, { authTagLength: TAG_LENGTH })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  return concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

function openAead(suite: Suite, key: Uint8Array, aad: Uint8Array, body: Uint8Array): Uint8Array | undefined {
  const tagAt = body.length - TAG_LENGTH
  const parameters = aeadParameters(suite, key, body.subarray(0, suite.ivLength))
  const decipher = createDecipheriv(parameters.name, parameters.key, parameters.nonce, { authTagLength: TAG_LENGTH })
  decipher.setAAD(aad, { plaintextLength: tagAt - suite.ivLength })
  decipher.setAuthTag(body.subarray(tagAt))
  const plaintext = decipher.update(body.subarray(suite.ivLength, tagAt))
  try {
    decipher.final()
  } catch {
    plaintext.fill(0)
    return undefined
  }
  return plain(plaintext)
}

function sealCbc(
  suite: Suite,
  key: Uint8Array,
  integKey: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  if (plaintext.length === 0 || plaintext.length % BLOCK_LENGTH !== 0)
    throw new RangeError(`${plaintext.length} bytes of plaintext are not whole blocks`)
  const cipher = createCipheriv(suite.name, key, iv).setAutoPadding(false)
  const sealed = concat([iv, cipher.update(plaintext), cipher.final()])
  return concat([sealed, mac(suite.integHash!, integKey, [aad, sealed]).subarray(0, suite.icvLength)])
}

function openCbc(
  suite: Suite,
  key: Uint8Array,
  integKey: Uint8Array,
  aad: Uint8Array,
  body: Uint8Array,
): Uint8Array | undefined {
  const icvAt = body.length - suite.icvLength
  const expected = mac(suite.integHash!, integKey, [aad, body.subarray(0, icvAt)]).subarray(0, suite.icvLength)
  if (!timingSafeEqual(expected, body.subarray(icvAt))) return undefined
  const ciphertext = body.subarray(suite.ivLength, icvAt)
  if (ciphertext.length === 0 || ciphertext.length % BLOCK_LENGTH !== 0) return undefined
  const decipher = createDecipheriv(suite.name, key, body.subarray(0, suite.ivLength)).setAutoPadding(false)
  return concat([decipher.update(ciphertext), decipher.final()])
}

function mac(hashName: string, key: Uint8Array, data: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(hashName, key)
  for (const part of data) hmac.update(part)
  return plain(hmac.digest())
}

/** A Buffer as an array of its own: small Buffers share a pool, and a key must not linger there. */
function plain(buffer: Uint8Array): Uint8Array {
  const copy = new Uint8Array(buffer)
  buffer.fill(0)
  return copy
}

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`${what} is not supported`)
  return value
}
