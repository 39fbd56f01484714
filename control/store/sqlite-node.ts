/**
 * The store in a file, by Node's own SQLite: write-ahead log, `synchronous=FULL`. What was answered is on the disk,
 * also after a power failure: a join token must not be used twice, nor an epoch. The price is one fsync for each
 * commit; batches that arrive in the same turn of the event loop share it.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
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

export interface SqliteOptions {
  /** Bytes that the file may grow to; beyond it commits fail as on a full disk. */
  readonly maxBytes?: number
  /** How long to wait for another process that writes; the event loop stands still meanwhile. */
  readonly busyMs?: number
}

interface Waiting {
  readonly statements: readonly Statement[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** "isth", in the file's header: tells our files from others. */
const APPLICATION_ID = 0x69737468
/** Statements of one transaction, more or less: what others wait for. */
const GROUP = 2000
const PREPARED = 256

/** Opens or makes the file, for its owner only; `:memory:` keeps everything in memory. Throws StoreFailure. */
export function openSqlite(path: string, options: SqliteOptions = {}): Sql {
  let db: DatabaseSync | undefined
  try {
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      closeSync(openSync(path, 'a', 0o600))
    }
    db = new DatabaseSync(path, { timeout: options.busyMs ?? 2000 })
    prepareFile(db, path, options)
    return new SqliteNode(db, path)
  } catch (error) {
    db?.close()
    throw failureOf(error, path)
  }
}

function prepareFile(db: DatabaseSync, path: string, options: SqliteOptions): void {
  const id = Number(db.prepare('PRAGMA application_id').get()?.application_id)
  const tables = Number(db.prepare('SELECT COUNT(*) AS n FROM sqlite_schema').get()?.n)
  if (id !== APPLICATION_ID) {
    if (id !== 0 || tables > 0) {
      throw new StoreFailure(
        'corrupt',
        `${path} is a database of another program.`,
        'Give the path of the store, or of a file that is not there yet.',
      )
    }
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
  }
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  db.exec('PRAGMA foreign_keys = ON')
  db.exec('PRAGMA cache_size = -65536')
  db.exec('PRAGMA journal_size_limit = 67108864')
  if (options.maxBytes !== undefined) {
    const page = Number(db.prepare('PRAGMA page_size').get()?.page_size)
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / page))}`)
  }
}

class SqliteNode implements Sql {
  readonly dialect = 'sqlite'
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #prepared = new Map<string, StatementSync>()
  #waiting: Waiting[] = []
  #closed = false

  constructor(db: DatabaseSync, path: string) {
    this.#db = db
    this.#path = path
  }

  async all(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    try {
      return this.#prepare(sql).all(...params) as Row[]
    } catch (error) {
      throw failureOf(error, this.#path)
    }
  }

  batch(statements: readonly Statement[]): Promise<void> {
    if (this.#closed) return Promise.reject(closedFailure(this.#path))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statements, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => this.#flush())
    })
  }

  async *snapshot(queries: readonly string[]): AsyncGenerator<SnapshotPage> {
    if (this.#path === ':memory:') {
      const results = queries.map((sql) => this.#db.prepare(sql).all() as Row[])
      for (const [query, rows] of results.entries()) yield* pages(query, rows)
      return
    }
    const reader = new DatabaseSync(this.#path, { readOnly: true })
    try {
      reader.exec('BEGIN')
      for (const [query, sql] of queries.entries()) yield* pages(query, reader.prepare(sql).iterate() as Iterable<Row>)
    } catch (error) {
      throw failureOf(error, this.#path)
    } finally {
      reader.close()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    while (this.#waiting.length > 0) this.#flush()
    this.#closed = true
    this.#db.close()
  }

  /** Commits what waits, as one transaction; each batch stands or falls on its own. */
  #flush(): void {
    let size = 0
    let count = 0
    while (count < this.#waiting.length && size < GROUP) size += this.#waiting[count++]!.statements.length
    if (count === 0) return
    const group = this.#waiting.splice(0, count)
    if (this.#waiting.length > 0) setImmediate(() => this.#flush())
    let outcomes: unknown[]
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      outcomes = group.map(({ statements }) => this.#within(statements))
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      const failure = failureOf(error, this.#path)
      for (const { reject } of group) reject(failure)
      return
    }
    group.forEach(({ resolve, reject }, index) => {
      if (outcomes[index] === undefined) resolve()
      else reject(outcomes[index])
    })
  }

  /** What went wrong with one batch, all its changes undone; throws what concerns the whole group. */
  #within(statements: readonly Statement[]): unknown {
    this.#db.exec('SAVEPOINT batch')
    let index = 0
    try {
      for (; index < statements.length; index++) {
        const { sql, params, changes } = statements[index]!
        const done = this.#prepare(sql).run(...params)
        if (changes !== undefined && Number(done.changes) !== changes) throw new Unexpected(index)
      }
    } catch (error) {
      const fault = faultOf(error, index)
      if (fault === undefined || !this.#db.isTransaction) throw error
      this.#db.exec('ROLLBACK TO batch')
      this.#db.exec('RELEASE batch')
      return fault
    }
    this.#db.exec('RELEASE batch')
    return undefined
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) {
      if (this.#prepared.size >= PREPARED) this.#prepared.clear()
      statement = this.#db.prepare(sql)
      this.#prepared.set(sql, statement)
    }
    return statement
  }
}

function* pages(query: number, rows: Iterable<Row>): Generator<SnapshotPage> {
  let page: Row[] = []
  for (const row of rows) {
    page.push(row)
    if (page.length < SNAPSHOT_PAGE) continue
    yield { query, rows: page }
    page = []
  }
  if (page.length > 0) yield { query, rows: page }
}

/** SQLite's result code, extended, or undefined when the error is none of SQLite's. */
function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined
}

const CONSTRAINT_FOREIGN_KEY = 787
const CONSTRAINT_PRIMARY_KEY = 1555
const CONSTRAINT_UNIQUE = 2067

/** What is the batch's own fault, as opposed to the database's. */
function faultOf(error: unknown, index: number): unknown {
  const code = codeOf(error)
  if (code === CONSTRAINT_UNIQUE || code === CONSTRAINT_PRIMARY_KEY) return new Unique(index)
  if (code === CONSTRAINT_FOREIGN_KEY) return new Dangling(index)
  // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_RANGE: a wrong statement; and errors of JavaScript.
  if (code === undefined || [1, 19, 20, 25].includes(code & 0xff)) return error
  return undefined
}

function closedFailure(path: string): StoreFailure {
  return new StoreFailure('access', `The store ${path} is closed.`, 'The control plane is ending; ask again later.')
}

function failureOf(error: unknown, path: string): unknown {
  if (error instanceof StoreFailure) return error
  const code = codeOf(error)
  const said = error instanceof Error ? error.message : String(error)
  if (code === undefined) {
    const system = error instanceof Error && 'syscall' in error
    if (!system) return error
    return new StoreFailure('access', `${path} cannot be opened: ${said}.`, 'Make it writable for this user.')
  }
  switch (code & 0xff) {
    case 13:
      return new StoreFailure(
        'full',
        `There is no room for ${path}: ${said}.`,
        'Free space on its disk; nothing is lost.',
      )
    case 11:
    case 26:
      return new StoreFailure(
        'corrupt',
        `${path} is damaged or is no store: ${said}.`,
        'Keep the file aside, and restore the last backup with: isthmus control restore.',
      )
    case 5:
    case 6:
      return new StoreFailure(
        'busy',
        `Another process holds ${path}: ${said}.`,
        'End the other one; several replicas need PostgreSQL.',
      )
    case 3:
    case 8:
    case 14:
    case 23:
      return new StoreFailure('access', `${path} cannot be used: ${said}.`, 'Make it writable for this user.')
    case 10:
      return new StoreFailure('access', `${path} cannot be read or written: ${said}.`, 'Look after its disk.')
    default:
      return error
  }
}
