/** What every home of the store must do, as one suite. It needs vitest and no platform: it runs inside workerd too. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyEvents } from '../../domain/audit.ts'
import { Conflict, type Repo } from '../repo.ts'
import { openRepo } from '../repo-sql.ts'
import type { Sql } from '../sql.ts'
import { backupCompliance } from './backup-compliance.ts'
import { historyCompliance } from './histories.ts'
import { kindCompliance } from './kind-compliance.ts'
import * as samples from './samples.ts'

export interface ComplianceOptions {
  /** Random histories of each property. */
  readonly runs?: number
}

const A = 'net_a'
const B = 'net_b'

/** `fresh` gives an empty store; the one that it gave before has been closed. */
export function storeCompliance(home: string, fresh: () => Promise<Sql>, options: ComplianceOptions = {}): void {
  describe(`the store in ${home}`, () => {
    let repo: Repo
    beforeEach(async () => {
      repo = await openRepo(await fresh())
      await samples.found(repo, A, B)
    })
    afterEach(() => repo.close())
    recordCompliance(() => repo)
    findingCompliance(() => repo)
    kindCompliance(() => repo)
    intentCompliance(() => repo)
    auditCompliance(() => repo)
    replayCompliance(() => repo)
    writersCompliance(() => repo)
    networkCompliance(() => repo)
  })
  historyCompliance(home, fresh, options.runs ?? 25)
  backupCompliance(home, fresh)
}

function conflict(what: Conflict['what'], kind?: string) {
  return expect.objectContaining({ name: 'Conflict', what, kind })
}

function recordCompliance(repo: () => Repo): void {
  test('a record begins with revision 1, and each change adds one', async () => {
    await repo().commit(A, { changes: [samples.putSecret(samples.secret('s1', 'one'), 0)] })
    expect(await repo().get(A, 'secret', 's1')).toEqual({ value: samples.secret('s1', 'one'), revision: 1 })
    await repo().commit(A, { changes: [samples.putSecret(samples.secret('s1', 'two'), 1)] })
    await repo().commit(A, { changes: [samples.putSecret(samples.secret('s1', 'three'))] })
    expect(await repo().get(A, 'secret', 's1')).toEqual({ value: samples.secret('s1', 'three'), revision: 3 })
  })

  test('a change on a stale revision, of what is there already or not any more, is a conflict', async () => {
    const one = samples.secret('s1', 'one')
    await repo().commit(A, { changes: [samples.putSecret(one, 0)] })
    const stale = conflict('revision', 'secret')
    await expect(repo().commit(A, { changes: [samples.putSecret(one, 0)] })).rejects.toEqual(stale)
    await expect(repo().commit(A, { changes: [samples.putSecret(one, 2)] })).rejects.toEqual(stale)
    const removal = { type: 'remove', kind: 'secret', id: 's1' } as const
    await expect(repo().commit(A, { changes: [{ ...removal, revision: 2 }] })).rejects.toEqual(stale)
    await repo().commit(A, { changes: [{ ...removal, revision: 1 }] })
    await expect(repo().commit(A, { changes: [samples.putSecret(one, 1)] })).rejects.toEqual(stale)
    await repo().commit(A, { changes: [removal] })
    expect(await repo().get(A, 'secret', 's1')).toBeUndefined()
  })

  test('values come back as they went in', async () => {
    const odd = 'quote \' " \\ ? $1 \0 \u2028 \ud83d\ude80 \ud800 end'
    const record = { ...samples.secret('s1', odd), createdAt: Number.MAX_SAFE_INTEGER }
    await repo().commit(A, { changes: [samples.putSecret(record, 0)] })
    expect((await repo().get(A, 'secret', 's1'))?.value).toEqual(record)
  })

  test('an id or a name that no record can have finds nothing', async () => {
    for (const key of ['', '\0', 's\0', "'; DROP TABLE records; --", '\ud800']) {
      expect(await repo().get(A, 'secret', key)).toBeUndefined()
      expect(await repo().byName(A, 'site', key)).toBeUndefined()
      expect(await repo().list(A, 'secret', { limit: 10, ref: key })).toEqual([])
    }
  })

  test('a batch that no caller may make is refused whole', async () => {
    const put = samples.putSecret(samples.secret('s1', 'one'))
    const events = await samples.eventsFor(repo(), A, 'one', 'two')
    for (const batch of [
      { changes: [put, put] },
      { changes: [put, samples.putSite(samples.site('site_1'))] },
      { changes: [put, { type: 'put', kind: 'network', value: samples.network(B) } as const] },
      { changes: [put], audit: [events[1]!, events[0]!] },
      { changes: [put], audit: [events[0]!, { ...events[1]!, previous: 'another' }] },
    ]) {
      await expect(repo().commit(A, batch)).rejects.toBeInstanceOf(RangeError)
    }
    expect(await repo().count(A, 'secret')).toBe(0)
  })

  test('nothing of a batch stays when its last part conflicts', async () => {
    await repo().commit(A, { changes: [samples.putSecret(samples.secret('s9', 'old'), 0)] })
    const batch = {
      changes: [
        samples.putSite(samples.site('site_1'), 0),
        samples.putSecret(samples.secret('s1', 'one'), 0),
        samples.putSecret(samples.secret('s9', 'new'), 7),
      ],
      intent: { version: 1, at: 1000, actor: 'system' },
      audit: await samples.eventsFor(repo(), A, 'one'),
      replay: samples.replay('k', 1000),
    }
    await expect(repo().commit(A, batch)).rejects.toEqual(conflict('revision', 'secret'))
    expect(await repo().get(A, 'secret', 's1')).toBeUndefined()
    expect(await repo().get(A, 'site', 'site_1')).toBeUndefined()
    expect((await repo().get(A, 'secret', 's9'))?.value.sealed).toBe('old')
    expect((await repo().get(A, 'network', A))?.value.intentVersion).toBe(0)
    expect(await repo().intentAt(A, 1)).toBeUndefined()
    expect(await repo().auditHead(A)).toEqual({ seq: 0, hash: '' })
    expect(await repo().replay(A, 'token:tok_1', 'k', 1000)).toBeUndefined()
  })

  test('settings belong to the installation', async () => {
    expect(await repo().setting('admin')).toBeUndefined()
    expect(await repo().putSetting('admin', 'one', true)).toBe(true)
    expect(await repo().putSetting('admin', 'two', true)).toBe(false)
    expect(await repo().setting('admin')).toBe('one')
    expect(await repo().putSetting('admin', 'three')).toBe(true)
    expect(await repo().setting('admin')).toBe('three')
  })
}

function findingCompliance(repo: () => Repo): void {
  test('a name is unique within network and kind', async () => {
    await samples.change(repo(), A, [samples.putSite(samples.site('site_1', 'hq'), 0)])
    await expect(samples.change(repo(), A, [samples.putSite(samples.site('site_2', 'hq'), 0)])).rejects.toEqual(
      conflict('name', 'site'),
    )
    await samples.change(repo(), B, [samples.putSite(samples.site('site_2', 'hq'), 0)])
    await repo().commit(A, { changes: [{ type: 'put', kind: 'token', value: samples.token('tok_1', 'hq') }] })
    expect((await repo().byName(A, 'site', 'hq'))?.value.id).toBe('site_1')
    expect((await repo().byName(B, 'site', 'hq'))?.value.id).toBe('site_2')
    expect((await repo().byName(A, 'token', 'hq'))?.value.id).toBe('tok_1')
  })

  test('a name is free again once its record is gone, renamed or revoked', async () => {
    await samples.change(repo(), A, [samples.putSite(samples.site('site_1', 'one'), 0)])
    await samples.change(repo(), A, [
      samples.putSite(samples.site('site_2', 'one'), 0),
      { type: 'remove', kind: 'site', id: 'site_1', revision: 1 },
    ])
    await samples.change(repo(), A, [samples.putSite(samples.site('site_2', 'two'), 1)])
    await samples.change(repo(), A, [samples.putSite(samples.site('site_3', 'one'), 0)])
    expect((await repo().byName(A, 'site', 'one'))?.value.id).toBe('site_3')
    const put = (id: string, revokedAt?: number) =>
      repo().commit(A, { changes: [{ type: 'put', kind: 'token', value: samples.token(id, 'ci', revokedAt) }] })
    await put('tok_1')
    await expect(put('tok_2')).rejects.toEqual(conflict('name', 'token'))
    await put('tok_1', 1500)
    await put('tok_2')
    expect((await repo().byName(A, 'token', 'ci'))?.value.id).toBe('tok_2')
  })

  test('many may exchange their names in one batch', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `site_${String(index).padStart(3, '0')}`)
    await samples.change(
      repo(),
      A,
      ids.map((id) => samples.putSite(samples.site(id), 0)),
    )
    const turned = ids.map((id, index) => samples.site(id, `name-${ids[(index + 1) % ids.length]}`))
    await samples.change(
      repo(),
      A,
      turned.map((value) => samples.putSite(value, 1)),
    )
    expect((await repo().byName(A, 'site', `name-${ids[0]}`))?.value.id).toBe(ids[199])
    expect((await repo().list(A, 'site', { limit: 1000 })).map(({ value }) => value)).toEqual(turned)
  })

  test('a record is found under all its refs, and under those that it has now', async () => {
    const [s1, s2, s3] = ['site_1', 'site_2', 'site_3'] as const
    const put = (from: string, to: string) =>
      samples.change(repo(), A, [{ type: 'put', kind: 'tunnel', value: samples.tunnel('tun_1', from, to) }])
    const under = async (ref: string) =>
      (await repo().list(A, 'tunnel', { limit: 10, ref })).map(({ value }) => value.id)
    await put(s1, s2)
    expect([await under(s1), await under(s2), await under(s3)]).toEqual([['tun_1'], ['tun_1'], []])
    await put(s2, s3)
    expect([await under(s1), await under(s2), await under(s3)]).toEqual([[], ['tun_1'], ['tun_1']])
    await samples.change(repo(), A, [{ type: 'remove', kind: 'tunnel', id: 'tun_1' }])
    expect(await repo().count(A, 'tunnel', s2)).toBe(0)
  })

  test('rotations of a run are found and counted by what they are at', async () => {
    const states = ['queued', 'queued', 'preparing', 'retiring', 'done', 'aborted'] as const
    await repo().commit(A, {
      changes: states.map((state, index) => ({
        type: 'put',
        kind: 'rotation',
        value: samples.rotation(`rot_${index}`, `tun_${index}`, state, index === 0 ? 'run_2' : 'run_1'),
      })),
    })
    const groups = ['run_1', 'run_1/queued', 'run_1/active', 'run_1/done', 'run_1/aborted', 'active', 'tun_0']
    const counts = await Promise.all(groups.map((ref) => repo().count(A, 'rotation', ref)))
    expect(counts).toEqual([5, 1, 2, 1, 1, 2, 1])
    const begun = samples.rotation('rot_1', 'tun_1', 'preparing', 'run_1')
    await repo().commit(A, { changes: [{ type: 'put', kind: 'rotation', value: begun, revision: 1 }] })
    expect(await repo().count(A, 'rotation', 'run_1/queued')).toBe(0)
    const active = await repo().list(A, 'rotation', { limit: 2, ref: 'run_1/active' })
    expect(active.map(({ value }) => value.id)).toEqual(['rot_1', 'rot_2'])
  })

  test('ids sort by their bytes, and a page has 1 to 1000 of them', async () => {
    const ids = ['s_B', 's_a', 's_Z', 's-a', 's_10', 's_9', 'S_a']
    await repo().commit(A, { changes: ids.map((id) => samples.putSecret(samples.secret(id, ''), 0)) })
    const listed = await repo().list(A, 'secret', { limit: 1000 })
    expect(listed.map(({ value }) => value.id)).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)))
    for (const limit of [0, 1001, 1.5]) {
      await expect(repo().list(A, 'secret', { limit })).rejects.toBeInstanceOf(RangeError)
    }
  })
}

function intentCompliance(repo: () => Repo): void {
  test('every old intent stays as it was', async () => {
    const [one, two] = [samples.site('site_1'), samples.site('site_2')]
    const link = samples.tunnel('tun_1', 'site_1', 'site_2')
    await samples.change(repo(), A, [samples.putSite(one, 0), samples.putSite(two, 0)])
    await samples.change(repo(), A, [{ type: 'put', kind: 'tunnel', value: link, revision: 0 }])
    const moved = { ...one, prefixes: ['10.9.0.0/16'] }
    const own = (await repo().get(A, 'network', A))!
    await repo().commit(A, {
      changes: [
        samples.putSite(moved, 1),
        { type: 'remove', kind: 'tunnel', id: 'tun_1', revision: 1 },
        { type: 'remove', kind: 'site', id: 'site_2' },
        { type: 'put', kind: 'network', value: { ...own.value, preferences: { topology: 'none' } } },
      ],
      intent: { version: 3, at: 1000, actor: 'system' },
    })
    const mesh = { topology: 'mesh' }
    expect(await repo().intentAt(A, 0)).toEqual({ version: 0, preferences: mesh, sites: [], tunnels: [] })
    expect(await repo().intentAt(A, 1)).toEqual({ version: 1, preferences: mesh, sites: [one, two], tunnels: [] })
    expect(await repo().intentAt(A, 2)).toEqual({ version: 2, preferences: mesh, sites: [one, two], tunnels: [link] })
    const last = { version: 3, preferences: { topology: 'none' }, sites: [moved], tunnels: [] }
    expect(await repo().intentAt(A, 3)).toEqual(last)
    expect(await repo().intentAt(A, 4)).toBeUndefined()
    expect(await repo().intentAt(B, 1)).toBeUndefined()
    expect((await repo().get(A, 'network', A))?.value.intentVersion).toBe(3)
  })

  test('the next intent is one more than the last, and the network cannot be talked out of it', async () => {
    await samples.change(repo(), A, [samples.putSite(samples.site('site_1'), 0)])
    for (const version of [0, 1, 3]) {
      const batch = { changes: [], intent: { version, at: 1000, actor: 'system' } }
      await expect(repo().commit(A, batch)).rejects.toEqual(conflict('intent'))
    }
    const renamed = { ...samples.network(A), name: 'new', intentVersion: 9, preferences: { topology: 'none' as const } }
    await repo().commit(A, { changes: [{ type: 'put', kind: 'network', value: renamed, revision: 2 }] })
    expect((await repo().get(A, 'network', A))?.value).toEqual({
      ...renamed,
      intentVersion: 1,
      preferences: { topology: 'mesh' },
    })
    const stale = repo().commit(A, { changes: [{ type: 'put', kind: 'network', value: renamed, revision: 2 }] })
    await expect(stale).rejects.toEqual(conflict('revision', 'network'))
  })
}

function auditCompliance(repo: () => Repo): void {
  test('an event must follow the head', async () => {
    const [first, second, third] = await samples.eventsFor(repo(), A, 'one', 'two', 'three')
    await expect(repo().commit(A, { changes: [], audit: [second!] })).rejects.toEqual(conflict('audit'))
    await repo().commit(A, { changes: [], audit: [first!, second!] })
    expect(await repo().auditHead(A)).toEqual({ seq: 2, hash: second!.hash })
    await expect(repo().commit(A, { changes: [], audit: [first!] })).rejects.toEqual(conflict('audit'))
    const forked = { ...third!, previous: first!.hash }
    await expect(repo().commit(A, { changes: [], audit: [forked] })).rejects.toEqual(conflict('audit'))
    await repo().commit(A, { changes: [], audit: [third!] })
    expect(await repo().audit(A, { after: 0, limit: 2 })).toEqual([first, second])
    expect(await repo().audit(A, { after: 2, limit: 1000 })).toEqual([third])
    expect(await repo().auditHead(B)).toEqual({ seq: 0, hash: '' })
  })

  test('there is no log of a network that is not there', async () => {
    const audit = await samples.eventsFor(repo(), 'net_none', 'one')
    await expect(repo().commit('net_none', { changes: [], audit })).rejects.toEqual(conflict('audit'))
  })
}

function replayCompliance(repo: () => Repo): void {
  test('an answer is kept once for each actor and key, until it expires', async () => {
    const first = samples.replay('k', 1000)
    await repo().commit(A, { changes: [], replay: first })
    await repo().commit(A, { changes: [], replay: samples.replay('k', 1000, 'token:tok_2') })
    await repo().commit(B, { changes: [], replay: samples.replay('k', 1000) })
    const again = { changes: [], replay: samples.replay('k', 1050) }
    await expect(repo().commit(A, again)).rejects.toEqual(conflict('replay'))
    expect(await repo().replay(A, 'token:tok_1', 'k', 1099)).toEqual(first)
    expect(await repo().replay(A, 'token:tok_1', 'k', 1100)).toBeUndefined()
    await repo().commit(A, { changes: [], replay: samples.replay('k', 1100) })
    await repo().sweep(1100)
    expect(await repo().replay(A, 'token:tok_1', 'k', 1000)).toEqual(samples.replay('k', 1100))
    expect(await repo().replay(A, 'token:tok_2', 'k', 1000)).toBeUndefined()
  })
}

function writersCompliance(repo: () => Repo): void {
  test('of many who use one token at once, one succeeds', async () => {
    await repo().commit(A, { changes: [{ type: 'put', kind: 'join', value: samples.join('join_1', 'site_1') }] })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) => {
        const value = samples.join('join_1', 'site_1', `con_${index}`)
        return repo().commit(A, { changes: [{ type: 'put', kind: 'join', value, revision: 1 }] })
      }),
    )
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason)
    expect(lost).toEqual(Array.from({ length: 11 }, () => conflict('revision', 'join')))
  })

  test('writers that retry their conflicts lose nothing, and leave one good chain', async () => {
    const writer = async (name: string) => {
      for (let done = 0; done < 5; ) {
        const own = (await repo().get(A, 'network', A))!
        const version = own.value.intentVersion + 1
        const value = samples.site(`site_${name}_${done}`)
        try {
          await repo().commit(A, {
            changes: [samples.putSite(value, 0)],
            intent: { version, at: 1000, actor: name },
            audit: await samples.eventsFor(repo(), A, `${name} ${done}`),
          })
          done++
        } catch (error) {
          if (!(error instanceof Conflict)) throw error
        }
      }
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(writer))
    expect((await repo().intentAt(A, 20))?.sites).toHaveLength(20)
    expect((await repo().intentAt(A, 7))?.sites).toHaveLength(7)
    const events = await repo().audit(A, { after: 0, limit: 1000 })
    expect(verifyEvents(A, events)).toMatchObject({ ok: true, head: { seq: 20 } })
  })

  test('two who change the same records in opposite order both come to an end', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `s${index}`)
    const put = (order: readonly string[], sealed: string) =>
      repo().commit(A, { changes: order.map((id) => samples.putSecret(samples.secret(id, sealed))) })
    await put(ids, 'first')
    await Promise.all(Array.from({ length: 8 }, (_, n) => put(n % 2 ? ids : ids.toReversed(), `by ${n}`)))
    const values = await repo().list(A, 'secret', { limit: 1000 })
    expect(new Set(values.map(({ value, revision }) => `${value.sealed} ${revision}`)).size).toBe(1)
    expect(values[0]?.revision).toBe(9)
  })
}

function networkCompliance(repo: () => Repo): void {
  test('a network is made once, and nothing is kept for one that is not there', async () => {
    await expect(samples.found(repo(), A)).rejects.toEqual(conflict('revision', 'network'))
    const orphan = repo().commit('net_none', { changes: [samples.putSecret(samples.secret('s', ''))] })
    await expect(orphan).rejects.toEqual(conflict('revision', 'network'))
    const both = await Promise.allSettled([samples.found(repo(), 'net_c'), samples.found(repo(), 'net_c')])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await repo().networks({ limit: 2 })).map(({ value }) => value.id)).toEqual([A, B])
    expect((await repo().networks({ limit: 2, after: B })).map(({ value }) => value.id)).toEqual(['net_c'])
  })

  test('a network that is removed takes all along but its log; the other one keeps all', async () => {
    for (const id of [A, B]) {
      await samples.change(repo(), id, [samples.putSite(samples.site('site_1'), 0)])
      const changes = [{ type: 'put', kind: 'join', value: samples.join('join_1', 'site_1') } as const]
      const audit = await samples.eventsFor(repo(), id, 'made')
      await repo().commit(id, { changes, audit, replay: samples.replay('k', 1000) })
    }
    const removal = { type: 'remove', kind: 'network', id: A } as const
    const stale = repo().commit(A, { changes: [{ ...removal, revision: 1 }] })
    await expect(stale).rejects.toEqual(conflict('revision', 'network'))
    const audit = await samples.eventsFor(repo(), A, 'removed')
    await repo().commit(A, { changes: [{ ...removal, revision: 2 }], audit })
    expect(await repo().get(A, 'network', A)).toBeUndefined()
    expect(await repo().count(A, 'join', 'site_1')).toBe(0)
    expect(await repo().intentAt(A, 1)).toBeUndefined()
    expect(await repo().replay(A, 'token:tok_1', 'k', 1000)).toBeUndefined()
    expect(await repo().audit(A, { after: 0, limit: 10 })).toHaveLength(2)
    expect((await repo().intentAt(B, 1))?.sites).toHaveLength(1)
    expect(await repo().count(B, 'join', 'site_1')).toBe(1)
    expect((await repo().networks({ limit: 10 })).map(({ value }) => value.id)).toEqual([B])
  })
}
