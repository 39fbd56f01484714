import { describe, expect, it } from 'vitest'
import { keptOrigin } from './collision.ts'
import { Driven, openWith, PEER_OPEN, words } from './testing/driven.ts'
import { encodeKeepalive, encodeNotification, encodeOpen } from './wire/codec.ts'

const NONE = new Uint8Array(0)

describe('collision (RFC 4271 section 6.8)', () => {
  // Ours is 192.0.2.1. OPEN of the neighbour on both connections, first on the one that is begun first.
  const smaller = openWith({ bgpIdentifier: 0x01010101 })
  const larger = openWith({ bgpIdentifier: 0xdf000001 })

  it.each([
    ['our connection stays where our identifier is larger, its OPEN first', smaller, 'own', 'in'],
    ['our connection stays where our identifier is larger, its OPEN last', smaller, 'in', 'in'],
    ["the neighbour's stays where its identifier is larger, its OPEN first", larger, 'in', 'own'],
    ["the neighbour's stays where its identifier is larger, its OPEN last", larger, 'own', 'own'],
  ])('%s', (_name, open, first, loser) => {
    const driven = new Driven().reach('open-sent')
    const names: Readonly<Record<string, string>> = { own: driven.connection, in: 'in' }
    expect(words(driven.give({ type: 'incoming', connection: 'in' }))).toBe('send OPEN')
    // The first OPEN decides, as it tells the neighbour's identifier.
    const effects = driven.bytes(open, names[first]!)
    expect(words(effects)).toBe(first === loser ? 'send 6/7, close' : 'send 6/7, close, send KEEPALIVE')
    expect(effects.filter(({ type }) => type === 'close')).toEqual([{ type: 'close', connection: names[loser] }])
    const winner = loser === 'in' ? driven.connection : 'in'
    if (first === loser) driven.bytes(open, winner)
    expect(driven.session.state).toBe('open-confirm')
    expect(words(driven.bytes(encodeKeepalive(), winner))).toBe('established')
    // Of the loser nothing is heard any more.
    expect(driven.bytes(open, names[loser]!)).toEqual([])
    expect(driven.give({ type: 'closed', connection: names[loser]! })).toEqual([])
    expect(driven.session.state).toBe('established')
  })

  it.each([
    ['loses by its identifier', smaller, 'send 6/7, close, send KEEPALIVE'],
    ['wins by its identifier, though it comes late', larger, 'send KEEPALIVE'],
  ])('a connection on which nothing was heard for long %s', (_name, open, expected) => {
    const driven = new Driven().reach('connect')
    driven.give({ type: 'incoming', connection: 'dead' })
    driven.now += 6_000
    driven.give({ type: 'connected', connection: driven.connection })
    expect(words(driven.bytes(open))).toBe(expected)
    // Either way ours goes on: the other may be dead.
    expect(words(driven.bytes(encodeKeepalive())).endsWith('established')).toBe(true)
  })

  it('the neighbour that ends ours for a connection which is on its way to us is not waited out', () => {
    const driven = new Driven().reach('connect')
    driven.give({ type: 'incoming', connection: 'in' })
    driven.bytes(smaller, 'in')
    driven.bytes(encodeNotification({ code: 6, subcode: 7, data: NONE }), 'in')
    expect(driven.session.state).toBe('connect')
    expect(words(driven.give({ type: 'connected', connection: driven.connection }))).toBe('send OPEN')
  })

  it('identifiers are compared without sign, and AS numbers decide where they are equal (RFC 6286)', () => {
    const ends = { identifier: 0x80000000, peerIdentifier: 0x7fffffff, localAs: 1, peerAs: 2 }
    expect(keptOrigin(ends)).toBe('outgoing')
    expect(keptOrigin({ ...ends, identifier: 5, peerIdentifier: 5 })).toBe('incoming')
    expect(keptOrigin({ ...ends, identifier: 5, peerIdentifier: 5, localAs: 3 })).toBe('outgoing')
  })

  it('a connection that is established ends what is still in question', () => {
    const driven = new Driven().reach('open-confirm')
    driven.give({ type: 'incoming', connection: 'in' })
    const effects = driven.bytes(encodeKeepalive())
    expect(words(effects)).toBe('send 6/7, close, established')
    expect(effects).toContainEqual({ type: 'close', connection: 'in' })
  })

  it('one that begins while ours is on its way is taken, and ours then meets an established one', () => {
    const driven = new Driven().reach('connect')
    driven.give({ type: 'incoming', connection: 'in' })
    driven.bytes(encodeOpen(PEER_OPEN), 'in')
    // The attempt is given up without a word: nothing was said on it.
    expect(words(driven.bytes(encodeKeepalive(), 'in'))).toBe('close, established')
    expect(driven.give({ type: 'connected', connection: driven.connection })).toEqual([])
  })

  it('the neighbour that begins twice means its last connection', () => {
    const driven = new Driven({ passive: true }).reach('active')
    driven.give({ type: 'incoming', connection: 'first' })
    const effects = driven.give({ type: 'incoming', connection: 'second' })
    expect(effects).toContainEqual({ type: 'close', connection: 'first' })
    driven.bytes(encodeOpen(PEER_OPEN), 'second')
    driven.bytes(encodeKeepalive(), 'second')
    expect(driven.session.state).toBe('established')
  })

  it('the connection that loses takes nothing with it when it had failed anyway', () => {
    const driven = new Driven().reach('open-sent')
    driven.give({ type: 'incoming', connection: 'in' })
    driven.bytes(encodeNotification({ code: 6, subcode: 7, data: NONE }))
    expect(driven.session.state).toBe('open-sent')
    driven.bytes(encodeOpen(PEER_OPEN), 'in')
    expect(driven.session.state).toBe('open-confirm')
  })
})
