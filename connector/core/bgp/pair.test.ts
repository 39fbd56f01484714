/** Two of our sessions against each other, over good and bad networks. */
import { describe, expect, it } from 'vitest'
import { type Prefix, parsePrefix } from '../../../protocol/net.ts'
import { random } from '../../../test/fuzz/ike-mutate.ts'
import type { RouteInput, SessionConfig } from './session-types.ts'
import { Pair, type Peer, type Side } from './testing/pair.ts'
import { blockOf, ERROR } from './wire/codec.ts'

const SIDES: readonly Side[] = ['left', 'right']
const RESTART = { restartTimeS: 60, notification: true, forwarding: false }

describe('two sessions that start at once', () => {
  it.each(Array.from({ length: 50 }, (_, seed) => seed))('end up on one connection, seed %d', (seed) => {
    const pair = started(seed)
    expect(pair.settle(10_000)).toBe(true)
    pair.run(200_000)
    expect(pair.together()).toBe(true)
    expect(pair.left.wires.size).toBe(1)
    expect(new Set(pair.left.wires.values())).toEqual(new Set(pair.right.wires.values()))
  })

  it('hardly ever end one connection each and begin anew', () => {
    let accidents = 0
    for (let seed = 0; seed < 500; seed++) {
      const pair = started(seed)
      pair.settle(10_000)
      const fell = SIDES.some((side) =>
        pair[side].log.some((effect) => effect.type === 'state' && effect.to === 'idle'),
      )
      if (fell) accidents++
    }
    // RFC 4271 to the letter has 43 of 500 in this network.
    expect(accidents).toBeLessThanOrEqual(5)
  })

  it.each([
    ['one passive', { passive: true }, {}],
    ['within an AS', { peerAs: 65_001 }, { localAs: 65_001 }],
    ['of AS numbers with four octets', { localAs: 4_200_000_001 }, { peerAs: 4_200_000_001 }],
    ['with roles', { role: 'provider', strictRole: true }, { role: 'customer', strictRole: true }],
    ['of one family in common', { families: [6] }, { families: [4, 6] }],
    ['without hold time', { holdTimeS: 0, leastHoldTimeS: 0 }, { leastHoldTimeS: 0 }],
  ] as [string, Partial<SessionConfig>, Partial<SessionConfig>][])('%s', (_name, left, right) => {
    const pair = started(7, left, right)
    expect(pair.settle(10_000)).toBe(true)
    pair.run(500_000)
    expect(pair.left.log.filter(({ type }) => type === 'down')).toEqual([])
  })

  it('whose roles do not match try for ever, with waits that grow', () => {
    const pair = started(3, { role: 'provider' }, { role: 'peer' })
    pair.run(600_000)
    expect(pair.together()).toBe(false)
    const told = pair.left.log.flatMap((effect) => (effect.type === 'notification' ? [effect.message] : []))
    expect(told.some(({ code, subcode }) => code === 2 && subcode === 11)).toBe(true)
    const attempts = pair.left.log.filter(({ type }) => type === 'connect').length
    expect(attempts).toBeGreaterThan(3)
    expect(attempts).toBeLessThan(40)
  })
})

describe('1,000 random histories', () => {
  it.each(Array.from({ length: 20 }, (_, part) => part))('part %d', (part) => {
    for (let seed = part * 50; seed < part * 50 + 50; seed++) history(seed)
  })
})

/** Routes come and go, operators reset, connections break; then it is quiet, and both must agree. */
function history(seed: number): void {
  const next = random(seed + 1)
  const config = next(2) === 0 ? { gracefulRestart: RESTART } : {}
  const pair = started(seed, config, config)
  pair.breaks = next(60)
  pair.initial = (wanted) => [
    ...[...wanted].map(([each, origin]) => announce(each, origin)),
    { type: 'end-of-rib', family: 4 },
  ]
  for (let turn = 0; turn < 30; turn++) {
    act(pair, next)
    pair.run(next(5) === 0 ? 40_000 : next(3_000))
    check(pair, seed)
  }
  pair.breaks = 0
  for (const side of SIDES) pair.give(side, { type: 'start' })
  // A stalled connection takes the hold time to be found, and a wait after it; twice, as both may.
  if (!pair.settle(600_000)) throw new Error(`seed ${seed}: not established when all is quiet`)
  pair.run(120_000)
  check(pair, seed)
  if (!pair.together()) throw new Error(`seed ${seed}: did not stay established`)
  for (const [side, other] of [
    ['left', 'right'],
    ['right', 'left'],
  ] as const) {
    const held = [...pair[side].routes].sort()
    const wanted = [...pair[other].wanted].sort()
    if (JSON.stringify(held) !== JSON.stringify(wanted)) throw new Error(`seed ${seed}: ${side} holds other routes`)
  }
}

function act(pair: Pair, next: (below: number) => number): void {
  const side = SIDES[next(2)]!
  const peer = pair[side]
  switch (next(9)) {
    case 0:
      pair.give(side, { type: 'reset', subcode: 4 })
      break
    case 1:
      pair.give(side, { type: 'stop', subcode: 2, communication: 'x' })
      break
    case 2:
      pair.give(side, { type: 'start' })
      break
    case 3:
      pair.disturb()
      break
    default:
      for (let count = next(20); count > 0; count--) change(pair, side, peer, next)
  }
}

function change(pair: Pair, side: Side, peer: Peer, next: (below: number) => number): void {
  const each = parsePrefix(`10.0.${next(40)}.0/24`)!
  if (next(3) === 0) {
    peer.wanted.delete(each)
    pair.give(side, { type: 'withdraw', prefixes: blockOf(4, [each]) })
    return
  }
  const origin = next(3)
  peer.wanted.set(each, origin)
  pair.give(side, announce(each, origin))
}

function announce(each: Prefix, origin: number): RouteInput {
  const asPath = [{ type: 'sequence' as const, asns: [] as number[] }]
  return {
    type: 'announce',
    attributes: { origin, asPath },
    nextHop: { address: '192.0.2.77' as never },
    prefixes: blockOf(4, [each]),
  }
}

/** After each step: what must hold whatever the network does. */
function check(pair: Pair, seed: number): void {
  for (const side of SIDES) {
    const { session, log, wires } = pair[side]
    const wrong = log.find(
      (effect) =>
        effect.type === 'fault' ||
        (effect.type === 'notification' &&
          [ERROR.header, ERROR.open, ERROR.update, ERROR.fsm].some((code) => code === effect.message.code)),
    )
    if (wrong !== undefined)
      throw new Error(`seed ${seed}: ${side} ${JSON.stringify(wrong)} between two that keep the rules`)
    if (wires.size > 2) throw new Error(`seed ${seed}: ${side} has ${wires.size} connections`)
    if (session.state === 'idle' && wires.size > 0)
      throw new Error(`seed ${seed}: ${side} is idle and keeps a connection`)
    let up = false
    for (const { type } of log) {
      if (type === 'established' && up) throw new Error(`seed ${seed}: ${side} came up twice`)
      if (type === 'down' && !up) throw new Error(`seed ${seed}: ${side} went down twice`)
      if (type === 'established' || type === 'down') up = type === 'established'
    }
    if (up !== (session.state === 'established')) throw new Error(`seed ${seed}: ${side} told otherwise than it is`)
  }
}

function started(seed: number, left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}): Pair {
  const pair = new Pair(random(seed), { enforceFirstAs: false, ...left }, { enforceFirstAs: false, ...right })
  for (const side of SIDES) pair.give(side, { type: 'start' })
  return pair
}
