import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { Pair, ticketsOf } from '../test/fuzz/stream-session-pair.ts'
import { build } from '../wasm/build.ts'
import { encodeControl } from './stream-control.ts'
import { streamProblem } from './stream-problem.ts'
import { REKEY_MESSAGES } from './stream-session-core.ts'
import type { SessionEffect } from './stream-session-types.ts'

beforeAll(async () => {
  await build({ modules: ['stream'] })
})

describe('messages', () => {
  test('keys change in both directions while messages cross, over 100,000 of them', () => {
    const pair = new Pair().start().run()
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'a')
    pair.run()
    const rounds = 50_000
    for (let i = 0; i < rounds; i++) {
      // Both send before either has received: the messages cross, also at the change.
      pair.initiator.write(stream, Uint8Array.of(i))
      pair.responder.write(stream, Uint8Array.of(i >> 8))
      const [up, down] = [pair.next('initiator'), pair.next('responder')]
      pair.responder.handle({ type: 'message', bytes: up })
      pair.initiator.handle({ type: 'message', bytes: down })
    }
    pair.run()
    expect(rounds).toBeGreaterThan(3 * REKEY_MESSAGES)
    expect(pair.responder.bytes(stream).subarray(1)).toEqual(
      Buffer.from(Array.from({ length: rounds }, (_, i) => i & 255)),
    )
    expect(pair.initiator.bytes(stream)).toEqual(Buffer.from(Array.from({ length: rounds }, (_, i) => (i >> 8) & 255)))
    expect(pair.initiator.last('ended')).toBeUndefined()
  })

  test('a side that only receives follows the changes of the other', () => {
    const pair = new Pair().start().run()
    const stream = pair.initiator.open()
    for (let i = 0; i < 2 * REKEY_MESSAGES + 10; i++) {
      pair.initiator.write(stream, Uint8Array.of(i))
      pair.responder.handle({ type: 'message', bytes: pair.next('initiator') })
    }
    pair.responder.drain()
    expect(pair.responder.bytes(stream).length).toBe(2 * REKEY_MESSAGES + 10)
  })

  test.each([
    ['repeated', (first: Uint8Array) => [first, first]],
    ['out of order', (first: Uint8Array, second: Uint8Array) => [second, first]],
    ['lost', (_: Uint8Array, second: Uint8Array) => [second]],
    ['cut short', (first: Uint8Array) => [first.subarray(0, first.length - 1)]],
    ['lengthened', (first: Uint8Array) => [Buffer.concat([first, Buffer.alloc(1)])]],
    ['too long', () => [new Uint8Array(65_536)]],
    ['empty', () => [new Uint8Array(0)]],
  ])('one that is %s ends the session at once, and nothing behind it is heard', (_, deliver) => {
    const pair = new Pair().start().run()
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'one')
    const first = pair.next('initiator')
    pair.initiator.write(stream, 'two')
    const second = pair.next('initiator')
    for (const bytes of deliver(first, second)) pair.responder.handle({ type: 'message', bytes })
    pair.responder.handle({ type: 'message', bytes: second })
    pair.responder.drain()
    expect(pair.responder.last('ended')).toMatchObject({ closeCode: 4400, problem: { code: 'protocol-error' } })
    expect(pair.responder.text(stream)).not.toContain('two')
    pair.initiator.handle({ type: 'close' })
    expect(pair.watched.live.size).toBe(0)
  })

  test('any octet changed ends it', () => {
    const lengths = new Pair().start().run()
    const stream = lengths.initiator.open()
    lengths.initiator.write(stream, 'some text')
    const { length } = lengths.next('initiator')
    for (let at = 0; at < length; at++) {
      const pair = new Pair().start().run()
      pair.initiator.write(pair.initiator.open(), 'some text')
      const message = pair.next('initiator')
      message[at]! ^= 1 << (at % 8)
      pair.responder.handle({ type: 'message', bytes: message })
      pair.responder.drain()
      expect(pair.responder.types()).toEqual(['established', 'ended'])
      pair.close()
    }
  })

  test('several frames share a message, and none is longer than 65,535 octets', () => {
    const pair = new Pair().start().run()
    for (let i = 0; i < 40; i++) pair.initiator.write(pair.initiator.open(), new Uint8Array(20_000))
    pair.initiator.drain()
    const lengths = pair.initiator.outgoing.map(({ length }) => length)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(65_535)
    expect(lengths.length).toBeLessThan(40 * 2)
    pair.run()
    for (let i = 0; i < 40; i++) expect(pair.responder.bytes(2 * i + 1).length).toBe(20_000)
  })
})

describe('control messages', () => {
  test('a reason comes with the reset that it belongs to, and with no other', () => {
    const pair = new Pair().start().run()
    const [first, second] = [pair.initiator.open(), pair.initiator.open()]
    pair.initiator.write(first, 'a')
    pair.initiator.write(second, 'b')
    pair.run()
    const problem = streamProblem('connect-refused', 'Nobody listens at erp:80.', 'Start it.')
    pair.responder.handle({ type: 'refuse', stream: second, problem })
    pair.responder.handle({ type: 'reset', stream: first })
    pair.run()
    const resets = pair.initiator.effects.filter(({ type }) => type === 'reset')
    expect(resets).toHaveLength(2)
    expect(resets).toContainEqual({ type: 'reset', stream: second, problem })
    expect(resets).toContainEqual({ type: 'reset', stream: first })
  })

  test('the initiator may give a reason too', () => {
    const pair = new Pair().start().run()
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'a')
    pair.run()
    const problem = streamProblem('timed-out', 'The caller waits no longer.', 'None.')
    pair.initiator.handle({ type: 'refuse', stream, problem })
    pair.run()
    expect(pair.responder.last('reset')).toEqual({ type: 'reset', stream, problem })
  })

  test('while a connector drains, open streams go on and new ones are refused', () => {
    const pair = new Pair().start().run()
    const open = pair.initiator.open()
    pair.initiator.write(open, 'a')
    pair.run()
    const problem = streamProblem('draining', 'The connector restarts.', 'Use another one.')
    pair.responder.handle({ type: 'drain', problem })
    pair.run()
    expect(pair.initiator.last('draining')).toEqual({ type: 'draining', problem })
    pair.initiator.write(open, 'b')
    const late = pair.initiator.open()
    pair.run()
    expect(pair.responder.text(open)).toBe('ab')
    expect(pair.initiator.last('reset')).toMatchObject({ stream: late })
    expect(pair.initiator.last('ended')).toBeUndefined()
  })

  test('a ticket after the handshake, or from the initiator, ends the session', () => {
    const ticket = encodeControl({ type: 'ticket', id: 'AAAAAAAAAAAAAAAAAAAAAA', goodMs: 1 })
    for (const from of ['initiator', 'responder'] as const) {
      const pair = new Pair().start().run()
      inject(pair, from, ticket)
      pair.run()
      const to = from === 'initiator' ? pair.responder : pair.initiator
      expect(to.last('ended')).toMatchObject({ problem: { code: 'protocol-error' } })
    }
  })

  test('one that makes no sense ends the session', () => {
    for (const text of [' ', '{', 'null', '[]', '{"type":"other"}', '{"type":"drain"}', `"${'x'.repeat(9000)}"`]) {
      const pair = new Pair().start().run()
      inject(pair, 'responder', new TextEncoder().encode(text))
      pair.run()
      expect(pair.initiator.last('ended'), text).toMatchObject({ problem: { code: 'protocol-error' } })
    }
  })

  test('reasons for streams that are never reset take no memory without end', () => {
    const pair = new Pair().start().run()
    const problem = streamProblem('overloaded', 'x', 'y')
    for (let stream = 1; stream < 20_000; stream += 2) pair.responder.handle({ type: 'refuse', stream, problem })
    pair.run()
    expect(pair.initiator.last('ended')).toBeUndefined()
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'still there')
    pair.run()
    expect(pair.responder.text(stream)).toBe('still there')
  })
})

describe('the end', () => {
  test('whichever way it comes, no cipher, private key or secret is left', () => {
    const first = new Pair().start().run()
    const [ticket, unused] = ticketsOf(first)
    const pairs = [
      first,
      new Pair(),
      new Pair().start(),
      new Pair({ store: first.store, ticket: ticket! }).start().run(),
      new Pair({ store: first.store, ticket: unused! }),
      new Pair({ responder: { admitEarly: () => false } }).start().run(),
    ]
    for (const pair of pairs) {
      pair.close()
      expect(pair.watched.live.size).toBe(0)
      expect(pair.watched.privateKeys.every((key) => key.every((byte) => byte === 0))).toBe(true)
      expect(pair.initiator.session.poll()).toBeUndefined()
      expect(pair.initiator.session.deadline()).toBeUndefined()
    }
    expect([ticket!, unused!].every(({ secret }) => secret.every((byte) => byte === 0))).toBe(true)
  })

  test('tickets that were not fetched are wiped by close', () => {
    const pair = new Pair().start()
    pair.responder.handle({ type: 'message', bytes: pair.next('initiator') })
    pair.initiator.handle({ type: 'message', bytes: pair.next('responder') })
    const { effects } = pair.initiator.session as unknown as { effects: SessionEffect[] }
    const tickets = effects.flatMap((effect) => (effect.type === 'ticket' ? [effect.ticket] : []))
    expect(tickets).toHaveLength(2)
    pair.initiator.handle({ type: 'close' })
    expect(tickets.every(({ secret }) => secret.every((byte) => byte === 0))).toBe(true)
    expect(pair.initiator.session.poll()).toBeUndefined()
  })

  test('of the handshake nothing is left once the session is open', () => {
    const pair = new Pair().start().run()
    expect(pair.watched.live.size).toBe(4)
    expect(pair.watched.privateKeys.every((key) => key.every((byte) => byte === 0))).toBe(true)
  })

  test('nothing comes out afterwards, whatever goes in', () => {
    const pair = new Pair().start().run()
    pair.close()
    for (const end of [pair.initiator, pair.responder]) {
      const before = end.effects.length
      end.handle({ type: 'start' })
      end.handle({ type: 'message', bytes: new Uint8Array(100) })
      end.handle({ type: 'ping' })
      end.handle({ type: 'drain', problem: streamProblem('draining', 'x', 'y') })
      end.drain()
      expect(end.effects.length).toBe(before)
      expect(end.outgoing).toEqual([])
    }
  })
})

const step = fc.record({
  side: fc.constantFrom('initiator' as const, 'responder' as const),
  act: fc.constantFrom('open', 'write', 'write', 'write', 'finish', 'reset', 'run', 'stall', 'go'),
  which: fc.nat(20),
  size: fc.oneof(fc.nat(50), fc.nat(70_000)),
})

test('whatever both ends write, finish and give up, in any order: the same bytes come out', () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, early) => {
    const pair = new Pair({ responder: { admitEarly: () => early } })
    const written = { initiator: new Map<number, Buffer[]>(), responder: new Map<number, Buffer[]>() }
    const finished = { initiator: new Set<number>(), responder: new Set<number>() }
    const given = new Set<number>()
    let number = 0
    const started = Math.floor(steps.length / 3)
    for (const [index, { side, act, which, size }] of steps.entries()) {
      if (index === started) pair.start()
      const streams = [...written.initiator.keys()]
      const stream = streams[which % streams.length]
      const end = pair[side]
      if (act === 'open' || stream === undefined) written.initiator.set(pair.initiator.open(), [])
      else if (act === 'run' && index > started) pair.run()
      else if (act === 'stall' || act === 'go') end.handle({ type: 'transport', ready: act === 'go' })
      else if (side === 'responder' && !pair.responder.effects.some((e) => e.type === 'opened' && e.stream === stream))
        continue
      else if (act === 'write' && !finished[side].has(stream) && !given.has(stream)) {
        const bytes = Buffer.alloc(size, number++)
        end.write(stream, bytes)
        const parts = written[side].get(stream) ?? []
        written[side].set(stream, [...parts, bytes])
      } else if (act === 'finish') {
        end.handle({ type: 'finish', stream })
        finished[side].add(stream)
      } else if (act === 'reset') {
        end.handle({ type: 'reset', stream })
        given.add(stream)
      }
    }
    for (const side of ['initiator', 'responder'] as const) pair[side].handle({ type: 'transport', ready: true })
    pair.start().run()
    for (const [from, to] of [
      ['initiator', 'responder'],
      ['responder', 'initiator'],
    ] as const) {
      for (const [stream, parts] of written[from]) {
        const [sent, got] = [Buffer.concat(parts), pair[to].bytes(stream)]
        if (given.has(stream)) expect(sent.subarray(0, got.length).equals(got)).toBe(true)
        else expect(got.equals(sent)).toBe(true)
      }
      expect(pair[from].last('ended')).toBeUndefined()
    }
    pair.close()
    expect(pair.watched.live.size).toBe(0)
  })
  fc.assert(property, { numRuns: 150 })
})

/** Has an end send a control message that it would not. */
function inject(pair: Pair, from: 'initiator' | 'responder', content: Uint8Array): void {
  const session = pair[from].session as unknown as { outbox: { addControl(bytes: Uint8Array): void } }
  session.outbox.addControl(content)
}
