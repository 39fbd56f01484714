/** The whole control plane over a store in memory, with a clock that stands until it is moved. For tests only. */
import { base64url } from 'jose'
import { type AppOptions, createApp } from '../app.ts'
import { makeAdminToken } from '../domain/tokens.ts'
import type { Hub } from '../link/hub.ts'
import { RateLimiter } from '../middleware/rate-limit.ts'
import { createAuth } from '../service/auth.ts'
import { memoryNonces } from '../service/nonces.ts'
import { createServices } from '../service/services.ts'
import { Verifier } from '../service/signatures.ts'
import type { CloudAccess, Log, Sealer } from '../service/types.ts'
import type { Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'
import { ask, type Caller, START, seededRandom } from './caller.ts'

export * from './caller.ts'

export interface World extends Caller {
  readonly app: ReturnType<typeof createApp>
  readonly services: ReturnType<typeof createServices>
  readonly repo: Repo
  readonly clock: { now: number }
  readonly hub: {
    readonly changed: { network: string; connectors: readonly string[] | 'all' }[]
    readonly revoked: string[]
    readonly functionsRevoked: string[]
    readonly asked: string[]
    /** Connectors that are to look linked. */
    readonly linked: Set<string>
  }
  readonly log: { level: string; fields: Readonly<Record<string, unknown>>; message: string }[]
}

/** `repo`: a store that is there already. */
export async function createWorld(
  options: Partial<AppOptions> & {
    readonly seed?: number
    readonly repo?: Repo
    /** Of the clock that this world has. */
    readonly clouds?: (clock: { readonly now: number }) => CloudAccess
    /** As in `Context`. */
    readonly isAlone?: boolean
  } = {},
): Promise<World> {
  const repo = options.repo ?? (await openRepo(openSqlite(':memory:')))
  const clock = { now: START }
  const random = seededRandom(options.seed ?? 1)
  const admin = makeAdminToken(random(32))
  const hub: World['hub'] = { changed: [], revoked: [], functionsRevoked: [], asked: [], linked: new Set() }
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
    isAlone: options.isAlone ?? false,
    ...(options.clouds === undefined ? {} : { clouds: options.clouds(clock) }),
  })
  const generous = () => new RateLimiter({ perSecond: 1e6, burst: 1e6 })
  const limits = { token: generous(), connector: generous(), relay: generous(), anonymous: generous() }
  const app = createApp({ services, auth, log: logOf(log), version: '1.2.3', limits, ...options })
  return {
    app,
    services,
    repo,
    admin: admin.text,
    clock,
    hub,
    log,
    request: (method, path, given = {}) => ask((url, init) => app.request(url, init), method, path, given),
  }
}

function hubOf(told: World['hub']): Hub {
  return {
    changed: (network, connectors) => void told.changed.push({ network, connectors }),
    revoked: (_network, connector) => void told.revoked.push(connector),
    functionRevoked: (_network, id) => void told.functionsRevoked.push(id),
    asked: (_network, connectors) => void told.asked.push(...connectors),
    linked: (_network, connector) => told.linked.has(connector),
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
