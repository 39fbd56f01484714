import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { priceSchema } from '../../../protocol/control/cloud.ts'
import { planOf } from './plan.ts'
import { applied, CLOUD, FACTS, ModelPlane, runOf, seeded } from './testing/model-run.ts'

const PRICES = priceSchema.parse({})

const plan = (plane: ModelPlane) => {
  const { record, now } = plane
  const situation = {
    record,
    run: runOf('apply', now),
    seen: plane.aws.look(now),
    sight: plane.sight(),
    facts: FACTS,
    now,
  }
  return planOf(situation, PRICES)
}

describe('apply', () => {
  test('makes everything in order, and both tunnels carry packets', () => {
    const plane = new ModelPlane(seeded(7))
    const planned = plan(plane).steps.map(({ action }) => action)
    expect(plane.finish()).toMatchObject({ state: 'done', progress: 1 })
    expect(plane.aws.calls).toEqual(planned)
    expect(planned).toEqual([
      'create-customer-gateway',
      'create-vpn-gateway',
      'attach-vpn-gateway',
      'create-vpn-connection',
      'enable-propagation',
      'enable-propagation',
    ])
    expect(plane.sight().externals).toMatchObject([{ passing: true }, { passing: true }])
    expect(plane.record.resources.every(({ made }) => made)).toBe(true)
  })

  test('twice changes nothing', () => {
    const plane = applied()
    expect(plan(plane)).toMatchObject({ steps: [], drift: [] })
    const calls = plane.aws.calls.length
    plane.begin('apply')
    expect(plane.finish()).toMatchObject({ state: 'done', steps: [] })
    expect(plane.aws.calls).toHaveLength(calls)
  })

  test('uses a customer gateway that is there, and leaves it there', () => {
    const plane = new ModelPlane(seeded(7))
    plane.aws.customerGateways.push({ id: 'cgw-1', visibleAt: 0, address: '198.51.100.1', as: 65_000, tags: {} })
    plane.finish()
    expect(plane.record.resources).toContainEqual({ kind: 'customer-gateway', id: 'cgw-1', made: false })
    plane.begin('destroy')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.aws.customerGateways[0]!.deletedAt).toBeUndefined()
  })

  test.each(['forbidden', 'credentials', 'quota', 'invalid'] as const)('ends with the reason: %s', (refused) => {
    const plane = new ModelPlane(seeded(7))
    plane.aws.chances = { unknown: 0, later: 0, refused }
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: `cloud-${refused}`, remedy: 'Nothing.' } })
    plane.aws.chances = { unknown: 0, later: 0 }
    plane.begin('apply')
    expect(plane.finish()).toMatchObject({ state: 'done' })
  })

  test('says what it lacks before it calls anybody', () => {
    const plane = new ModelPlane(seeded(7))
    plane.facts = { ...FACTS, endpoint: undefined } as unknown as typeof FACTS
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'no-address' } })
    expect(plane.aws.calls).toEqual([])
  })
})

describe('whatever happens, it ends with one of each, and destroy leaves nothing', () => {
  test('answers lost, throttled, late, and the runner killed anywhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), (seed) => {
        const plane = new ModelPlane(seeded(seed))
        plane.aws.chances = { unknown: 0.15, later: 0.15 }
        expect(plane.finish(0.15)).toMatchObject({ state: 'done' })
        expect(plane.aws.connections).toHaveLength(1)
        expect(plane.aws.vpnGateways).toHaveLength(1)
        plane.begin('rotate')
        const keys = plane.record.tunnels.map(({ keys: [key] }) => key!.fingerprint)
        expect(plane.finish(0.15)).toMatchObject({ state: 'done' })
        expect(plane.bothDown).toBe(0)
        for (const [index, { keys: now, drained }] of plane.record.tunnels.entries()) {
          expect(now).toHaveLength(1)
          expect(now[0]!.fingerprint).not.toBe(keys[index])
          expect(drained).toBe(false)
        }
        plane.begin('destroy')
        expect(plane.finish(0.15)).toMatchObject({ state: 'done' })
        expect(plane.aws.leftovers(CLOUD)).toEqual([])
        expect(plane.record.resources).toEqual([])
      }),
      { numRuns: 40 },
    )
  })
})

test('an apply that is refused or aborted anywhere leaves nothing that is not listed, and the next one goes on', () => {
  const refusals = fc.constantFrom('forbidden', 'quota', 'gone', undefined)
  const events = fc.record({ at: fc.nat(60), refused: refusals, seed: fc.integer({ min: 1 }) })
  fc.assert(
    fc.property(events, ({ at, refused, seed }) => {
      const plane = new ModelPlane(seeded(seed))
      for (let turn = 0; turn < 20_000 && ['running', 'aborting'].includes(plane.run.state); turn++) {
        const ends = turn >= at
        plane.aws.chances = { unknown: 0.2, later: 0.1, ...(ends && refused !== undefined ? { refused } : {}) }
        if (ends && refused === undefined && plane.run.state === 'running')
          plane.run = { ...plane.run, state: 'aborting' }
        plane.turn(0.1)
      }
      expect(plane.run.state).toMatch(/^(done|failed|aborted)$/)
      const listed = plane.record.resources.map(({ id }) => id)
      const all = [...plane.aws.customerGateways, ...plane.aws.vpnGateways, ...plane.aws.connections]
      expect(all.filter(({ id }) => !listed.includes(id))).toEqual([])
      plane.aws.chances = { unknown: 0, later: 0 }
      plane.begin('apply')
      expect(plane.finish()).toMatchObject({ state: 'done' })
      expect([plane.aws.vpnGateways.length, plane.aws.connections.length]).toEqual([1, 1])
    }),
    { numRuns: 40 },
  )
})
