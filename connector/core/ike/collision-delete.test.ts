/**
 * DELETE of a Child SA or of the IKE SA, crossing other exchanges (RFC 7296 sections 1.4.1 and 2.25). a initiated, so
 * that it makes a Child SA anew when one is missing. `-->` is from a to b.
 */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { type Name, Pair } from './testing/pair.ts'

describe('DELETE of a Child SA', () => {
  test.each(['a', 'b'] as const)(
    'regular: %s deletes, the answer names the other half, the child comes back',
    (who) => {
      const pair = established()
      hardLimit(pair, who)
      pair.settle()
      expectAgreement(pair)
      expect(pair[who].event('child-closed')).toMatchObject({ reason: 'its lifetime is over' })
      expect(pair[other(who)].event('child-closed')).toMatchObject({ reason: 'the peer deleted it' })
    },
  )

  test('collision: both delete the same Child SA and answer without DELETE', () => {
    const pair = established()
    hardLimit(pair, 'a')
    hardLimit(pair, 'b')
    const [fromA, fromB] = [pair.take('a'), pair.take('b')]
    pair.deliver(fromA)
    pair.deliver(fromB)
    pair.settle()
    expectAgreement(pair)
  })

  test('a DELETE that comes again gets the same answer', () => {
    const pair = established()
    hardLimit(pair, 'a')
    const request = pair.take('a')
    pair.deliver(request)
    const first = pair.take('b')
    pair.deliver(request)
    expect(pair.take('b').bytes).toEqual(first.bytes)
    pair.deliver(first)
    pair.settle()
    expectAgreement(pair)
  })

  test.each(['a', 'b'] as const)('collision_delete: %s deletes what the other end rekeys', (who) => {
    const pair = established()
    hardLimit(pair, who)
    pair.rekeyChild(other(who))
    const [deletion, rekey] = [pair.take(who), pair.take(other(who))]
    // { D } crosses { N(REKEY_SA) }: the DELETE is answered as usual, the rekey with TEMPORARY_FAILURE
    pair.deliver(rekey)
    pair.deliver(deletion)
    pair.settle()
    expectAgreement(pair)
  })

  test.each(['a', 'b'] as const)('collision_delete_drop_delete: the DELETE of %s is lost at first', (who) => {
    const pair = established()
    hardLimit(pair, who)
    pair.rekeyChild(other(who))
    pair.take(who)
    pair.flush()
    pair.settle()
    expectAgreement(pair)
  })

  test.each(['a', 'b'] as const)(
    'collision_delete_drop_rekey: the rekey of what %s deletes is lost at first',
    (who) => {
      const pair = established()
      hardLimit(pair, who)
      pair.rekeyChild(other(who))
      pair.take(other(who))
      pair.flush()
      // <-- { N(CHILD_SA_NOT_FOUND) } once the rekey comes again
      pair.settle()
      expectAgreement(pair)
    },
  )

  test.each(['a', 'b'] as const)('collision_ike_rekey: a child rekey of %s crosses a rekey of the IKE SA', (who) => {
    const pair = established()
    pair.mustCarry = 'net'
    pair.rekeyChild(who)
    pair.rekeyIke(other(who))
    const [child, ike] = [pair.take(who), pair.take(other(who))]
    pair.deliver(child)
    pair.deliver(ike)
    // both get TEMPORARY_FAILURE, and both try again
    pair.settle()
    expectAgreement(pair)
    expect(pair.a.event('child-rekeyed')).toBeDefined()
    expect(pair.a.event('ike-rekeyed')).toBeDefined()
  })

  test.each(['a', 'b'] as const)('the child’s DELETE of %s crosses a rekey of the IKE SA', (who) => {
    const pair = established()
    hardLimit(pair, who)
    pair.rekeyIke(other(who))
    const [deletion, ike] = [pair.take(who), pair.take(other(who))]
    pair.deliver(ike)
    pair.deliver(deletion)
    pair.settle()
    expectAgreement(pair)
    expect(pair.a.event('ike-rekeyed')).toBeDefined()
  })
})

describe('DELETE of the IKE SA', () => {
  test.each(['a', 'b'] as const)('regular: %s terminates and nothing is left on either end', (who) => {
    const pair = established()
    terminate(pair, who)
    pair.settle()
    expectNothing(pair)
    expect(pair[other(who)].event('ike-closed')).toMatchObject({ reason: 'the peer deleted it' })
  })

  test('collision: both terminate at once', () => {
    const pair = established()
    terminate(pair, 'a')
    terminate(pair, 'b')
    pair.settle()
    expectNothing(pair)
  })

  test('the DELETE is lost for good: its sender does not wait for ever, and the other end finds out', () => {
    const dpd = { dpdIntervalMs: 30_000 }
    const pair = new Pair({ crypto: nodeCrypto, a: dpd, b: dpd }).establish()
    pair.mustCarry = undefined
    terminate(pair, 'b')
    pair.inFlight.length = 0
    pair.advance(6_000, false)
    pair.inFlight.length = 0
    expect(pair.b.engine.installed.size).toBe(0)
    expect(pair.b.endpoint.ikeSas()).toEqual([])
    terminate(pair, 'a')
    pair.settle()
    expectNothing(pair)
  })

  test.each(['a', 'b'] as const)('collision_ike_delete: %s rekeys a child while the other end deletes all', (who) => {
    const pair = established()
    pair.rekeyChild(who)
    terminate(pair, other(who))
    const [rekey, deletion] = [pair.take(who), pair.take(other(who))]
    pair.deliver(rekey)
    pair.deliver(deletion)
    pair.input('a', { type: 'terminate', connection: 'peer' })
    pair.settle()
    expectNothing(pair)
  })

  test.each(['a', 'b'] as const)(
    'ike_rekey collision_delete: %s rekeys the IKE SA while the other end deletes it',
    (who) => {
      const pair = established()
      pair.rekeyIke(who)
      terminate(pair, other(who))
      const [rekey, deletion] = [pair.take(who), pair.take(other(who))]
      pair.deliver(rekey)
      pair.deliver(deletion)
      pair.settle()
      expectNothing(pair)
    },
  )

  test('shutdown deletes in good order and says when it is done', () => {
    const pair = established()
    pair.input('a', { type: 'shutdown' })
    expect(pair.a.effects.some((effect) => effect.type === 'stopped')).toBe(false)
    pair.flush()
    expect(pair.a.effects.at(-1)).toEqual({ type: 'stopped' })
    expect(pair.a.engine.installed.size).toBe(0)
  })

  test('shutdown ends by itself when the peer is silent', () => {
    const pair = established()
    pair.input('a', { type: 'shutdown' })
    pair.advance(10_000, false)
    expect(pair.a.effects.filter((effect) => effect.type === 'stopped')).toHaveLength(1)
  })
})

function established(): Pair {
  const pair = new Pair({ crypto: nodeCrypto }).establish()
  pair.mustCarry = undefined
  // a makes missing Child SAs anew, but not the IKE SA.
  pair.a.endpoint.connection('peer')!.wanted = false
  return pair
}

function other(name: Name): Name {
  return name === 'a' ? 'b' : 'a'
}

function hardLimit(pair: Pair, name: Name): void {
  const { outbound } = pair[name].engine.sender('net')!
  pair.input(name, { type: 'child-limit', connection: 'peer', spi: outbound.spi, hard: true })
}

function terminate(pair: Pair, name: Name): void {
  pair.input(name, { type: 'terminate', connection: 'peer' })
}

function expectAgreement(pair: Pair): void {
  expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
}

function expectNothing(pair: Pair): void {
  expect(pair.disagreements({ ike: 0, children: 0 })).toEqual([])
  expect(pair.a.endpoint.deadline()).toBeUndefined()
  expect(pair.b.endpoint.deadline()).toBeUndefined()
  expect(pair.inFlight).toEqual([])
}
