import { describe, expect, it } from 'vitest'
import { type Prefix, parsePrefix } from '../../../protocol/net.ts'
import { QUEUE_PREFIXES, SendQueue } from './send-queue.ts'
import type { RouteInput, SessionEffect } from './session-types.ts'
import { CONFIG, Driven, words } from './testing/driven.ts'
import { IN_FLIGHT } from './timing.ts'
import { blockOf, decodeMessage, isBgpFault, prefixesOf, type UpdateMessage } from './wire/codec.ts'

const OPTIONS = { fourOctetAs: true, extendedMessages: false, internal: false }
const NEXT_HOP = { address: '192.0.2.1' as never }
const ATTRIBUTES = { origin: 0, asPath: [] }
const OTHER = { origin: 1, asPath: [] }

describe('packing', () => {
  it('routes of the same attributes share messages, however they were handed in', () => {
    const queue = new SendQueue(OPTIONS)
    for (let index = 0; index < 1100; index++) queue.offer(announce(1, index))
    const messages = drain(queue)
    expect(messages.length).toBe(2)
    expect(messages.flatMap(announced)).toEqual(prefixes(1100, 0))
    expect(messages.every(({ length }) => length <= 4096)).toBe(true)
    expect(messages[0]!.length).toBeGreaterThan(4090)
  })

  it('the order of what concerns a prefix stays', () => {
    const queue = new SendQueue(OPTIONS)
    queue.offer(announce(1, 0))
    queue.offer({ type: 'withdraw', prefixes: block(1, 0) })
    queue.offer({ ...announce(1, 0), attributes: OTHER })
    queue.offer({ type: 'end-of-rib', family: 4 })
    const seen = drain(queue).map(update)
    expect(
      seen.map(({ withdrawn, attributes, endOfRib }) => [withdrawn.length, attributes?.origin, endOfRib?.afi]),
    ).toEqual([
      [0, 0, undefined],
      [1, undefined, undefined],
      [0, 1, undefined],
      [0, undefined, 1],
    ])
  })

  it('what fits into no message is told and withdrawn', () => {
    const queue = new SendQueue(OPTIONS)
    const communities = Array.from({ length: 1100 }, (_, index) => index)
    queue.offer({ ...announce(3, 0), attributes: { ...ATTRIBUTES, communities } })
    const first = queue.next()!
    expect(prefixesOf(first.unsendable!)).toEqual(prefixes(3, 0))
    expect(update(queue.next()!.message!).withdrawn.flatMap(prefixesOf)).toEqual(prefixes(3, 0))
    expect(queue.next()).toBeUndefined()
    expect(queue.length).toBe(0)
  })

  it('is bounded, and counts what waits', () => {
    const queue = new SendQueue(OPTIONS)
    expect(queue.offer(announce(QUEUE_PREFIXES - 1, 0))).toBe(true)
    expect(queue.offer(announce(1000, 0))).toBe(true)
    expect(queue.offer(announce(1, 0))).toBe(false)
    expect(queue.offer({ type: 'end-of-rib', family: 4 })).toBe(false)
    const before = queue.length
    const { message } = queue.next()!
    expect(queue.length).toBe(before - announced(message!).length)
    drain(queue)
    expect(queue.length).toBe(0)
  })
})

describe('a session that sends many routes', () => {
  it('packs no more than the kernel takes, refuses what does not fit, and says when there is room', () => {
    const driven = new Driven().reach('established')
    const { session } = driven
    const poll = () => {
      const effects: SessionEffect[] = []
      for (let effect = session.poll(); effect !== undefined; effect = session.poll()) effects.push(effect)
      return effects
    }
    const octets = (effects: SessionEffect[]) =>
      effects.reduce((sum, effect) => sum + (effect.type === 'send' ? effect.bytes.length : 0), 0)
    let inFlight = 0
    let refused: RouteInput | undefined
    let given = 0
    while (refused === undefined && given < 1000) {
      session.handle(announce(1024, given * 1024), driven.now)
      const effects = poll()
      inFlight += octets(effects)
      refused = effects.find((effect) => effect.type === 'refused')?.input
      if (refused === undefined) given++
    }
    expect(given).toBeGreaterThan(64)
    expect(given).toBeLessThan(200)
    // The neighbour announced extended messages: one may go over.
    expect(inFlight).toBeLessThan(IN_FLIGHT + 65_536)
    expect(session.queued).toBeGreaterThanOrEqual(QUEUE_PREFIXES)
    const seen: string[] = []
    for (let turns = 0; inFlight > 0 && turns < 100; turns++) {
      session.handle({ type: 'sent', connection: driven.connection, octets: inFlight }, driven.now)
      const effects = poll()
      inFlight = octets(effects)
      seen.push(...effects.map(({ type }) => type).filter((type) => type !== 'send'))
    }
    expect(seen).toEqual(['room'])
    expect(session.queued).toBe(0)
  })

  it('forgets what waited with the connection', () => {
    const driven = new Driven().reach('established')
    driven.session.handle(announce(60_000, 0), driven.now)
    driven.session.handle(announce(60_000, 60_000), driven.now)
    expect(driven.session.queued).toBeGreaterThan(0)
    driven.give({ type: 'closed', connection: driven.connection })
    expect(driven.session.queued).toBe(0)
    expect(words(driven.give(announce(1, 0)))).toBe('')
    expect(CONFIG.families).toContain(4)
  })
})

function prefixes(count: number, from: number): Prefix[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index
    return parsePrefix(`${(number >>> 16) + 1}.${(number >>> 8) & 255}.${number & 255}.0/24`)!
  })
}

function block(count: number, from: number) {
  return blockOf(4, prefixes(count, from))
}

function announce(count: number, from: number) {
  return { type: 'announce' as const, attributes: ATTRIBUTES, nextHop: NEXT_HOP, prefixes: block(count, from) }
}

function drain(queue: SendQueue): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let packed = queue.next(); packed !== undefined; packed = queue.next()) messages.push(packed.message!)
  return messages
}

function update(message: Uint8Array): UpdateMessage {
  const found = decodeMessage(message, { ...OPTIONS, families: [4, 6] })
  if (isBgpFault(found) || found.type !== 'UPDATE') throw new Error('not an UPDATE')
  return found
}

function announced(message: Uint8Array): Prefix[] {
  return update(message).reach.flatMap((reach) => prefixesOf(reach.prefixes))
}
