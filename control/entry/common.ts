/** What all entries share: from a store and some secrets to services and an app. */
import type { Context as Hono } from 'hono'
import { createApp } from '../app.ts'
import { hashSecret, makeAdminToken, parseApiToken } from '../domain/tokens.ts'
import type { Hub } from '../link/hub.ts'
import type { OpenLink, OpenRelay } from '../routes/operation.ts'
import { createAuth } from '../service/auth.ts'
import type { NonceMemory } from '../service/nonces.ts'
import { createServices, type Services } from '../service/services.ts'
import { Verifier } from '../service/signatures.ts'
import type { CloudAccess, Log } from '../service/types.ts'
import type { Repo } from '../store/repo.ts'
import { createSealer, readKeyring } from '../store/seal.ts'

export interface AssemblyOptions {
  readonly repo: Repo
  readonly hub: Hub
  /** Text of the key-encryption keys; see `readKeyring`. */
  readonly keyring: string
  /** Hash of the admin token's secret, or undefined where there is no admin. */
  readonly adminHash: string | undefined
  readonly nonces: NonceMemory
  readonly log: Log
  readonly version: string
  readonly clientAddress: (c: Hono) => string | undefined
  readonly openLink?: OpenLink
  readonly openRelay?: OpenRelay
  /** As in `Context`. */
  readonly isLasting?: boolean
  /** As in `Context`. */
  readonly clouds?: CloudAccess
  /** As in `Context`. */
  readonly isAlone?: boolean
}

export interface Assembly {
  readonly services: Services
  readonly app: ReturnType<typeof createApp>
}

export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { repo, hub, log, version, clientAddress, openLink, openRelay, adminHash, nonces } = options
  const clock = () => Date.now()
  const random = randomBytes
  const verifier = new Verifier()
  const sealer = await createSealer(readKeyring(options.keyring), random)
  const auth = createAuth({ repo, clock, verifier, nonces, adminHash: () => adminHash })
  const { isLasting = true } = options
  const { clouds, isAlone = false } = options
  const own = { repo, hub, clock, random, sealer, log, isLasting, isAlone }
  const context = { ...own, ...(clouds === undefined ? {} : { clouds }) }
  const services = createServices({ ...context, verifier, lastUsed: auth.lastUsed })
  const app = createApp({
    services,
    auth,
    log,
    version,
    clientAddress,
    ...(openLink === undefined ? {} : { openLink }),
    ...(openRelay === undefined ? {} : { openRelay }),
  })
  return { services, app }
}

/** Of a cryptographic generator, on every platform. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length))
}

export interface AdminToken {
  readonly hash: string
  /** The token itself, when it was made just now; it is nowhere else. */
  readonly fresh?: string
}

const ADMIN_SETTING = 'admin-token-hash'

/** Whether this store has been started with before. */
export async function isInUse(repo: Repo): Promise<boolean> {
  return (await repo.setting(ADMIN_SETTING)) !== undefined
}

/** The admin token of this installation; made at the first call, also where several processes start at once. */
export async function adminTokenOf(repo: Repo): Promise<AdminToken> {
  const stored = await repo.setting(ADMIN_SETTING)
  if (stored !== undefined) return { hash: stored }
  const { text, hash } = makeAdminToken(randomBytes(32))
  const won = await repo.putSetting(ADMIN_SETTING, hash, true)
  return won ? { hash, fresh: text } : { hash: (await repo.setting(ADMIN_SETTING))! }
}

/** Another admin token in place of the present one. */
export async function renewAdminToken(repo: Repo): Promise<string> {
  const { text, hash } = makeAdminToken(randomBytes(32))
  await repo.putSetting(ADMIN_SETTING, hash)
  return text
}

/** Hash of an admin token that the platform's secret store holds, or undefined for a text that is none. */
export function hashOfAdminToken(token: string): string | undefined {
  const parsed = parseApiToken(token.trim())
  return parsed?.role === 'admin' ? hashSecret(parsed.secret) : undefined
}
