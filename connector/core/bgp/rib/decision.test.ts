import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_DECISION, Decision, type DecisionOptions, type RouteView } from './decision.ts'
import { DECISION_STEPS, type DecisionStep } from './reasons.ts'

/** One that wins nothing and loses nothing against its copies, but for the address. */
interface Candidate {
  local: boolean
  localPref: number
  asPathLength: number
  origin: number
  med: number
  neighbourAs: number
  external: boolean
  igpMetric: number
  routerId: number
  clusterLength: number
  address: number
}

const BASE: Candidate = {
  local: false,
  localPref: 100,
  asPathLength: 2,
  origin: 0,
  med: 0,
  neighbourAs: 65001,
  external: true,
  igpMetric: 10,
  routerId: 1,
  clusterLength: 0,
  address: 1,
}

describe('each step of RFC 4271 section 9.1.2.2', () => {
  /** [the step, what makes the first win, what makes the second better in every later step]. */
  const cases: readonly [DecisionStep, Partial<Candidate>, Partial<Candidate>][] = [
    ['local-origin', { local: true }, { localPref: 999, asPathLength: 0 }],
    ['local-preference', { localPref: 101 }, { asPathLength: 0, routerId: 0 }],
    ['as-path-length', { asPathLength: 1 }, { med: 0, routerId: 0 }],
    ['origin', { med: 9, routerId: 9 }, { origin: 1 }],
    ['med', { routerId: 9, igpMetric: 99 }, { med: 1 }],
    ['external', { igpMetric: 99 }, { external: false, routerId: 0 }],
    ['igp-metric', { routerId: 9 }, { igpMetric: 11 }],
    ['router-id', { clusterLength: 9 }, { routerId: 2 }],
    ['cluster-list-length', { address: 9 }, { clusterLength: 1 }],
    ['peer-address', {}, { address: 2 }],
  ]

  test.each(cases)('%s', (step, first, second) => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { best, lost } = run(
        [
          { ...BASE, ...first },
          { ...BASE, ...second },
        ],
        order,
      )
      expect(best).toEqual([0])
      expect(lost).toEqual(new Map([[1, step]]))
    }
  })

  test('every step has its case', () => {
    expect(cases.map(([step]) => step)).toEqual([...DECISION_STEPS])
  })
})

describe('MED', () => {
  // Of the classic example: A and C of one AS, B of another.
  const a = { ...BASE, med: 10, igpMetric: 5, routerId: 3 }
  const b = { ...BASE, neighbourAs: 65002, med: 5, igpMetric: 7, routerId: 1 }
  const c = { ...BASE, med: 5, igpMetric: 9, routerId: 2 }

  test('between routes of one neighbouring AS only', () => {
    expect(
      run([
        { ...BASE, med: 10 },
        { ...b, igpMetric: 11 },
      ]).best,
    ).toEqual([0])
    const always = run(
      [
        { ...BASE, med: 10 },
        { ...b, igpMetric: 11 },
      ],
      undefined,
      { alwaysCompareMed: true },
    )
    expect(always.best).toEqual([1])
  })

  test('is deterministic: the order of arrival does not matter', () => {
    for (const order of permutations(3)) {
      const { best, lost } = run([a, b, c], order)
      expect(best).toEqual([1])
      expect(lost).toEqual(
        new Map([
          [0, 'med'],
          [2, 'igp-metric'],
        ]),
      )
    }
  })

  test('otherwise it does, as with old routers', () => {
    const winners = permutations(3).map((order) => run([a, b, c], order, { deterministicMed: false }).best[0])
    expect(new Set(winners).size).toBeGreaterThan(1)
  })
})

describe('multipath', () => {
  const [one, two, three] = [0, 1, 2].map((i) => ({ ...BASE, routerId: i, address: i }))

  test('takes equals up to the limit, in the order of the last steps', () => {
    expect(run([three!, one!, two!], undefined, { maxPaths: 2 })).toEqual({
      best: [1, 2],
      lost: new Map([[0, 'router-id']]),
    })
    expect(run([three!, one!, two!], undefined, { maxPaths: 8 }).best).toEqual([1, 2, 0])
  })

  test('not what is worse in any step before', () => {
    expect(run([one!, { ...two!, igpMetric: 11 }], undefined, { maxPaths: 8 }).best).toEqual([0])
  })

  test('of one neighbouring AS, unless relaxed', () => {
    const other = { ...two!, neighbourAs: 65002 }
    expect(run([one!, other], undefined, { maxPaths: 8 }).best).toEqual([0])
    expect(run([one!, other], undefined, { maxPaths: 8, multipathRelax: true }).best).toEqual([0, 1])
    expect(run([one!, other], undefined, { maxPaths: 8, deterministicMed: false, multipathRelax: true }).best).toEqual([
      0, 1,
    ])
  })
})

describe('over random candidates', () => {
  const small = (most: number) => fc.nat(most)
  const candidate = fc.record({
    local: fc.constant(false),
    localPref: small(1),
    asPathLength: small(2),
    origin: small(1),
    med: small(2),
    neighbourAs: small(2),
    external: fc.boolean(),
    igpMetric: small(2),
    routerId: small(2),
    clusterLength: small(1),
    address: small(0),
  })
  const candidates = fc
    .array(candidate, { minLength: 1, maxLength: 7 })
    .map((list) => list.map((fields, address) => ({ ...fields, address })))

  test('the same comes out as of the RFC’s text, in any order, and every loser has a reason', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 4 }), fc.nat(), (list, maxPaths, seed) => {
        const order = list
          .map((_, i) => i)
          .sort((left, right) => ((left * 7919 + seed) % 13) - ((right * 7919 + seed) % 13))
        const { best, lost } = run(list, order, { maxPaths })
        expect(best[0]).toBe(byTheText(list))
        expect(best.length + lost.size).toBe(list.length)
        expect(run(list, undefined, { maxPaths }).best).toEqual(best)
      }),
      { numRuns: 2_000 },
    )
  })
})

function run(list: readonly Candidate[], order = list.map((_, i) => i), options: Partial<DecisionOptions> = {}) {
  const get = (route: number) => list[route]!
  const view: RouteView = {
    isLocal: (route) => get(route).local,
    localPref: (route) => get(route).localPref,
    asPathLength: (route) => get(route).asPathLength,
    origin: (route) => get(route).origin,
    med: (route) => get(route).med,
    neighbourAs: (route) => get(route).neighbourAs,
    isExternal: (route) => get(route).external,
    igpMetric: (route) => get(route).igpMetric,
    routerId: (route) => get(route).routerId,
    clusterLength: (route) => get(route).clusterLength,
    peerAddress: (route) => Uint8Array.of(10, 0, 0, get(route).address),
  }
  const lost = new Map<number, DecisionStep>()
  const routes = [...order]
  const used = new Decision(view, { ...DEFAULT_DECISION, ...options }).run(routes, routes.length, (route, step) => {
    expect(lost.has(route)).toBe(false)
    lost.set(route, step)
  })
  return { best: routes.slice(0, used), lost: new Map([...lost].sort(([one], [other]) => one - other)) }
}

/** The removal steps a to g of the RFC, written down as they stand there. */
function byTheText(list: readonly Candidate[]): number {
  let left = list.map((route, index) => ({ ...route, index }))
  const least = (key: (route: Candidate) => number) => {
    const value = Math.min(...left.map(key))
    left = left.filter((route) => key(route) === value)
  }
  least((route) => -route.localPref)
  least((route) => route.asPathLength)
  least((route) => route.origin)
  left = left.filter((m) => !left.some((n) => m.neighbourAs === n.neighbourAs && n.med < m.med))
  if (left.some((route) => route.external)) left = left.filter((route) => route.external)
  least((route) => route.igpMetric)
  least((route) => route.routerId)
  least((route) => route.clusterLength)
  least((route) => route.address)
  return left[0]!.index
}

function permutations(count: number): number[][] {
  if (count === 1) return [[0]]
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => [...rest.slice(0, at), count - 1, ...rest.slice(at)]),
  )
}
