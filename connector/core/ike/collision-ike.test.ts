/**
 * Rekeying of the IKE SA, in every order in which the messages of both ends can meet (RFC 7296 sections 2.8.2 and
 * 2.25.2). The scenarios' names are those of strongSwan's suite. `-->` is from a to b.
 */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { type Name, Pair } from './testing/pair.ts'
import type { IkeProposal } from './types.ts'

const nonces = [
  { initA: 0x00, respB: 0xff, initB: 0xff, respA: 0xff, survivor: 'b' },
  { initA: 0xff, respB: 0x00, initB: 0xff, respA: 0xff, survivor: 'b' },
  { initA: 0xff, respB: 0xff, initB: 0x00, respA: 0xff, survivor: 'a' },
  { initA: 0xff, respB: 0xff, initB: 0xff, respA: 0x00, survivor: 'a' },
] as const

const X25519: IkeProposal = { encryption: 'aes128gcm16', prf: 'prfsha256', group: 'x25519' }
const ECP256: IkeProposal = { ...X25519, group: 'ecp256' }

describe('without collision', () => {
  test.each(['a', 'b'] as const)('regular: %s rekeys', (who) => {
    const pair = established()
    const before = pair.a.endpoint.ikeSas()[0]!
    // CREATE_CHILD_SA { SA, Ni, KEi } --> <-- CREATE_CHILD_SA { SA, Nr, KEr }, INFORMATIONAL { D } on the old SA
    pair.rekeyIke(who)
    pair.settle()
    expectOne(pair)
    const after = pair.a.endpoint.ikeSas()[0]!
    expect(after.initiatorSpi).not.toBe(before.initiatorSpi)
    expect(after.role).toBe(who === 'a' ? 'initiator' : 'responder')
    expect(pair.a.endpoint.status(0)[0]!.ikeRekeys).toBe(1)
    expect(pair.b.endpoint.status(0)[0]!.ikeRekeys).toBe(1)
    expect(pair.a.effects.some((effect) => effect.type === 'install-child')).toBe(false)
  })

  test('children are inherited: they are rekeyed and deleted on the new IKE SA', () => {
    const pair = established()
    for (const who of ['a', 'b', 'b', 'a'] as const) {
      pair.rekeyIke(who)
      pair.settle(1_000)
      pair.rekeyChild(who === 'a' ? 'b' : 'a')
      pair.settle(30_000)
    }
    expectOne(pair)
    expect(pair.a.children[0]!.rekeys).toBe(4)
  })

  test.each(['a', 'b'] as const)('regular_ke_invalid: %s guesses the wrong group', (who) => {
    const pair = new Pair({
      crypto: nodeCrypto,
      a: { proposals: [X25519, ECP256] },
      b: { proposals: [X25519, ECP256] },
    }).establish()
    const { config } = pair[who === 'a' ? 'b' : 'a'].endpoint.connection('peer')!
    // From now on the responder prefers another group than the one in force.
    ;(config.proposals as IkeProposal[]).reverse()
    pair.rekeyIke(who)
    pair.settle()
    expectOne(pair)
    expect(pair.a.endpoint.status(0)[0]!.suite).toContain('ecp256')
  })

  test('delayed retransmit: a request that comes again gets the same bytes and makes no second SA', () => {
    const pair = established()
    pair.rekeyIke('a')
    const request = pair.take('a')
    pair.deliver(request)
    const first = pair.take('b')
    pair.deliver(request)
    expect(pair.take('b').bytes).toEqual(first.bytes)
    pair.deliver(first)
    pair.flush()
    pair.deliver(request)
    pair.settle()
    expectOne(pair)
  })

  test('the responder waits with its requests on the new SA until the initiator knows it', () => {
    const pair = established()
    pair.rekeyIke('a')
    pair.pass('a')
    const answer = pair.take('b')
    pair.rekeyChild('b')
    expect(pair.sent('b')).toBe(false)
    pair.deliver(answer)
    pair.settle()
    expectOne(pair)
    expect(pair.b.event('child-rekeyed')).toBeDefined()
  })

  test('a second rekey of an SA that is replaced is refused', () => {
    const pair = established()
    pair.rekeyIke('a')
    pair.pass('a')
    pair.rekeyIke('b')
    pair.settle()
    expectOne(pair)
  })
})

describe('both ends rekey at once', () => {
  test.each(nonces)('collision: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    crossAnswers(pair, fromA, fromB)
    pair.settle()
    expectSurvivor(pair, it.survivor)
  })

  test.each(nonces)('collision_delayed_response: the answer to a comes after all else: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    const delayed = pair.take('b')
    pair.deliver(fromB)
    pair.pass('a')
    pair.flush()
    pair.deliver(delayed)
    pair.settle()
    expectOne(pair)
  })

  test.each(nonces)('collision_delayed_response: the answer to b comes after all else: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromB)
    const delayed = pair.take('a')
    pair.deliver(fromA)
    pair.pass('b')
    pair.flush()
    pair.deliver(delayed)
    pair.settle()
    expectOne(pair)
  })

  test.each(nonces)('collision_delayed_request: b’s request comes while a deletes the old SA: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    pair.pass('b')
    const deletion = pair.take('a')
    // <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
    pair.deliver(fromB)
    pair.pass('a')
    pair.deliver(deletion)
    pair.settle()
    expectSurvivor(pair, 'a')
  })

  test.each(nonces)('collision_delayed_request_and_delete: b’s request comes after the DELETE: %o', (it) => {
    const { pair, fromA, fromB } = crossing(it)
    pair.deliver(fromA)
    pair.pass('b')
    // b answers the DELETE and forgets its own rekey
    pair.flush()
    pair.deliver(fromB)
    pair.settle()
    expectSurvivor(pair, 'a')
  })

  test.each(nonces)('collision_dropped_request: b’s request is lost for good: %o', (it) => {
    const { pair, fromA } = crossing(it)
    pair.deliver(fromA)
    pair.settle()
    expectSurvivor(pair, 'a')
  })

  test.each(nonces)('collision_ke_invalid: both are refused first, and both try again: %o', (it) => {
    const pair = new Pair({
      crypto: nodeCrypto,
      a: { proposals: [X25519, ECP256] },
      b: { proposals: [X25519, ECP256] },
    }).establish()
    for (const side of [pair.a, pair.b]) (side.endpoint.connection('peer')!.config.proposals as IkeProposal[]).reverse()
    pair.a.nonces(0x77, it.initA, it.respA)
    pair.b.nonces(0x77, it.initB, it.respB)
    pair.rekeyIke('a')
    pair.rekeyIke('b')
    const [firstA, firstB] = [pair.take('a'), pair.take('b')]
    pair.deliver(firstA)
    pair.deliver(firstB)
    // <-- { N(INVALID_KE_PAYLOAD) } and --> { N(INVALID_KE_PAYLOAD) }
    pair.pass('a')
    pair.pass('b')
    crossAnswers(pair, pair.take('a'), pair.take('b'))
    pair.settle()
    expectSurvivor(pair, it.survivor)
  })
})

function established(): Pair {
  return new Pair({ crypto: nodeCrypto }).establish()
}

function crossing(it: (typeof nonces)[number]) {
  const pair = established()
  pair.a.nonces(it.initA, it.respA)
  pair.b.nonces(it.initB, it.respB)
  pair.rekeyIke('a')
  pair.rekeyIke('b')
  return { pair, fromA: pair.take('a'), fromB: pair.take('b') }
}

function crossAnswers(pair: Pair, fromA: Parameters<Pair['deliver']>[0], fromB: Parameters<Pair['deliver']>[0]): void {
  pair.deliver(fromA)
  pair.deliver(fromB)
  const [answerA, answerB] = [pair.take('a'), pair.take('b')]
  pair.deliver(answerB)
  pair.deliver(answerA)
}

function expectOne(pair: Pair): void {
  expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
}

/** The creator of the surviving IKE SA is its initiator. */
function expectSurvivor(pair: Pair, survivor: Name): void {
  expectOne(pair)
  expect(pair[survivor].endpoint.ikeSas().map((sa) => sa.role)).toEqual(['initiator'])
}
