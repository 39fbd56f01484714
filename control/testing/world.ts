/** The whole control plane over a store in memory, with a clock that stands until it is moved. For tests only. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64url } from 'jose'
import type { ConnectorReport } from '../../protocol/control/link.ts'
import { type AppOptions, createApp } from '../app.ts'
import { makeAdminToken } from '../domain/tokens.ts'
import type { Hub } from '../link/hub.ts'
import { RateLimiter } from '../middleware/rate-limit.ts'
import { createAuth } from '../service/auth.ts'
import { memoryNonces } from '../service/nonces.ts'
import { createServices } from '../service/services.ts'
import { type Ed25519Jwk, sha256, sign, utf8, Verifier } from '../service/signatures.ts'
import type { Log, Sealer } from '../service/types.ts'
import type { Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'

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

export interface World {
  readonly app: ReturnType<typeof createApp>
  readonly services: ReturnType<typeof createServices>
  readonly repo: Repo
  readonly admin: string
  readonly clock: { now: number }
  readonly hub: {
    readonly changed: { network: string; connectors: readonly string[] | 'all' }[]
    readonly revoked: string[]
  }
  readonly log: { level: string; fields: Readonly<Record<string, unknown>>; message: string }[]
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
}

export const START = Date.UTC(2026, 0, 5, 12)

export async function createWorld(options: Partial<AppOptions> & { readonly seed?: number } = {}): Promise<World> {
  const repo = await openRepo(openSqlite(':memory:'))
  const clock = { now: START }
  const random = seededRandom(options.seed ?? 1)
  const admin = makeAdminToken(random(32))
  const hub: World['hub'] = { changed: [], revoked: [] }
  const log: World['log'] = []
  const verifier = new Verifier()
  const auth = createAuth({
    repo,
    clock: () => clock.now,
    verifier,
    nonces: memoryNonces(),
    adminHash: () => admin.hash,
  })
  const services = createServices({
    repo,
    hub: hubOf(hub),
    clock: () => clock.now,
    random,
    sealer: plainSealer(),
    log: logOf(log),
    verifier,
    lastUsed: auth.lastUsed,
  })
  const generous = () => new RateLimiter({ perSecond: 1e6, burst: 1e6 })
  const limits = { token: generous(), connector: generous(), anonymous: generous() }
  const app = createApp({ services, auth, log: logOf(log), version: '1.2.3', limits, ...options })
  return {
    app,
    services,
    repo,
    admin: admin.text,
    clock,
    hub,
    log,
    request: (method, path, given = {}) => ask(app, method, path, given),
  }
}

async function ask(app: World['app'], method: string, path: string, options: RequestOptions): Promise<Answer> {
  const headers = new Headers(options.headers)
  if (options.token !== undefined) headers.set('authorization', `Bearer ${options.token}`)
  const body = options.body === undefined ? undefined : asText(options.body)
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const response = await app.request(path, { method, headers, ...(body === undefined ? {} : { body }) })
  const text = await response.text()
  const json = text !== '' && /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
}

function asText(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function hubOf(told: World['hub']): Hub {
  return {
    changed: (network, connectors) => void told.changed.push({ network, connectors }),
    revoked: (_network, connector) => void told.revoked.push(connector),
    linked: () => false,
  }
}

function logOf(lines: World['log']): Log {
  const write = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push({ level, fields, message })
  return { info: write('info'), warn: write('warn'), error: write('error') }
}

/** Marks what was sealed and binds it to its name: enough to see that nothing is stored or opened as it should not. */
function plainSealer(): Sealer {
  return {
    seal: async (name, plain) => `sealed ${JSON.stringify(name)} ${base64url.encode(plain)}`,
    open: async (name, sealed) => {
      const start = `sealed ${JSON.stringify(name)} `
      if (!sealed.startsWith(start)) throw new Error('sealed for another name')
      return base64url.decode(sealed.slice(start.length))
    },
  }
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
  world: World,
  joined: Joined,
  method: string,
  path: string,
  options: RequestOptions & { readonly proof?: Readonly<Record<string, unknown>> } = {},
): Promise<Answer> {
  const body = options.body === undefined ? '' : asText(options.body)
  const claims = {
    use: 'isthmus-request',
    network: joined.network,
    connector: joined.connector,
    method,
    target: path,
    body: await sha256(utf8(body)),
    at: world.clock.now,
    nonce: base64url.encode(crypto.getRandomValues(new Uint8Array(16))),
    ...options.proof,
  }
  const headers = { ...options.headers, authorization: `Isthmus ${await sign(claims, joined.jwk)}` }
  return world.request(method, path, { ...options, headers })
}

export function emptyReport(world: World, version: number): ConnectorReport {
  return { version, startedAt: START, at: world.clock.now, software: '1.0.0', addresses: ['192.0.2.1'], tunnels: [] }
}
