/** Who calls the API in tests, wherever it runs: operators with tokens, connectors with signed proofs. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64url } from 'jose'
import type { ConnectorReport } from '../../protocol/control/link.ts'
import { type Ed25519Jwk, sha256, sign, utf8 } from '../service/signatures.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of all shapes
  readonly body: any
}

export interface RequestOptions {
  readonly token?: string | undefined
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A control plane that can be asked. */
export interface Caller {
  readonly admin: string
  readonly clock: { readonly now: number }
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
}

export const START = Date.UTC(2026, 0, 5, 12)

export async function ask(
  fetch: (path: string, init: RequestInit) => Promise<Response> | Response,
  method: string,
  path: string,
  options: RequestOptions,
): Promise<Answer> {
  const headers = new Headers(options.headers)
  if (options.token !== undefined) headers.set('authorization', `Bearer ${options.token}`)
  const body = options.body === undefined ? undefined : asText(options.body)
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body }) })
  const text = await response.text()
  const json = text !== '' && /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
}

function asText(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** Mulberry32: the same bytes for the same seed. */
export function seededRandom(seed: number): (length: number) => Uint8Array {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) & 255
  }
  return (length) => Uint8Array.from({ length }, next)
}

/** An identity as a connector has it. */
export interface Identity {
  readonly publicKey: string
  readonly jwk: Ed25519Jwk
}

export function makeIdentity(seed: number): Identity {
  const secret = seededRandom(seed)(32)
  const x = base64url.encode(ed25519.getPublicKey(secret))
  return { publicKey: x, jwk: { kty: 'OKP', crv: 'Ed25519', x, d: base64url.encode(secret) } }
}

export interface Joined extends Identity {
  readonly network: string
  readonly connector: string
}

/** A request that a connector signs; `proof` overrides what it claims. */
export async function signed(
  world: Caller,
  joined: Joined,
  method: string,
  path: string,
  options: RequestOptions & { readonly proof?: Readonly<Record<string, unknown>> } = {},
): Promise<Answer> {
  const body = options.body === undefined ? '' : asText(options.body)
  const authorization = await proofOf(world, joined, method, path, body, options.proof)
  return world.request(method, path, { ...options, headers: { ...options.headers, authorization } })
}

/** The Authorization of one request of a connector. */
export async function proofOf(
  world: Caller,
  joined: Joined,
  method: string,
  target: string,
  body = '',
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const claims = {
    use: 'isthmus-request',
    network: joined.network,
    connector: joined.connector,
    method,
    target,
    body: await sha256(utf8(body)),
    at: world.clock.now,
    nonce: base64url.encode(crypto.getRandomValues(new Uint8Array(16))),
    ...more,
  }
  return `Isthmus ${await sign(claims, joined.jwk)}`
}

export function emptyReport(world: Caller, version: number): ConnectorReport {
  return { version, startedAt: START, at: world.clock.now, software: '1.0.0', addresses: ['192.0.2.1'], tunnels: [] }
}
