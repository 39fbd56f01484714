/** The three AEADs on `node:crypto`: one call seals or opens one text. Tag of 16 bytes after the ciphertext. */
import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'
import type { AeadSuite } from '../packet-engine.ts'
import { concat } from './bytes.ts'

export const TAG_BYTES = 16

export function keyLength(suite: AeadSuite): number {
  return suite === 'aes-128-gcm' ? 16 : 32
}

export function aeadSeal(
  suite: AeadSuite,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(suite as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(aad)
  const head = cipher.update(plaintext)
  return concat(head, cipher.final(), cipher.getAuthTag())
}

/** The plaintext, or undefined when the tag does not verify. */
export function aeadOpen(
  suite: AeadSuite,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const decipher = createDecipheriv(suite as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const head = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES))
  try {
    return concat(head, decipher.final())
  } catch {
    return undefined
  }
}
