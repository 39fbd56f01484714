/** What holds for records of one kind only, as part of the suite. */
import { expect, test } from 'vitest'
import type { RoutingPart } from '../../domain/intents/routing-view.ts'
import type { Repo } from '../repo.ts'
import * as samples from './samples.ts'

const A = 'net_a'
const B = 'net_b'

export function kindCompliance(repo: () => Repo): void {
  test('functions have names of their own, until they are revoked', async () => {
    const put = (value: ReturnType<typeof samples.program>) =>
      repo().commit(A, { changes: [{ type: 'put', kind: 'function', value }] })
    await repo().commit(A, { changes: [{ type: 'put', kind: 'token', value: samples.token('tok_1', 'shop') }] })
    await put(samples.program('fn_1', 'shop'))
    await expect(put(samples.program('fn_2', 'shop'))).rejects.toEqual(
      expect.objectContaining({ name: 'Conflict', what: 'name', kind: 'function' }),
    )
    await put(samples.program('fn_1', 'shop', 1500))
    await put(samples.program('fn_2', 'shop'))
    expect((await repo().byName(A, 'function', 'shop'))?.value).toEqual(samples.program('fn_2', 'shop'))
    expect((await repo().list(A, 'function', { limit: 10 })).map(({ value }) => value.id)).toEqual(['fn_1', 'fn_2'])
    expect(await repo().byName(B, 'function', 'shop')).toBeUndefined()
  })

  test('a rollout is active until it has ended, and the network that names it keeps its intent', async () => {
    const put = (value: ReturnType<typeof samples.rollout>, revision: number) =>
      repo().commit(A, { changes: [{ type: 'put', kind: 'rollout', value, revision }] })
    const under = async (ref: string) =>
      (await repo().list(A, 'rollout', { limit: 10, ref })).map(({ value }) => value.id)
    const version = await samples.change(repo(), A, [samples.putSite(samples.site('site_1'), 0)])
    const present = (await repo().get(A, 'network', A))!
    const network = { ...present.value, rollout: 'roll_1' }
    const { revision } = present
    await put(samples.rollout('roll_1', 'planned'), 0)
    // As a rollout begins: the network, the intent and the rollout in one batch.
    await repo().commit(A, {
      changes: [
        { type: 'put', kind: 'network', value: network, revision },
        { type: 'put', kind: 'rollout', value: samples.rollout('roll_2', 'watching'), revision: 0 },
        samples.putSite(samples.site('site_2'), 0),
      ],
      intent: { version: version + 1, at: 1000, actor: 'system' },
    })
    expect((await repo().get(A, 'network', A))?.value).toMatchObject({ rollout: 'roll_1', intentVersion: version + 1 })
    expect([await under('active'), await under('ended')]).toEqual([['roll_1', 'roll_2'], []])
    await put(samples.rollout('roll_1', 'rolled-back'), 1)
    expect([await under('active'), await under('ended')]).toEqual([['roll_2'], ['roll_1']])
    expect((await repo().get(A, 'rollout', 'roll_1'))?.value).toEqual(samples.rollout('roll_1', 'rolled-back'))
    expect(await repo().list(B, 'rollout', { limit: 10 })).toEqual([])
  })

  test('connections to clouds are found by name and site, their runs by connection and by whether they have ended', async () => {
    const cloud = samples.cloud('cld_1', 'aws')
    const put = (value: ReturnType<typeof samples.cloudRun>) =>
      repo().commit(A, { changes: [{ type: 'put', kind: 'cloudRun', value }] })
    await repo().commit(A, { changes: [{ type: 'put', kind: 'cloud', value: cloud, revision: 0 }] })
    const taken = { ...samples.cloud('cld_2'), name: 'aws' }
    await expect(repo().commit(A, { changes: [{ type: 'put', kind: 'cloud', value: taken }] })).rejects.toEqual(
      expect.objectContaining({ name: 'Conflict', what: 'name', kind: 'cloud' }),
    )
    expect((await repo().byName(A, 'cloud', 'aws'))?.value).toEqual(cloud)
    expect((await repo().list(A, 'cloud', { limit: 10, ref: 'site_1' })).map(({ value }) => value)).toEqual([cloud])
    const view = { id: 'cld_1', site: 'site_1', drift: [], provider: [], askedAt: 1000 }
    await repo().commit(A, { changes: [{ type: 'put', kind: 'cloudView', value: view }] })
    expect((await repo().list(A, 'cloudView', { limit: 10, ref: 'site_1' })).map(({ value }) => value)).toEqual([view])
    await put(samples.cloudRun('crun_1', 'cld_1', 'running'))
    await put(samples.cloudRun('crun_2', 'cld_1', 'failed'))
    const under = async (ref: string) =>
      (await repo().list(A, 'cloudRun', { limit: 10, ref })).map(({ value }) => value.id)
    expect([await under('active'), await under('ended')]).toEqual([['crun_1'], ['crun_2']])
    await put(samples.cloudRun('crun_1', 'cld_1', 'aborting'))
    expect(await under('active')).toEqual(['crun_1'])
    await put(samples.cloudRun('crun_1', 'cld_1', 'done'))
    expect([await under('active'), await under('cld_1')]).toEqual([[], ['crun_1', 'crun_2']])
    expect(await repo().list(B, 'cloudRun', { limit: 10 })).toEqual([])
  })

  test('routing is a part of the intent, kept by version', async () => {
    const put = (value: RoutingPart, revision: number) => ({ type: 'put', kind: 'routing', value, revision }) as const
    const general = { id: 'general', general: { maxPrefixes: 10, bfd: 'off' as const } }
    const hub = { id: 'site_1', site: { site: 'site_1', number: 0, hub: true } }
    await samples.change(repo(), A, [put(general, 0), put({ ...hub, site: { site: 'site_1', number: 0 } }, 0)])
    await samples.change(repo(), A, [put(hub, 1)])
    await samples.change(repo(), A, [{ type: 'remove', kind: 'routing', id: 'general' }])
    const routing = { maxPrefixes: 10, bfd: 'off', tunnels: [] }
    expect((await repo().intentAt(A, 1))?.routing).toEqual({ ...routing, sites: [{ site: 'site_1', number: 0 }] })
    expect((await repo().intentAt(A, 2))?.routing).toEqual({ ...routing, sites: [hub.site] })
    expect(await repo().intentAt(A, 3)).not.toHaveProperty('routing')
    await expect(repo().commit(A, { changes: [put(hub, 2)] })).rejects.toThrow(RangeError)
  })
}
