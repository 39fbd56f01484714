/** Keys that change while a connection is up: authenticated anew, made before broken, and nothing lost. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { childConfig, connection, type Name, Pair, type PairOptions } from './testing/pair.ts'
import { CLOSE_MS, GRACE_MS, MISSING_KEY_MS, SUPERSEDE_MS } from './timing.ts'
import type { IkeKey } from './types.ts'

const key = (n: number): IkeKey => ({ id: `epoch-${n}`, psk: new Uint8Array(32).fill(n) })
const keys = (...numbers: number[]): IkeKey[] => numbers.map(key)

function pairOf(options: Partial<PairOptions> = {}): Pair {
  const both = { keys: keys(1) }
  return new Pair({ crypto: nodeCrypto, ...options, a: { ...both, ...options.a }, b: { ...both, ...options.b } })
}

function give(pair: Pair, name: Name, ...numbers: number[]): void {
  pair.input(name, { type: 'set-keys', connection: 'peer', keys: keys(...numbers) })
}

const keyIds = (pair: Pair) => [pair.a, pair.b].map((side) => side.endpoint.status(pair.now)[0]!.keyId)

/** What the control plane has the ends do: accept the new key, use it, forget the old one. */
function rotate(pair: Pair, from: number, to: number, settle = () => pair.settle(2000)): void {
  const steps: [Name, number[]][] = [
    ['a', [from, to]],
    ['b', [from, to]],
    ['b', [to, from]],
    ['a', [to, from]],
    ['a', [to]],
    ['b', [to]],
  ]
  for (const [name, numbers] of steps) {
    give(pair, name, ...numbers)
    settle()
  }
}

describe('a rotation', () => {
  test('goes over to the new key without a gap, and both ends know it', () => {
    const pair = pairOf().establish()
    rotate(pair, 1, 2)
    pair.settle()
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    expect(pair.a.endpoint.status(pair.now)[0]!.keyConfirmed).toBe(true)
    expect(pair.b.endpoint.status(pair.now)[0]!.keyConfirmed).toBe(true)
  })

  test.each([
    [1, 1],
    [3, 3],
    [4, 2],
    [1, 4],
  ])('takes the additional SAs of %i and %i resources along', (a, b) => {
    const pair = pairOf({ resources: [a, b] }).establish()
    for (let epoch = 1; epoch < 4; epoch++) rotate(pair, epoch, epoch + 1)
    pair.settle()
    expect(keyIds(pair)).toEqual(['epoch-4', 'epoch-4'])
    expect(pair.disagreements({ ike: 1, children: Math.max(a, b) })).toEqual([])
  })

  test('takes every child along', () => {
    const children = (name: Name) => [childConfig(name), childConfig(name, { name: 'other' }, 64)]
    const pair = pairOf({ a: { children: children('a') }, b: { children: children('b') } }).establish()
    rotate(pair, 1, 2)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
  })

  test('lets packets of the old SAs in until their grace is over', () => {
    const pair = pairOf().establish()
    const [old] = pair.b.children
    give(pair, 'b', 1, 2)
    give(pair, 'a', 2, 1)
    pair.flush()
    expect(keyIds(pair)[0]).toBe('epoch-2')
    expect([...pair.b.engine.installed.values()].map(({ id }) => id)).toContain(old!.id)
    pair.advance(GRACE_MS + 20_000)
    expect([...pair.b.engine.installed.values()].map(({ id }) => id)).not.toContain(old!.id)
  })

  test('works whichever end had initiated', () => {
    const pair = pairOf()
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle(20_000)
    pair.mustCarry = 'net'
    rotate(pair, 1, 2)
    pair.settle()
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('crosses rekeys of the IKE SA and of the Child SA', () => {
    for (const name of ['a', 'b'] as const) {
      const pair = pairOf().establish()
      for (const end of ['a', 'b'] as const) give(pair, end, 1, 2)
      give(pair, 'b', 2, 1)
      give(pair, 'a', 2, 1)
      pair.rekeyChild(name)
      pair.rekeyIke(name)
      pair.settle()
      expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
      expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
    }
  })

  test('survives the loss of any one message', () => {
    for (let lost = 0; lost < 16; lost++) {
      const pair = pairOf({ resources: [2, 2], limits: { retransmitMs: 500 } }).establish()
      for (const end of ['a', 'b'] as const) give(pair, end, 1, 2)
      give(pair, 'b', 2, 1)
      let sent = 0
      pair.onPath = (datagram) => (sent++ === lost ? { ...datagram, bytes: datagram.bytes.map(() => 0) } : datagram)
      give(pair, 'a', 2, 1)
      pair.settle()
      expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
      expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
    }
  })

  test('sends the DELETE of the old session again and again, and receives there until it is answered', () => {
    const pair = pairOf({ resources: [2, 2] }).establish()
    for (const end of ['a', 'b'] as const) give(pair, end, 1, 2)
    give(pair, 'b', 2, 1)
    const old = pair.a.endpoint.ikeSas()[0]!.initiatorSpi
    const before = [...pair.a.engine.installed.keys()]
    const isOld = (bytes: Uint8Array) => Buffer.from(bytes.subarray(0, 8)).toString('hex') === old
    pair.onPath = (datagram) => (isOld(datagram.bytes) ? { ...datagram, bytes: datagram.bytes.map(() => 0) } : datagram)
    give(pair, 'a', 2, 1)
    pair.advance(CLOSE_MS + GRACE_MS + 15_000)
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    expect(before.every((id) => pair.a.engine.installed.has(id))).toBe(true)
    pair.onPath = undefined
    pair.settle()
    expect(before.some((id) => pair.a.engine.installed.has(id))).toBe(false)
    expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
  })

  test('keeps the old session for as long as the new one has no Child SA', () => {
    const pair = pairOf().establish()
    const { config } = pair.b.endpoint.connection('peer')!
    const { children } = config
    for (const end of ['a', 'b'] as const) give(pair, end, 1, 2)
    give(pair, 'b', 2, 1)
    Object.assign(config, { children: [] })
    give(pair, 'a', 2, 1)
    pair.advance(3 * SUPERSEDE_MS)
    expect(pair.a.endpoint.connection('peer')!.sessions).toHaveLength(2)
    expect(pair.a.children).toHaveLength(1)
    Object.assign(config, { children })
    pair.settle()
    expect(pair.losses).toEqual([])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('says the same again without effect', () => {
    const pair = pairOf().establish()
    for (let i = 0; i < 5; i++) give(pair, 'a', 1)
    pair.flush()
    expect(pair.a.effects).toEqual([])
  })
})

describe('a peer that does not know when keys change', () => {
  function initiatedByPeer(...accepted: number[]): Pair {
    const pair = pairOf({ a: { keys: keys(...accepted), renews: true } })
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle(20_000)
    pair.mustCarry = 'net'
    return pair
  }

  test('has the session that it initiated replaced by ours, without a gap', () => {
    const pair = initiatedByPeer(1)
    expect(pair.a.endpoint.connection('peer')!.session!.byUs).toBe(false)
    give(pair, 'b', 1, 2)
    give(pair, 'a', 2, 1)
    pair.settle()
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    expect(pair.losses).toEqual([])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('keeps the session that it makes with a key which is not the one to use yet', () => {
    const pair = initiatedByPeer(2, 1)
    pair.advance(5_000)
    expect(keyIds(pair)).toEqual(['epoch-1', 'epoch-1'])
    expect(pair.a.event('failed')).toBeUndefined()
    expect(pair.a.endpoint.connection('peer')!.sessions).toHaveLength(1)
  })

  test('is not so where it renews by itself: only who initiated does', () => {
    const pair = pairOf()
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle(20_000)
    give(pair, 'b', 1, 2)
    give(pair, 'a', 2, 1)
    pair.settle(5_000)
    expect(keyIds(pair)).toEqual(['epoch-1', 'epoch-1'])
  })
})

describe('a key that the other end does not accept', () => {
  test('leaves the old session in place, is told, and tried again', () => {
    const pair = pairOf().establish()
    give(pair, 'a', 2, 1)
    pair.flush()
    expect(pair.a.event('failed')).toMatchObject({ code: 'authentication-failed' })
    expect(keyIds(pair)).toEqual(['epoch-1', 'epoch-1'])
    expect(pair.losses).toEqual([])
    give(pair, 'b', 1, 2)
    pair.settle(30_000)
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('is given up when the rotation is aborted', () => {
    const pair = pairOf().establish()
    give(pair, 'a', 2, 1)
    pair.flush()
    give(pair, 'a', 1)
    pair.settle()
    expect(keyIds(pair)).toEqual(['epoch-1', 'epoch-1'])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('an abort after the change goes back to the old key', () => {
    const pair = pairOf().establish()
    for (const end of ['a', 'b'] as const) give(pair, end, 2, 1)
    pair.flush()
    expect(keyIds(pair)).toEqual(['epoch-2', 'epoch-2'])
    for (const end of ['b', 'a'] as const) give(pair, end, 1)
    pair.settle(MISSING_KEY_MS / 2)
    expect(keyIds(pair)).toEqual(['epoch-1', 'epoch-1'])
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })
})

describe('a key that is taken away', () => {
  test('ends the session under it after a while, where the initiator does not come with another', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    give(pair, 'b', 2)
    pair.advance(MISSING_KEY_MS - 1000)
    expect(pair.b.children).toHaveLength(1)
    pair.advance(2000)
    expect(pair.b.children).toEqual([])
    expect(pair.a.children).toEqual([])
  })

  test('ends it at the initiating end as well, where the peer accepts no other', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    give(pair, 'a', 2)
    pair.advance(MISSING_KEY_MS + 1000)
    expect(pair.b.children).toEqual([])
  })

  test('is accepted again when it comes back in time', () => {
    const pair = pairOf().establish()
    give(pair, 'b', 2)
    pair.advance(MISSING_KEY_MS / 2)
    give(pair, 'b', 1)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('an empty list changes nothing', () => {
    const pair = pairOf().establish()
    give(pair, 'b')
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })
})

describe('connections that come and go', () => {
  test('a connection that is added can be initiated and answered', () => {
    const pair = pairOf().establish()
    const other = { type: 'fqdn', value: 'other.example' } as const
    const third = { type: 'fqdn', value: 'third.example' } as const
    pair.input('a', {
      type: 'add-connection',
      config: { ...connection('a'), name: 'new', localId: other, remoteId: third },
    })
    pair.input('b', {
      type: 'add-connection',
      config: { ...connection('b'), name: 'new', localId: third, remoteId: other },
    })
    pair.input('a', { type: 'initiate', connection: 'new' })
    pair.settle()
    expect(pair.b.endpoint.status(pair.now).map(({ connection: name, state }) => [name, state])).toEqual([
      ['peer', 'established'],
      ['new', 'established'],
    ])
  })

  test('one that is removed is deleted at the peer, told, and gone', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    pair.input('a', { type: 'remove-connection', connection: 'peer' })
    expect(pair.a.effects.some(({ type }) => type === 'connection-removed')).toBe(false)
    pair.flush()
    expect(pair.a.effects.filter(({ type }) => type === 'connection-removed')).toHaveLength(1)
    expect(pair.a.engine.installed.size).toBe(0)
    expect(pair.b.children).toEqual([])
    expect(pair.a.endpoint.status(pair.now)).toEqual([])
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.input('b', { type: 'initiate', connection: 'peer' })
    pair.settle()
    expect(pair.b.endpoint.status(pair.now)[0]!.state).not.toBe('established')
  })

  test('one that is removed while nobody answers is gone soon', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    pair.input('a', { type: 'remove-connection', connection: 'peer' })
    pair.inFlight = []
    pair.advance(6000, false)
    expect(pair.a.effects.filter(({ type }) => type === 'connection-removed')).toHaveLength(1)
  })

  test('removing what is not there is told at once', () => {
    const pair = pairOf()
    pair.input('a', { type: 'remove-connection', connection: 'nothing' })
    expect(pair.a.effects).toContainEqual({ type: 'connection-removed', connection: 'nothing' })
  })

  test('the shutdown waits no longer for a session whose key was replaced than for others', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    for (const end of ['a', 'b'] as const) give(pair, end, 1, 2)
    give(pair, 'b', 2, 1)
    give(pair, 'a', 2, 1)
    const closing = () => pair.a.endpoint.connection('peer')!.sessions.some(({ state }) => state === 'closing')
    for (let i = 0; i < 20 && !closing(); i++) pair.deliver(pair.inFlight.shift()!)
    expect(closing()).toBe(true)
    pair.inFlight = []
    pair.input('a', { type: 'shutdown' })
    pair.advance(CLOSE_MS + 1000, false)
    expect(pair.a.effects.filter(({ type }) => type === 'stopped')).toHaveLength(1)
  })

  test('the shutdown takes those along that are being removed', () => {
    const pair = pairOf().establish()
    pair.mustCarry = undefined
    pair.input('a', { type: 'remove-connection', connection: 'peer' })
    pair.input('a', { type: 'shutdown' })
    pair.settle()
    expect(pair.a.effects.filter(({ type }) => type === 'stopped')).toHaveLength(1)
  })
})
