import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyEvents } from '../domain/audit.ts'
import { backup } from './backup.ts'
import { MIGRATIONS, migrate, versionOf } from './migrations.ts'
import type { Repo } from './repo.ts'
import { openRepo } from './repo-sql.ts'
import type { Sql } from './sql.ts'
import { openSqlite } from './sqlite-node.ts'
import { furnish, linesFrom } from './testing/backup-compliance.ts'
import * as samples from './testing/samples.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-store-'))
  path = join(folder, 'deep', 'store.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('a store in a file', () => {
  test('is for its owner only, and is there again when it is opened again', async () => {
    const repo = await openRepo(openSqlite(path))
    await samples.found(repo, 'net_a')
    await repo.close()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'deep')).mode & 0o777).toBe(0o700)
    const again = await openRepo(openSqlite(path))
    expect(await again.networks({ limit: 10 })).toHaveLength(1)
    await again.close()
  })

  test('syncs every commit to the disk', async () => {
    const sql = openSqlite(path)
    expect(await sql.all('PRAGMA synchronous', [])).toEqual([{ synchronous: 2 }])
    expect(await sql.all('PRAGMA journal_mode', [])).toEqual([{ journal_mode: 'wal' }])
    await sql.close()
  })

  test('batches that share a transaction stand or fall one by one', async () => {
    const repo = await openRepo(openSqlite(path))
    await samples.found(repo, 'net_a')
    const put = (id: string, revision: number) =>
      repo.commit('net_a', { changes: [samples.putSecret(samples.secret(id, ''), revision)] })
    const outcomes = await Promise.allSettled([put('s1', 0), put('s2', 4), put('s3', 0), put('s1', 0), put('s4', 0)])
    const kept = outcomes.map(({ status }) => status === 'fulfilled')
    expect(kept).toEqual([true, false, true, false, true])
    const ids = (await repo.list('net_a', 'secret', { limit: 10 })).map(({ value }) => value.id)
    expect(ids).toEqual(['s1', 's3', 's4'])
    await repo.close()
  })

  test('what waits is committed before it closes, and nothing is taken after', async () => {
    const repo = await openRepo(openSqlite(path))
    await samples.found(repo, 'net_a')
    const pending = repo.commit('net_a', { changes: [samples.putSecret(samples.secret('s1', ''))] })
    await repo.close()
    await pending
    await expect(repo.sweep(0)).rejects.toMatchObject({ name: 'StoreFailure', code: 'access' })
    const again = await openRepo(openSqlite(path))
    expect(await again.count('net_a', 'secret')).toBe(1)
    await again.close()
  })

  test('a backup is of one moment while others write', async () => {
    const sql = openSqlite(path)
    await furnish(sql)
    const before = await linesFrom(sql)
    const repo = await openRepo(sql)
    const lines: string[] = []
    for await (const line of backup(sql)) {
      if (lines.length === 1) await samples.found(repo, 'net_c')
      lines.push(line)
    }
    expect(lines).toEqual(before)
    expect(await linesFrom(sql)).not.toEqual(before)
    await repo.close()
  })
})

describe('a full disk', () => {
  test('refuses what does not fit, keeps what was there, and takes more once there is room', async () => {
    await (await openRepo(openSqlite(path))).close()
    const small = await openRepo(openSqlite(path, { maxBytes: statSync(path).size + 64 * 4096 }))
    await samples.found(small, 'net_a')
    const fill = (id: string, size: number) =>
      small.commit('net_a', { changes: [samples.putSecret(samples.secret(id, 'x'.repeat(size)), 0)] })
    await fill('s1', 1000)
    const both = await Promise.allSettled([fill('s2', 10), fill('s3', 1 << 20)])
    expect(both.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(['full', 'full'])
    expect(await small.count('net_a', 'secret')).toBe(1)
    await fill('s2', 10)
    await small.close()
    const roomy = await openRepo(openSqlite(path))
    await roomy.commit('net_a', { changes: [samples.putSecret(samples.secret('s3', 'x'.repeat(1 << 20)), 0)] })
    expect(await roomy.count('net_a', 'secret')).toBe(3)
    await roomy.close()
  })
})

describe('a file that is no good store', () => {
  test.each<[string, () => void | Promise<void>, string]>([
    [
      'is text',
      () => writeFileSync(path, 'not a database, though it is long enough to be one '.repeat(100)),
      'corrupt',
    ],
    ['lost its end', async () => truncate(await big(), 0.5), 'corrupt'],
    ['lost all but its first page', async () => truncate(await big(), 0), 'corrupt'],
    ['is a database of another program', foreign, 'corrupt'],
    ['was written by a later release', async () => later(), 'newer'],
  ])('%s', async (_, make, code) => {
    await (await openRepo(openSqlite(path))).close()
    await make()
    const bytes = readFileSync(path)
    const opened = await open().catch((error) => error)
    expect(opened).toMatchObject({ name: 'StoreFailure', code })
    expect(opened.cause).not.toBe('')
    expect(opened.remedy).not.toBe('')
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  test('damaged in its middle: reads that meet it say so', async () => {
    const size = await big()
    const bytes = readFileSync(path)
    bytes.fill(0x5a, 4096 * 4, size)
    writeFileSync(path, bytes)
    const met = await open()
      .then((repo) => repo.list('net_a', 'secret', { limit: 1000 }).finally(() => repo.close()))
      .catch((error) => error)
    expect(met).toMatchObject({ name: 'StoreFailure', code: 'corrupt' })
  })

  test('a folder, or in a folder that cannot be made', () => {
    expect(() => openSqlite(folder)).toThrow(expect.objectContaining({ name: 'StoreFailure', code: 'access' }))
    writeFileSync(join(folder, 'file'), '')
    const within = join(folder, 'file', 'store.db')
    expect(() => openSqlite(within)).toThrow(expect.objectContaining({ name: 'StoreFailure', code: 'access' }))
  })

  test('held by another process', async () => {
    await (await openRepo(openSqlite(path))).close()
    const holder = new DatabaseSync(path)
    holder.exec('BEGIN IMMEDIATE')
    const repo = await openRepo(openSqlite(path, { busyMs: 10 }))
    await expect(samples.found(repo, 'net_a')).rejects.toMatchObject({ name: 'StoreFailure', code: 'busy' })
    holder.exec('ROLLBACK')
    holder.close()
    await samples.found(repo, 'net_a')
    await repo.close()
  })
})

describe('kill -9', () => {
  test('what was answered is there, whole, and nothing of what was not', async () => {
    const repo = await openRepo(openSqlite(path))
    await samples.found(repo, 'net_a')
    await repo.close()
    let answered = 0
    for (const round of [1, 2, 3]) {
      answered += await killedAfter(20 * round)
      const store = await openRepo(openSqlite(path))
      const events = await store.audit('net_a', { after: 0, limit: 1000 })
      expect(verifyEvents('net_a', events)).toMatchObject({ ok: true })
      expect(events.length).toBeGreaterThanOrEqual(answered)
      answered = events.length
      expect(await store.count('net_a', 'site')).toBe(events.length * 3)
      expect((await store.intentAt('net_a', events.length))?.sites).toHaveLength(events.length * 3)
      await store.close()
    }
  })
})

async function open(): Promise<Repo> {
  let sql: Sql | undefined
  try {
    sql = openSqlite(path)
    return await openRepo(sql)
  } catch (error) {
    await sql?.close()
    throw error
  }
}

/** A store of some pages; tells the size of its file. */
async function big(): Promise<number> {
  const repo = await openRepo(openSqlite(path))
  await samples.found(repo, 'net_a')
  const changes = Array.from({ length: 500 }, (_, index) =>
    samples.putSecret(samples.secret(`s${index}`, 'x'.repeat(900))),
  )
  await repo.commit('net_a', { changes })
  await repo.close()
  return statSync(path).size
}

function truncate(size: number, share: number): void {
  truncateSync(path, Math.max(4096, Math.floor((size * share) / 4096) * 4096))
}

function foreign(): void {
  rmSync(path)
  const db = new DatabaseSync(path)
  db.exec('CREATE TABLE songs (title TEXT)')
  db.close()
}

async function later(): Promise<void> {
  const sql = openSqlite(path)
  const next = { version: MIGRATIONS.length + 1, statements: [], tables: [] }
  await migrate(sql, [...MIGRATIONS, next])
  expect(await versionOf(sql)).toBe(next.version)
  await sql.close()
}

/** Lets another process commit without pause, kills it once it has told of `count` commits; tells of how many it did. */
async function killedAfter(count: number): Promise<number> {
  const script = join(import.meta.dirname, 'testing', 'writer.ts')
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let told = 0
  for await (const _ of createInterface({ input: child.stdout })) {
    if (++told === count) child.kill('SIGKILL')
  }
  await exited
  expect(told).toBeGreaterThanOrEqual(count)
  return told
}
