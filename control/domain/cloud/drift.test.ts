import { describe, expect, test } from 'vitest'
import { DRIFT_CODES } from '../../../protocol/control/cloud.ts'
import { driftOf } from './drift.ts'
import { applied, FACTS, type ModelPlane } from './testing/model-run.ts'

const seen = (plane: ModelPlane) => plane.aws.look(plane.now)
const drift = (plane: ModelPlane) => driftOf(plane.record, seen(plane), plane.facts)

function fixed(plane: ModelPlane): ModelPlane {
  // Somebody else may have cut both.
  const isThere = plane.aws.living(plane.now).length > 0
  plane.begin('fix')
  expect(plane.finish()).toMatchObject({ state: 'done' })
  expect(drift(plane)).toEqual([])
  expect(plane.cut).toBe(0)
  if (isThere) expect(plane.bothDown).toBe(0)
  return plane
}

type Case = readonly [code: string, fixable: boolean, words: RegExp, change: (plane: ModelPlane) => unknown]
const CASES: readonly Case[] = [
  [
    'missing',
    true,
    /VPN connection vpn-\S+ is not there/,
    ({ aws, now }) => Object.assign(aws.connections[0]!, { deletedAt: now }),
  ],
  ['missing', true, /customer gateway cgw-\S+ is not there/, ({ aws }) => aws.customerGateways.pop()],
  ['missing', true, /is not attached to vpc-/, ({ aws }) => delete aws.vpnGateways[0]!.vpc],
  [
    'option-changed',
    true,
    /aws-1: the startup action is add, not start/,
    ({ aws }) => Object.assign(aws.connections[0]!.tunnels[0]!.options, { startup: 'add' }),
  ],
  [
    'option-changed',
    true,
    /aws-2: the Diffie-Hellman groups is 14, 2, not 20/,
    ({ aws }) => Object.assign(aws.connections[0]!.tunnels[1]!.options, { groups: [2, 14] }),
  ],
  [
    'option-changed',
    true,
    /aws-2: AWS has another pre-shared key/,
    ({ aws }) => Object.assign(aws.connections[0]!.tunnels[1]!, { psk: 'somebodyelses' }),
  ],
  [
    'option-changed',
    false,
    /aws-1: the inside CIDR is 169.254.99.0\/30/,
    ({ aws }) => Object.assign(aws.connections[0]!.tunnels[0]!, { insideCidr: '169.254.99.0/30' }),
  ],
  ['propagation-missing', true, /does not learn the routes/, ({ aws }) => aws.tables[1]!.propagating.clear()],
  ['tag-missing', true, /vpn-\S+ has lost the tags/, ({ aws }) => Object.assign(aws.connections[0]!, { tags: {} })],
  ['tag-missing', true, /vgw-\S+ has lost the tags/, ({ aws }) => Object.assign(aws.vpnGateways[0]!, { tags: {} })],
  [
    'endpoint-moved',
    true,
    /moved aws-1 from 203.0.113.1 to 203.0.113.77/,
    ({ aws }) => Object.assign(aws.connections[0]!.tunnels[0]!, { outside: '203.0.113.77' }),
  ],
  [
    'address-differs',
    false,
    /at 198.51.100.9 now; AWS has 198.51.100.1/,
    (plane) => Object.assign(plane, { facts: { ...FACTS, endpoint: '198.51.100.9' } }),
  ],
  [
    'unknown-resource',
    false,
    /vgw-9 has the tag/,
    ({ aws }) => aws.vpnGateways.push({ ...aws.vpnGateways[0]!, id: 'vgw-9', vpc: 'vpc-9' }),
  ],
  ['vpc-changed', true, /has 172.31.0.0\/16, 100.64.0.0\/16 now/, ({ aws }) => aws.vpc.blocks.push('100.64.0.0/16')],
]

describe('drift', () => {
  test('there is none of what was just built', () => expect(drift(applied())).toEqual([]))

  test.each(CASES)('%s, fixable: %s, %s', (code, fixable, words, change) => {
    const plane = applied()
    change(plane)
    const found = drift(plane)
    expect(found).toMatchObject([{ code, fixable }])
    expect(found[0]!.detail).toMatch(words)
    expect(found[0]!.remedy).toMatch(fixable ? /^Fix/ : /./)
    if (fixable) fixed(plane)
  })

  test('a static route, and a route of a table', () => {
    const plane = applied(7, { routing: 'static' })
    plane.aws.connections[0]!.routes.length = 0
    expect(drift(plane)).toMatchObject([{ code: 'route-missing', fixable: true }])
    fixed(plane)
    expect(plane.aws.connections[0]!.routes).toEqual(['10.1.0.0/16'])
  })

  test('every code is found by one of these', () => {
    const covered = new Set([...CASES.map(([code]) => code), 'route-missing'])
    expect([...DRIFT_CODES].filter((code) => !covered.has(code))).toEqual([])
  })

  test('a tunnel that carries packets is drained for it', () => {
    const plane = applied()
    Object.assign(plane.aws.connections[0]!.tunnels[0]!.options, { startup: 'add' })
    fixed(plane)
    expect(plane.run.steps.map(({ action }) => action)).toEqual(['drain', 'modify-tunnel', 'drain'])
  })

  test('both keys changed, both tunnels down: both are given ours again', () => {
    const plane = applied()
    for (const tunnel of plane.aws.connections[0]!.tunnels) tunnel.psk = 'somebodyelses'
    plane.begin('fix')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.keysAtAws()).toEqual(['k1', 'k1'])
  })

  test('traffic comes back when AWS refuses the change, or somebody ends it', () => {
    for (const end of ['refused', 'aborted']) {
      const plane = applied()
      Object.assign(plane.aws.connections[0]!.tunnels[0]!.options, { startup: 'add' })
      plane.begin('fix')
      while (plane.run.steps.length === 0) plane.turn()
      if (end === 'refused') plane.aws.chances = { unknown: 0, later: 0, refused: 'forbidden' }
      else plane.run = { ...plane.run, state: 'aborting' }
      expect(plane.finish()).toMatchObject({ state: end === 'refused' ? 'failed' : 'aborted' })
      expect(plane.record.tunnels.map(({ drained }) => drained)).toEqual([false, false])
      expect(plane.bothDown).toBe(0)
    }
  })
})
