/** Backup and restore, within one home of the store. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyEvents } from '../../domain/audit.ts'
import { backup, restore } from '../backup.ts'
import { StoreFailure } from '../failure.ts'
import type { Repo } from '../repo.ts'
import { openRepo } from '../repo-sql.ts'
import type { Sql } from '../sql.ts'
import * as samples from './samples.ts'

/** Two networks with something of everything, and a log of a network that is gone. */
export async function furnish(sql: Sql): Promise<void> {
  const repo = await openRepo(sql)
  await samples.found(repo, 'net_a', 'net_b', 'net_gone')
  await repo.putSetting('admin', 'hash')
  for (const id of ['net_a', 'net_b']) {
    await samples.change(repo, id, [
      samples.putSite(samples.site('site_1'), 0),
      samples.putSite(samples.site('site_2'), 0),
    ])
    const link = samples.tunnel('tun_1', 'site_1', 'site_2')
    await samples.change(repo, id, [{ type: 'put', kind: 'tunnel', value: link }])
    await samples.change(repo, id, [samples.putSite(samples.site('site_2', 'odd-name'), 1)])
    const run = samples.rotation('rot_1', 'tun_1', 'queued', 'run_1')
    const audit = await samples.eventsFor(repo, id, 'one', 'two \ud83d\ude80 \0 \u2028', 'three')
    const changes = [
      { type: 'put', kind: 'rotation', value: run } as const,
      { type: 'put', kind: 'token', value: samples.token('tok_1', 'ci', 5) } as const,
    ]
    await repo.commit(id, { changes, audit, replay: samples.replay('k', 1000) })
  }
  const audit = await samples.eventsFor(repo, 'net_gone', 'removed')
  await repo.commit('net_gone', { changes: [{ type: 'remove', kind: 'network', id: 'net_gone' }], audit })
}

/** What `furnish` put there, whatever version of the tables it is in. */
export async function expectFurnished(repo: Repo): Promise<void> {
  const sites = async (version: number) => (await repo.intentAt('net_a', version))?.sites.map(({ name }) => name)
  expect((await repo.networks({ limit: 10 })).map(({ value }) => value.id)).toEqual(['net_a', 'net_b'])
  expect(await sites(0)).toEqual([])
  expect(await sites(2)).toEqual(['name-site_1', 'name-site_2'])
  expect(await sites(3)).toEqual(['name-site_1', 'odd-name'])
  expect((await repo.intentAt('net_a', 1))?.tunnels).toEqual([])
  expect((await repo.intentAt('net_a', 3))?.tunnels).toEqual([samples.tunnel('tun_1', 'site_1', 'site_2')])
  expect(await repo.byName('net_b', 'site', 'odd-name')).toMatchObject({ value: { id: 'site_2' }, revision: 2 })
  expect(await repo.list('net_a', 'tunnel', { limit: 10, ref: 'site_2' })).toHaveLength(1)
  expect(await repo.count('net_b', 'rotation', 'run_1/queued')).toBe(1)
  expect((await repo.get('net_a', 'token', 'tok_1'))?.value).toEqual(samples.token('tok_1', 'ci', 5))
  expect(await repo.setting('admin')).toBe('hash')
  expect(await repo.replay('net_a', 'token:tok_1', 'k', 1000)).toEqual(samples.replay('k', 1000))
  const events = await repo.audit('net_a', { after: 0, limit: 10 })
  expect(verifyEvents('net_a', events)).toMatchObject({ ok: true, head: { seq: 3 } })
  expect((await repo.auditHead('net_gone')).seq).toBe(1)
}

export async function linesFrom(sql: Sql): Promise<string[]> {
  const lines: string[] = []
  for await (const line of backup(sql)) lines.push(line)
  return lines
}

export function backupCompliance(home: string, fresh: () => Promise<Sql>): void {
  describe(`backup and restore in ${home}`, () => {
    let sql: Sql
    let lines: string[]
    beforeEach(async () => {
      sql = await fresh()
      await furnish(sql)
      lines = await linesFrom(sql)
      await sql.close()
      sql = await fresh()
    })
    afterEach(() => sql.close())

    test('a restored store is the same, and goes on', async () => {
      const restored = await restore(sql, lines)
      expect(restored).toEqual({ networks: 2, rows: lines.length - 2, events: 7 })
      expect(await linesFrom(sql)).toEqual(lines)
      const repo = await openRepo(sql)
      await expectFurnished(repo)
      const audit = await samples.eventsFor(repo, 'net_a', 'four')
      await repo.commit('net_a', { changes: [], audit })
      await samples.change(repo, 'net_a', [samples.putSite(samples.site('site_3'), 0)])
    })

    test('functions come back, and the sealed key that signs for them', async () => {
      await restore(sql, lines)
      const repo = await openRepo(sql)
      const keys = { functionKey: 'public of functions', sealedFunctionKey: 'sealed for functions' }
      const value = { ...samples.network('net_a'), ...keys }
      const changes = [
        { type: 'put', kind: 'network', value } as const,
        { type: 'put', kind: 'function', value: samples.program('fn_1', 'shop'), revision: 0 } as const,
      ]
      await repo.commit('net_a', { changes })
      const again = await linesFrom(sql)
      await sql.close()
      sql = await fresh()
      await restore(sql, again)
      const restored = await openRepo(sql)
      expect((await restored.byName('net_a', 'function', 'shop'))?.value).toEqual(samples.program('fn_1', 'shop'))
      expect((await restored.get('net_a', 'network', 'net_a'))?.value).toMatchObject(keys)
    })

    test('a store that is in use is left alone', async () => {
      const repo = await openRepo(sql)
      await samples.found(repo, 'net_c')
      await expect(restore(sql, lines)).rejects.toMatchObject({ name: 'StoreFailure', code: 'access' })
      expect(await repo.networks({ limit: 10 })).toHaveLength(1)
    })

    test('a restore that was cut off leaves nothing that opens, and can begin anew', async () => {
      const cut = async function* () {
        yield* lines.slice(0, 4)
        await expect(openRepo(sql)).rejects.toMatchObject({ code: 'incomplete' })
        yield* lines.slice(4)
      }
      await restore(sql, cut())
      expect(await linesFrom(sql)).toEqual(lines)
    })

    test('half a backup is refused, and the store is empty and can be used', async () => {
      await expect(restore(sql, lines.slice(0, -1))).rejects.toMatchObject({ code: 'input' })
      const repo = await openRepo(sql)
      expect(await repo.networks({ limit: 10 })).toEqual([])
    })

    test('a backup that contradicts itself is refused', async () => {
      const twice = lines.toSpliced(3, 0, lines[2]!)
      await expect(restore(sql, twice)).rejects.toBeInstanceOf(StoreFailure)
    })
  })
}
