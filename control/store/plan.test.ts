import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate } from './migrations.ts'
import { stepsOf } from './plan.ts'
import type { Batch, Change } from './repo.ts'
import type { Sql, Statement } from './sql.ts'
import { openSqlite } from './sqlite-node.ts'
import * as samples from './testing/samples.ts'

const PRESENT = { value: { ...samples.network('net_a'), intentVersion: 6 }, revision: 7 }
const put = { type: 'put' } as const

/** One of every statement that there is. */
const BATCH: Batch = {
  changes: [
    samples.putSite(samples.site('site_1'), 0),
    samples.putSite(samples.site('site_2'), 3),
    samples.putSite(samples.site('site_3')),
    { ...put, kind: 'tunnel', value: samples.tunnel('tun_1', 'site_1', 'site_2'), revision: 3 },
    { ...put, kind: 'join', value: samples.join('join_1', 'site_1') },
    { type: 'remove', kind: 'site', id: 'site_4', revision: 2 },
    { type: 'remove', kind: 'tunnel', id: 'tun_2' },
  ],
  intent: { version: 7, at: 1000, actor: 'system' },
  audit: [
    { seq: 8, at: 1000, actor: 'system', action: 'a', target: 't', previous: 'p', hash: 'h' },
    { seq: 9, at: 1000, actor: 'system', action: 'a', target: 't', previous: 'h', hash: 'i' },
  ],
  replay: samples.replay('k', 1000),
}

describe('what a batch costs', () => {
  let sql: Sql
  beforeAll(async () => {
    sql = openSqlite(':memory:')
    await migrate(sql)
  })
  afterAll(() => sql.close())

  async function plansOf(statement: Statement): Promise<string[]> {
    const rows = await sql.all(`EXPLAIN QUERY PLAN ${statement.sql}`, statement.params)
    return rows.map(({ detail }) => `${detail}`)
  }

  test('every statement finds its rows by their keys, however many others there are', async () => {
    const steps = stepsOf('net_a', BATCH, PRESENT)
    expect(new Set(steps.map((step) => step.sql)).size).toBeGreaterThan(12)
    const slow: string[] = []
    for (const step of steps) {
      for (const plan of await plansOf(step)) {
        const keyed = /\bid=\?|idempotency=\?|\bseq=\?/.test(plan)
        if (/^(SCAN|SEARCH)/.test(plan) && !keyed && !/CONSTANT ROW|VALUES CLAUSE/.test(plan))
          slow.push(`${plan}: ${step.sql}`)
      }
    }
    expect(slow).toEqual([])
  })

  test('a Durable Object takes every statement: at most 100 parameters', () => {
    const changes: Change[] = Array.from({ length: 300 }, (_, index) =>
      samples.putSite(samples.site(`site_${index}`), 1),
    )
    const steps = stepsOf('net_a', { changes, intent: BATCH.intent! }, PRESENT)
    expect(Math.max(...steps.map(({ params }) => params.length))).toBeLessThanOrEqual(100)
    expect(steps.length).toBe(2 + 4 + 300 * 3)
  })

  test('writers change records in one order, whatever the order of their changes', () => {
    const ids = ['s3', 's1', 's2']
    const order = (of: readonly string[]) =>
      stepsOf('net_a', { changes: of.map((id) => samples.putSecret(samples.secret(id, ''))) }, undefined)
    expect(order(ids)).toEqual(order(ids.toReversed()))
  })
})
