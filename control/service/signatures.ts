/** Signatures by Ed25519 keys (RFC 8037), as compact JWS (RFC 7515 section 7.1), through WebCrypto. */
import { base64url, CompactSign, compactVerify, importJWK } from 'jose'
import type { z } from 'zod'

const MAX_KEYS = 20_000

/** Verifies, and remembers imported keys, because importing costs more than verifying. */
export class Verifier {
  readonly #keys = new Map<string, Promise<CryptoKey>>()

  /** The payload, when `jws` is signed by `publicKey` (base64url) and fits `schema`; else undefined. */
  async open<T>(jws: string, publicKey: string, schema: z.ZodType<T>): Promise<T | undefined> {
    let payload: unknown
    try {
      const opened = await compactVerify(jws, await this.#keyOf(publicKey), { algorithms: ['EdDSA', 'Ed25519'] })
      payload = JSON.parse(new TextDecoder().decode(opened.payload))
    } catch {
      return undefined
    }
    const parsed = schema.safeParse(payload)
    return parsed.success ? parsed.data : undefined
  }

  #keyOf(publicKey: string): Promise<CryptoKey> {
    const known = this.#keys.get(publicKey)
    if (known !== undefined) return known
    if (this.#keys.size >= MAX_KEYS) this.#keys.clear()
    const fresh = importJWK({ kty: 'OKP', crv: 'Ed25519', x: publicKey }, 'EdDSA') as Promise<CryptoKey>
    fresh.catch(() => this.#keys.delete(publicKey))
    this.#keys.set(publicKey, fresh)
    return fresh
  }
}

/** The payload as its sender claims it, not verified: only to find out whose key must verify it. */
export function claimsOf<T>(jws: string, schema: z.ZodType<T>): T | undefined {
  try {
    const payload: unknown = JSON.parse(new TextDecoder().decode(base64url.decode(jws.split('.')[1] ?? '')))
    const parsed = schema.safeParse(payload)
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** Signs `payload` with the Ed25519 private key in `jwk`. */
export async function sign(payload: unknown, jwk: Ed25519Jwk): Promise<string> {
  return signWith(payload, (await importJWK({ ...jwk }, 'EdDSA')) as CryptoKey)
}

/** Signs `payload` with an Ed25519 private key that was imported before. */
export function signWith(payload: unknown, key: CryptoKey): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'EdDSA' })
    .sign(key)
}

export interface Ed25519Jwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly d: string
}

/** SHA-256, base64url. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>
}
