/** The one `Repo`, over any `Sql`. */
import type { Intent, Site, Tunnel } from '../../protocol/control/intent.ts'
import type { AuditEvent } from '../../protocol/control/resources.ts'
import { type RoutingPart, routingOf } from '../domain/intents/routing-view.ts'
import { StoreFailure } from './failure.ts'
import { migrate } from './migrations.ts'
import { conflictOf, stepsOf } from './plan.ts'
import type { Batch, Entry, Kind, Page, Records, Replay, Repo } from './repo.ts'
import { Dangling, type Row, type Sql, type SqlValue, Unexpected, Unique } from './sql.ts'

const MAX_PAGE = 1000
/** Set while a restore is under way (`backup.ts`). */
export const RESTORING = 'restoring'

/** Waited for before a commit returns; by then the batch is in the store. */
export type OnCommit = (network: string, batch: Batch) => Promise<void> | void

/** Brings the store to the newest version and opens it. Throws StoreFailure. */
export async function openRepo(sql: Sql, onCommit: OnCommit = () => undefined): Promise<Repo> {
  await migrate(sql)
  const repo = new RepoSql(sql, onCommit)
  if ((await repo.setting(RESTORING)) !== undefined) {
    throw new StoreFailure(
      'incomplete',
      'A restore into this store was cut off.',
      'Run isthmus control restore once more: it begins anew.',
    )
  }
  return repo
}

class RepoSql implements Repo {
  readonly #sql: Sql
  readonly #onCommit: OnCommit

  constructor(sql: Sql, onCommit: OnCommit) {
    this.#sql = sql
    this.#onCommit = onCommit
  }

  async get<K extends Kind>(network: string, kind: K, id: string): Promise<Entry<K> | undefined> {
    const sql = 'SELECT revision, body FROM records WHERE network = ? AND kind = ? AND id = ?'
    return entries<K>(await this.#rows(sql, [network, kind, id]))[0]
  }

  async byName<K extends Kind>(network: string, kind: K, name: string): Promise<Entry<K> | undefined> {
    const sql = 'SELECT revision, body FROM records WHERE network = ? AND kind = ? AND name = ?'
    return entries<K>(await this.#rows(sql, [network, kind, name]))[0]
  }

  async list<K extends Kind>(network: string, kind: K, page: Page): Promise<Entry<K>[]> {
    const behind = [page.after ?? '', limitOf(page)]
    if (page.ref === undefined) {
      const sql = `SELECT revision, body FROM records WHERE network = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?`
      return entries<K>(await this.#rows(sql, [network, kind, ...behind]))
    }
    const sql = `SELECT records.revision, records.body FROM refs
      JOIN records ON records.network = refs.network AND records.kind = refs.kind AND records.id = refs.id
      WHERE refs.network = ? AND refs.kind = ? AND refs.ref = ? AND refs.id > ? ORDER BY refs.id LIMIT ?`
    return entries<K>(await this.#rows(sql, [network, kind, page.ref, ...behind]))
  }

  async count(network: string, kind: Kind, ref?: string): Promise<number> {
    const rows =
      ref === undefined
        ? await this.#rows('SELECT COUNT(*) AS n FROM records WHERE network = ? AND kind = ?', [network, kind])
        : await this.#rows('SELECT COUNT(*) AS n FROM refs WHERE network = ? AND kind = ? AND ref = ?', [
            network,
            kind,
            ref,
          ])
    return Number(rows[0]?.n ?? 0)
  }

  async revisions(network: string, kind: Kind): Promise<ReadonlyMap<string, number>> {
    const sql = 'SELECT id, revision FROM records WHERE network = ? AND kind = ?'
    const rows = await this.#rows(sql, [network, kind])
    return new Map(rows.map(({ id, revision }) => [String(id), Number(revision)]))
  }

  async networks(page: Page): Promise<Entry<'network'>[]> {
    const sql = `SELECT records.revision, records.body FROM networks
      JOIN records ON records.network = networks.id AND records.kind = 'network' AND records.id = networks.id
      WHERE networks.id > ? ORDER BY networks.id LIMIT ?`
    return entries<'network'>(await this.#rows(sql, [page.after ?? '', limitOf(page)]))
  }

  async hasNetworkNamed(name: string): Promise<boolean> {
    for (let after = ''; ; ) {
      const page = await this.networks({ after, limit: MAX_PAGE })
      if (page.some(({ value }) => value.name === name)) return true
      if (page.length < MAX_PAGE) return false
      after = page.at(-1)!.value.id
    }
  }

  async intentAt(network: string, version: number): Promise<Intent | undefined> {
    const heads = await this.#rows('SELECT preferences FROM intents WHERE network = ? AND version = ?', [
      network,
      version,
    ])
    if (heads[0] === undefined) return undefined
    // A version never changes once it is there, so the second statement sees the same one as the first.
    const sql = `SELECT kind, body FROM parts WHERE network = ? AND until > ? AND since <= ? ORDER BY kind, id`
    const rows = await this.#rows(sql, [network, version, version])
    const parts = (kind: string) => rows.filter((row) => row.kind === kind).map((row) => JSON.parse(String(row.body)))
    const routing = routingOf(parts('routing') as RoutingPart[])
    return {
      version,
      preferences: JSON.parse(String(heads[0].preferences)),
      sites: parts('site') as Site[],
      tunnels: parts('tunnel') as Tunnel[],
      ...(routing === undefined ? {} : { routing }),
    }
  }

  async audit(network: string, page: { readonly after: number; readonly limit: number }): Promise<AuditEvent[]> {
    const sql = 'SELECT body FROM audit WHERE network = ? AND seq > ? ORDER BY seq LIMIT ?'
    const rows = await this.#rows(sql, [network, page.after, limitOf(page)])
    return rows.map(({ body }) => JSON.parse(String(body)))
  }

  async auditHead(network: string): Promise<{ readonly seq: number; readonly hash: string }> {
    const sql = 'SELECT seq, hash FROM audit WHERE network = ? ORDER BY seq DESC LIMIT 1'
    const head = (await this.#rows(sql, [network]))[0]
    return { seq: Number(head?.seq ?? 0), hash: String(head?.hash ?? '') }
  }

  async replay(network: string, actor: string, key: string, now: number): Promise<Replay | undefined> {
    const sql = 'SELECT body FROM replays WHERE network = ? AND actor = ? AND idempotency = ? AND expires > ?'
    const row = (await this.#rows(sql, [network, actor, key, now]))[0]
    return row === undefined ? undefined : JSON.parse(String(row.body))
  }

  async commit(network: string, batch: Batch): Promise<void> {
    const own =
      batch.intent !== undefined || batch.changes.some(({ kind, type }) => kind === 'network' && type === 'put')
    const steps = stepsOf(network, batch, own ? await this.get(network, 'network', network) : undefined)
    if (steps.length === 0) return
    try {
      await this.#sql.batch(steps)
    } catch (error) {
      const conflicting = error instanceof Unexpected || error instanceof Unique || error instanceof Dangling
      if (!conflicting) throw error
      throw conflictOf(error, steps[error.index]!)
    }
    await this.#onCommit(network, batch)
  }

  async sweep(now: number): Promise<void> {
    await this.#sql.batch([{ sql: 'DELETE FROM replays WHERE expires <= ?', params: [now] }])
  }

  async setting(name: string): Promise<string | undefined> {
    const row = (await this.#rows('SELECT value FROM settings WHERE name = ?', [name]))[0]
    return row === undefined ? undefined : String(row.value)
  }

  async putSetting(name: string, value: string, fresh = false): Promise<boolean> {
    const clash = fresh ? 'DO NOTHING' : 'DO UPDATE SET value = excluded.value'
    const sql = `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) ${clash}`
    try {
      await this.#sql.batch([{ sql, params: [name, value], changes: 1 }])
      return true
    } catch (error) {
      if (error instanceof Unexpected) return false
      throw error
    }
  }

  close(): Promise<void> {
    return this.#sql.close()
  }

  /** No key of ours has a NUL, and PostgreSQL takes none: whoever asks for one finds nothing. */
  async #rows(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    if (params.some((value) => typeof value === 'string' && value.includes('\0'))) return []
    return this.#sql.all(sql, params)
  }
}

function entries<K extends Kind>(rows: readonly Row[]): Entry<K>[] {
  return rows.map(({ revision, body }) => ({
    value: JSON.parse(String(body)) as Records[K],
    revision: Number(revision),
  }))
}

function limitOf({ limit }: { readonly limit: number }): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE)
    throw new RangeError(`a page has 1 to ${MAX_PAGE} rows`)
  return limit
}
