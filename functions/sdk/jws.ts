/** Compact JSON Web Signatures by Ed25519 (RFC 7515 section 7.1, RFC 8037), checked with WebCrypto. */
import { fromBase64url } from '../../protocol/control/base64url.ts'

/** The payload of a JWS that `key` (32 bytes) has signed, parsed; undefined for anything else. */
export async function verifiedClaims(jws: string, key: Uint8Array): Promise<Record<string, unknown> | undefined> {
  const [header, payload, signature, ...more] = jws.split('.')
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return undefined
  const tag = fromBase64url(signature)
  if (tag?.length !== 64 || objectOf(header)?.alg !== 'EdDSA') return undefined
  const signed = new TextEncoder().encode(`${header}.${payload}`)
  return (await isSigned(key, tag, signed)) ? objectOf(payload) : undefined
}

async function isSigned(key: Uint8Array, tag: Uint8Array, signed: Uint8Array): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', key.slice(), { name: 'Ed25519' }, false, ['verify'])
    return await crypto.subtle.verify({ name: 'Ed25519' }, imported, tag.slice(), signed.slice())
  } catch {
    // Not a point of the curve.
    return false
  }
}

function objectOf(part: string): Record<string, unknown> | undefined {
  const bytes = fromBase64url(part)
  if (bytes === undefined) return undefined
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
