import { describe, expect, test } from 'vitest'
import { documentExternalSchema } from '../../../protocol/control/external.ts'
import { externalsOf } from './external.ts'
import { NO_VIEW, toCloud } from './state.ts'
import { applied, ModelPlane, seeded } from './testing/model-run.ts'
import type { CloudRecord } from './types.ts'

const JWE = 'e30.e30.e30.e30.e30'
const externals = (record: CloudRecord) =>
  externalsOf(record, (_, { id, fingerprint }) => ({ id, fingerprint, secret: JWE }))

describe('what the connector is told', () => {
  test('both tunnels, equal but for their addresses', () => {
    const { record } = applied()
    const [first, second] = externals(record).map((each) => documentExternalSchema.parse(each))
    expect(first).toMatchObject({
      peer: { address: '203.0.113.1' },
      identity: '198.51.100.1',
      ike: ['aes256gcm16-prfsha384-ecp384'],
      routing: { kind: 'bgp', localAs: 65_000, peerAs: 64_512, advertise: ['10.1.0.0/16'], accept: ['172.31.0.0/16'] },
      group: record.id,
      drained: false,
      generation: 0,
    })
    const { id: _, name: __, peer: ___, inside: ____, keys: _____, ...rest } = first!
    expect(second).toMatchObject(rest)
    expect(second!.peer).not.toEqual(first!.peer)
  })

  test('static routes where these were asked for', () => {
    const { record } = applied(7, { routing: 'static' })
    expect(externals(record)[0]!.routing).toEqual({ kind: 'static', prefixes: ['172.31.0.0/16'] })
  })

  test('nothing before AWS has said where, or while a key is not sealed', () => {
    expect(externals(new ModelPlane(seeded(7)).record)).toEqual([])
    expect(externalsOf(applied().record, () => undefined)).toEqual([])
  })

  test('while a key is changed, both; the drained one is marked', () => {
    const plane = applied()
    plane.begin('rotate')
    while (plane.run.steps.at(-1)?.action !== 'make-key') plane.turn()
    const [first, second] = externals(plane.record)
    expect(first).toMatchObject({ drained: true, keys: [{ id: 'k1' }, { id: 'k2' }] })
    expect(second).toMatchObject({ drained: false, keys: [{ id: 'k1' }] })
  })
})

describe('the state of a connection in a word', () => {
  const plane = applied()
  const { record } = plane
  const { externals: both } = plane.sight()
  const down = both.map((each, index) => (index === 0 ? { ...each, passing: false } : each))
  const none = both.map((each) => ({ ...each, bgp: { ...each.bgp!, established: false } }))
  const fresh = new ModelPlane(seeded(7)).record
  const run = (kind: 'apply' | 'rotate' | 'fix' | 'destroy') => ({ kind })

  test.each([
    ['new', fresh, [], undefined],
    ['applying', fresh, [], run('apply')],
    ['applying', { ...record, tunnels: fresh.tunnels }, [], undefined],
    ['up', record, both, undefined],
    ['up', record, both, run('fix')],
    ['degraded', record, down, undefined],
    ['down', record, none, undefined],
    ['down', record, [], undefined],
    ['applying', record, down, run('apply')],
    ['rotating', record, both, run('rotate')],
    ['destroying', { ...record, destroying: true }, both, run('destroy')],
  ] as const)('%s', (state, record, externals, run) => {
    expect(toCloud(record, NO_VIEW, { externals }, run).state).toBe(state)
  })

  test('both tunnels as each end tells of them, and no key', () => {
    const provider = [{ status: 'UP' as const }, undefined]
    const shown = toCloud(record, { drift: [], provider, lookedAt: 5 }, { externals: both }, undefined)
    expect(shown).toMatchObject({ lookedAt: 5, tunnels: [{ provider: { status: 'UP' } }, { name: 'aws-2' }] })
    expect(shown.tunnels[1]).not.toHaveProperty('provider')
    expect(shown.tunnels[0]!.connector).toEqual({ state: 'up', passing: true, bgp: true })
    expect(JSON.stringify(shown)).not.toContain([...plane.secrets.values()][0])
    expect(shown).not.toHaveProperty('resolved')
  })
})
