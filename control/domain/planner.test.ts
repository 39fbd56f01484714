import { describe, expect, test } from 'vitest'
import { type Policy, ROTATION_STATES, type RotationState } from '../../protocol/control/rotation.ts'
import {
  type Candidate,
  countsOf,
  mayBeDue,
  movedCounts,
  nextOfRun,
  planManual,
  planPolicy,
  policyFaults,
  type RunProgress,
} from './planner.ts'
import { cronFault, isOpen, lastTime, nextTime, opensAt } from './schedule.ts'

const HOUR = 3_600_000
const at = (text: string) => Date.parse(`2026-${text}:00Z`)
const NOW = at('06-10T12:00')

const policy = (changes: Partial<Policy> = {}): Policy => ({
  id: 'pol_1',
  name: 'monthly',
  tunnels: [],
  canary: true,
  maxConcurrent: 10,
  stopOnFailure: true,
  windows: [],
  enabled: true,
  createdAt: at('01-01T00:00'),
  ...changes,
})

const candidate = (n: number, changes: Partial<Candidate> = {}): Candidate => ({
  tunnel: `tun_${n}`,
  name: `t${n}`,
  current: 1,
  currentSince: NOW - n * HOUR,
  connected: true,
  rotating: false,
  up: true,
  ...changes,
})

describe('points in time', () => {
  test('the instant of a cron expression counts as come', () => {
    expect(lastTime('0 3 * * *', at('06-10T03:00'))).toBe(at('06-10T03:00'))
    expect(lastTime('0 3 * * *', at('06-10T03:00') - 1)).toBe(at('06-09T03:00'))
    expect(nextTime('0 3 * * *', at('06-10T03:00'))).toBe(at('06-11T03:00'))
  })

  test('faults of cron expressions', () => {
    expect(cronFault('0 3 * * 0', NOW)).toBeUndefined()
    for (const bad of ['', 'x', '60 * * * *', '* * * * * *']) expect(cronFault(bad, NOW)).toContain('not a cron')
    expect(cronFault('0 0 30 2 *', NOW)).toContain('no time that ever comes')
  })

  test('a window is open from its beginning up to its end, and the next one is known', () => {
    const windows = [
      { cron: '0 2 * * *', minutes: 60 },
      { cron: '0 22 * * *', minutes: 120 },
    ]
    expect([1, 2, 3].map((hour) => isOpen(windows, at(`06-10T0${hour}:00`)))).toEqual([false, true, false])
    expect(isOpen(windows, at('06-10T23:59'))).toBe(true)
    expect(opensAt(windows, at('06-10T12:00'))).toBe(at('06-10T22:00'))
    expect(opensAt(windows, at('06-10T22:30'))).toBe(at('06-10T22:30'))
    expect(isOpen([], NOW)).toBe(true)
  })
})

describe('what is rotated', () => {
  test('a person gets all, or what was asked for, and hears what is left out', () => {
    const candidates = [
      candidate(1),
      candidate(2, { connected: false }),
      candidate(3, { rotating: true }),
      candidate(4, { current: 0 }),
      candidate(5),
    ]
    const plan = planManual(candidates)
    expect(plan.rotations.map(({ tunnel }) => tunnel)).toEqual(['tun_5', 'tun_1'])
    expect(plan.skipped.map(({ tunnel, why }) => [tunnel, why])).toEqual([
      ['tun_2', 'a site has no connector'],
      ['tun_3', 'a rotation is queued or under way'],
      ['tun_4', 'it has no key yet; the first one is made without a run'],
    ])
    expect(planManual(candidates, ['tun_1']).rotations).toEqual([
      { tunnel: 'tun_1', name: 't1', from: 1, why: 'asked for' },
    ])
  })

  test('a tunnel that is down is no canary', () => {
    const plan = planManual([candidate(9, { up: false }), candidate(2), candidate(3)])
    expect(plan.rotations.map(({ name }) => name)).toEqual(['t3', 't2', 't9'])
  })

  test('by age: those whose key is too old, and says so', () => {
    const plan = planPolicy(
      policy({ maxAgeHours: 48 }),
      [47, 48, 100].map((n) => candidate(n)),
      false,
      NOW,
    )
    expect(plan?.rotations.map(({ name, why }) => [name, why])).toEqual([
      ['t100', 'its key is 100 h old, and 48 h is the limit'],
      ['t48', 'its key is 48 h old, and 48 h is the limit'],
    ])
    expect(planPolicy(policy({ maxAgeHours: 48 }), [candidate(47)], false, NOW)).toBeUndefined()
  })

  test('by cron: everything once for each time, also when it was missed, none from before the policy', () => {
    const weekly = policy({ cron: '0 3 * * 0' })
    const candidates = [candidate(1), candidate(2)]
    const sunday = at('06-07T03:00')
    const due = (changes: Partial<Policy>, now = NOW) => planPolicy({ ...weekly, ...changes }, candidates, false, now)
    expect(due({})?.rotations[0]?.why).toBe('due at 2026-06-07T03:00:00.000Z by 0 3 * * 0')
    expect(due({ lastRunAt: sunday })).toBeUndefined()
    expect(due({ lastRunAt: sunday - 1 }, sunday)).toBeDefined()
    expect(due({ lastRunAt: sunday - 1 }, sunday - 1)).toBeUndefined()
    expect(due({ createdAt: sunday + 1 })).toBeUndefined()
  })

  test('only the tunnels of the policy, not while it runs, not when it is disabled, not outside its windows', () => {
    const all = [candidate(100), candidate(200)]
    const aged = policy({ maxAgeHours: 1 })
    expect(planPolicy({ ...aged, tunnels: ['tun_200'] }, all, false, NOW)?.rotations).toHaveLength(1)
    expect(planPolicy(aged, all, true, NOW)).toBeUndefined()
    expect(planPolicy({ ...aged, enabled: false }, all, false, NOW)).toBeUndefined()
    expect(planPolicy({ ...aged, windows: [{ cron: '0 2 * * *', minutes: 60 }] }, all, false, NOW)).toBeUndefined()
    expect(mayBeDue(aged, false, NOW)).toBe(true)
  })

  test('what failed by age is not tried again at once', () => {
    const aged = policy({ maxAgeHours: 48, lastRunAt: NOW - HOUR + 1 })
    expect(planPolicy(aged, [candidate(100)], false, NOW)).toBeUndefined()
    expect(planPolicy(aged, [candidate(100)], false, NOW + 1)).toBeDefined()
  })

  test('a policy that cannot work is told why', () => {
    const draft = {
      ...policy(),
      cron: 'never',
      windows: [
        { cron: '0 2 * * *', minutes: 1 },
        { cron: '9', minutes: 1 },
      ],
    }
    expect(policyFaults(draft, NOW).map(({ pointer }) => pointer)).toEqual(['/cron', '/windows/1/cron'])
    expect(policyFaults(policy(), NOW).map(({ detail }) => detail)[0]).toContain('never rotate')
    expect(policyFaults(policy({ maxAgeHours: 1 }), NOW)).toEqual([])
  })
})

describe('how a run goes on', () => {
  const run = (
    queued: number,
    active: number,
    done: number,
    aborted: number,
    more: Partial<RunProgress> = {},
  ): RunProgress => ({
    canary: true,
    maxConcurrent: 3,
    stopOnFailure: true,
    counts: { queued, active, done, aborted },
    ...more,
  })
  const next = (progress: RunProgress) => nextOfRun(progress, [], NOW)

  test('the canary goes alone, then as many at once as are allowed', () => {
    expect(next(run(5, 0, 0, 0))).toEqual({ type: 'begin', count: 1 })
    expect(next(run(4, 1, 0, 0))).toEqual({ type: 'wait', why: 'the canary is under way' })
    expect(next(run(4, 0, 1, 0))).toEqual({ type: 'begin', count: 3 })
    expect(next(run(2, 2, 1, 0))).toEqual({ type: 'begin', count: 1 })
    expect(next(run(1, 3, 1, 0))).toEqual({ type: 'wait', why: '3 under way' })
    expect(next(run(0, 2, 3, 0))).toEqual({ type: 'wait', why: '2 under way' })
    expect(next(run(0, 0, 5, 0))).toEqual({ type: 'finish', state: 'done' })
    expect(next(run(5, 0, 0, 0, { canary: false }))).toEqual({ type: 'begin', count: 3 })
    expect(next(run(0, 0, 0, 0))).toEqual({ type: 'finish', state: 'done' })
  })

  test('stops on failure; a canary that fails stops it in any case', () => {
    const stopped = (reason: string) => ({ type: 'finish', state: 'stopped', reason })
    expect(next(run(4, 0, 0, 1))).toEqual(stopped('the canary failed; 4 were not begun'))
    expect(next(run(4, 0, 0, 1, { stopOnFailure: false }))).toEqual(stopped('the canary failed; 4 were not begun'))
    expect(next(run(2, 2, 1, 1))).toEqual(stopped('1 failed; 2 were not begun'))
    expect(next(run(2, 2, 1, 1, { stopOnFailure: false }))).toEqual({ type: 'begin', count: 1 })
    expect(next(run(0, 0, 3, 2, { stopOnFailure: false }))).toEqual({
      type: 'finish',
      state: 'done',
      reason: '2 failed',
    })
    expect(next(run(0, 1, 3, 1))).toEqual({ type: 'wait', why: '1 under way' })
  })

  test('begins nothing outside the windows, and says until when', () => {
    const windows = [{ cron: '0 2 * * *', minutes: 60 }]
    expect(nextOfRun(run(4, 0, 1, 0), windows, NOW)).toMatchObject({ type: 'wait', until: at('06-11T02:00') })
    expect(nextOfRun(run(4, 0, 1, 0), windows, at('06-11T02:30'))).toEqual({ type: 'begin', count: 3 })
    // What is under way ends at any time.
    expect(nextOfRun(run(0, 0, 5, 0), windows, NOW)).toEqual({ type: 'finish', state: 'done' })
  })

  test('ten thousand tunnels are planned and run without looking at all of them at each step', () => {
    const candidates = Array.from({ length: 10_000 }, (_, n) => candidate(n))
    const plan = planManual(candidates)
    expect(plan.rotations).toHaveLength(10_000)
    const states = plan.rotations.map((): RotationState => 'queued')
    let counts = countsOf(states)
    let most = 0
    const active: number[] = []
    let begun = 0
    let steps = 0
    for (let decision = next(run(0, 0, 0, 0)); ; steps++) {
      decision = nextOfRun({ canary: true, maxConcurrent: 100, stopOnFailure: true, counts }, [], NOW)
      if (decision.type === 'finish') break
      if (decision.type === 'begin') {
        for (let i = 0; i < decision.count; i++) {
          counts = movedCounts(counts, 'queued', 'preparing')
          active.push(begun++)
        }
        most = Math.max(most, counts.active)
      } else {
        states[active.shift()!] = 'done'
        counts = movedCounts(counts, 'retiring', 'done')
      }
    }
    expect(counts).toEqual({ queued: 0, active: 0, done: 10_000, aborted: 0 })
    expect(countsOf(states)).toEqual(counts)
    expect(most).toBe(100)
    expect(steps).toBeLessThan(20_001)
  })
})

test('counts: moving agrees with counting again, from every state to every other', () => {
  for (const from of ROTATION_STATES) {
    for (const to of ROTATION_STATES) {
      expect(movedCounts(countsOf([from, 'queued', 'done']), from, to)).toEqual(countsOf([to, 'queued', 'done']))
    }
  }
})
