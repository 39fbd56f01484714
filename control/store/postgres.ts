/**
 * The store in PostgreSQL, for several replicas and for Lambda. Isolation is READ COMMITTED: every write states what
 * it relies on (a revision, the audit head, an intent that is not there yet), and PostgreSQL looks at the statement's
 * condition again once a faster writer has committed. So the loser changes nothing and is told `Conflict`.
 */
import pg from 'pg'
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

/** One session of the database, ours until it is released. */
export interface PgSession {
  /** `changes`: rows that an INSERT, UPDATE or DELETE touched. Queries are carried out in the order of the calls. */
  query(text: string, params: readonly SqlValue[]): Promise<{ readonly rows: Row[]; readonly changes: number }>
  /** `broken`: it is of no more use. */
  release(broken: boolean): void
}

export interface PgSource {
  acquire(): Promise<PgSession>
  close(): Promise<void>
}

export interface PostgresOptions {
  /** Sessions at once. Lambda: 1 for each function instance. */
  readonly sessions?: number
  /** Told of errors of sessions that nobody is using: those are replaced. */
  readonly onIdleError?: (error: Error) => void
}

/** Statements on their way at once: a large batch does not wait for the network after each. */
const PIPELINE = 256
const ATTEMPTS = 4
const INT8 = 20

/** Connects when first asked. `url`: `postgres://user@host/database?sslmode=verify-full`. */
export function openPostgres(url: string, options: PostgresOptions = {}): Sql {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.sessions ?? 8,
    connectionTimeoutMillis: 5000,
    statement_timeout: 30_000,
    // A replica that froze within a transaction must not hold up the others.
    idle_in_transaction_session_timeout: 30_000,
    application_name: 'isthmus control',
    pipeline: true,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
    },
  } as pg.PoolConfig)
  // A session in use tells its queries of its end, and then everybody: an error event that nobody hears ends the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', (error) => options.onIdleError?.(error))
  return createPostgres({
    async acquire() {
      const client = await pool.connect()
      return {
        async query(text, params) {
          const { rows, rowCount } = await client.query(text, params as SqlValue[])
          return { rows: rows as Row[], changes: rowCount ?? 0 }
        },
        release: (broken) => client.release(broken),
      }
    },
    close: () => pool.end(),
  })
}

export function createPostgres(source: PgSource): Sql {
  return new Postgres(source)
}

class Postgres implements Sql {
  readonly dialect = 'postgres'
  readonly #source: PgSource
  #closed = false

  constructor(source: PgSource) {
    this.#source = source
  }

  async all(sql: string, params: readonly SqlValue[]): Promise<Row[]> {
    return this.#within(async (session) => (await session.query(numbered(sql), params)).rows)
  }

  /** Only what rolled back for another's sake is tried again: it may stand the next time. */
  async batch(statements: readonly Statement[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#within((session) => transact(session, statements))
      } catch (error) {
        if (attempt === ATTEMPTS || !isTransient(error)) throw error
      }
    }
  }

  async *snapshot(queries: readonly string[]): AsyncGenerator<SnapshotPage> {
    const session = await this.#acquire()
    let broken = true
    try {
      await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', [])
      await session.query('SET LOCAL idle_in_transaction_session_timeout = 0', [])
      for (const [query, sql] of queries.entries()) {
        await session.query(`DECLARE pages NO SCROLL CURSOR FOR ${sql}`, [])
        for (;;) {
          const { rows } = await session.query(`FETCH ${SNAPSHOT_PAGE} FROM pages`, [])
          if (rows.length === 0) break
          yield { query, rows }
        }
        await session.query('CLOSE pages', [])
      }
      await session.query('COMMIT', [])
      broken = false
    } catch (error) {
      throw failureOf(error)
    } finally {
      // A reader that stopped early leaves its transaction open: the session goes with it.
      session.release(broken)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#source.close()
  }

  async #acquire(): Promise<PgSession> {
    try {
      return await this.#source.acquire()
    } catch (error) {
      throw failureOf(error, 'unavailable')
    }
  }

  async #within<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    const session = await this.#acquire()
    let broken = false
    try {
      return await work(session)
    } catch (error) {
      const failure = failureOf(error)
      broken = failure instanceof StoreFailure && failure.code === 'unavailable'
      throw failure
    } finally {
      session.release(broken)
    }
  }
}

async function transact(session: PgSession, statements: readonly Statement[]): Promise<void> {
  let open: Promise<unknown> | undefined = session.query('BEGIN', [])
  for (let at = 0; at < statements.length; at += PIPELINE) {
    const chunk = statements.slice(at, at + PIPELINE)
    const sent = chunk.map(({ sql, params }) => session.query(numbered(sql), params))
    // The first error is the reason; what follows it only says that the transaction has failed.
    const [, ...done] = await Promise.allSettled([open, ...sent])
    const fault = faultOf(chunk, done, at)
    if (fault !== undefined) {
      await session.query('ROLLBACK', [])
      throw fault
    }
    open = undefined
  }
  await open
  await session.query('COMMIT', [])
}

function faultOf(
  chunk: readonly Statement[],
  done: readonly PromiseSettledResult<{ readonly changes: number }>[],
  at: number,
): unknown {
  for (const [index, outcome] of done.entries()) {
    if (outcome.status === 'fulfilled') {
      const { changes } = chunk[index]!
      if (changes !== undefined && outcome.value.changes !== changes) return new Unexpected(at + index)
      continue
    }
    const state = stateOf(outcome.reason)
    if (state === '23505') return new Unique(at + index)
    if (state === '23503') return new Dangling(at + index)
    return outcome.reason
  }
  return undefined
}

const texts = new Map<string, string>()

/** `$1` for the first `?`, and so on; our texts have no other question marks. */
function numbered(sql: string): string {
  let text = texts.get(sql)
  if (text === undefined) {
    let count = 0
    text = sql.replace(/\?/g, () => `$${++count}`)
    if (texts.size > 1000) texts.clear()
    texts.set(sql, text)
  }
  return text
}

/** SQLSTATE, or the system's word for what became of the connection. */
function stateOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** A deadlock, or a serialization that failed. */
function isTransient(error: unknown): boolean {
  const state = stateOf(error)
  return state === '40P01' || state === '40001'
}

function failureOf(error: unknown, otherwise?: 'unavailable'): unknown {
  if (error instanceof StoreFailure || error instanceof Unexpected) return error
  const state = stateOf(error) ?? ''
  const said = error instanceof Error ? error.message : String(error)
  if (state === '53100') {
    return new StoreFailure('full', `PostgreSQL has no room left: ${said}.`, 'Free space on its disk; nothing is lost.')
  }
  if (/^(28|3D|42501)/.test(state)) {
    return new StoreFailure('access', `PostgreSQL refuses: ${said}.`, 'Check the URL, the user and its rights.')
  }
  // Class 08, 57 (it shuts down, or cancelled the statement), 53 (too many sessions), and errors of the socket.
  const lost = /^(08|57|53)/.test(state) || /^E[A-Z]+$/.test(state) || /terminated|timeout|not queryable/i.test(said)
  if (lost || (otherwise !== undefined && state === '')) {
    return new StoreFailure('unavailable', `PostgreSQL does not answer: ${said}.`, 'Look after the database server.')
  }
  return error
}
