/**
 * Writes down a store as this release makes it: `fixtures/v<version>.sql` (its SQLite file) and `.ndjson` (its backup).
 * Run it once for each new version, before it is released; what is there already is never written again.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MIGRATIONS, newestOf } from '../migrations.ts'
import { openSqlite } from '../sqlite-node.ts'
import { furnish, linesFrom } from './backup-compliance.ts'

export const FIXTURES = resolve(import.meta.dirname, '..', 'fixtures')

/** What makes the tables of a SQLite file, in the order in which they were made. */
export function schemaOf(path: string): string[] {
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid').all()
  db.close()
  return rows.map(({ sql }) => `${sql};`)
}

function rowsOf(path: string): string[] {
  const db = new DatabaseSync(path, { readOnly: true })
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").all()
  const lines = tables.flatMap(({ name }) =>
    db
      .prepare(`SELECT * FROM ${name}`)
      .all()
      .map((row) => `INSERT INTO ${name} VALUES (${Object.values(row).map(literal).join(', ')});`),
  )
  const { application_id } = db.prepare('PRAGMA application_id').get()!
  db.close()
  return [`PRAGMA application_id = ${application_id};`, ...lines]
}

function literal(value: unknown): string {
  if (value === null || typeof value === 'number') return String(value)
  return `'${String(value).replaceAll("'", "''")}'`
}

async function write(): Promise<void> {
  const target = join(FIXTURES, `v${newestOf(MIGRATIONS)}`)
  if (existsSync(`${target}.sql`)) return
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-store-'))
  try {
    const path = join(folder, 'store.db')
    const sql = openSqlite(path)
    await furnish(sql)
    writeFileSync(`${target}.ndjson`, `${(await linesFrom(sql)).join('\n')}\n`)
    await sql.close()
    writeFileSync(`${target}.sql`, `${[...schemaOf(path), ...rowsOf(path)].join('\n')}\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) await write()
