import { describe, expect, test } from 'vitest'
import type { RolloutState } from '../../../protocol/control/rollout.ts'
import {
  batchSize,
  isOver,
  type RolloutRecord,
  type RolloutStep,
  stepRollout,
  stopRollout,
  waitedFor,
} from './rollout.ts'
import { rolloutRecord, START } from './testing/rollout-record.ts'
import { faultText, type Health, type SiteView, type TunnelHealth } from './watch.ts'

const TUNNEL: TunnelHealth = { tunnel: 'tun_1', passing: true }

function health(more: Partial<Health> = {}): Health {
  return { at: START, version: 2, startedAt: 0, everyMs: 10_000, refused: [], tunnels: [TUNNEL], ...more }
}

function view(name: string, more: Partial<SiteView> = {}): SiteView {
  return {
    site: `site_${name}`,
    name,
    connected: true,
    due: 2,
    health: health(),
    before: health({ version: 1 }),
    mark: health(),
    tunnels: new Map([['tun_1', 'wan']]),
    ...more,
  }
}

/** What becomes of it: the state, how many sites have the target, and the other things that a step says. */
function outcome(step: RolloutStep | undefined): string {
  if (step === undefined) return 'stays'
  const { rollout, enter, mark, restore } = step
  const flags = [mark ? 'mark' : '', restore ? 'restore' : ''].filter((flag) => flag !== '')
  return [`${rollout.state} ${rollout.counts.in}`, ...(enter.length > 0 ? [enter.join()] : []), ...flags].join(' ')
}

describe('the table of states', () => {
  const one = { counts: { sites: 3, in: 1, away: 0 } }
  const inState = (state: RolloutState, more: Partial<RolloutRecord> = {}) =>
    rolloutRecord({ state, deadline: START + 1000, ...one, ...more })
  const last = { counts: { sites: 3, in: 3, away: 0 }, step: 2 }
  const bad = view('a', { health: health({ tunnels: [{ ...TUNNEL, passing: false }] }) })
  const refusing = view('a', { health: health({ refused: ['no'] }) })
  const old = view('a', { health: health({ version: 1 }) })
  const fresh = (name: string) => view(name, { health: health({ at: START + 1000 }) })
  const mute = view('a', { health: health({ at: START - 60_000 }) })
  const gone = view('a', { connected: false, health: undefined, before: undefined })
  const away = view('a', { before: undefined })
  const quick = { watch: { canarySeconds: 0, batchSeconds: 0, lossPercent: 1 } }

  test.each<[string, RolloutRecord, SiteView[], number, string]>([
    ['planned: nobody has a part', rolloutRecord({ order: [] }), [], 0, 'done 0'],
    ['planned: all have spoken', rolloutRecord(), [view('a'), view('b')], 0, 'canary 1 site_a'],
    ['planned: one has not', rolloutRecord(), [view('a'), view('b', { health: undefined })], 0, 'stays'],
    [
      'planned: one has not, in time',
      rolloutRecord(),
      [view('a', { health: health({ at: START + 40_000 }) }), view('b', { health: undefined })],
      45_000,
      'canary 1 site_a',
    ],
    ['planned: the canary has not', rolloutRecord(), [mute], 45_000, 'failed 0 restore'],
    ['planned: the canary is gone', rolloutRecord(), [gone], 0, 'failed 0 restore'],
    ['canary: carried out', inState('canary'), [view('a')], 0, 'watching 1 mark'],
    ['canary: not watched at all', inState('canary', quick), [view('a')], 0, 'batch 2 site_b'],
    ['canary: not yet', inState('canary'), [old], 0, 'stays'],
    ['canary: never', inState('canary'), [old], 1000, 'rolling-back 1 restore'],
    ['canary: nothing passes yet', inState('canary'), [bad], 0, 'stays'],
    ['canary: nothing passes', inState('canary'), [bad], 1000, 'rolling-back 1 restore'],
    ['canary: refuses', inState('canary'), [refusing], 0, 'rolling-back 1 restore'],
    ['canary: silent', inState('canary'), [mute], 0, 'rolling-back 1 restore'],
    ['canary: its connector is revoked', inState('canary'), [gone], 0, 'watching 1 mark'],
    ['watching: all is well', inState('watching'), [view('a')], 0, 'stays'],
    ['watching: over, and nothing was said since', inState('watching'), [view('a')], 1000, 'stays'],
    ['watching: over', inState('watching'), [fresh('a')], 1000, 'batch 2 site_b'],
    ['watching: over, for the last ones', inState('watching', last), ['a', 'b', 'c'].map(fresh), 1000, 'done 3'],
    ['watching: fails', inState('watching'), [bad], 0, 'rolling-back 1 restore'],
    ['watching: one that was away', inState('watching'), [away], 1000, 'batch 2 site_b'],
    ['watching: an earlier one fails', inState('watching', last), [view('a'), bad], 0, 'rolling-back 3 restore'],
    ['batch: carried out', inState('batch', { ...last }), [view('a')], 0, 'watching 3 mark'],
    ['batch: silent', inState('batch', last), [view('b'), mute], 0, 'rolling-back 3 restore'],
    ['rolling-back: carried out', inState('rolling-back'), [view('a')], 0, 'rolled-back 1'],
    ['rolling-back: not yet', inState('rolling-back'), [old], 0, 'stays'],
    ['rolling-back: not in time', inState('rolling-back'), [old], 1000, 'rolled-back 1'],
    ['rolling-back: silent ones are waited for', inState('rolling-back'), [{ ...mute, due: 3 }], 0, 'stays'],
    ['rolling-back: an abort', inState('rolling-back', { goal: 'aborted' }), [view('a')], 0, 'aborted 1'],
    ...(['done', 'rolled-back', 'aborted', 'failed'] as const).map(
      (state) =>
        [`${state}: stays`, inState(state), [bad], 1e9, 'stays'] as [string, RolloutRecord, SiteView[], number, string],
    ),
  ])('%s', (_, rollout, sites, later, expected) => {
    expect(outcome(stepRollout({ rollout, sites, now: START + later, upSince: 0 }))).toBe(expected)
  })

  test.each(['planned', 'canary', 'batch', 'watching'] as const)('%s: somebody ends it', (state) => {
    const rollout = state === 'planned' ? rolloutRecord() : inState(state)
    const step = stopRollout(rollout, 'aborted', 'aborted by token:t', START)
    expect(outcome(step)).toBe(state === 'planned' ? 'aborted 0 restore' : 'rolling-back 1 restore')
    expect(step.rollout.reason).toBe('aborted by token:t')
  })

  test.each(['rolling-back', 'done', 'rolled-back', 'aborted', 'failed'] as const)('%s: nobody ends it', (state) => {
    expect(() => stopRollout(inState(state), 'aborted', 'x', START)).toThrow('rollout-finished')
  })
})

describe('rules of watching', () => {
  const watching = rolloutRecord({ state: 'watching', deadline: START + 60_000, counts: { sites: 3, in: 1, away: 0 } })
  const told = (is: Partial<Health>, more: Partial<SiteView> = {}) => view('a', { health: health(is), ...more })
  const tunnel = (is: Partial<TunnelHealth>) => [{ ...TUNNEL, ...is }]
  const marked = (is: Partial<TunnelHealth>) => ({ mark: health({ tunnels: tunnel(is) }) })
  const earlier = (is: Partial<TunnelHealth>) => ({ before: health({ tunnels: tunnel(is) }) })

  test.each<[string, SiteView, number, string | undefined]>([
    ['a tunnel that passed', told({ tunnels: tunnel({ passing: false }) }), 0, 'a: tunnel wan does not pass any more'],
    ['a tunnel that is not told of', told({ tunnels: [] }), 0, 'a: tunnel wan does not pass any more'],
    [
      'a tunnel that did not pass before',
      told({ tunnels: tunnel({ passing: false }) }, earlier({ passing: false })),
      0,
      undefined,
    ],
    ['a tunnel that the target has not', told({ tunnels: [] }, { tunnels: new Map() }), 0, undefined],
    [
      'a session that was there',
      told({ tunnels: tunnel({ established: false }) }, earlier({ established: true })),
      0,
      'a: tunnel wan has no BGP session any more',
    ],
    ['a session that the target has not', told({}, earlier({ established: true })), 0, undefined],
    [
      'a flap',
      told({ tunnels: tunnel({ flaps: 3 }) }, marked({ flaps: 2 })),
      0,
      'a: tunnel wan has lost its BGP session 1 times since watching began',
    ],
    ['flaps of before', told({ tunnels: tunnel({ flaps: 3 }) }, marked({ flaps: 3 })), 0, undefined],
    ['flaps of a session that is new', told({ tunnels: tunnel({ flaps: 3 }) }), 0, undefined],
    [
      'flaps after a restart',
      told({ startedAt: 9, tunnels: tunnel({ flaps: 1 }) }, marked({ flaps: 7 })),
      0,
      'a: tunnel wan has lost its BGP session 1 times since watching began',
    ],
    ['loss at once', told({ at: START + 1000, tunnels: tunnel({ loss: 0.5 }) }), 1000, undefined],
    [
      'loss after half a minute',
      told({ at: START + 30_000, tunnels: tunnel({ loss: 0.02 }) }),
      30_000,
      'a: tunnel wan loses 2 % of its packets, and 1 % is the limit',
    ],
    ['loss at the limit', told({ at: START + 30_000, tunnels: tunnel({ loss: 0.01 }) }), 30_000, undefined],
    [
      'loss that was there before',
      told({ at: START + 30_000, tunnels: tunnel({ loss: 0.05 }) }, earlier({ loss: 0.045 })),
      30_000,
      undefined,
    ],
    [
      'loss by counters',
      told({ tunnels: tunnel({ received: 190, missing: 12 }) }, marked({ received: 90, missing: 2 })),
      0,
      'a: tunnel wan loses 9.1 % of its packets, and 1 % is the limit',
    ],
    [
      'loss by counters, of too few',
      told({ tunnels: tunnel({ received: 100, missing: 12 }) }, marked({ received: 90, missing: 2 })),
      0,
      undefined,
    ],
    ['a refusal', told({ refused: ['10.0.0.0/8 is not ours'] }), 0, 'a has refused: 10.0.0.0/8 is not ours'],
    ['a refusal of before', told({ refused: ['x'] }, { before: health({ refused: ['x'] }) }), 0, undefined],
    ['silence', told({}), 30_001, 'a has been silent for 30 s, and 30 s is the limit'],
    ['silence of one that seldom speaks', told({ everyMs: 30_000 }), 60_000, undefined],
    ['an old document', told({ version: 1 }), 0, 'a carries out version 1 of its document, not 2'],
    ['a later document', told({ version: 9 }), 0, undefined],
  ])('%s', (_, site, later, reason) => {
    const step = stepRollout({ rollout: watching, sites: [site], now: START + later, upSince: 0 })
    expect(step?.rollout.reason).toBe(reason)
    if (reason === undefined) expect(step).toBeUndefined()
    else expect(step!.rollout).toMatchObject({ state: 'rolling-back', fault: { site: 'a' } })
  })

  test('what a site is waited for is told in the same words', () => {
    const rollout = { ...watching, state: 'canary' } as const
    const site = told({ version: 1 })
    expect(waitedFor({ rollout, now: START, upSince: 0 }, site)).toBe('a carries out version 1 of its document, not 2')
    expect(waitedFor({ rollout, now: START, upSince: 0 }, view('a'))).toBeUndefined()
    expect(waitedFor({ rollout: rolloutRecord(), now: START, upSince: 0 }, view('a', { health: undefined }))).toBe(
      'a has not said how it is',
    )
    expect(faultText({ site: 'a', measure: 'silent', value: 'always', limit: '30 s' })).toMatch(/^a has been silent/)
  })
})

describe('a control plane that was away itself', () => {
  const later = START + 600_000
  const one = { counts: { sites: 3, in: 1, away: 0 }, deadline: START + 1000 }
  const old = view('a', { health: health({ version: 1 }) })

  test.each<[string, RolloutRecord, SiteView[]]>([
    ['waits for those who have not said how they are', rolloutRecord(), [view('a', { health: undefined })]],
    ['blames nobody for silence', rolloutRecord({ state: 'watching', ...one, deadline: later + 1000 }), [view('a')]],
    ['gives them time to carry out what they got', rolloutRecord({ state: 'canary', ...one }), [old]],
    ['gives them time to go back', rolloutRecord({ state: 'rolling-back', ...one }), [old]],
    [
      'lets the next ones speak first',
      rolloutRecord({ state: 'watching', ...one }),
      [view('a', { health: health({ at: later }) })],
    ],
  ])('%s', (_, rollout, sites) => {
    const at = (upMs: number) => stepRollout({ rollout, sites, now: later + upMs, upSince: later })
    expect(at(0)).toBeUndefined()
    expect(at(20_000)).toBeUndefined()
    expect(at(61_000)).toBeDefined()
  })

  test('waits for one that never speaks again an hour at the most', () => {
    const rollout = rolloutRecord({ state: 'watching', ...one })
    const at = (now: number) => stepRollout({ rollout, sites: [view('a')], now, upSince: now })
    expect(at(START + 3_600_000)).toBeUndefined()
    expect(at(START + 3_602_000)?.rollout).toMatchObject({ state: 'rolling-back', fault: { measure: 'silent' } })
  })
})

test('batches double up to their limit, and the last has what is left', () => {
  const sizes = (count: number, batchPercent: number): number[] => {
    const order = Array.from({ length: count }, (_, at) => ({ site: `site_${at}`, name: `s${at}` }))
    const all: number[] = []
    for (let step = 0, done = 0; done < count; step++) {
      const size = batchSize(rolloutRecord({ order, batchPercent, step, counts: { sites: count, in: done, away: 0 } }))
      all.push(size)
      done += size
    }
    return all
  }
  expect(sizes(1, 25)).toEqual([1])
  expect(sizes(4, 25)).toEqual([1, 1, 1, 1])
  expect(sizes(20, 25)).toEqual([1, 2, 4, 5, 5, 3])
  expect(sizes(20, 100)).toEqual([1, 2, 4, 8, 5])
  expect(sizes(10_000, 1).slice(0, 9)).toEqual([1, 2, 4, 8, 16, 32, 64, 100, 100])
  expect(isOver('rolling-back')).toBe(false)
})
