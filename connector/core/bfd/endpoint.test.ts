import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { SeededRandom } from '../../../test/sim/random.ts'
import {
  BFD_PORT,
  type BfdDatagram,
  type BfdDrop,
  BfdEndpoint,
  type BfdEndpointEffect,
  MAX_SESSIONS,
} from './endpoint.ts'
import { CONFIG, PEER_UP } from './testing.ts'
import { decodeBfd, encodeBfd, isBfdFault } from './wire.ts'

const LOCAL = address('169.254.10.1')
const REMOTE = address('169.254.10.2')
const OTHER = address('169.254.10.6')

describe('finding the session (RFC 5880 section 6.8.6)', () => {
  test('by addresses while the peer does not know our discriminator, then by that', () => {
    const { endpoint, discriminator } = world()
    endpoint.handle(datagram({ state: 'down', yourDiscriminator: 0 }), 1)
    expect(endpoint.status('a')!.state).toBe('init')
    endpoint.handle(datagram({ state: 'init', yourDiscriminator: discriminator('a') }), 2)
    expect(endpoint.status('a')!.state).toBe('up')
    expect(endpoint.status('b')!.state).toBe('down')
    expect(endpoint.drops.size).toBe(0)
  })

  test('of two on one pair of link-local addresses, by the interface', () => {
    const endpoint = new BfdEndpoint(random())
    const [local, remote] = [address('fe80::1'), address('fe80::2')]
    for (const link of ['tun0', 'tun1']) {
      endpoint.handle({ kind: 'add', id: link, path: { local, remote, link }, config: CONFIG }, 0)
    }
    const first = {
      ...datagram({ state: 'down', yourDiscriminator: 0 }),
      from: { address: remote, port: 50_000 },
      to: local,
    }
    endpoint.handle({ ...first, link: 'tun1' }, 1)
    endpoint.handle({ ...first, link: 'tun2' }, 1)
    expect(['tun0', 'tun1'].map((id) => endpoint.status(id)!.state)).toEqual(['down', 'init'])
    expect([...endpoint.drops]).toEqual([['unknown-path', 1]])
  })

  test.each([
    ['bad-ttl', { ttl: 254 }, {}],
    [
      'unknown-path',
      { from: { address: address('192.0.2.1'), port: 49_152 } },
      { state: 'down', yourDiscriminator: 0 },
    ],
    ['unknown-discriminator', {}, { yourDiscriminator: 1 }],
    ['other-path', { from: { address: OTHER, port: 49_152 } }, {}],
    ['authentication', {}, { authentication: { type: 1, data: Uint8Array.of(1, 65) } }],
    ['zero-my-discriminator', {}, undefined],
  ] as const)('%s is counted and nothing else happens', (drop, outer, fields) => {
    const { endpoint, discriminator } = world()
    const good = datagram({ yourDiscriminator: discriminator('a'), ...fields })
    if (fields === undefined) good.bytes.fill(0, 4, 8)
    endpoint.handle({ ...good, ...outer } as BfdDatagram, 1)
    expect([...endpoint.drops]).toEqual([[drop as BfdDrop, 1]])
    expect(endpoint.poll()).toBeUndefined()
  })
})

describe('sending (RFC 5881 section 4)', () => {
  test('to port 3784, each session from one port of its own in the range', () => {
    const endpoint = new BfdEndpoint(random())
    const ports = new Map<string, Set<number>>()
    for (let i = 0; i < 50; i++) add(endpoint, `s${i}`, `10.0.${i}.1`)
    for (let now = 0; now <= 5_000; now += 100) {
      endpoint.handle({ kind: 'time' }, now)
      for (const effect of drain(endpoint)) {
        if (effect.kind !== 'send') continue
        expect(effect.to.port).toBe(BFD_PORT)
        ports.set(effect.id, (ports.get(effect.id) ?? new Set()).add(effect.from.port))
      }
    }
    const all = [...ports.values()].flatMap((set) => [...set])
    expect(all.length).toBe(50)
    expect(new Set(all).size).toBe(50)
    expect(all.every((port) => port >= 49_152 && port <= 65_535)).toBe(true)
  })
})

describe('sessions', () => {
  test('a second one of an id or a path, impossible timers and unknown ids are refused', () => {
    const { endpoint } = world()
    add(endpoint, 'a', '10.0.0.9')
    add(endpoint, 'c', REMOTE)
    const timers = { ...CONFIG.timers, detectMult: 1.5 }
    endpoint.handle({ kind: 'add', id: 'd', path: { local: LOCAL, remote: LOCAL }, config: { ...CONFIG, timers } }, 0)
    endpoint.handle({ kind: 'timers', id: 'a', timers }, 0)
    endpoint.handle({ kind: 'remove', id: 'z' }, 0)
    expect(drain(endpoint).map(({ kind, id }) => [kind, id])).toEqual(
      ['a', 'c', 'd', 'a', 'z'].map((id) => ['refused', id]),
    )
    expect(endpoint.ids).toEqual(['a', 'b'])
  })

  test('are bounded', () => {
    const endpoint = new BfdEndpoint(random())
    for (let i = 0; i <= MAX_SESSIONS; i++) add(endpoint, `s${i}`, `10.${i >> 8}.${i & 255}.1`)
    expect(drain(endpoint).filter(({ kind }) => kind === 'refused').length).toBe(1)
    expect(endpoint.ids.length).toBe(MAX_SESSIONS)
    expect(new Set(endpoint.ids.map((id) => endpoint.status(id)!.localDiscriminator)).size).toBe(MAX_SESSIONS)
  })

  test('that are removed make room', () => {
    const { endpoint } = world()
    endpoint.handle({ kind: 'remove', id: 'a' }, 0)
    expect(drain(endpoint).map(({ kind }) => kind)).toEqual(['state', 'send', 'ended'])
    add(endpoint, 'a', REMOTE)
    expect(drain(endpoint).map(({ kind }) => kind)).toEqual(['send'])
  })

  test('wake when the first of them wants to', () => {
    const { endpoint } = world()
    expect(endpoint.deadline()).toBeGreaterThan(700)
    expect(endpoint.deadline()).toBeLessThanOrEqual(1_000)
    expect(new BfdEndpoint(random()).deadline()).toBeUndefined()
  })
})

function random() {
  const source = new SeededRandom(1)
  return (length: number) => source.bytes(length)
}

function world() {
  const endpoint = new BfdEndpoint(random())
  add(endpoint, 'a', REMOTE)
  add(endpoint, 'b', OTHER)
  const sent = drain(endpoint)
  return {
    endpoint,
    discriminator(id: string): number {
      const effect = sent.find((candidate) => candidate.kind === 'send' && candidate.id === id)
      const packet = decodeBfd((effect as Extract<BfdEndpointEffect, { kind: 'send' }>).bytes)
      if (isBfdFault(packet)) throw new Error(packet.reason)
      return packet.myDiscriminator
    },
  }
}

function add(endpoint: BfdEndpoint, id: string, remote: string): void {
  endpoint.handle({ kind: 'add', id, path: { local: LOCAL, remote: address(remote) }, config: CONFIG }, 0)
}

function datagram(fields: Partial<typeof PEER_UP>): BfdDatagram {
  const bytes = encodeBfd({ ...PEER_UP, ...fields })
  return { kind: 'datagram', bytes, from: { address: REMOTE, port: 49_152 }, to: LOCAL, ttl: 255 }
}

function drain(endpoint: BfdEndpoint): BfdEndpointEffect[] {
  const effects: BfdEndpointEffect[] = []
  for (let effect = endpoint.poll(); effect !== undefined; effect = endpoint.poll()) effects.push(effect)
  return effects
}
