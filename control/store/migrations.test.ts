import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { restore } from './backup.ts'
import { MIGRATIONS, type Migration, migrate, newestOf, versionOf } from './migrations.ts'
import { openRepo } from './repo-sql.ts'
import { openSqlite } from './sqlite-node.ts'
import { expectFurnished, furnish, linesFrom } from './testing/backup-compliance.ts'
import { FIXTURES, schemaOf } from './testing/fixture.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-store-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const released = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.sql'))
  .map((name) => Number(/\d+/.exec(name)![0]))
  .sort((a, b) => a - b)

/** Two versions behind the newest: one that moves values, one that fails in its midst. */
const [last] = MIGRATIONS.slice(-1) as [Migration]
const NEXT: Migration = {
  version: last.version + 1,
  statements: [
    'CREATE TABLE labels (id $KEY NOT NULL PRIMARY KEY, size $INT NOT NULL)$ROWS',
    'INSERT INTO labels SELECT network, COUNT(*) FROM records GROUP BY network',
  ],
  tables: [...last.tables, { name: 'labels', columns: { id: 'text', size: 'int' }, key: ['id'] }],
}
const BROKEN: Migration = {
  version: NEXT.version + 1,
  statements: ['CREATE TABLE more (id $KEY)', 'INSERT INTO nowhere VALUES (1)'],
  tables: NEXT.tables,
}

describe('stores of earlier releases', () => {
  test('there is a store of every version', () => {
    expect(released).toEqual(MIGRATIONS.map(({ version }) => version))
    expect(released).toEqual(released.map((_, index) => index + 1))
  })

  test.each(released)('the migrations up to version %i make the tables that they made then', async (version) => {
    const path = join(folder, 'store.db')
    const sql = openSqlite(path)
    await migrate(sql, MIGRATIONS.slice(0, version))
    await sql.close()
    const then = readFileSync(join(FIXTURES, `v${version}.sql`), 'utf8')
    expect(then.startsWith(`${schemaOf(path).join('\n')}\nPRAGMA`)).toBe(true)
  })

  test.each(released)('a file of version %i opens, with all that was in it', async (version) => {
    const path = join(folder, 'store.db')
    const db = new DatabaseSync(path)
    db.exec(readFileSync(join(FIXTURES, `v${version}.sql`), 'utf8'))
    db.close()
    const sql = openSqlite(path)
    const repo = await openRepo(sql)
    expect(await versionOf(sql)).toBe(newestOf(MIGRATIONS))
    await expectFurnished(repo)
    await repo.close()
  })

  test.each(released)('a backup of version %i is restored, with all that was in it', async (version) => {
    const sql = openSqlite(':memory:')
    const lines = readFileSync(join(FIXTURES, `v${version}.ndjson`), 'utf8')
      .trimEnd()
      .split('\n')
    await restore(sql, lines)
    const repo = await openRepo(sql)
    await expectFurnished(repo)
    await repo.close()
  })
})

describe('migrate', () => {
  test('goes forward by one version at a time, and only once', async () => {
    const sql = openSqlite(':memory:')
    expect(await versionOf(sql)).toBe(0)
    await furnish(sql)
    expect(await migrate(sql, [...MIGRATIONS, NEXT])).toBe(NEXT.version)
    expect(await migrate(sql, [...MIGRATIONS, NEXT])).toBe(NEXT.version)
    expect(await sql.all('SELECT id, size FROM labels', [])).toEqual([
      { id: 'net_a', size: 6 },
      { id: 'net_b', size: 6 },
    ])
    await expect(openRepo(sql)).rejects.toMatchObject({ name: 'StoreFailure', code: 'newer' })
    await sql.close()
  })

  test('a step that fails leaves the version before it, whole', async () => {
    const sql = openSqlite(':memory:')
    await furnish(sql)
    await expect(migrate(sql, [...MIGRATIONS, NEXT, BROKEN])).rejects.toThrow('nowhere')
    expect(await versionOf(sql)).toBe(NEXT.version)
    expect(await sql.all("SELECT name FROM sqlite_schema WHERE name IN ('labels', 'more')", [])).toHaveLength(1)
    await sql.close()
  })

  test('two at once come to the same tables', async () => {
    const path = join(folder, 'store.db')
    const [one, two] = [openSqlite(path), openSqlite(path)]
    await Promise.all([openRepo(one), openRepo(two)])
    expect(await versionOf(one)).toBe(newestOf(MIGRATIONS))
    await Promise.all([one.close(), two.close()])
  })

  test('a backup of an earlier version goes through the later migrations', async () => {
    const [old, fresh] = [openSqlite(':memory:'), openSqlite(':memory:')]
    await furnish(old)
    await migrate(fresh, [...MIGRATIONS, NEXT])
    await restore(fresh, await linesFrom(old), [...MIGRATIONS, NEXT])
    expect(await versionOf(fresh)).toBe(NEXT.version)
    expect(await fresh.all('SELECT COUNT(*) AS n FROM labels', [])).toEqual([{ n: 2 }])
    await Promise.all([old.close(), fresh.close()])
  })
})
