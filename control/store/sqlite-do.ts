/**
 * The store in a Durable Object, one for each network. Its storage is synchronous and its output gate keeps answers
 * back until the disk has what they tell of. A statement takes 100 parameters, a row 2 MB.
 */
import { StoreFailure } from './failure.ts'
import {
  Dangling,
  type Row,
  SNAPSHOT_PAGE,
  type SnapshotPage,
  type Sql,
  type SqlValue,
  type Statement,
  Unexpected,
  Unique,
} from './sql.ts'

/** What we need of `DurableObjectState.storage`. */
export interface DurableStorage {
  readonly sql: {
    exec(query: string, ...bindings: SqlValue[]): { toArray(): Record<string, ArrayBuffer | SqlValue>[] }
  }
  transactionSync<T>(work: () => T): T
}

export function createSqliteDo(storage: DurableStorage): Sql {
  return new SqliteDo(storage)
}

class SqliteDo implements Sql {
  readonly dialect = 'sqlite'
  readonly #storage: DurableStorage

  constructor(storage: DurableStorage) {
    this.#storage = storage
  }

  async all(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return this.#rows(sql, params)
  }

  async batch(statements: readonly Statement[]): Promise<void> {
    this.#storage.transactionSync(() => {
      for (const [index, { sql, params, changes }] of statements.entries()) {
        // What the storage counts as written includes indexes; the rows that come back are the rows changed.
        const rows = this.#rows(changes === undefined ? sql : `${sql} RETURNING 1 AS changed`, params, index)
        if (changes !== undefined && rows.length !== changes) throw new Unexpected(index)
      }
    })
  }

  /** Read at once, since others write between any two turns: what the queries find must fit into memory. */
  async *snapshot(queries: readonly string[]): AsyncGenerator<SnapshotPage> {
    const results = queries.map((sql) => this.#rows(sql, []))
    for (const [query, rows] of results.entries()) {
      for (let at = 0; at < rows.length; at += SNAPSHOT_PAGE) yield { query, rows: rows.slice(at, at + SNAPSHOT_PAGE) }
    }
  }

  async close(): Promise<void> {}

  #rows(sql: string, params: readonly SqlValue[], index = 0): Row[] {
    try {
      return this.#storage.sql.exec(sql, ...params).toArray() as Row[]
    } catch (error) {
      throw failureOf(error, index)
    }
  }
}

/** The storage tells what happened in words, with SQLite's name of it at the end. */
function failureOf(error: unknown, index: number): unknown {
  const said = error instanceof Error ? error.message : String(error)
  if (/UNIQUE constraint failed/i.test(said)) return new Unique(index)
  if (/FOREIGN KEY constraint failed/i.test(said)) return new Dangling(index)
  if (/SQLITE_FULL|disk is full/i.test(said)) {
    return new StoreFailure(
      'full',
      `The Durable Object has no room left: ${said}`,
      'Export the audit log and divide the network; nothing is lost.',
    )
  }
  if (/SQLITE_(CORRUPT|NOTADB|IOERR)/i.test(said)) {
    return new StoreFailure(
      'corrupt',
      `The Durable Object's store is damaged: ${said}`,
      'Recover it to an earlier point in time, or restore a backup.',
    )
  }
  return error
}
