import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { priceSchema } from '../../../protocol/control/cloud.ts'
import { driftOf } from './drift.ts'
import { planOf } from './plan.ts'
import { CLOUD, FACTS, ModelPlane, recordOf, runOf } from './testing/model-run.ts'

const PRICES = priceSchema.parse({})

function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

function applied(random = seeded(7), draft: object = {}): ModelPlane {
  const plane = new ModelPlane(random, recordOf(draft))
  expect(plane.finish()).toMatchObject({ state: 'done' })
  return plane
}

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
      { numRuns: 60 },
    )
  })
})

describe('rotate', () => {
  test('changes one tunnel after the other, each idle before and working after', () => {
    const plane = applied()
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    const each = ['drain', 'make-key', 'modify-tunnel', 'use-key', 'forget-key', 'drain']
    expect(plane.run.steps.map(({ action }) => action)).toEqual([...each, ...each])
    expect(plane.bothDown).toBe(0)
  })

  test('does not begin while one tunnel is down', () => {
    const plane = applied()
    plane.secrets.set(`${plane.record.tunnels[1]!.external}/k1`, 'somethingelse')
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'not-whole' } })
    expect(plane.run.steps).toEqual([])
  })

  test('with static routing packets would be lost: only where that is accepted', () => {
    const plane = applied(seeded(7), { routing: 'static' })
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'static-routing' } })
    plane.begin('rotate', { acceptLoss: true })
    expect(plane.finish()).toMatchObject({ state: 'done' })
  })

  test('goes back when AWS refuses the key, and everything is as it was', () => {
    const plane = applied()
    const before = plane.record
    plane.begin('rotate')
    while (!plane.run.steps.some(({ action }) => action === 'make-key')) plane.turn()
    plane.aws.chances = { unknown: 0, later: 0, refused: 'forbidden' }
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'cloud-forbidden' } })
    expect(plane.record.tunnels).toEqual(
      before.tunnels.map((tunnel, index) => ({ ...tunnel, lastKey: index === 0 ? 2 : 1 })),
    )
  })

  test('aborted at any step, both tunnels end with a key that works', () => {
    const whole = applied()
    whole.begin('rotate')
    whole.finish()
    for (let at = 0; at <= whole.run.steps.length; at++) {
      const plane = applied()
      plane.begin('rotate')
      while (plane.run.steps.length < at && plane.run.state === 'running') plane.turn()
      plane.run = { ...plane.run, state: plane.run.state === 'running' ? 'aborting' : plane.run.state }
      plane.finish()
      for (let pause = 0; pause < 500; pause++) {
        plane.now += 1000
        plane.sight()
      }
      plane.begin('apply')
      expect(plane.finish()).toMatchObject({ state: 'done' })
      expect(plane.record.tunnels.map(({ keys, drained }) => [keys.length, drained])).toEqual([
        [1, false],
        [1, false],
      ])
      expect(plane.bothDown).toBe(0)
    }
  })
})

describe('drift', () => {
  test('what somebody changed, removed or took away is told, and fixed', () => {
    const plane = applied()
    const [connection] = plane.aws.connections
    Object.assign(connection!.tunnels[0]!.options, { startup: 'add', groups: [14] })
    connection!.tunnels[1]!.psk = 'somebodyelses'
    plane.aws.tables[1]!.propagating.clear()
    Object.assign(connection!, { tags: {} })
    const found = driftOf(plane.record, plane.aws.look(plane.now))
    expect(found.map(({ code }) => code)).toEqual([
      'tag-missing',
      'option-changed',
      'option-changed',
      'option-changed',
      'propagation-missing',
    ])
    expect(found.every(({ fixable }) => fixable)).toBe(true)
  })

  test('an option is given back with the tunnel drained', () => {
    const plane = applied()
    Object.assign(plane.aws.connections[0]!.tunnels[0]!.options, { startup: 'add' })
    plane.begin('fix')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.run.steps.map(({ action }) => action)).toEqual(['drain', 'modify-tunnel', 'drain'])
    expect(driftOf(plane.record, plane.aws.look(plane.now))).toEqual([])
  })

  test('a connection that somebody deleted is made anew', () => {
    const plane = applied()
    plane.aws.connections[0]!.deletedAt = plane.now
    expect(driftOf(plane.record, plane.aws.look(plane.now)).map(({ code }) => code)).toEqual(['missing'])
    plane.begin('fix')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.aws.living(plane.now)).toHaveLength(1)
  })
})

describe('a plan', () => {
  test('finds what overlaps', () => {
    const plane = new ModelPlane(seeded(7))
    plane.facts = { ...FACTS, sitePrefixes: ['172.31.4.0/24'] }
    const situation = {
      record: plane.record,
      run: runOf('apply', 0),
      seen: plane.aws.look(plane.now),
      sight: plane.sight(),
      facts: plane.facts,
      now: plane.now,
    }
    expect(planOf(situation, PRICES).findings.map(({ code }) => code)).toEqual(['overlap', 'overlap'])
  })

  test('reckons what it costs', () => {
    expect(plan(new ModelPlane(seeded(7))).cost).toMatchObject({ perMonth: 45.5 })
  })
})
