import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { restore } from './backup.ts'
import { createPostgres, type PgSession } from './postgres.ts'
import { openRepo } from './repo-sql.ts'
import { expectFurnished } from './testing/backup-compliance.ts'
import { storeCompliance } from './testing/compliance.ts'
import { FIXTURES } from './testing/fixture.ts'
import { Lite } from './testing/pglite.ts'

let lite: Lite
beforeAll(async () => {
  lite = await Lite.start()
}, 120_000)
afterAll(() => lite.stop())

storeCompliance('PostgreSQL, within the process', () => lite.fresh(), { runs: 8 })

const released = readdirSync(FIXTURES).filter((name) => name.endsWith('.ndjson'))

test.each(released)('PostgreSQL takes the backup %s of an earlier release', async (name) => {
  const sql = await lite.fresh()
  await restore(sql, readFileSync(join(FIXTURES, name), 'utf8').trimEnd().split('\n'))
  await expectFurnished(await openRepo(sql))
})

describe('sessions', () => {
  /** Answers each query by the next of `answers`: an SQLSTATE fails. */
  function scripted(answers: Record<string, readonly (string | undefined)[]>) {
    const released: boolean[] = []
    const asked = new Map<string, number>()
    const session: PgSession = {
      async query(text) {
        const turn = asked.get(text) ?? 0
        asked.set(text, turn + 1)
        const code = answers[text]?.[turn]
        if (code !== undefined) throw Object.assign(new Error(`failed by ${code}`), { code })
        return { rows: [], changes: 1 }
      },
      release: (broken) => released.push(broken),
    }
    const sql = createPostgres({ acquire: async () => session, close: async () => {} })
    return { sql, released, asked }
  }
  const statement = { sql: 'UPDATE t SET a = ?', params: [1], changes: 1 }
  const UPDATE = 'UPDATE t SET a = $1'

  test('a batch that fell to a deadlock or a serialization is carried out again', async () => {
    const { sql, asked, released } = scripted({ [UPDATE]: ['40P01'], COMMIT: ['40001'] })
    await sql.batch([statement])
    expect([asked.get(UPDATE), asked.get('COMMIT'), asked.get('ROLLBACK')]).toEqual([3, 2, 1])
    expect(released).toEqual([false, false, false])
  })

  test('not for ever', async () => {
    const { sql } = scripted({ [UPDATE]: Array(99).fill('40P01') })
    await expect(sql.batch([statement])).rejects.toMatchObject({ code: '40P01' })
  })

  test('a commit whose answer was lost is not tried again, and its session is given up', async () => {
    const { sql, asked, released } = scripted({ COMMIT: ['ECONNRESET'] })
    await expect(sql.batch([statement])).rejects.toMatchObject({ name: 'StoreFailure', code: 'unavailable' })
    expect([asked.get(UPDATE), released]).toEqual([1, [true]])
  })

  test.each([
    ['53100', 'full'],
    ['53300', 'unavailable'],
    ['57P01', 'unavailable'],
    ['42501', 'access'],
  ])('SQLSTATE %s is told as %s', async (state, code) => {
    const { sql } = scripted({ 'SELECT 1': [state] })
    await expect(sql.all('SELECT 1', [])).rejects.toMatchObject({ name: 'StoreFailure', code })
  })
})
