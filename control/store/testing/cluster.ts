/** A real PostgreSQL: the one that `ISTHMUS_TEST_POSTGRES` names, or a cluster of our own on a socket in a folder. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chownSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

export interface Cluster {
  /** A new, empty database; tells its URL. */
  database(): Promise<string>
  /** Ends every session, as a server that is restarted does. */
  interrupt(): Promise<void>
  stop(): Promise<void>
}

export interface Account {
  readonly uid?: number
  readonly gid?: number
}

const DEBIAN = '/usr/lib/postgresql'

/** Whether `startCluster` has something to start, or else what is missing. */
export function missingPostgres(): string | undefined {
  if (process.env.ISTHMUS_TEST_POSTGRES !== undefined) return undefined
  if (binaries() === undefined) return 'PostgreSQL is not installed (Debian: postgresql)'
  if (process.getuid?.() === 0 && account() === undefined) return 'there is no user postgres to run PostgreSQL'
  return undefined
}

/** An empty cluster that nobody serves yet. */
export interface Prepared {
  /** Where the server's programs are. */
  readonly bin: string
  readonly folder: string
  readonly data: string
  /** As whom it is to run: not as root. Empty for who runs this. */
  readonly user: Account
  readonly environment: Readonly<Record<string, string | undefined>>
  remove(): void
}

/** Throws where `missingPostgres` has a reason. Its user is `isthmus`, without a password. */
export function prepareCluster(): Prepared {
  const bin = binaries()!
  const user = process.getuid?.() === 0 ? account()! : {}
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-postgres-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const data = join(folder, 'data')
  const environment = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' }
  try {
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!)
    // Another collation than that of the ids, as many servers have it.
    const setup = ['-D', data, '-U', 'isthmus', '-A', 'trust', '-E', 'UTF8', '--no-sync']
    const options = { ...user, cwd: folder, env: environment }
    execFileSync(join(bin, 'initdb'), setup, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    return { bin, folder, data, user, environment, remove }
  } catch (error) {
    remove()
    throw error
  }
}

export async function startCluster(): Promise<Cluster> {
  const given = process.env.ISTHMUS_TEST_POSTGRES
  if (given !== undefined) return clusterAt(given, async () => {})
  const { bin, folder, data, user, environment, remove } = prepareCluster()
  try {
    const settings = ['-c', 'listen_addresses=', '-c', 'max_connections=40', '-c', 'fsync=off']
    const server = spawn(join(bin, 'postgres'), ['-D', data, '-k', folder, ...settings], {
      ...user,
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const exited = once(server, 'exit')
    await ready(server.stderr, exited)
    return clusterAt(`postgres://isthmus@${encodeURIComponent(folder)}/postgres`, async () => {
      server.kill('SIGINT')
      await exited
      remove()
    })
  } catch (error) {
    remove()
    throw error
  }
}

async function clusterAt(url: string, stop: () => Promise<void>): Promise<Cluster> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const made: string[] = []
  const kick = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY ($1)'
  return {
    async database() {
      const name = `isthmus_test_${process.pid}_${made.length}`
      made.push(name)
      await admin.query(`CREATE DATABASE ${name}`)
      return url.replace(/\/[^/?]*(\?.*)?$/, `/${name}$1`)
    },
    async interrupt() {
      await admin.query(kick, [made])
    },
    async stop() {
      await admin.query(kick, [made])
      for (const name of made) await admin.query(`DROP DATABASE ${name}`)
      await admin.end()
      await stop()
    },
  }
}

async function ready(stderr: NodeJS.ReadableStream, exited: Promise<unknown[]>): Promise<void> {
  let said = ''
  const listening = new Promise<void>((resolve) => {
    stderr.on('data', (chunk) => {
      said += chunk
      if (said.includes('ready to accept connections')) resolve()
    })
  })
  const ended = exited.then(() => {
    throw new Error(`PostgreSQL ended: ${said}`)
  })
  ended.catch(() => {})
  await Promise.race([listening, ended])
}

function binaries(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map((version) => join(DEBIAN, version, 'bin')), ...(process.env.PATH ?? '').split(':')]
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => runs(join(folder, name))))
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** PostgreSQL refuses to run as root: the package's own user does it. */
function account(): Account | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}
