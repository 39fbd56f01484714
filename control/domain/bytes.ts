/** Texts and octets of the control plane: UTF-8, SHA-256. */
import { sha256 } from '@noble/hashes/sha2.js'
import { toBase64url } from '../../protocol/control/base64url.ts'

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** SHA-256 of the UTF-8 of `text`, base64url: 43 characters. */
export function hashText(text: string): string {
  return toBase64url(sha256(utf8(text)))
}

/** Takes as long for a first as for a last difference. The lengths are no secret. */
export function equalInConstantTime(left: string, right: string): boolean {
  if (left.length !== right.length) return false
  let difference = 0
  for (let i = 0; i < left.length; i++) difference |= left.charCodeAt(i) ^ right.charCodeAt(i)
  return difference === 0
}
