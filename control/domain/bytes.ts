/** Texts and octets of the control plane: base64url (RFC 4648 section 5, no padding), UTF-8, SHA-256. */
import { sha256 } from '@noble/hashes/sha2.js'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUE_OF = new Map([...ALPHABET].map((letter, value) => [letter, value]))

export function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]!
    if (left > 1) text += ALPHABET[(group >> 6) & 63]!
    if (left > 2) text += ALPHABET[group & 63]!
  }
  return text
}

/** Undefined for anything that `toBase64Url` would not have written: one value has one text. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let held = 0
  let at = 0
  for (const letter of text) {
    const value = VALUE_OF.get(letter)
    if (value === undefined) return undefined
    bits = ((bits << 6) | value) & 0xfff
    held += 6
    if (held >= 8) {
      held -= 8
      bytes[at++] = (bits >> held) & 0xff
    }
  }
  return (bits & ((1 << held) - 1)) === 0 ? bytes : undefined
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** SHA-256 of the UTF-8 of `text`, base64url: 43 characters. */
export function hashText(text: string): string {
  return toBase64Url(sha256(utf8(text)))
}

/** Takes as long for a first as for a last difference. The lengths are no secret. */
export function equalInConstantTime(left: string, right: string): boolean {
  if (left.length !== right.length) return false
  let difference = 0
  for (let i = 0; i < left.length; i++) difference |= left.charCodeAt(i) ^ right.charCodeAt(i)
  return difference === 0
}
