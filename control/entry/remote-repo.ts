/**
 * The directory's view of the store: it knows which networks there are; what is in a network, the object of the
 * network knows. A network is in the directory before it is founded, so none can be founded and then be lost.
 */
import { type Batch, Conflict, type Entry, type Page, type Repo } from '../store/repo.ts'
import type { Sql } from '../store/sql.ts'

/** What may be asked of a network's store from afar. */
type Remote = Pick<
  Repo,
  'get' | 'byName' | 'list' | 'count' | 'revisions' | 'intentAt' | 'audit' | 'auditHead' | 'replay' | 'commit'
>
export interface StoreCall {
  readonly method: keyof Remote
  readonly args: readonly unknown[]
}
export type StoreAnswer =
  | { readonly value: unknown }
  | { readonly conflict: { readonly what: Conflict['what']; readonly kind?: Conflict['kind'] } }

/** Carries out a call. Conflicts are answers, because errors lose their class on the way. */
export async function answerStoreCall(repo: Repo, { method, args }: StoreCall): Promise<StoreAnswer> {
  try {
    const carryOut = repo[method] as unknown as (...args: unknown[]) => Promise<unknown>
    return { value: await carryOut.apply(repo, [...args]) }
  } catch (error) {
    if (!(error instanceof Conflict)) throw error
    return { conflict: { what: error.what, kind: error.kind } }
  }
}

/** Where the directory keeps the ids of networks. */
const TABLE =
  'CREATE TABLE IF NOT EXISTS directory (network TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID'
/** Networks that are asked at once. */
const AT_ONCE = 32

export class RemoteRepo implements Repo {
  readonly #sql: Sql
  readonly #ask: (network: string, call: StoreCall) => Promise<StoreAnswer>
  /** Names of networks that are being founded at this moment. */
  readonly #founding = new Map<string, string>()

  /** `ask` reaches the store of one network. */
  static async open(sql: Sql, ask: (network: string, call: StoreCall) => Promise<StoreAnswer>): Promise<RemoteRepo> {
    await sql.batch([{ sql: TABLE, params: [] }])
    return new RemoteRepo(sql, ask)
  }

  private constructor(sql: Sql, ask: (network: string, call: StoreCall) => Promise<StoreAnswer>) {
    this.#sql = sql
    this.#ask = ask
  }

  readonly get: Repo['get'] = (network, ...args) => this.#call(network, 'get', args)
  readonly byName: Repo['byName'] = (network, ...args) => this.#call(network, 'byName', args)
  readonly list: Repo['list'] = (network, ...args) => this.#call(network, 'list', args)
  readonly count: Repo['count'] = (network, ...args) => this.#call(network, 'count', args)
  readonly revisions: Repo['revisions'] = (network, ...args) => this.#call(network, 'revisions', args)
  readonly intentAt: Repo['intentAt'] = (network, ...args) => this.#call(network, 'intentAt', args)
  readonly audit: Repo['audit'] = (network, ...args) => this.#call(network, 'audit', args)
  readonly auditHead: Repo['auditHead'] = (network) => this.#call(network, 'auditHead', [])
  readonly replay: Repo['replay'] = (network, ...args) => this.#call(network, 'replay', args)

  async networks(page: Page): Promise<Entry<'network'>[]> {
    const found: Entry<'network'>[] = []
    for (let { after = '' } = page; found.length < page.limit; ) {
      const ids = await this.ids(after, Math.min(AT_ONCE, page.limit - found.length))
      const entries = await Promise.all(ids.map((id) => this.get(id, 'network', id)))
      for (const [index, entry] of entries.entries()) {
        if (entry !== undefined) found.push(entry)
        else await this.#forget(ids[index]!)
      }
      const last = ids.at(-1)
      if (last === undefined) break
      after = last
    }
    return found
  }

  /** Ids of networks behind `after`, those too that are being founded or were removed. */
  async ids(after: string, limit: number): Promise<string[]> {
    const sql = 'SELECT network FROM directory WHERE network > ? ORDER BY network LIMIT ?'
    return (await this.#sql.all(sql, [after, limit])).map(({ network }) => String(network))
  }

  async hasNetworkNamed(name: string): Promise<boolean> {
    if ([...this.#founding.values()].includes(name)) return true
    const rows = await this.#sql.all('SELECT network FROM directory WHERE name = ?', [name])
    for (const { network } of rows) {
      const id = String(network)
      if ((await this.get(id, 'network', id)) !== undefined) return true
      await this.#forget(id)
    }
    return [...this.#founding.values()].includes(name)
  }

  /** Only networks are made from here. */
  async commit(network: string, batch: Batch): Promise<void> {
    const fresh = batch.changes.find((change) => change.type === 'put' && change.kind === 'network')
    if (fresh?.type !== 'put' || fresh.kind !== 'network') return this.#call(network, 'commit', [batch])
    const { name } = fresh.value
    for (const [id, taken] of this.#founding)
      if (id !== network && taken === name) throw new Conflict('name', 'network')
    this.#founding.set(network, name)
    try {
      const sql = `INSERT INTO directory (network, name) VALUES (?, ?)
        ON CONFLICT (network) DO UPDATE SET name = excluded.name`
      await this.#sql.batch([{ sql, params: [network, name] }])
      await this.#call(network, 'commit', [batch])
    } finally {
      this.#founding.delete(network)
    }
  }

  /** Shows that the directory can be read. */
  async setting(_name: string): Promise<undefined> {
    await this.#sql.all('SELECT 1', [])
  }

  async putSetting(): Promise<boolean> {
    throw new RangeError('the directory keeps no settings')
  }

  async sweep(): Promise<void> {}
  async close(): Promise<void> {}

  /** A network that was removed, or never came to be. */
  async #forget(id: string): Promise<void> {
    if (this.#founding.has(id)) return
    await this.#sql.batch([{ sql: 'DELETE FROM directory WHERE network = ?', params: [id] }])
  }

  async #call<T>(network: string, method: StoreCall['method'], args: readonly unknown[]): Promise<T> {
    const answer = await this.#ask(network, { method, args: [network, ...args] })
    if ('conflict' in answer) throw new Conflict(answer.conflict.what, answer.conflict.kind)
    return answer.value as T
  }
}
