/** The control plane as one Node process: HTTP and links on one port, the store in a file or in PostgreSQL. */
import { randomBytes as nodeRandomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import type { IncomingMessage, Server } from 'node:http'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { Links } from '../link/links.ts'
import { withRelay } from '../relay/hub.ts'
import { RelayWatch } from '../relay/watch.ts'
import { storedNonces } from '../service/nonces.ts'
import type { Services } from '../service/services.ts'
import type { Log } from '../service/types.ts'
import { StoreFailure } from '../store/failure.ts'
import { openPostgres } from '../store/postgres.ts'
import type { Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import type { Sql } from '../store/sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'
import { type AwsNetworks, awsAccess } from './aws.ts'
import { adminTokenOf, assemble, isInUse } from './common.ts'
import { NodeLinks, type UpgradeEnv } from './node-link.ts'
import { NODE_SPARES, NodeRelay, type RelayCounts } from './node-relay.ts'
import { ReplicaWatch } from './replica-watch.ts'

export { readAwsNetworks } from './aws.ts'

export interface NodeOptions {
  /** Where the store and the key-encryption key lie. */
  readonly directory: string
  /** In place of the file, for several processes over one store. */
  readonly postgres?: string
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Text of the key-encryption keys; else they lie in the directory, made at the first start. */
  readonly keyring?: string
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[]
  /** Networks for which AWS may be called, with the credentials of this process; none when absent. */
  readonly aws?: AwsNetworks
  /** Between two looks at what there is at AWS, in milliseconds. Default: 60 s. */
  readonly awsTimes?: { readonly watchMs?: number; readonly settleMs?: number }
  readonly log: Log
  readonly version: string
}

export interface ControlPlane {
  readonly url: string
  /** Of the installation, when it was made at this start; shown once and kept nowhere. */
  readonly adminToken?: string
  readonly services: Services
  /** Links that this process holds. */
  links(): number
  /** What its relay holds. */
  relayed(): RelayCounts
  /** Finishes what is under way, sends the connectors away, closes the store. Idempotent. */
  close(): Promise<void>
}

/** Between two runs of the scheduled job. */
const TICK_MS = 1000
/** Between two turns of the runs at clouds, which often wait for a connector. */
const CLOUD_TICK_MS = 300
/** Between two looks at what other processes have changed. */
const LOOK_MS = 1000
/** Bytes of the head of a request: the first flight of a function and its session token go in it. */
const MAX_HEADERS = 24 << 10
/** How long requests that are under way may take at the end. */
const DRAIN_MS = 5000

/** Rejects with a StoreFailure, or with the error of `listen`; everything is closed then. */
export async function startControl(options: NodeOptions): Promise<ControlPlane> {
  const sql = options.postgres === undefined ? openSqlite(storePath(options.directory)) : openPostgres(options.postgres)
  try {
    return await startOn(sql, await openRepo(sql), options)
  } catch (error) {
    await sql.close()
    throw error
  }
}

/** Where the store of a directory lies. */
export function storePath(directory: string): string {
  return join(directory, 'control.sqlite')
}

async function startOn(sql: Sql, repo: Repo, options: NodeOptions): Promise<ControlPlane> {
  const { log, version, host, port } = options
  const keyring = options.keyring ?? keyringOf(options.directory, await isInUse(repo))
  const admin = await adminTokenOf(repo)
  const links = new Links()
  let services: Services
  const seen = addressOf(options.trustedProxies ?? [])
  const nodeLinks = new NodeLinks(links, () => services, seen, NODE_SPARES)
  const nodeRelay = new NodeRelay({
    log,
    services: () => services,
    seenAddress: seen,
    call: ({ network, connector }, count) => links.call(network, connector, count),
  })
  const assembly = await assemble({
    repo,
    hub: withRelay(links, nodeRelay.relay, Date.now),
    keyring,
    adminHash: admin.hash,
    // A proof must not be good again for having survived our own restart.
    nonces: storedNonces(repo),
    log,
    version,
    clientAddress: (c) => seen((c.env as UpgradeEnv).incoming),
    openLink: nodeLinks.open,
    openRelay: nodeRelay,
    // A file has one process that writes.
    isAlone: options.postgres === undefined,
    ...awsAccess(options.aws, async () => (await import('../aws/provider.ts')).createAwsProvider(), options.awsTimes),
  })
  services = assembly.services
  const fetch = (request: Request, env: unknown) => assembly.app.fetch(request, env as object)
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false })
  const server = createServer({ maxHeaderSize: MAX_HEADERS }, listener)
  nodeLinks.listen(server, fetch)
  await listen(server, host, port).catch(async (error) => {
    await nodeRelay.close()
    await nodeLinks.close()
    throw error
  })
  const job = repeated(TICK_MS, () => services.scheduler.tick(), log)
  // On its own: AWS may take its time, and rotations of our own tunnels must not wait for it.
  const clouds = repeated(CLOUD_TICK_MS, () => services.cloudRunner.tick(), log)
  const watch = new ReplicaWatch(repo, links)
  const relayWatch = new RelayWatch(repo, nodeRelay.relay)
  const lookAll = () => Promise.all([watch.look(), relayWatch.look()])
  const look = options.postgres === undefined ? undefined : repeated(LOOK_MS, lookAll, log)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await Promise.all([job.stop(), clouds.stop()])
    await look?.stop()
    await nodeRelay.close()
    await nodeLinks.close()
    await closeServer(server)
    await sql.close()
  }
  return {
    url: urlOf(server, host),
    ...(admin.fresh === undefined ? {} : { adminToken: admin.fresh }),
    services,
    links: () => links.size,
    relayed: () => nodeRelay.counts,
    close: () => (closing ??= close()),
  }
}

/** A job, one run after the other, `ms` between them. What fails is tried again with the next. */
function repeated(ms: number, job: () => Promise<unknown>, log: Log): { stop(): Promise<void> } {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  const run = async (): Promise<void> => {
    try {
      await job()
    } catch (error) {
      log.error({ error: String(error) }, 'a repeated job failed')
    }
    if (!stopped) arm()
  }
  const arm = (): void => {
    timer = setTimeout(() => {
      running = run()
    }, ms)
  }
  arm()
  return {
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** The key-encryption key of a directory: made once, for its owner only. Whoever has a backup needs it too. */
function keyringOf(directory: string, inUse: boolean): string {
  const path = join(directory, 'kek')
  if (inUse && !existsSync(path)) {
    const remedy = 'Put back the file that belongs to this store, or give its keys in ISTHMUS_CONTROL_KEYS.'
    throw new StoreFailure('sealed', `The store is in use, and the key-encryption key ${path} is missing.`, remedy)
  }
  try {
    makeKey(directory, path)
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new StoreFailure('access', `${path} cannot be used (${reason})`, 'Make the directory writable for this user.')
  }
}

/** Whole and on the disk before anything is sealed with it; of two processes that start at once, one makes it. */
function makeKey(directory: string, path: string): void {
  if (existsSync(path)) return
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `kek-1:${nodeRandomBytes(32).toString('base64url')}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
  const folder = openSync(directory, 'r')
  fsyncSync(folder)
  closeSync(folder)
}

/** Where a request comes from; a header counts only from a proxy that is trusted. */
function addressOf(proxies: readonly string[]): (incoming: IncomingMessage) => string | undefined {
  return (incoming) => {
    const direct = incoming.socket.remoteAddress?.replace(/^::ffff:/, '')
    if (direct === undefined || !proxies.includes(direct)) return direct
    const forwarded = incoming.headers['x-forwarded-for']
    return String(forwarded ?? direct)
      .split(',')
      .at(-1)!
      .trim()
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(timer)
}

function urlOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
