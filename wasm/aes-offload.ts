/** AES of node:crypto for the engine. */
import { type Cipheriv, createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { AesSuite, HostAes } from './engine-offload.ts'
import type { SaHandle } from './packet-engine.ts'

const TAG_BYTES = 16
const TAG = { authTagLength: TAG_BYTES }
const BLOCK_CIPHERS: Record<AesSuite, string> = { 'aes-128-gcm': 'aes-128-ecb', 'aes-256-gcm': 'aes-256-ecb' }

interface InstalledKey {
  readonly suite: AesSuite
  readonly key: KeyObject
  readonly blocks: Cipheriv
}

/**
 * One cipher object and one key object for each SA, from its installation to its removal. They lie in memory of OpenSSL,
 * which erases it when the objects are collected, at some time after `remove`; key stream and packets lie in buffers
 * that are collected and not erased.
 */
export class NodeAes implements HostAes {
  readonly name: string = 'node:crypto'
  readonly #keys = new Map<SaHandle, InstalledKey>()

  install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void {
    const blocks = createCipheriv(BLOCK_CIPHERS[suite], key, null).setAutoPadding(false)
    this.#keys.set(sa, { suite, key: createSecretKey(key), blocks })
  }

  remove(sa: SaHandle): void {
    this.#keys.delete(sa)
  }

  encrypt(sa: SaHandle, blocks: Uint8Array): void {
    blocks.set(sameLength(this.#installed(sa).blocks.update(blocks), blocks))
  }

  seal(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): { text: Uint8Array; tag: Uint8Array } {
    const { suite, key } = this.#installed(sa)
    const cipher = createCipheriv(suite, key, nonce, TAG)
    cipher.setAAD(aad)
    const sealed = sameLength(cipher.update(text), text)
    cipher.final()
    return { text: sealed, tag: cipher.getAuthTag() }
  }

  open(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): Uint8Array | undefined {
    const { suite, key } = this.#installed(sa)
    const decipher = createDecipheriv(suite, key, nonce, TAG)
    decipher.setAAD(aad)
    decipher.setAuthTag(tag)
    const plaintext = sameLength(decipher.update(text), text)
    try {
      decipher.final()
    } catch {
      plaintext.fill(0)
      return undefined
    }
    return plaintext
  }

  #installed(sa: SaHandle): InstalledKey {
    const installed = this.#keys.get(sa)
    if (installed === undefined) throw new Error(`no cipher for SA ${sa}`)
    return installed
  }
}

function sameLength(result: Uint8Array, text: Uint8Array): Uint8Array {
  if (result.length !== text.length) throw new Error(`${result.length} of ${text.length} bytes`)
  return result
}
