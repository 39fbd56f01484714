/** A child that both ends make at the same time, seen as a double by one end only (RFC 9611). */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { type Name, Pair } from './testing/pair.ts'

describe('the peer’s request comes when our own is answered', () => {
  test.each([
    { initA: 0x00, initB: 0xff, survivor: 'a' },
    { initA: 0xff, initB: 0x00, survivor: 'a' },
  ] as const)('first bytes of the nonces %o: one SA is left, and no packet is lost', (it) => {
    const pair = doubled(it.initA, it.initB)
    pair.settle(30_000)
    // With the lowest nonce it is known at once whose is surplus; else b waits, for a might need its own.
    expect(pair.b.children).toHaveLength(it.initB < it.initA ? 1 : 2)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(maker(pair)).toBe(it.survivor)
  })

  test('where the kept one ends before, the other is no longer surplus', () => {
    const pair = doubled(0x00, 0xff)
    pair.settle(30_000)
    const [first] = [...pair.a.engine.installed.values()]
    pair.input('a', { type: 'child-limit', connection: 'peer', spi: first!.outbound.spi, hard: true })
    pair.flush()
    pair.rekeyChild('b')
    pair.flush()
    expect(pair.b.event('child-rekeyed')).toBeDefined()
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(maker(pair)).toBe('b')
  })

  test('also while its DELETE is still on its way', () => {
    const pair = doubled(0x00, 0xff)
    const [first] = [...pair.b.engine.installed.values()]
    pair.input('b', { type: 'child-limit', connection: 'peer', spi: first!.outbound.spi, hard: true })
    pair.advance(130_000, false)
    expect(pair.b.children).toMatchObject([{ active: true }])
    pair.inFlight.splice(0, pair.inFlight.length - 1)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(maker(pair)).toBe('b')
  })
})

/** a has an SA of its own making when b's request arrives, which so is no double for a; b has both. */
function doubled(initA: number, initB: number): Pair {
  const pair = new Pair({ crypto: nodeCrypto, b: { initiate: true }, limits: { retransmitTries: 30 } }).establish()
  pair.mustCarry = undefined
  const sa = pair.a.engine.sender('net')!
  pair.input('a', { type: 'child-limit', connection: 'peer', spi: sa.outbound.spi, hard: true })
  pair.deliver(pair.take('a'))
  pair.a.nonces(initA, 0xee)
  pair.b.nonces(initB, 0xee)
  pair.deliver(pair.take('b'))
  pair.advance(10_000, false)
  const [fromA, fromB] = [pair.take('a'), pair.take('b')]
  pair.inFlight.length = 0
  pair.deliver(fromA)
  pair.deliver(pair.take('b'))
  expect([pair.a.children.length, pair.b.children.length]).toEqual([1, 1])
  pair.mustCarry = 'net'
  pair.deliver(fromB)
  pair.deliver(pair.take('a'))
  expect([pair.a.children.length, pair.b.children.length]).toEqual([2, 2])
  return pair
}

/** Whose request made the SA that is left. */
function maker(pair: Pair): Name {
  return pair.a.endpoint.connection('peer')!.session!.children[0]!.byUs ? 'a' : 'b'
}
