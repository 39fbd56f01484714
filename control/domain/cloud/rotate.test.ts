import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applied, type ModelPlane } from './testing/model-run.ts'

const EACH = ['drain', 'make-key', 'modify-tunnel', 'use-key', 'forget-key', 'drain']

/** Both ends have one key for each tunnel, and it is the same; nothing was cut. */
function expectWhole(plane: ModelPlane): void {
  const { tunnels } = plane.record
  expect(tunnels.map(({ keys }) => keys.map(({ id }) => id))).toEqual(plane.keysAtAws().map((id) => [id]))
  expect(tunnels.map(({ drained }) => drained)).toEqual([false, false])
  expect({ cut: plane.cut, bothDown: plane.bothDown }).toEqual({ cut: 0, bothDown: 0 })
}

/** Until the run has begun so many steps. */
function until(plane: ModelPlane, steps: number): void {
  while (plane.run.steps.length < steps && plane.run.state === 'running') plane.turn()
}

describe('a rotation', () => {
  test('changes one tunnel after the other, each idle before and working after', () => {
    const plane = applied()
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.run.steps.map(({ action }) => action)).toEqual([...EACH, ...EACH])
    expect(plane.record.tunnels.map(({ keys }) => keys[0]!.id)).toEqual(['k2', 'k2'])
    expectWhole(plane)
  })

  test('asks AWS once for each tunnel, however late that is shown', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const plane = applied(seed)
      plane.aws.lagMs = 50_000
      plane.aws.calls = []
      plane.begin('rotate')
      expect(plane.finish()).toMatchObject({ state: 'done' })
      expect(plane.aws.calls).toEqual(['modify-tunnel', 'modify-tunnel'])
      expectWhole(plane)
    }
  })

  test('goes by what works where AWS does not show its keys', () => {
    const plane = applied()
    plane.aws.hidesKeys = true
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expectWhole(plane)
  })

  test('gives what a new tunnel has and a changed one has not, each time', () => {
    const plane = applied()
    plane.begin('rotate')
    plane.finish()
    expect(plane.aws.connections[0]!.tunnels.map(({ options }) => options)).toMatchObject([
      { dpdS: 30, dpdAction: 'restart', startup: 'start' },
      { dpdS: 30, dpdAction: 'restart', startup: 'start' },
    ])
  })
})

describe('a rotation does not begin', () => {
  test('while one tunnel is down', () => {
    const plane = applied()
    plane.secrets.set(`${plane.record.tunnels[1]!.external}/k1`, 'somethingelse')
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'not-whole' } })
    expect(plane.run.steps).toEqual([])
  })

  test('with a connector that does not report', () => {
    const plane = applied()
    plane.silent = true
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'not-whole' } })
    expect(plane.aws.calls).not.toContain('modify-tunnel')
  })

  test('before there is anything', () => {
    const plane = applied()
    plane.record = { ...plane.record, tunnels: plane.record.tunnels.map((each) => ({ ...each, keys: [] })) }
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'not-applied' } })
  })

  test('with static routing, where packets would be lost, unless that is accepted', () => {
    const plane = applied(7, { routing: 'static' })
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'static-routing' } })
    plane.begin('rotate', { acceptLoss: true })
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expectWhole(plane)
  })
})

describe('a rotation that cannot go on', () => {
  test('leaves everything as it was when AWS refuses the key', () => {
    const plane = applied()
    plane.begin('rotate')
    while (!plane.run.steps.some(({ action }) => action === 'make-key')) plane.turn()
    plane.aws.chances = { unknown: 0, later: 0, refused: 'forbidden' }
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'cloud-forbidden' } })
    expect(plane.record.tunnels.map(({ keys }) => keys[0]!.id)).toEqual(['k1', 'k1'])
    expectWhole(plane)
  })

  test('gives up when packets still come through the drained tunnel', () => {
    const plane = applied()
    plane.neverIdle = true
    plane.begin('rotate')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'not-idle' } })
    expect(plane.aws.calls).not.toContain('modify-tunnel')
    expectWhole(plane)
  })

  test('gives up when the other tunnel goes down before AWS is asked', () => {
    const plane = applied()
    plane.begin('rotate')
    until(plane, 2)
    plane.secrets.set(`${plane.record.tunnels[1]!.external}/k1`, 'somethingelse')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'other-down' } })
    expect(plane.aws.calls).not.toContain('modify-tunnel')
    expect(plane.record.tunnels.map(({ keys, drained }) => [keys.length, drained])).toEqual([
      [1, false],
      [1, false],
    ])
  })

  test('takes the old key back when the new one does not work', () => {
    const plane = applied()
    plane.begin('rotate')
    until(plane, 3)
    const name = `${plane.record.tunnels[0]!.external}/k2`
    const right = plane.secrets.get(name)!
    // The connector has been told another one than AWS.
    plane.connectorHas.set(name, 'somethingelse')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'tunnel-down' } })
    expect(plane.secrets.get(name)).toBe(right)
    expect(plane.record.tunnels.map(({ keys }) => keys[0]!.id)).toEqual(['k1', 'k1'])
    expectWhole(plane)
  })

  test('keeps what AWS has when it does not take the old key back', () => {
    const plane = applied()
    plane.begin('rotate')
    until(plane, 3)
    plane.connectorHas.set(`${plane.record.tunnels[0]!.external}/k2`, 'somethingelse')
    while (!plane.run.steps.some(({ action }) => action === 'use-key')) plane.turn()
    plane.aws.chances = { unknown: 0, later: 0, refused: 'quota' }
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'tunnel-down' } })
    expect(plane.record.tunnels.map(({ keys }) => keys.map(({ id }) => id))).toEqual([['k2'], ['k1']])
    expect(plane.keysAtAws()).toEqual(['k2', 'k1'])
  })

  test('aborted at any step, both tunnels end with a key that works', () => {
    for (let at = 0; at <= 2 * EACH.length; at++) {
      const plane = applied(at + 1)
      plane.begin('rotate')
      until(plane, at)
      const ends = plane.run.state === 'done' ? 'done' : 'aborted'
      if (ends === 'aborted') plane.run = { ...plane.run, state: 'aborting' }
      expect(plane.finish()).toMatchObject({ state: ends })
      expectWhole(plane)
    }
  })
})

test('whatever happens while it rotates, no key is lost and nothing is cut', () => {
  const refusals = fc.constantFrom('forbidden', 'quota', 'invalid', 'gone', undefined)
  const events = fc.record({
    abortAt: fc.nat(400),
    refuseAt: fc.nat(400),
    refused: refusals,
    seed: fc.integer({ min: 1 }),
    hides: fc.boolean(),
  })
  fc.assert(
    fc.property(events, ({ abortAt, refuseAt, refused, seed, hides }) => {
      const plane = applied(seed)
      plane.aws.hidesKeys = hides
      plane.aws.chances = { unknown: 0.2, later: 0.2 }
      plane.begin('rotate')
      for (let turn = 0; turn < 20_000 && ['running', 'aborting'].includes(plane.run.state); turn++) {
        if (turn === abortAt) plane.run = { ...plane.run, state: 'aborting' }
        const isRefused = turn >= refuseAt && turn < refuseAt + 200
        plane.aws.chances = { unknown: 0.2, later: 0.2, ...(isRefused && refused ? { refused } : {}) }
        plane.turn(0.1)
      }
      expect(plane.run.state).toMatch(/^(done|failed|aborted)$/)
      expectWhole(plane)
    }),
    { numRuns: 60 },
  )
})

test('a run that ended in the middle, with two keys and a drained tunnel, is tidied up by the next one', () => {
  for (const kind of ['apply', 'fix', 'rotate'] as const) {
    for (let at = 1; at < 2 * EACH.length; at++) {
      const plane = applied(at)
      plane.begin('rotate')
      until(plane, at)
      plane.begin(kind)
      expect(plane.finish()).toMatchObject({ state: 'done' })
      expectWhole(plane)
    }
  }
})
