/** Peers that come back, move, fall silent or come twice; NATs, floods and garbage in between. */
import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { DEFAULT_LIMITS } from './retransmit.ts'
import { childConfig, connection, Pair, Side, seeded } from './testing/pair.ts'
import { decodeHeader, decodeMessage, EXCHANGE, encodeMessage, isDecodeError, NOTIFY } from './wire/codec.ts'

const NAT = address('198.51.100.7')

describe('NAT', () => {
  test('without one ESP is plain and everything stays on port 500', () => {
    const pair = up(new Pair({ crypto: nodeCrypto }))
    expect([...pair.a.engine.installed.values()][0]).toMatchObject({
      encapsulation: 'esp',
      remoteAddress: { port: 500 },
    })
  })

  test('a NAT in front of the initiator: both ends go to port 4500, ESP in UDP, keepalives from inside only', () => {
    const pair = behindNat()
    const [a, b] = [pair.a, pair.b].map((side) => [...side.engine.installed.values()][0]!)
    expect(a).toMatchObject({ encapsulation: 'udp', localAddress: { port: 4500 }, remoteAddress: { port: 4500 } })
    expect(b).toMatchObject({ encapsulation: 'udp', remoteAddress: { address: NAT, port: 24500 } })
    pair.advance(100_000)
    expect(pair.a.effects.filter((effect) => effect.type === 'keepalive').length).toBe(5)
    expect(pair.b.effects.filter((effect) => effect.type === 'keepalive')).toEqual([])
  })

  test('forced encapsulation looks like a NAT to the peer, whoever initiates', () => {
    for (const options of [{ a: { encapsulation: 'udp' } }, { b: { encapsulation: 'udp' } }] as const) {
      const pair = up(new Pair({ crypto: nodeCrypto, ...options }))
      for (const side of [pair.a, pair.b])
        expect([...side.engine.installed.values()][0]).toMatchObject({
          encapsulation: 'udp',
          remoteAddress: { port: 4500 },
        })
    }
  })

  test('rebinding: an authentic request from the new port moves the peer, its Child SA and later answers', () => {
    const pair = behindNat()
    pair.nat = { address: address('198.51.100.8'), firstPort: 30_000 }
    pair.rekeyChild('a')
    pair.flush()
    expect(pair.b.event('peer-moved')).toMatchObject({ to: { address: '198.51.100.8', port: 34_500 } })
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect([...pair.b.engine.installed.values()][0]!.remoteAddress).toEqual({ address: '198.51.100.8', port: 34_500 })
    pair.rekeyIke('b')
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('rebinding seen in ESP', () => {
    const pair = behindNat()
    const [sa] = [...pair.b.engine.installed.values()]
    const remote = { address: NAT, port: 40_001 }
    pair.input('b', { type: 'peer-moved', connection: 'peer', inboundSpi: sa!.inbound.spi, remote })
    expect([...pair.b.engine.installed.values()][0]!.remoteAddress).toEqual(remote)
    expect(pair.b.endpoint.status(0)[0]!.remote).toEqual(remote)
  })

  test('a peer that is not behind a NAT is not followed: anyone could forge that', () => {
    const pair = up(new Pair({ crypto: nodeCrypto }))
    const [sa] = [...pair.b.engine.installed.values()]
    const remote = { address: NAT, port: 40_001 }
    pair.input('b', { type: 'peer-moved', connection: 'peer', inboundSpi: sa!.inbound.spi, remote })
    expect(pair.b.event('peer-moved')).toBeUndefined()
  })
})

describe('an engine without room', () => {
  test('the Child SA is deleted at both ends, told, and made anew after a pause', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { initiate: true } }))
    const [refused] = [...pair.a.engine.installed.values()]
    pair.input('a', { type: 'child-refused', connection: 'peer', id: refused!.id, reason: 'the SA table is full' })
    pair.flush()
    expect(pair.a.engine.installed.size).toBe(0)
    expect(pair.b.engine.installed.size).toBe(0)
    expect(pair.a.event('failed')).toMatchObject({
      code: 'engine-refused',
      cause: expect.stringContaining('table is full'),
    })
    pair.advance(60_000)
    expect([...pair.a.engine.installed.values()].map(({ child }) => child)).toEqual([refused!.child])
    expect(pair.b.engine.installed.size).toBe(1)
  })
})

describe('liveness', () => {
  test('silence leads to a check, traffic makes it needless', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000 }, b: { dpdIntervalMs: 0 } }))
    // The first measurement of the round trip.
    pair.advance(2_000)
    const sentBefore = pair.a.endpoint.status(0)[0]!.requestsSent
    pair.advance(35_000)
    expect(pair.a.endpoint.status(0)[0]!.requestsSent).toBe(sentBefore + 3)
    const [sa] = [...pair.a.engine.installed.values()]
    for (let i = 0; i < 8; i++) {
      pair.input('a', { type: 'child-traffic', connection: 'peer', inboundSpi: sa!.inbound.spi })
      pair.advance(5_000)
    }
    expect(pair.a.endpoint.status(0)[0]!.requestsSent).toBe(sentBefore + 3)
  })

  test('under traffic the round trip is measured once a minute', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000 }, b: { dpdIntervalMs: 0 } }))
    expect(pair.a.endpoint.status(0)[0]!.rtt).toBeUndefined()
    const [sa] = [...pair.a.engine.installed.values()]
    for (let seconds = 0; seconds < 125; seconds += 5) {
      pair.input('a', { type: 'child-traffic', connection: 'peer', inboundSpi: sa!.inbound.spi })
      pair.advance(5_000)
    }
    expect(pair.a.endpoint.status(0)[0]!.rtt?.samples).toBe(3)
  })

  test('a dead peer: said in words, all SAs removed, and tried again', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000, initiate: true } }))
    pair.advance(90_000, false)
    expect(pair.a.events.find((event) => event.type === 'failed')).toMatchObject({ code: 'peer-dead' })
    expect(pair.a.engine.installed.size).toBe(0)
    expect(pair.a.event('initiating')).toBeDefined()
  })

  test('a peer that restarted: INITIAL_CONTACT takes the place of what it lost', () => {
    const pair = up(new Pair({ crypto: nodeCrypto }))
    pair.advance(5_000)
    restart(pair, 'a')
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(pair.b.event('ike-closed')).toMatchObject({ reason: 'the peer began anew' })
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('a responder that restarted is found dead and reached again', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000, initiate: true } }))
    restart(pair, 'b')
    pair.settle(200_000)
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(pair.b.endpoint.counters().unknownSpi).toBeGreaterThan(0)
  })
})

describe('both ends initiate at once', () => {
  test.each(Array.from({ length: 20 }, (_, i) => i + 1))('one IKE SA is kept and it stays: seed %i', (seed) => {
    const pair = new Pair({ crypto: nodeCrypto, seed, a: { initiate: true }, b: { initiate: true } })
    pair.input('a', { type: 'time' })
    pair.input('b', { type: 'time' })
    if (seed % 2 === 0) pair.flush()
    else
      for (let i = 0; i < 40 && pair.inFlight.length > 0; i++) {
        const at = (seed * 7 + i * 3) % pair.inFlight.length
        pair.deliver(pair.inFlight.splice(at, 1)[0]!)
      }
    pair.flush()
    if (pair.a.children.length > 0 && pair.b.children.length > 0) pair.mustCarry = 'net'
    pair.settle(600_000)
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    for (const side of [pair.a, pair.b])
      expect(side.events.filter((event) => event.type === 'ike-established').length).toBeLessThanOrEqual(2)
  })
})

describe('fragmentation', () => {
  test('long messages go in fragments; a lost one is sent again with the others; the answer as well', () => {
    const children = (name: 'a' | 'b') => [
      childConfig(name, { local: many(name), remote: many(name === 'a' ? 'b' : 'a') }),
    ]
    const sizes = { fragmentSize: 576 }
    const pair = new Pair({
      crypto: nodeCrypto,
      a: { children: children('a'), ...sizes },
      b: { children: children('b'), ...sizes },
    })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.pass('a')
    pair.pass('b')
    const fragments = pair.inFlight.length
    expect(fragments).toBeGreaterThan(1)
    for (const { bytes } of pair.inFlight) expect(bytes.length).toBeLessThanOrEqual(548)
    pair.take('a')
    pair.flush()
    expect(pair.b.children).toEqual([])
    pair.advance(2_000)
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('not without both ends: 0 at one end means whole messages', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { fragmentSize: 576 }, b: { fragmentSize: 0 } }))
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })
})

describe('floods', () => {
  test('from the threshold on cookies are demanded, an honest initiator gets in, the table stays bounded', () => {
    const pair = new Pair({ crypto: nodeCrypto, limits: { cookieThreshold: 4, maxHalfOpen: 6 } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    const template = pair.take('a')
    pair.input('a', { type: 'terminate', connection: 'peer' })
    for (let i = 0; i < 50; i++) {
      const bytes = template.bytes.slice()
      bytes.set([9, 9, i], 0)
      pair.deliver({ ...template, bytes })
    }
    expect(pair.b.endpoint.counters().cookiesDemanded).toBe(46)
    pair.inFlight.length = 0
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    pair.advance(31_000)
    expect(pair.b.endpoint.deadline()).toBeGreaterThan(pair.now + 60_000)
  })

  test('above the last limit nobody gets in', () => {
    const pair = new Pair({ crypto: nodeCrypto, limits: { cookieThreshold: 100, maxHalfOpen: 3 } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    const template = pair.take('a')
    for (let i = 0; i < 10; i++) {
      const bytes = template.bytes.slice()
      bytes.set([9, 9, i], 0)
      pair.deliver({ ...template, bytes })
    }
    expect(pair.b.endpoint.counters().halfOpenRefused).toBe(7)
  })
})

describe('garbage', () => {
  test('every cut and every flipped byte of real messages is counted and harmless', () => {
    const pair = up(new Pair({ crypto: nodeCrypto }))
    pair.rekeyChild('a')
    const real = pair.take('a')
    for (let at = 0; at < real.bytes.length; at++) {
      pair.deliver({ ...real, bytes: real.bytes.slice(0, at) })
      const flipped = real.bytes.slice()
      flipped[at]! ^= 0x55
      pair.deliver({ ...real, bytes: flipped })
    }
    pair.inFlight.length = 0
    const { malformed, integrityFailed, unknownSpi } = pair.b.endpoint.counters()
    expect(malformed).toBeGreaterThan(100)
    expect(integrityFailed).toBeGreaterThan(100)
    expect(unknownSpi).toBeGreaterThan(8)
    pair.deliver(real)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('a higher major version is answered with INVALID_MAJOR_VERSION, few times a second', () => {
    const pair = new Pair({ crypto: nodeCrypto })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    const real = pair.take('a')
    const bytes = real.bytes.slice()
    bytes[17] = 0x30
    for (let i = 0; i < 50; i++) pair.deliver({ ...real, bytes })
    expect(pair.b.endpoint.counters().unknownVersion).toBe(50)
    expect(pair.inFlight.length).toBe(10)
    expect(notifies(pair.inFlight[0]!.bytes)).toEqual([NOTIFY.INVALID_MAJOR_VERSION])
  })

  test('an unknown SPI is answered with INVALID_IKE_SPI, and such an answer ends nothing', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000 } }))
    const spare = up(new Pair({ crypto: nodeCrypto, seed: 99 }))
    pair.advance(10_000, false)
    const check = pair.take('a')
    spare.deliver(check)
    const answer = spare.take('b')
    expect(notifies(answer.bytes)).toEqual([NOTIFY.INVALID_IKE_SPI])
    pair.deliver(answer)
    expect(pair.a.endpoint.status(0)[0]!.state).toBe('established')
  })

  test('a forged refusal of IKE_SA_INIT does not end the attempt', () => {
    const pair = new Pair({ crypto: nodeCrypto })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    const request = pair.take('a')
    const message = decodeMessage(request.bytes)
    if (isDecodeError(message)) throw new Error(message.reason)
    const header = { ...message.header, flags: { initiator: false, response: true, version: false } }
    const refusal = {
      type: 'N',
      protocol: 0,
      spi: new Uint8Array(0),
      notify: NOTIFY.NO_PROPOSAL_CHOSEN,
      data: new Uint8Array(0),
    } as const
    const forged = encodeMessage({ header, payloads: [refusal] })
    pair.deliver({ from: 'b', local: request.remote, remote: request.local, bytes: forged })
    expect(pair.a.event('failed')!.code).toBe('no-proposal-chosen')
    pair.deliver(request)
    pair.flush()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(pair.a.endpoint.status(0)[0]!.lastError).toBeUndefined()
  })

  test('a request that comes twice is answered twice and done once; an old one is not answered', () => {
    const pair = up(new Pair({ crypto: nodeCrypto, a: { dpdIntervalMs: 10_000 }, b: { dpdIntervalMs: 0 } }))
    pair.advance(1_000, false)
    const first = pair.take('a')
    pair.deliver(first)
    pair.pass('b')
    pair.advance(10_000, false)
    pair.pass('a')
    pair.pass('b')
    pair.deliver(first)
    expect(pair.inFlight).toEqual([])
    expect(pair.b.endpoint.counters().replayed).toBe(1)
    expect(decodeHeader(first.bytes)).toMatchObject({ exchangeType: EXCHANGE.INFORMATIONAL })
  })
})

function up(pair: Pair): Pair {
  pair.input('a', { type: 'initiate', connection: 'peer' })
  pair.flush()
  expect(pair.a.endpoint.status(0)[0]!.state).toBe('established')
  return pair
}

function behindNat(): Pair {
  const { remoteAddress: _, ...any } = connection('b')
  const pair = new Pair({ crypto: nodeCrypto, b: any })
  Object.assign(pair.b.endpoint.connection('peer')!.config, { remoteAddress: undefined })
  pair.nat = { address: NAT, firstPort: 20_000 }
  return up(pair)
}

/** The endpoint of one side is replaced by a fresh one that knows nothing. */
function restart(pair: Pair, name: 'a' | 'b'): void {
  const { config } = pair[name].endpoint.connection('peer')!
  const options = { crypto: nodeCrypto, limits: DEFAULT_LIMITS, random: seeded(4711), keyLog: false }
  Object.assign(pair, { [name]: new Side(name, [config], options, pair.now) })
}

function many(name: 'a' | 'b') {
  const [first] = childConfig(name).local
  return Array.from({ length: 14 }, (_, i) => ({ ...first!, startPort: i * 10, endPort: i * 10 + 5 }))
}

function notifies(bytes: Uint8Array): number[] {
  const message = decodeMessage(bytes)
  if (isDecodeError(message)) throw new Error(message.reason)
  return message.payloads.flatMap((payload) => (payload.type === 'N' ? [payload.notify] : []))
}
