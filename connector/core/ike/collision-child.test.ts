/**
 * Rekeying of a Child SA, in every order in which the messages of both ends can meet (RFC 7296 sections 2.8.1 and
 * 2.25.1). The scenarios' names are those of strongSwan's suite. `-->` is from a to b.
 */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { childConfig, type Name, Pair } from './testing/pair.ts'
import type { EspProposal } from './types.ts'

/** First bytes of the four nonces of two crossing rekeys, and whose SA survives: the lowest nonce loses. */
const nonces = [
  { initA: 0x00, respB: 0xff, initB: 0xff, respA: 0xff, survivor: 'b' },
  { initA: 0xff, respB: 0x00, initB: 0xff, respA: 0xff, survivor: 'b' },
  { initA: 0xff, respB: 0xff, initB: 0x00, respA: 0xff, survivor: 'a' },
  { initA: 0xff, respB: 0xff, initB: 0xff, respA: 0x00, survivor: 'a' },
] as const

const BOTH_GROUPS: EspProposal[] = [
  { encryption: 'aes128gcm16', esn: true, group: 'ecp256' },
  { encryption: 'aes128gcm16', esn: true, group: 'x25519' },
]

describe('without collision', () => {
  test.each(['a', 'b'] as const)('regular: %s rekeys', (who) => {
    const pair = established()
    const before = pair.a.children[0]!.id
    // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi, TSi, TSr } --> <-- CREATE_CHILD_SA { SA, Nr, KEr, TSi, TSr }
    // INFORMATIONAL { D } --> <-- INFORMATIONAL { D }
    pair.rekeyChild(who)
    pair.settle()
    expectOneChild(pair)
    expect(pair.a.children[0]!.id).not.toBe(before)
    expect(pair.a.event('child-rekeyed')).toMatchObject({ child: 'net', replaces: before })
  })

  test('the responder of one rekey may begin the next as soon as the old SA is closed', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.flush()
    pair.rekeyChild('b')
    pair.settle()
    expectOneChild(pair)
    expect(pair.a.children[0]!.rekeys).toBe(2)
  })

  test('the initiator installs, then promotes, and removes the old SA only after a while', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    expect(pair.b.effects.map((effect) => effect.type)).toEqual(['install-child', 'send', 'report'])
    pair.pass('b')
    const order = pair.a.effects.map((effect) => effect.type).filter((type) => type !== 'report')
    expect(order).toEqual(['send', 'install-child', 'promote-child', 'send'])
    pair.flush()
    expect(pair.a.engine.installed.size).toBe(2)
    pair.settle()
    expectOneChild(pair)
  })

  test('the responder promotes when it sees traffic on the new SA, before the DELETE comes', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    const fresh = [...pair.b.engine.installed.values()].at(-1)!
    expect(pair.b.engine.sender('net')!.id).not.toBe(fresh.id)
    pair.pass('b')
    pair.take('a')
    pair.input('b', { type: 'child-traffic', connection: 'peer', inboundSpi: fresh.inbound.spi })
    expect(pair.b.engine.sender('net')!.id).toBe(fresh.id)
  })

  test.each(['a', 'b'] as const)('regular_ke_invalid: %s guesses the wrong group', (who) => {
    const pair = established(BOTH_GROUPS, [...BOTH_GROUPS].reverse())
    // CREATE_CHILD_SA { ..., KEi(wrong) } --> <-- { N(INVALID_KE_PAYLOAD) }, then as above
    pair.rekeyChild(who)
    pair.settle()
    expectOneChild(pair)
    expect(pair[who].event('child-rekeyed')).toBeDefined()
  })

  test('delayed retransmit: a request that comes again gets the same bytes and makes no second SA', () => {
    const pair = established()
    pair.rekeyChild('a')
    const request = pair.take('a')
    pair.deliver(request)
    const first = pair.take('b')
    pair.deliver(request)
    const second = pair.take('b')
    expect(second.bytes).toEqual(first.bytes)
    pair.deliver(second)
    pair.deliver(first)
    pair.settle()
    pair.deliver(request)
    expectOneChild(pair)
  })

  test('regular_responder_ignore_soft_expire: the responder does not rekey an SA that is replaced', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    pair.rekeyChild('b')
    expect(pair.inFlight.length).toBe(1)
    pair.settle()
    expectOneChild(pair)
  })

  test('regular_responder_handle_hard_expire: the old SA reaches its end before the DELETE arrives', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    const old = pair.b.engine.sender('net')!
    pair.mustCarry = undefined
    pair.input('b', { type: 'child-limit', connection: 'peer', spi: old.outbound.spi, hard: true })
    pair.settle()
    expectOneChild(pair)
  })

  test('regular_responder_delete: the responder deletes the new SA before the response arrives', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    const response = pair.take('b')
    const fresh = [...pair.b.engine.installed.values()].at(-1)!
    pair.mustCarry = undefined
    pair.input('b', { type: 'child-limit', connection: 'peer', spi: fresh.outbound.spi, hard: true })
    pair.flush()
    pair.deliver(response)
    pair.settle()
    expectOneChild(pair)
  })

  test('regular_responder_incorrect_delete: the responder deletes the old SA although that is not its part', () => {
    const pair = new Pair({ crypto: nodeCrypto, limits: { retransmitTries: 30, retransmitFactor: 1.2 } }).establish()
    pair.rekeyChild('a')
    pair.pass('a')
    const response = pair.take('b')
    // Nothing gets through for so long that b deletes the old SA, which still carries a's traffic.
    pair.mustCarry = undefined
    pair.advance(121_000, false)
    pair.inFlight = pair.inFlight.filter((datagram) => datagram.from === 'b')
    pair.flush()
    pair.deliver(response)
    pair.settle()
    expectOneChild(pair)
  })

  test('regular_responder_lost_sa: CHILD_SA_NOT_FOUND leads to a new Child SA', () => {
    const pair = established()
    pair.mustCarry = undefined
    // b forgets its SA, as if an operator had cleared it
    pair.b.endpoint.connection('peer')!.session!.children.length = 0
    pair.b.endpoint.connection('peer')!.active.clear()
    pair.b.engine.installed.clear()
    pair.b.engine.active.clear()
    // CREATE_CHILD_SA { N(REKEY_SA) } --> <-- { N(CHILD_SA_NOT_FOUND) }, CREATE_CHILD_SA { SA, ... } -->
    pair.rekeyChild('a')
    pair.settle()
    expectOneChild(pair)
  })

  test('delete_timeout: the old SA goes away although the DELETE is answered late', () => {
    const pair = established()
    pair.rekeyChild('a')
    pair.pass('a')
    pair.pass('b')
    const drop = pair.take('a')
    pair.advance(10_000, false)
    pair.inFlight.length = 0
    pair.deliver(drop)
    pair.settle()
    expectOneChild(pair)
  })

  test('soft lifetime with jitter: both ends rekey for days and always agree', () => {
    const lifetime = { softMs: 600_000, hardMs: 700_000, jitterMs: 60_000 }
    const pair = new Pair({
      crypto: nodeCrypto,
      a: { children: [childConfig('a', { lifetime })] },
      b: { children: [childConfig('b', { lifetime })] },
    }).establish()
    pair.advance(6 * 3_600_000)
    expect(pair.a.children[0]!.rekeys).toBeGreaterThan(30)
    pair.advance(20_000)
    expect(pair.losses).toEqual([])
    expect(pair.a.children.filter((child) => child.active)).toHaveLength(1)
  })
})

describe('both ends rekey at once', () => {
  test.each(nonces)('collision: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    // <-- and --> cross; both are answered as usual
    const { aSa, bSa } = crossAnswers(pair, fromA, fromB)
    // the loser's creator deletes it, the winner's creator deletes the old SA
    pair.settle()
    expectSurvivor(pair, it.survivor, aSa, bSa)
  })

  test.each(nonces)('collision_delayed_response: the answer to a comes after all else: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    const delayed = pair.take('b')
    pair.deliver(fromB)
    const bSa = newest(pair)
    pair.pass('a')
    // b knows all four nonces now and deletes either its own SA or the old one
    pair.flush()
    pair.deliver(delayed)
    const aSa = newest(pair)
    pair.settle()
    expectSurvivor(pair, it.survivor, aSa, bSa)
  })

  test.each(nonces)('collision_delayed_response: the answer to b comes after all else: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromB)
    const bSa = newest(pair)
    const delayed = pair.take('a')
    pair.deliver(fromA)
    pair.pass('b')
    const aSa = newest(pair)
    pair.flush()
    pair.deliver(delayed)
    pair.settle()
    expectSurvivor(pair, it.survivor, aSa, bSa)
  })

  test.each(nonces)('collision_delayed_request: b’s request comes while a deletes the old SA: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    pair.pass('b')
    // a does not know of a collision and sends INFORMATIONAL { D } -->
    const deletion = pair.take('a')
    pair.deliver(fromB)
    // <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
    pair.pass('a')
    pair.deliver(deletion)
    pair.settle()
    expectOneChild(pair)
    expect(pair.b.event('failed')).toBeUndefined()
  })

  test.each(nonces)('collision_delayed_request_more: b’s request comes after the old SA is gone: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    pair.flush()
    // the old SA is deleted on both ends: CHILD_SA_NOT_FOUND, and b must not make another one
    pair.deliver(fromB)
    pair.flush()
    pair.settle()
    expectOneChild(pair)
    expect(pair.b.effects.filter((effect) => effect.type === 'install-child')).toHaveLength(1)
  })

  test.each(nonces)('collision_dropped_request: b’s request is lost at first: %o', (it) => {
    const { pair, fromA } = crossing(it)
    pair.deliver(fromA)
    pair.settle()
    expectOneChild(pair)
  })

  test.each(nonces)('collision_ke_invalid: both are refused first, and both try again: %o', (it) => {
    const pair = established(BOTH_GROUPS, [...BOTH_GROUPS].reverse())
    pair.a.nonces(0x77, it.initA, it.respA)
    pair.b.nonces(0x77, it.initB, it.respB)
    pair.rekeyChild('a')
    pair.rekeyChild('b')
    const [firstA, firstB] = [pair.take('a'), pair.take('b')]
    pair.deliver(firstA)
    pair.deliver(firstB)
    // <-- { N(INVALID_KE_PAYLOAD) } and --> { N(INVALID_KE_PAYLOAD) }
    pair.pass('a')
    pair.pass('b')
    const { aSa, bSa } = crossAnswers(pair, pair.take('a'), pair.take('b'))
    pair.settle()
    expectSurvivor(pair, it.survivor, aSa, bSa)
  })

  test.each(nonces)('collision_ke_invalid_delayed_retry: a’s second try comes late: %o', (it) => {
    const pair = established(BOTH_GROUPS, [...BOTH_GROUPS].reverse())
    pair.a.nonces(0x77, it.initA, it.respA)
    pair.b.nonces(0x77, it.initB, it.respB)
    pair.rekeyChild('a')
    pair.rekeyChild('b')
    const [firstA, firstB] = [pair.take('a'), pair.take('b')]
    pair.deliver(firstA)
    pair.deliver(firstB)
    pair.pass('a')
    pair.pass('b')
    const [retryA, retryB] = [pair.take('a'), pair.take('b')]
    pair.deliver(retryB)
    pair.flush()
    pair.deliver(retryA)
    pair.settle()
    expectOneChild(pair)
  })
})

function established(a?: EspProposal[], b?: EspProposal[]): Pair {
  return new Pair({
    crypto: nodeCrypto,
    a: { children: [childConfig('a', a === undefined ? {} : { proposals: a })] },
    b: { children: [childConfig('b', b === undefined ? {} : { proposals: b })] },
  }).establish()
}

function crossing(it: (typeof nonces)[number]) {
  const pair = established()
  pair.a.nonces(it.initA, it.respA)
  pair.b.nonces(it.initB, it.respB)
  pair.rekeyChild('a')
  pair.rekeyChild('b')
  return { pair, fromA: pair.take('a'), fromB: pair.take('b') }
}

/** Delivers two crossing requests and then their answers; the ids are a's. */
function crossAnswers(pair: Pair, fromA: Parameters<Pair['deliver']>[0], fromB: Parameters<Pair['deliver']>[0]) {
  pair.deliver(fromA)
  pair.deliver(fromB)
  const bSa = newest(pair)
  const [answerA, answerB] = [pair.take('a'), pair.take('b')]
  pair.deliver(answerB)
  const aSa = newest(pair)
  pair.deliver(answerA)
  return { aSa, bSa }
}

function newest(pair: Pair): number {
  return [...pair.a.engine.installed.keys()].at(-1)!
}

function expectOneChild(pair: Pair): void {
  expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
}

function expectSurvivor(pair: Pair, survivor: Name, aSa: number, bSa: number): void {
  expectOneChild(pair)
  expect(aSa).not.toBe(bSa)
  expect(pair.a.children[0]!.id).toBe(survivor === 'a' ? aSa : bSa)
}
