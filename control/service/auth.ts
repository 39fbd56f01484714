/**
 * Who asks: the owner of the installation, a person or job with an API token, a function with its own, or a connector
 * with a signed proof.
 */
import { PROOF_LIFETIME_MS, requestProofSchema } from '../../protocol/control/join.ts'
import { hashSecret, type ParsedToken, parseApiToken, parseFunctionToken, secretMatches } from '../domain/tokens.ts'
import type { FunctionRecord } from '../store/repo.ts'
import type { NonceMemory } from './nonces.ts'
import { refusal } from './refusals.ts'
import { claimsOf, type Verifier } from './signatures.ts'
import { instantText } from './support.ts'
import type { Actor, Context } from './types.ts'

export interface AuthRequest {
  readonly authorization: string | undefined
  readonly method: string
  /** Path and query. */
  readonly target: string
}

export interface Principal {
  readonly actor: Actor
  /** Of the owner of the installation: not bound to a network. */
  readonly admin?: true
  /** SHA-256 of the body that a connector signed, base64url. */
  readonly body?: string
}

export interface Auth {
  /** Throws a Refusal when nobody known asks. */
  authenticate(request: AuthRequest): Promise<Principal>
  /** When a token was last seen by this process; milliseconds since 1970. */
  lastUsed(token: string): number | undefined
}

export interface AuthOptions extends Pick<Context, 'repo' | 'clock'> {
  readonly verifier: Verifier
  readonly nonces: NonceMemory
  /** Hash of the admin token's secret, or undefined where there is no admin. */
  readonly adminHash: () => string | undefined
}

const MAX_USED = 10_000

export function createAuth(options: AuthOptions): Auth {
  const used = new Map<string, number>()
  return {
    async authenticate(request) {
      const [, scheme, credentials] = /^(\S+) +(\S+)$/.exec(request.authorization?.trim() ?? '') ?? []
      if (scheme === undefined || credentials === undefined) throw noCredentials()
      if (scheme.toLowerCase() === 'isthmus') return byProof(options, request, credentials)
      if (scheme.toLowerCase() !== 'bearer') throw noCredentials()
      const principal = await byToken(options, credentials)
      if (used.size >= MAX_USED) used.clear()
      used.set(principal.actor.id, options.clock())
      return principal
    },
    lastUsed: (token) => used.get(`token:${token}`),
  }
}

async function byToken(options: AuthOptions, text: string): Promise<Principal> {
  const parsed = parseApiToken(text)
  if (parsed === undefined) return byFunctionToken(options, parseFunctionToken(text))
  if (parsed.role === 'admin') {
    const hash = options.adminHash()
    if (hash === undefined || !secretMatches(parsed.secret, hash)) throw badToken()
    return { actor: { id: 'token:admin', network: '', role: 'owner' }, admin: true }
  }
  const entry = await options.repo.get(parsed.network, 'token', parsed.id)
  const token = proven(parsed.secret, entry?.value)
  if (token.role !== parsed.role) throw badToken()
  mustBeGood(token, options.clock())
  return { actor: { id: `token:${token.id}`, network: parsed.network, role: token.role } }
}

async function byFunctionToken(options: AuthOptions, parsed: ParsedToken | undefined): Promise<Principal> {
  if (parsed === undefined) throw badToken()
  const entry = await options.repo.get(parsed.network, 'function', parsed.id)
  const own = proven(parsed.secret, entry?.value)
  mustBeGood(own, options.clock())
  return { actor: { id: `function:${own.id}`, network: parsed.network, function: own.id } }
}

/** The record of which `secret` is. A hash is compared also where there is none, so that both take the same time. */
function proven<T extends { readonly hash: string }>(secret: string, record: T | undefined): T {
  if (!secretMatches(secret, record?.hash ?? hashSecret('')) || record === undefined) throw badToken()
  return record
}

function mustBeGood(record: Pick<FunctionRecord, 'revokedAt' | 'expiresAt'>, now: number): void {
  const { revokedAt, expiresAt } = record
  if (revokedAt !== undefined) throw refusal('token-revoked', `it was revoked at ${instantText(revokedAt)}`)
  if (expiresAt !== undefined && expiresAt <= now) {
    throw refusal('token-expired', `it expired at ${instantText(expiresAt)}`)
  }
}

async function byProof(options: AuthOptions, request: AuthRequest, jws: string): Promise<Principal> {
  if (jws.length > 4096) throw badProof('the proof is too long')
  const claims = claimsOf(jws, requestProofSchema)
  if (claims === undefined) throw badProof('the proof cannot be read')
  const entry = await options.repo.get(claims.network, 'connector', claims.connector)
  const connector = entry?.value
  const proof = connector && (await options.verifier.open(jws, connector.identityKey, requestProofSchema))
  if (connector === undefined || proof === undefined) {
    throw badProof('the proof is not signed by a connector of the network that it names')
  }
  if (connector.revokedAt !== undefined)
    throw refusal('connector-revoked', `it was revoked at ${instantText(connector.revokedAt)}`)
  if (proof.method !== request.method || proof.target !== request.target) {
    throw badProof('the proof was made for another request')
  }
  const now = options.clock()
  if (Math.abs(now - proof.at) > PROOF_LIFETIME_MS) {
    throw refusal('clock-skew', `the clock of the connector is ${skewText(proof.at - now)}`)
  }
  const use = await options.nonces.use(
    claims.network,
    claims.connector,
    proof.nonce,
    proof.at + PROOF_LIFETIME_MS + 1,
    now,
  )
  if (use === 'used') throw refusal('proof-replayed', 'its nonce was seen before')
  if (use === 'full') throw refusal('unavailable', 'too many proofs are alive')
  return {
    actor: { id: `connector:${connector.id}`, network: claims.network, connector: connector.id },
    body: proof.body,
  }
}

function skewText(difference: number): string {
  return `${Math.round(Math.abs(difference) / 1000)} s ${difference < 0 ? 'behind' : 'ahead'}`
}

function noCredentials(): Error {
  return refusal('no-credentials', 'there is no Authorization header that we know how to read')
}

/** The same for every fault: whoever guesses learns nothing. */
function badToken(): Error {
  return refusal('bad-credentials', 'the token is not one of this installation')
}

function badProof(detail: string): Error {
  return refusal('bad-credentials', detail, { remedy: 'Join again if the state of the connector was lost.' })
}
