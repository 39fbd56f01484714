import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { AesSuite } from '../../wasm/engine-offload.ts'
import { addressOf, type Libcrypto, libcrypto } from '../io/ffi.ts'
import { nativeAes } from './native-aes.ts'

const CIPHERS: Readonly<Record<AesSuite, string>> = { 'aes-128-gcm': 'aes-128-ecb', 'aes-256-gcm': 'aes-256-ecb' }
const KEY_BYTES: Readonly<Record<AesSuite, number>> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 }
const SUITES = Object.keys(CIPHERS) as AesSuite[]

/** Counts contexts that are not freed. */
function watched(library: Libcrypto) {
  const seen = { live: 0 }
  const watching: Libcrypto = {
    ...library,
    EVP_CIPHER_CTX_new: () => {
      seen.live++
      return library.EVP_CIPHER_CTX_new()
    },
    EVP_CIPHER_CTX_free: (context) => {
      seen.live--
      library.EVP_CIPHER_CTX_free(context)
    },
  }
  return { seen, watching }
}

describe('AES by the OpenSSL of this process', () => {
  const library = libcrypto()!

  it.each(SUITES)('encrypts the blocks of %s where they are, and nothing else', (suite) => {
    const aes = nativeAes(library)!()
    const memory = new Uint8Array(70_000)
    for (const [sa, blocks] of [1, 2, 3, 8, 64, 4095].entries()) {
      const key = randomBytes(KEY_BYTES[suite])
      aes.install(sa, suite, key)
      for (const offset of [16, 33]) {
        memory.set(randomBytes(memory.length))
        const expected = memory.slice()
        const end = offset + 16 * blocks
        const cipher = createCipheriv(CIPHERS[suite], key, null)
        expected.set(cipher.update(memory.subarray(offset, end)), offset)
        aes.encrypt(sa, memory.subarray(offset, end))
        expect(Buffer.compare(memory, expected)).toBe(0)
      }
      aes.remove(sa)
    }
  })

  it('follows from one buffer to another', () => {
    const aes = nativeAes(library)!()
    const key = randomBytes(16)
    aes.install(3, 'aes-128-gcm', key)
    const [first, second] = [new Uint8Array(16), new Uint8Array(48)]
    expect(addressOf(first.buffer)).not.toBe(addressOf(second.buffer))
    for (const blocks of [first, second.subarray(16, 32), first]) {
      const expected = createCipheriv('aes-128-ecb', key, null).update(blocks)
      aes.encrypt(3, blocks)
      expect(Buffer.from(blocks)).toEqual(expected)
    }
    expect(second.subarray(32)).toEqual(new Uint8Array(16))
    aes.remove(3)
  })

  it('frees the cipher of an SA that goes or comes again', () => {
    const { seen, watching } = watched(library)
    const aes = nativeAes(watching)!()
    expect(seen.live).toBe(0)
    aes.install(7, 'aes-256-gcm', randomBytes(32))
    aes.install(7, 'aes-256-gcm', randomBytes(32))
    expect(seen.live).toBe(1)
    aes.remove(7)
    aes.remove(7)
    expect(seen.live).toBe(0)
    expect(() => aes.encrypt(7, new Uint8Array(16))).toThrow('no cipher for SA 7')
  })

  it('throws where OpenSSL fails, so that the engine does the batch by itself', () => {
    const { seen, watching } = watched(library)
    const aes = nativeAes(watching)!()
    watching.EVP_EncryptInit_ex = () => 0
    expect(() => aes.install(1, 'aes-128-gcm', randomBytes(16))).toThrow('refuses aes-128-gcm')
    expect(seen.live).toBe(0)
    watching.EVP_EncryptInit_ex = library.EVP_EncryptInit_ex
    watching.EVP_EncryptUpdate = () => 0
    aes.install(1, 'aes-128-gcm', randomBytes(16))
    expect(() => aes.encrypt(1, new Uint8Array(16))).toThrow('could not encrypt')
    aes.remove(1)
  })

  it('is not to be had from a library that does not encrypt as it should', () => {
    expect(nativeAes({ ...library, EVP_EncryptUpdate: () => 1 })).toBeUndefined()
    expect(nativeAes({ ...library, EVP_CIPHER_CTX_new: () => 0 })).toBeUndefined()
  })
})
