import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { hashText } from '../domain/bytes.ts'
import { backup, linesOf, restore } from './backup.ts'
import { openRepo } from './repo-sql.ts'
import { openSqlite } from './sqlite-node.ts'
import { furnish, linesFrom } from './testing/backup-compliance.ts'
import * as samples from './testing/samples.ts'

let good: readonly string[]
beforeAll(async () => {
  const sql = openSqlite(':memory:')
  await furnish(sql)
  good = await linesFrom(sql)
  await sql.close()
})

/** The same lines with an end that fits them: as somebody would write it who knows the format. */
function sealedAnew(lines: readonly string[]): string[] {
  const body = lines.slice(0, -1)
  const hash = body.reduce((before, line) => hashText(before + line), '')
  return [...body, JSON.stringify({ rows: body.length - 1, hash })]
}

/** How a restore ended, and that it left nothing unless it succeeded. */
async function attempt(lines: readonly string[]): Promise<unknown> {
  const sql = openSqlite(':memory:')
  try {
    const outcome = await restore(sql, lines).catch((error) => error)
    const repo = await openRepo(sql)
    if (outcome instanceof Error) expect(await repo.networks({ limit: 10 })).toEqual([])
    return outcome
  } finally {
    await sql.close()
  }
}

function at(table: string): number {
  return good.findIndex((line) => line.startsWith(`["${table}"`))
}

function rowOf(table: string): unknown[] {
  return JSON.parse(good[at(table)]!)
}

describe('a bad backup', () => {
  test('any line changed, left out, doubled, moved or cut is refused', async () => {
    const index = fc.nat({ max: 60 }).map((n) => n % good.length)
    const spoilt = fc.oneof(
      fc.tuple(index, fc.nat(), fc.string({ minLength: 1, maxLength: 3 })).map(([line, place, text]) => {
        const old = good[line]!
        const from = place % old.length
        return good.with(line, old.slice(0, from) + text + old.slice(from + text.length))
      }),
      index.map((line) => good.toSpliced(line, 1)),
      index.map((line) => good.toSpliced(line, 0, good[line]!)),
      fc.tuple(index, index).map(([a, b]) => good.with(a, good[b]!).with(b, good[a]!)),
      index.map((line) => good.slice(0, line)),
      fc.array(fc.oneof(fc.string(), fc.json()), { maxLength: 5 }),
      fc.tuple(index, fc.json()).map(([line, json]) => good.toSpliced(line, 0, json)),
    )
    await fc.assert(
      fc.asyncProperty(spoilt, async (lines) => {
        fc.pre(lines.join('\n') !== good.join('\n'))
        const outcome = await attempt(lines)
        expect(outcome).toMatchObject({ name: 'StoreFailure', code: expect.stringMatching(/^(input|newer)$/) })
      }),
      { numRuns: 150 },
    )
  })

  test('one whose end was made to fit is refused for what is in it', async () => {
    const audit = rowOf('audit')
    const event = JSON.parse(String(audit[4]))
    const altered = JSON.stringify({ ...event, actor: 'token:tok_other' })
    const record = rowOf('records')
    const forged: [string, string[]][] = [
      ['an event was altered', good.with(at('audit'), JSON.stringify([...audit.slice(0, 4), altered]))],
      ['an event is missing', good.toSpliced(at('audit'), 1)],
      ['a log was given to another network', good.map((line) => line.replaceAll('net_gone', 'net_good'))],
      ['a record of another id', good.with(at('records'), JSON.stringify(record.with(3, 'net_x')))],
      ['a text where a number belongs', good.with(at('records'), JSON.stringify(record.with(4, '1')))],
      ['a number that no double holds', good.with(at('records'), JSON.stringify(record).replace(/,\d+,/, ',1e300,'))],
      ['a body that is no object', good.with(at('records'), JSON.stringify(record.with(6, '7')))],
      ['a NUL in a key', good.with(at('networks'), JSON.stringify(['networks', 'net\0']))],
      ['a table that is none', good.with(at('refs'), JSON.stringify(['sqlite_schema', 'x']))],
      ['a record of no network', good.toSpliced(at('networks'), 1)],
      ['a column too many', good.with(at('networks'), JSON.stringify(['networks', 'net_a', 'x']))],
    ].map(([what, lines]) => [what as string, sealedAnew(lines as string[])])
    for (const [what, lines] of forged) {
      expect([what, await attempt(lines)]).toMatchObject([what, { name: 'StoreFailure', code: 'input' }])
    }
    expect(await attempt(sealedAnew(good))).toMatchObject({ networks: 2 })
  })

  test('one whose end counts other rows is refused', async () => {
    const end = JSON.parse(good.at(-1)!)
    const lines = good.with(-1, JSON.stringify({ ...end, rows: end.rows + 1 }))
    expect(await attempt(lines)).toMatchObject({ name: 'StoreFailure', code: 'input' })
  })

  test('one of a later release is told to be so', async () => {
    for (const header of [
      { format: 2, schema: 1 },
      { format: 1, schema: 99 },
    ]) {
      const lines = sealedAnew(good.with(0, JSON.stringify({ isthmus: 'backup', ...header })))
      expect(await attempt(lines)).toMatchObject({ name: 'StoreFailure', code: 'newer' })
    }
  })
})

describe('a backup', () => {
  test('has more rows than a page, and all of them', async () => {
    const sql = openSqlite(':memory:')
    const repo = await openRepo(sql)
    await samples.found(repo, 'net_a')
    const ids = Array.from({ length: 1700 }, (_, index) => `s${index}`)
    await repo.commit('net_a', { changes: ids.map((id) => samples.putSecret(samples.secret(id, 'x'), 0)) })
    const copy = openSqlite(':memory:')
    await restore(copy, backup(sql))
    expect(await (await openRepo(copy)).count('net_a', 'secret')).toBe(1700)
    expect(await linesFrom(copy)).toEqual(await linesFrom(sql))
    await Promise.all([sql.close(), copy.close()])
  })

  test('comes out of text that was cut anywhere', async () => {
    const text = `${good.join('\n')}\n`
    for (const size of [1, 7, 4096]) {
      const pieces = async function* () {
        for (let from = 0; from < text.length; from += size) yield text.slice(from, from + size)
      }
      expect(await Array.fromAsync(linesOf(pieces()))).toEqual(good)
    }
  })
})
