/** Additional Child SAs (RFC 9611) through rekeys, deletes, new sessions and restarts. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { DEFAULT_LIMITS } from './retransmit.ts'
import { slotOf } from './slot.ts'
import { ChildTask } from './tasks/create-child.ts'
import { childConfig, type Name, Pair, type PairOptions, Side, seeded } from './testing/pair.ts'
import { crossEverything, faultsOf, limitTo, resourcesOf } from './testing/several.ts'
import { NOTIFY } from './wire/codec.ts'

const pairOf = (a: number, b: number, options: Partial<PairOptions> = {}) =>
  new Pair({ crypto: nodeCrypto, resources: [a, b], ...options })

describe('rekeys', () => {
  test.each(['a', 'b'] as const)('%s rekeys the child: each SA stays on its resource', (who) => {
    const pair = pairOf(4, 2).establish()
    pair.settle()
    const before = pair.a.children
    pair.rekeyChild(who)
    pair.settle()
    expect(faultsOf(pair, 4)).toEqual([])
    expect(resourcesOf(pair.a)).toEqual([0, 1, 2, 3])
    expect(pair.a.children.map(({ rekeys }) => rekeys)).toEqual([1, 1, 1, 1])
    const rekeyed = pair.a.events.filter((event) => event.type === 'child-rekeyed')
    for (const { replaces, resource } of rekeyed)
      expect(before.find(({ id }) => id === replaces)?.resource).toBe(resource)
    expect(rekeyed).toHaveLength(4)
  })

  test.each([
    [0x00, 0xff],
    [0xff, 0x00],
  ])('both ends rekey every SA at once (nonces %i and %i)', (low, high) => {
    const pair = pairOf(3, 2).establish()
    pair.a.nonces(...Array.from({ length: 40 }, () => low))
    pair.b.nonces(...Array.from({ length: 40 }, () => high))
    pair.rekeyChild('a')
    pair.rekeyChild('b')
    crossEverything(pair)
    pair.settle()
    expect(faultsOf(pair, 3)).toEqual([])
  })

  test('of the IKE SA: every SA goes on, none is made again', () => {
    const pair = pairOf(4, 4).establish()
    const before = pair.a.children.map(({ id }) => id)
    pair.rekeyIke('a')
    pair.rekeyIke('b')
    pair.settle()
    expect(faultsOf(pair, 4)).toEqual([])
    expect(pair.a.children.map(({ id }) => id)).toEqual(before)
  })

  test('for days by their lifetimes', () => {
    const lifetime = { softMs: 600_000, hardMs: 700_000, jitterMs: 60_000 }
    const children = (name: Name) => ({ children: [childConfig(name, { lifetime })] })
    const pair = pairOf(3, 2, { a: children('a'), b: children('b') }).establish()
    pair.advance(12 * 3_600_000)
    pair.advance(30_000)
    expect(pair.losses).toEqual([])
    for (const side of [pair.a, pair.b]) {
      expect(side.children.filter((child) => child.rekeys > 30).length).toBeGreaterThanOrEqual(3)
      expect(side.event('failed')).toBeUndefined()
    }
    expect(new Set(resourcesOf(pair.a))).toEqual(new Set([0, 1, 2]))
  })
})

describe('SAs that end', () => {
  test.each([
    ['a', 0],
    ['a', 1],
    ['b', 0],
    ['b', 2],
  ] as const)(
    '%s deletes the one on its resource %i: the others carry its traffic, and it comes back',
    (name, resource) => {
      const pair = pairOf(3, 3).establish()
      const gone = pair[name].engine.sender('net', resource)!
      pair.input(name, { type: 'child-limit', connection: 'peer', spi: gone.outbound.spi, hard: true })
      expect(pair[name].engine.sender('net', resource)!.resource).not.toBe(resource)
      pair.flush()
      pair.settle()
      expect(faultsOf(pair, 3)).toEqual([])
      expect(pair[name].engine.sender('net', resource)!.id).not.toBe(gone.id)
    },
  )

  test('the home SA of a tunnel that the peer keeps small comes back too', () => {
    const pair = pairOf(3, 1)
    limitTo(pair, 2, NOTIFY.TS_MAX_QUEUE)
    pair.establish()
    expect(resourcesOf(pair.a)).toEqual([0, 1])
    const home = pair.a.engine.sender('net', 0)!
    pair.input('a', { type: 'child-limit', connection: 'peer', spi: home.outbound.spi, hard: true })
    pair.settle()
    expect(resourcesOf(pair.a)).toEqual([0, 1])
    expect(pair.a.engine.sender('net', 0)!.id).not.toBe(home.id)
    expect(pair.losses).toEqual([])
  })

  test('all but one: each resource gets its SA again', () => {
    for (const keep of [0, 1, 2]) {
      const pair = pairOf(3, 3).establish()
      for (const { outbound } of [...pair.a.engine.installed.values()].filter((sa) => sa.resource !== keep))
        pair.input('a', { type: 'child-limit', connection: 'peer', spi: outbound.spi, hard: true })
      pair.settle()
      expect(faultsOf(pair, 3)).toEqual([])
    }
  })

  test('the engine has no room for an additional one: told, deleted at the peer, tried again', () => {
    const pair = pairOf(2, 2).establish()
    const [, refused] = [...pair.a.engine.installed.values()]
    pair.mustCarry = undefined
    pair.input('a', { type: 'child-refused', connection: 'peer', id: refused!.id, reason: 'the SA table is full' })
    pair.flush()
    expect(pair.a.event('failed')).toMatchObject({ code: 'engine-refused' })
    expect(resourcesOf(pair.b)).toEqual([0])
    pair.advance(60_000)
    expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
  })

  test('a new session takes over slot by slot and loses no packet', () => {
    const pair = pairOf(3, 3, { a: { lifetime: { softMs: 1e9, hardMs: 2e9, jitterMs: 0 } } }).establish()
    const connection = pair.a.endpoint.connection('peer')!
    const old = connection.session!
    old.state = 'closing'
    connection.initiate(pair.now)
    old.state = 'established'
    pair.settle(3_000)
    expect(connection.sessions).toHaveLength(2)
    old.close(pair.now, 'replaced by the test')
    pair.settle()
    expect(faultsOf(pair, 3)).toEqual([])
  })

  test('a new session that has fewer carries for the resources of the old one, from before its DELETE', () => {
    const pair = pairOf(3, 3).establish()
    const connection = pair.a.endpoint.connection('peer')!
    const old = connection.session!
    old.state = 'closing'
    connection.initiate(pair.now)
    old.state = 'established'
    connection.session!.enough.add('net')
    connection.sessions.at(-1)!.enough.add('net')
    pair.settle(3_000)
    expect(connection.sessions.map(({ children }) => children.length)).toEqual([3, 1])
    old.close(pair.now, 'replaced by the test')
    pair.input('a', { type: 'time' })
    expect([1, 2].map((resource) => pair.a.engine.sender('net', resource)?.resource)).toEqual([0, 0])
    pair.flush()
    expect(pair.losses).toEqual([])
  })

  test('a peer that makes no second SA: one that expires goes, the last one takes the session along', () => {
    const pair = pairOf(2, 2).establish()
    const { session } = pair.a.endpoint.connection('peer')!
    session!.noAdditionalSas = true
    for (const [resource, state] of [
      [1, 'established'],
      [0, 'closing'],
    ] as const) {
      const { outbound } = pair.a.engine.sender('net', resource)!
      pair.input('a', { type: 'child-limit', connection: 'peer', spi: outbound.spi, hard: true })
      expect(session!.state).toBe(state)
      if (resource === 1) pair.flush()
    }
  })

  test('an additional SA is not made where it would be the only one', () => {
    const pair = pairOf(2, 2).establish()
    const { session, active, config } = pair.a.endpoint.connection('peer')!
    session!.children.length = 0
    active.clear()
    session!.enqueue(new ChildTask(config.children[0]!, 1))
    session!.pump(pair.now)
    expect(session!.has('create-child')).toBe(false)
    pair.input('a', { type: 'initiate', connection: 'peer' })
    expect(session!.isMaking(slotOf('net', 0))).toBe(true)
  })

  test('one end starts anew: its peer follows', () => {
    const pair = pairOf(3, 2, { a: { initiate: true }, b: { dpdIntervalMs: 10_000 } }).establish()
    pair.mustCarry = undefined
    restart(pair, 'a')
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.settle()
    expect(faultsOf(pair, 3)).toEqual([])
  })
})

/** The endpoint of one side is replaced by a fresh one that knows nothing. */
function restart(pair: Pair, name: Name): void {
  const { endpoint, resources } = pair[name]
  const { config } = endpoint.connection('peer')!
  const options = { crypto: nodeCrypto, limits: DEFAULT_LIMITS, random: seeded(4711), keyLog: false, resources }
  Object.assign(pair, { [name]: new Side(name, [config], options, pair.now) })
}
