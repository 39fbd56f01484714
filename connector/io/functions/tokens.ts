/** Session tokens, verified offline: compact JWS (RFC 7515) with EdDSA (RFC 8037) by a key of the network. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { fromBase64url, toBase64url } from '../../../protocol/control/base64url.ts'
import { SESSION_TOKEN_MS, type SessionClaims, sessionClaimsSchema } from '../../../protocol/control/grant.ts'
import { streamProblem } from '../../../protocol/stream-problem.ts'
import type { TokenVerdict } from '../../../protocol/stream-session-types.ts'

export interface TokenOptions {
  readonly network: string
  /** Name of our site, as the document has it now. */
  readonly site: () => string
  /** Ed25519 keys of the network, base64url, any of which may sign. */
  readonly keys: () => readonly string[]
  /** Milliseconds since 1970, by the control plane's clock. */
  readonly now: () => number
}

/** How far the clocks of the instances of a control plane may be apart, and from what we know of them. */
const SLACK_MS = 5000
const MAX_TOKEN = 4096
const MAX_KEYS = 4

export class TokenVerifier {
  readonly #options: TokenOptions
  /** By the key's text; few, and no older than the last document that named them. */
  readonly #keys = new Map<string, KeyObject>()

  constructor(options: TokenOptions) {
    this.#options = options
  }

  /** Whether the token is good and speaks of `initiatorKey` (X25519, 32 bytes). Synchronous, and total. */
  authorize(token: string, initiatorKey: Uint8Array): TokenVerdict {
    const claims = this.#claimsOf(token)
    if (claims === undefined)
      return refused('The session token is not one that the control plane of this network signed.')
    const { network, site, now } = this.#options
    if (claims.network !== network) return refused('The session token is for another network.')
    if (claims.site !== site()) return refused(`The session token is for the site ${claims.site}, not for ${site()}.`)
    if (claims.key !== toBase64url(initiatorKey)) return refused('The session token was given to another key.')
    // One that is good for longer than they are made for is a mistake, or worse.
    if (claims.exp - claims.iat > SESSION_TOKEN_MS + SLACK_MS || claims.iat > now() + SLACK_MS) {
      return refused('The session token is from another time.')
    }
    if (claims.exp <= now()) {
      const remedy = 'Ask the control plane for a new grant.'
      return { refused: streamProblem('token-expired', 'The session token has expired.', remedy) }
    }
    const { function: id, name, services, exp: expiresAt } = claims
    return { identity: { function: id, name, services, expiresAt } }
  }

  #claimsOf(token: string): SessionClaims | undefined {
    const parts = token.length > MAX_TOKEN ? [] : token.split('.')
    const [head, payload, signature] = parts.map((part) => fromBase64url(part))
    if (parts.length !== 3 || head === undefined || payload === undefined || signature?.length !== 64) return undefined
    if (!isEdDsa(readJson(head))) return undefined
    const signed = Buffer.from(token.slice(0, token.lastIndexOf('.')), 'latin1')
    if (!this.#publicKeys().some((key) => verify(null, signed, key, signature))) return undefined
    return sessionClaimsSchema.safeParse(readJson(payload)).data
  }

  #publicKeys(): KeyObject[] {
    const named = this.#options.keys().slice(0, MAX_KEYS)
    for (const known of this.#keys.keys()) if (!named.includes(known)) this.#keys.delete(known)
    return named.flatMap((x) => {
      const key = this.#keys.get(x) ?? importKey(x)
      if (key !== undefined) this.#keys.set(x, key)
      return key === undefined ? [] : [key]
    })
  }
}

function importKey(x: string): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** No other algorithm, and nothing that we would have to understand (`crit`, RFC 7515 section 4.1.11). */
function isEdDsa(head: unknown): boolean {
  if (typeof head !== 'object' || head === null || Object.hasOwn(head, 'crit')) return false
  const { alg } = head as { alg?: unknown }
  return alg === 'EdDSA' || alg === 'Ed25519'
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

function refused(cause: string): TokenVerdict {
  return { refused: streamProblem('token-refused', cause, 'Ask the control plane for a new grant, with this key.') }
}
