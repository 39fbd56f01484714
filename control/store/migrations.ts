/**
 * The tables, by forward migrations. A released migration never changes again: stores made by it are out there.
 * `$KEY` is text ordered by its bytes in every home, `$INT` an integer up to 2^53, `$ROWS` how small rows are kept.
 */
import { StoreFailure } from './failure.ts'
import { type Sql, Unique } from './sql.ts'

export interface Migration {
  readonly version: number
  readonly statements: readonly string[]
  /** Every table as it is from this version on, those that others refer to first: what a backup holds. */
  readonly tables: readonly Table[]
}

export interface Table {
  readonly name: string
  /** `json`: text that is a JSON document. `name`: text or null. */
  readonly columns: Readonly<Record<string, 'text' | 'name' | 'json' | 'int'>>
  /** Columns of its primary key, by which backups are ordered. */
  readonly key: readonly string[]
}

/** `until` of a part that is in the present intent. */
export const FOREVER = Number.MAX_SAFE_INTEGER

const TABLES_1: readonly Table[] = [
  { name: 'settings', columns: { name: 'text', value: 'text' }, key: ['name'] },
  { name: 'networks', columns: { id: 'text' }, key: ['id'] },
  {
    name: 'records',
    columns: { network: 'text', kind: 'text', id: 'text', revision: 'int', name: 'name', body: 'json' },
    key: ['network', 'kind', 'id'],
  },
  {
    name: 'refs',
    columns: { network: 'text', kind: 'text', ref: 'text', id: 'text' },
    key: ['network', 'kind', 'ref', 'id'],
  },
  {
    name: 'intents',
    columns: { network: 'text', version: 'int', at: 'int', actor: 'text', preferences: 'json' },
    key: ['network', 'version'],
  },
  {
    name: 'parts',
    columns: { network: 'text', kind: 'text', id: 'text', since: 'int', until: 'int', body: 'json' },
    key: ['network', 'kind', 'id', 'since'],
  },
  { name: 'audit', columns: { network: 'text', seq: 'int', hash: 'text', body: 'json' }, key: ['network', 'seq'] },
  {
    name: 'replays',
    columns: { network: 'text', actor: 'text', idempotency: 'text', expires: 'int', body: 'json' },
    key: ['network', 'actor', 'idempotency'],
  },
]

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    statements: [
      'CREATE TABLE settings (name $KEY NOT NULL PRIMARY KEY, value TEXT NOT NULL)$ROWS',
      'CREATE TABLE networks (id $KEY NOT NULL PRIMARY KEY)$ROWS',
      `CREATE TABLE records (
         network $KEY NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
         kind $KEY NOT NULL,
         id $KEY NOT NULL,
         revision $INT NOT NULL,
         name $KEY,
         body TEXT NOT NULL,
         PRIMARY KEY (network, kind, id)
       )`,
      'CREATE UNIQUE INDEX records_name ON records (network, kind, name) WHERE name IS NOT NULL',
      `CREATE TABLE refs (
         network $KEY NOT NULL,
         kind $KEY NOT NULL,
         ref $KEY NOT NULL,
         id $KEY NOT NULL,
         PRIMARY KEY (network, kind, ref, id),
         FOREIGN KEY (network, kind, id) REFERENCES records (network, kind, id) ON DELETE CASCADE
       )$ROWS`,
      'CREATE INDEX refs_record ON refs (network, kind, id)',
      `CREATE TABLE intents (
         network $KEY NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
         version $INT NOT NULL,
         at $INT NOT NULL,
         actor TEXT NOT NULL,
         preferences TEXT NOT NULL,
         PRIMARY KEY (network, version)
       )$ROWS`,
      `CREATE TABLE parts (
         network $KEY NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
         kind $KEY NOT NULL,
         id $KEY NOT NULL,
         since $INT NOT NULL,
         until $INT NOT NULL,
         body TEXT NOT NULL,
         PRIMARY KEY (network, kind, id, since)
       )`,
      'CREATE INDEX parts_until ON parts (network, until, kind, id)',
      `CREATE TABLE audit (
         network $KEY NOT NULL,
         seq $INT NOT NULL,
         hash TEXT NOT NULL,
         body TEXT NOT NULL,
         PRIMARY KEY (network, seq)
       )`,
      `CREATE TABLE replays (
         network $KEY NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
         actor $KEY NOT NULL,
         idempotency $KEY NOT NULL,
         expires $INT NOT NULL,
         body TEXT NOT NULL,
         PRIMARY KEY (network, actor, idempotency)
       )`,
      'CREATE INDEX replays_expires ON replays (expires)',
    ],
    tables: TABLES_1,
  },
]

const WORDS = {
  sqlite: { $KEY: 'TEXT', $INT: 'INTEGER', $ROWS: ' WITHOUT ROWID' },
  postgres: { $KEY: 'TEXT COLLATE "C"', $INT: 'BIGINT', $ROWS: '' },
} as const

/**
 * Brings the store to the newest version and says which that is. Each migration is one transaction; several processes
 * may do it at once. Throws StoreFailure `newer` when a later release has been at the store.
 */
export async function migrate(sql: Sql, migrations: readonly Migration[] = MIGRATIONS): Promise<number> {
  const newest = newestOf(migrations)
  for (;;) {
    const version = await versionOf(sql)
    if (version > newest) {
      throw new StoreFailure(
        'newer',
        `The store has version ${version}; this release knows versions up to ${newest}.`,
        'Run the release that wrote it, or a later one, or restore a backup made before.',
      )
    }
    const migration = migrations.find((candidate) => candidate.version === version + 1)
    if (migration === undefined) return version
    await apply(sql, migration)
  }
}

export function newestOf(migrations: readonly Migration[]): number {
  return migrations.at(-1)?.version ?? 0
}

async function apply(sql: Sql, migration: Migration): Promise<void> {
  const words = WORDS[sql.dialect]
  try {
    await sql.batch([
      { sql: 'INSERT INTO migrations (version) VALUES (?)', params: [migration.version] },
      ...migration.statements.map((text) => ({
        sql: text.replace(/\$(?:KEY|INT|ROWS)\b/g, (word) => words[word as keyof typeof words]),
        params: [],
      })),
    ])
  } catch (error) {
    // Somebody else has just done it.
    if (!(error instanceof Unique && error.index === 0)) throw error
  }
}

const TABLE = {
  sqlite: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'",
  postgres: "SELECT CAST(to_regclass('migrations') AS TEXT) AS name",
} as const

/** 0 for a store without tables. */
export async function versionOf(sql: Sql): Promise<number> {
  if (!(await isFounded(sql))) {
    try {
      await sql.batch([{ sql: 'CREATE TABLE migrations (version INTEGER PRIMARY KEY)', params: [] }])
    } catch (error) {
      // Of two who find it missing one fails, in PostgreSQL in any of several ways.
      if (!(await isFounded(sql))) throw error
    }
  }
  const rows = await sql.all('SELECT MAX(version) AS version FROM migrations', [])
  return Number(rows[0]?.version ?? 0)
}

async function isFounded(sql: Sql): Promise<boolean> {
  const [found] = await sql.all(TABLE[sql.dialect], [])
  return found !== undefined && found.name !== null
}
