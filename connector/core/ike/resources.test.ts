/** Additional Child SAs (RFC 9611): who makes which, what collides, and peers that know or want none. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { MAX_RESOURCES, resourceOf } from '../resource.ts'
import { offerEsp } from './negotiate.ts'
import { resourceInfo } from './resources.ts'
import { selectorPayloads } from './selectors.ts'
import { forgeRequest, reveal, rewrite } from './testing/forge.ts'
import { childConfig, type Name, Pair, type PairOptions } from './testing/pair.ts'
import { aboutToMake, crossEverything, faultsOf, limitTo, resourcesOf, withoutInfo } from './testing/several.ts'
import { EXCHANGE, NOTIFY, type Payload } from './wire/codec.ts'

const pairOf = (a: number, b: number, options: Partial<PairOptions> = {}) =>
  new Pair({ crypto: nodeCrypto, resources: [a, b], ...options })

describe('coming up', () => {
  test('each end has one SA on each of its resources, the first one at home', () => {
    const pair = pairOf(4, 4, { a: { resource: 2 }, b: { resource: 1 } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.settle()
    expect(faultsOf(pair, 4)).toEqual([])
    expect(pair.a.children.map(({ resource }) => resource)).toEqual([2, 0, 1, 3])
    expect(pair.b.children.map(({ resource }) => resource)).toEqual([1, 0, 2, 3])
    const established = pair.b.events.filter((event) => event.type === 'child-established')
    expect(established.map((event) => event.resource)).toEqual([1, 0, 2, 3])
  })

  test('the announcement is status 16444 about no SA, and names no resource; the refusal is error 48', () => {
    expect(resourceInfo()).toEqual({
      type: 'N',
      protocol: 0,
      spi: new Uint8Array(0),
      notify: 16_444,
      data: new Uint8Array(0),
    })
    expect(NOTIFY.TS_MAX_QUEUE).toBe(48)
  })

  test('each SPI tells its resource', () => {
    const pair = pairOf(3, 2).establish()
    for (const side of [pair.a, pair.b])
      for (const { inboundSpi, resource } of side.children) expect(resourceOf(inboundSpi)).toBe(resource)
  })

  test('every child is up before any gets a second SA', () => {
    const children = (name: Name) => [childConfig(name), childConfig(name, { name: 'other' }, 64)]
    const pair = pairOf(3, 3, { a: { children: children('a') }, b: { children: children('b') } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(pair.a.children.map(({ child }) => child)).toEqual(['net', 'other', 'net', 'net', 'other', 'other'])
    pair.settle()
    expect(faultsOf(pair, 6)).toEqual([])
  })

  test.each([
    [4, 2],
    [4, 1],
    [2, 1],
    [16, 3],
  ])('%i of the initiator against %i: it makes all of its own, the peer spreads them', (a, b) => {
    const pair = pairOf(a, b).establish()
    expect(faultsOf(pair, a)).toEqual([])
    const load = Array.from({ length: b }, (_, resource) => resourcesOf(pair.b).filter((of) => of === resource).length)
    expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(1)
  })

  test.each([
    [2, 4],
    [1, 4],
    [1, 2],
    [3, 16],
  ])('%i of the initiator against %i: the responder makes what it lacks, a little later', (a, b) => {
    const pair = pairOf(a, b)
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(pair.b.children).toHaveLength(a)
    pair.settle()
    expect(faultsOf(pair, b)).toEqual([])
  })

  test('the responder waits until it knows that the initiator has the SA', () => {
    const pair = pairOf(2, 2)
    pair.input('a', { type: 'initiate', connection: 'peer' })
    while (pair.b.children.length < 2) pair.deliver(pair.inFlight.shift()!)
    expect(pair.b.children.map(({ active }) => active)).toEqual([true, false])
    expect(pair.b.engine.sender('net', 1)?.resource).toBe(0)
    const [spi] = pair.b.children.filter((child) => child.resource === 1).map((child) => child.inboundSpi)
    pair.input('b', { type: 'child-traffic', connection: 'peer', inboundSpi: spi! })
    expect(pair.b.engine.sender('net', 1)?.resource).toBe(1)
  })

  test('the next request of the initiator shows it too', () => {
    const pair = pairOf(3, 3)
    pair.input('a', { type: 'initiate', connection: 'peer' })
    while (pair.b.children.length < 3) pair.deliver(pair.inFlight.shift()!)
    expect(pair.b.children.map(({ active }) => active)).toEqual([true, true, false])
  })

  test('the home resource must be one of them', () => {
    expect(() => pairOf(2, 2, { a: { resource: 2 } })).toThrow('no resource 2')
  })
})

describe('a peer that wants no more', () => {
  test('a peer that knows no SA_RESOURCE_INFO: no additional SA is ever made', () => {
    const pair = pairOf(4, 4)
    pair.onPath = (datagram) => rewrite(pair, nodeCrypto, datagram, withoutInfo)
    pair.establish()
    pair.rekeyChild('a')
    pair.rekeyIke('b')
    pair.settle()
    for (const side of [pair.a, pair.b]) {
      expect(resourcesOf(side)).toEqual([0])
      expect(side.engine.sender('net', 3)?.resource).toBe(0)
      expect(side.event('failed')).toBeUndefined()
    }
    expect(pair.losses).toEqual([])
  })

  test('a peer that announces it and answers an additional one without is asked for one only', () => {
    const pair = pairOf(4, 4)
    let stripped = 0
    pair.onPath = (datagram) => {
      if (datagram.from === 'a' || pair.b.children.length < 2) return datagram
      stripped++
      return rewrite(pair, nodeCrypto, datagram, withoutInfo)
    }
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(resourcesOf(pair.a)).toEqual([0, 1])
    expect(stripped).toBe(1)
  })

  test.each([
    ['TS_MAX_QUEUE', NOTIFY.TS_MAX_QUEUE],
    ['NO_ADDITIONAL_SAS', NOTIFY.NO_ADDITIONAL_SAS],
    ['TS_UNACCEPTABLE', NOTIFY.TS_UNACCEPTABLE],
  ])('%s ends it without an error, until the IKE SA is rekeyed', (_name, error) => {
    const pair = pairOf(4, 1)
    const seen = limitTo(pair, 2, error)
    pair.establish()
    pair.advance(600_000)
    expect(resourcesOf(pair.a)).toEqual([0, 1])
    expect(pair.a.endpoint.status(0)[0]!.state).toBe('established')
    expect(pair.a.event('failed')).toBeUndefined()
    expect(seen.refusals).toBe(1)
    pair.rekeyChild('a')
    pair.settle()
    expect(resourcesOf(pair.a)).toEqual([0, 1])
    pair.onPath = undefined
    pair.rekeyIke('a')
    pair.settle()
    expect(faultsOf(pair, 4)).toEqual([])
  })

  test('seventeen of one child are one too many', () => {
    const pair = pairOf(MAX_RESOURCES, 1).establish()
    const { local, remote } = pair.a.children[0]!
    const proposals = offerEsp(childConfig('a').proposals, Uint8Array.of(9, 9, 9, 9), 'IKE_AUTH')
    const payloads: Payload[] = [
      resourceInfo(),
      { type: 'SA', proposals },
      { type: 'NONCE', data: new Uint8Array(32) },
      ...selectorPayloads({ local, remote }, 'initiator'),
    ]
    pair.deliver(forgeRequest(pair, 'a', nodeCrypto, EXCHANGE.CREATE_CHILD_SA, payloads))
    expect(reveal(pair, 'a', nodeCrypto, pair.take('b'))).toMatchObject([{ notify: NOTIFY.TS_MAX_QUEUE }])
    expect(pair.b.children).toHaveLength(MAX_RESOURCES)
    expect(pair.b.event('failed')).toBeUndefined()
  })

  test('an additional SA with narrower selectors is deleted, said, and not asked for again', () => {
    const pair = pairOf(2, 2)
    const narrower = (payloads: readonly Payload[]) =>
      payloads.map((payload) =>
        payload.type === 'TSr'
          ? { ...payload, selectors: payload.selectors.map((ts) => ({ ...ts, protocol: 6 })) }
          : payload,
      )
    pair.onPath = (datagram) =>
      datagram.from === 'b' && pair.b.children.length === 2 ? rewrite(pair, nodeCrypto, datagram, narrower) : datagram
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(pair.a.event('failed')).toMatchObject({ code: 'protocol-error', cause: expect.stringContaining('narrowed') })
    expect(resourcesOf(pair.a)).toEqual([0])
    pair.advance(4_000)
    expect(resourcesOf(pair.b)).toEqual([0])
  })
})

describe('both ends make at once', () => {
  test.each([
    { a: 2, b: 2 },
    { a: 4, b: 2 },
    { a: 2, b: 4 },
    { a: 4, b: 4 },
    { a: 3, b: 16 },
  ])('$a and $b resources, every pair of requests crossing', ({ a, b }) => {
    for (const [low, high] of [
      [0x00, 0xff],
      [0xff, 0x00],
    ] as const) {
      const pair = pairOf(a, b, { seed: low + 1 })
      pair.a.nonces(...Array.from({ length: 40 }, () => low))
      pair.b.nonces(...Array.from({ length: 40 }, () => high))
      aboutToMake(pair)
      expect(pair.sent('a') && pair.sent('b')).toBe(true)
      crossEverything(pair)
      pair.settle()
      expect(faultsOf(pair, Math.max(a, b))).toEqual([])
    }
  })

  test('each answers into a gap that it is not about to fill itself', () => {
    const pair = pairOf(4, 4)
    aboutToMake(pair)
    const [fromA, fromB] = [pair.take('a'), pair.take('b')]
    pair.deliver(fromA)
    pair.deliver(fromB)
    pair.deliver(pair.take('a'))
    pair.deliver(pair.take('b'))
    for (const side of [pair.a, pair.b]) expect(resourcesOf(side)).toEqual([0, 1, 2])
    pair.settle()
    expect(faultsOf(pair, 4)).toEqual([])
  })

  test('a session that is about to close for being surplus makes none', () => {
    const pair = pairOf(3, 3, { a: { initiate: true }, b: { initiate: true } })
    for (const name of ['a', 'b'] as const) pair.input(name, { type: 'time' })
    crossEverything(pair)
    const { sessions } = pair.a.endpoint.connection('peer')!
    expect(sessions).toHaveLength(2)
    expect(sessions.filter(({ closeAt }) => closeAt !== undefined).map(({ children }) => children.length)).toEqual([1])
    expect(sessions.filter(({ closeAt }) => closeAt === undefined).map(({ children }) => children.length)).toEqual([3])
  })

  test('the first child as well, both ends initiating', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const pair = pairOf(3, 3, { seed, a: { initiate: true }, b: { initiate: true } })
      pair.input('a', { type: 'time' })
      pair.input('b', { type: 'time' })
      crossEverything(pair)
      pair.settle()
      expect(pair.disagreements({ ike: 1, children: 3 })).toEqual([])
    }
  })
})
