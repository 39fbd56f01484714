/**
 * The tables, by forward migrations. A released migration never changes again: stores made by it are out there.
 * `$KEY` is text ordered by its bytes in every home, `$INT` an integer up to 2^53, `$ROWS` how small rows are kept.
 */
import { StoreFailure } from './failure.ts'
import { type Sql, Unique } from './sql.ts'

export interface Migration {
  readonly version: number
  readonly statements: readonly string[]
}

/** `until` of a part that is in the present intent. */
export const FOREVER = Number.MAX_SAFE_INTEGER

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
      'CREATE INDEX parts_until ON parts (network, until)',
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
  const newest = migrations.at(-1)?.version ?? 0
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

async function versionOf(sql: Sql): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    try {
      await sql.batch([{ sql: 'CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)', params: [] }])
      break
    } catch (error) {
      // PostgreSQL: two at once may both find it missing; one of them is told so by a unique index of the catalogue.
      if (!(error instanceof Unique) || attempt === 3) throw error
    }
  }
  const rows = await sql.all('SELECT MAX(version) AS version FROM migrations', [])
  return Number(rows[0]?.version ?? 0)
}
