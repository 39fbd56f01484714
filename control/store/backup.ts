/**
 * The whole store as text, out of any home and into any other. One JSON value on each line:
 *
 *     {"isthmus":"backup","format":1,"schema":1}
 *     ["records","net_…","site","site_…",3,"hq","{…}"]        table, then its columns
 *     {"rows":12345,"hash":"…"}
 *
 * `hash` runs over all lines before it: SHA-256 of the hash so far and the line. Secrets are in it as they are in the
 * store: sealed, or hashed.
 */
import type { AuditEvent } from '../../protocol/control/resources.ts'
import { type AuditHead, verifyEvents } from '../domain/audit.ts'
import { hashText } from '../domain/bytes.ts'
import { StoreFailure } from './failure.ts'
import { MIGRATIONS, type Migration, migrate, newestOf, type Table, versionOf } from './migrations.ts'
import { RESTORING } from './repo-sql.ts'
import { Dangling, type Row, type Sql, type SqlValue, type Statement, Unique } from './sql.ts'

export interface Restored {
  readonly networks: number
  readonly rows: number
  /** Audit events, all of them verified. */
  readonly events: number
}

const FORMAT = 1
const CHUNK = 500

/** Lines without their ends, all as of one moment; the store may be in use. The store must be at the newest version. */
export async function* backup(sql: Sql, migrations: readonly Migration[] = MIGRATIONS): AsyncGenerator<string> {
  const schema = newestOf(migrations)
  const tables = tablesOf(migrations, schema)
  let hash = ''
  let rows = 0
  const line = (value: unknown) => {
    const text = JSON.stringify(value)
    hash = hashText(hash + text)
    return text
  }
  yield line({ isthmus: 'backup', format: FORMAT, schema })
  for await (const page of sql.snapshot(tables.map(queryOf))) {
    const { name, columns } = tables[page.query]!
    for (const row of page.rows) {
      if (name === 'settings' && row.name === RESTORING) continue
      rows++
      yield line([name, ...Object.keys(columns).map((column) => row[column])])
    }
  }
  yield JSON.stringify({ rows, hash })
}

/**
 * Fills an empty store and brings it to the newest version. Throws StoreFailure: `access` when it is not empty,
 * `input` when the lines are no whole, unaltered backup (then the store is empty as before). A store in which a restore
 * was cut off is emptied first; until one has come to its end, `openRepo` refuses it.
 */
export async function restore(
  sql: Sql,
  lines: AsyncIterable<string> | Iterable<string>,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<Restored> {
  await refuseUsed(sql, migrations)
  const reader = new Reader(migrations)
  let waiting: Statement[] = []
  const flush = async () => {
    const statements = waiting
    waiting = []
    await sql.batch(statements)
  }
  try {
    for await (const line of lines) {
      const statement = reader.read(line)
      if (reader.count === 1) await prepare(sql, migrations, reader.schema)
      if (statement !== undefined) waiting.push(statement)
      if (waiting.length >= CHUNK) await flush()
    }
    const restored = reader.end()
    await flush()
    await migrate(sql, migrations)
    await sql.batch([{ sql: 'DELETE FROM settings WHERE name = ?', params: [RESTORING] }])
    return restored
  } catch (error) {
    await wipe(sql, migrations)
    const contradiction = error instanceof Unique || error instanceof Dangling
    throw contradiction ? fault(`near line ${reader.count}, rows contradict one another`) : error
  }
}

/** Cuts text into lines. Throws StoreFailure `input` for a line longer than any of ours. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    if (rest.length > MAX_LINE) throw fault('a line is too long')
    yield* lines
  }
  if (rest !== '') yield rest
}

const MAX_LINE = 64 << 20

function fault(what: string): StoreFailure {
  return new StoreFailure('input', `This is no whole backup: ${what}.`, 'Restore another copy; the store is empty.')
}

function tablesOf(migrations: readonly Migration[], version: number): readonly Table[] {
  return migrations.find((migration) => migration.version === version)?.tables ?? []
}

function queryOf({ name, columns, key }: Table): string {
  return `SELECT ${Object.keys(columns).join(', ')} FROM ${name} ORDER BY ${key.join(', ')}`
}

async function refuseUsed(sql: Sql, migrations: readonly Migration[]): Promise<void> {
  const version = await versionOf(sql)
  if (version > newestOf(migrations)) {
    await migrate(sql, migrations)
  }
  const tables = tablesOf(migrations, version)
  if (tables.length === 0) return
  const marked = await sql.all('SELECT value FROM settings WHERE name = ?', [RESTORING])
  if (marked.length > 0) return
  for (const { name } of tables) {
    if ((await sql.all(`SELECT 1 AS found FROM ${name} LIMIT 1`, [])).length === 0) continue
    throw new StoreFailure(
      'access',
      `The store is not empty: there are ${name} in it.`,
      'Restore into a new store; keep this one until the other one serves.',
    )
  }
}

/** Empty tables as they were when the backup was made, and the mark that they are being filled. */
async function prepare(sql: Sql, migrations: readonly Migration[], schema: number): Promise<void> {
  await wipe(sql, migrations)
  await migrate(
    sql,
    migrations.filter(({ version }) => version <= schema),
  )
  await sql.batch([{ sql: 'INSERT INTO settings (name, value) VALUES (?, ?)', params: [RESTORING, 'yes'] }])
}

async function wipe(sql: Sql, migrations: readonly Migration[]): Promise<void> {
  const tables = tablesOf(migrations, await versionOf(sql))
  const names = [...tables.toReversed().map(({ name }) => name), 'migrations']
  await sql.batch(names.map((name) => ({ sql: `DROP TABLE IF EXISTS ${name}`, params: [] })))
}

/** Takes any text for a line, and says what is wrong with it. */
class Reader {
  /** Lines so far. */
  count = 0
  schema = 0
  readonly #migrations: readonly Migration[]
  readonly #heads = new Map<string, AuditHead>()
  #tables: readonly Table[] = []
  #at = 0
  #hash = ''
  #rows = 0
  #networks = 0
  #events = 0
  #ended = false

  constructor(migrations: readonly Migration[]) {
    this.#migrations = migrations
  }

  /** The statement that stores the line's row, if it has one. */
  read(line: string): Statement | undefined {
    this.count++
    if (this.#ended) throw this.#fault('something follows the end')
    const value = parsed(line)
    if (this.count === 1) this.#header(value)
    else if (Array.isArray(value)) {
      const statement = this.#row(value)
      this.#hash = hashText(this.#hash + line)
      return statement
    } else this.#footer(value)
    this.#hash = hashText(this.#hash + line)
    return undefined
  }

  end(): Restored {
    if (!this.#ended) throw fault(`it is cut off after line ${this.count}`)
    return { networks: this.#networks, rows: this.#rows, events: this.#events }
  }

  #header(value: unknown): void {
    if (!isObject(value) || value.isthmus !== 'backup') throw this.#fault('it does not begin as one')
    const newest = newestOf(this.#migrations)
    const { format, schema } = value
    const known = Number.isInteger(format) && Number.isInteger(schema) && Number(format) >= 1 && Number(schema) >= 1
    if (!known) throw this.#fault('it does not begin as one')
    if (Number(format) > FORMAT || Number(schema) > newest) {
      throw new StoreFailure(
        'newer',
        `The backup has format ${format} and version ${schema}; this release knows ${FORMAT} and ${newest}.`,
        'Restore it with the release that wrote it, or a later one.',
      )
    }
    this.schema = Number(schema)
    this.#tables = tablesOf(this.#migrations, this.schema)
  }

  #row(value: readonly unknown[]): Statement {
    const [name, ...cells] = value
    const at = this.#tables.findIndex((table) => table.name === name)
    if (at < this.#at) throw this.#fault('a row of no table, or out of order')
    this.#at = at
    const table = this.#tables[at]!
    const columns = Object.entries(table.columns)
    if (cells.length !== columns.length) throw this.#fault(`a row of ${table.name} has another number of columns`)
    const row: Record<string, SqlValue> = {}
    for (const [index, [column, type]] of columns.entries()) {
      const cell = cells[index]
      if (!fits(cell, type)) throw this.#fault(`${table.name}.${column} is of another type`)
      row[column] = cell
    }
    this.#examine(table.name, row)
    this.#rows++
    const names = columns.map(([column]) => column)
    const sql = `INSERT INTO ${table.name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
    return { sql, params: Object.values(row), changes: 1 }
  }

  #examine(table: string, row: Row): void {
    if (table === 'networks') this.#networks++
    if (table === 'settings' && row.name === RESTORING) throw this.#fault('it was made of half a store')
    if (table === 'records' && (parsed(String(row.body)) as { id?: unknown }).id !== row.id) {
      throw this.#fault('a record carries the id of another')
    }
    if (table !== 'audit') return
    const network = String(row.network)
    const event = parsed(String(row.body)) as AuditEvent
    const verdict = verifyEvents(network, [event], this.#heads.get(network))
    if (!verdict.ok || verdict.head.seq !== row.seq || verdict.head.hash !== row.hash) {
      throw this.#fault(`the audit log of ${network} is broken at ${row.seq}`)
    }
    this.#heads.set(network, verdict.head)
    this.#events++
  }

  #footer(value: unknown): void {
    if (!isObject(value)) throw this.#fault('it is neither a row nor the end')
    if (value.rows !== this.#rows) throw this.#fault(`there are ${this.#rows} rows, and not ${value.rows}`)
    if (value.hash !== this.#hash) throw this.#fault('it was altered: the hash at its end is another')
    this.#ended = true
  }

  #fault(what: string): StoreFailure {
    return fault(`line ${this.count}: ${what}`)
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fits(cell: unknown, type: Table['columns'][string]): cell is SqlValue {
  if (type === 'int') return Number.isSafeInteger(cell)
  if (type === 'name' && cell === null) return true
  if (typeof cell !== 'string' || cell.includes('\0')) return false
  return type !== 'json' || isObject(parsed(cell))
}
