import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { IDENTITY, Pair, type PairOptions, TOKEN, ticketsOf } from '../test/fuzz/stream-session-pair.ts'
import { build } from '../wasm/build.ts'
import { streamProblem } from './stream-problem.ts'
import { TicketStore } from './stream-session.ts'

beforeAll(async () => {
  await build({ modules: ['stream'] })
})

describe('a first session', () => {
  test('carries data in the first flight, and the answer to it, and says who it is', () => {
    let asked: unknown
    const pair = new Pair({
      responder: {
        authorize: (token, key) => {
          asked = { token, key }
          return { identity: IDENTITY }
        },
      },
    })
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'order 42?')
    pair.start()
    const flight = pair.next('initiator')
    pair.responder.handle({ type: 'message', bytes: flight })
    pair.responder.drain()
    expect(pair.responder.text(stream)).toBe('order 42?')
    expect(asked).toEqual({ token: TOKEN, key: pair.functionKeys.publicKey })
    expect(pair.responder.session.identity).toBe(IDENTITY)
    expect(pair.responder.last('established')).toEqual({ type: 'established', early: true, resumed: false })
    pair.responder.write(stream, 'here')
    pair.run()
    expect(pair.initiator.text(stream)).toBe('here')
    expect(pair.initiator.last('established')).toEqual({ type: 'established', early: true, resumed: false })
    expect(ticketsOf(pair)).toHaveLength(2)
  })

  test('nothing comes out before the start, and the first message is marked', () => {
    const pair = new Pair()
    pair.initiator.write(pair.initiator.open(), 'x')
    expect(pair.initiator.session.poll()).toBeUndefined()
    pair.start()
    expect(pair.initiator.session.poll()).toMatchObject({ type: 'send', first: true })
    expect(pair.initiator.session.poll()).toBeUndefined()
    pair.start()
    expect(pair.initiator.session.poll()).toBeUndefined()
  })

  test.each([200, 3000, 5500, 6000, 20_000, 300_000])(
    'of %i bytes only what fits goes early, the rest behind',
    (size) => {
      const pair = new Pair()
      const body = randomBytes(size)
      const stream = pair.initiator.open()
      pair.initiator.write(stream, body)
      pair.initiator.handle({ type: 'finish', stream })
      const flight = pair.start().next('initiator')
      expect(flight.length).toBeLessThanOrEqual(6000)
      if (size >= 6000) expect(flight.length).toBe(6000)
      pair.responder.handle({ type: 'message', bytes: flight })
      pair.responder.drain()
      expect(pair.responder.bytes(stream).length).toBeGreaterThan(Math.min(size, 5700) - 1)
      pair.run()
      expect(pair.responder.bytes(stream).equals(body)).toBe(true)
      expect(pair.responder.types()).toContain('finished')
    },
  )

  test('without early data is established all the same, and replay is not asked about', () => {
    const pair = new Pair({ responder: { admitEarly: () => expect.unreachable() } }).start().run()
    expect(pair.initiator.last('established')).toEqual({ type: 'established', early: true, resumed: false })
    const stream = pair.initiator.open()
    pair.initiator.write(stream, 'later')
    pair.run()
    expect(pair.responder.text(stream)).toBe('later')
  })

  test('a token too long for a first flight ends it before anything goes', () => {
    const mode = { ...ikMode(new Pair()), token: 'x'.repeat(6000) }
    const pair = new Pair({ initiator: { mode } }).start().run()
    expect(pair.initiator.effects).toMatchObject([{ type: 'ended', problem: { code: 'control-refused' } }])
  })
})

describe('early data that is not taken', () => {
  test('is sent again and comes once, in order with what follows', () => {
    const asked: [Uint8Array, number][] = []
    const pair = new Pair({
      responder: {
        admitEarly(ephemeral, time) {
          asked.push([ephemeral, time])
          return false
        },
      },
    })
    const body = randomBytes(40_000)
    const stream = pair.initiator.open()
    pair.initiator.write(stream, body)
    const flight = pair.start().next('initiator')
    pair.responder.handle({ type: 'message', bytes: flight })
    pair.responder.drain()
    expect(pair.responder.types()).toEqual(['established'])
    expect(asked).toHaveLength(1)
    expect(asked[0]![0]).toEqual(flight.slice(1, 33))
    expect(asked[0]![1]).toBe(1e12)
    pair.run()
    expect(pair.responder.bytes(stream).equals(body)).toBe(true)
    expect(pair.initiator.last('established')).toMatchObject({ early: false })
    expect(pair.responder.last('established')).toMatchObject({ early: false })
  })

  test('a reset told in the first flight is told again', () => {
    const pair = new Pair({ responder: { admitEarly: () => false } })
    const [first, second] = [pair.initiator.open(), pair.initiator.open()]
    pair.initiator.write(first, 'a')
    pair.initiator.write(second, 'b')
    pair.start().run()
    pair.responder.handle({ type: 'refuse', stream: second, problem: streamProblem('overloaded', 'full', 'wait') })
    pair.run()
    expect(pair.responder.text(first)).toBe('a')
    expect(pair.initiator.last('reset')).toMatchObject({ stream: second, problem: { code: 'overloaded' } })
  })
})

describe('resumption', () => {
  test('each ticket of a session resumes one, with its data early, and hands out new ones', () => {
    const first = new Pair({ responder: { tickets: 3 } }).start().run()
    const tickets = ticketsOf(first)
    expect(tickets).toHaveLength(3)
    for (const { id, secret, goodMs } of tickets) expect([id.length, secret.length, goodMs]).toEqual([16, 32, 60_000])
    expect(new Set(tickets.map(({ secret }) => Buffer.from(secret).toString('hex'))).size).toBe(3)
    for (const ticket of [tickets[2]!, tickets[0]!, tickets[1]!]) {
      const pair = new Pair({ store: first.store, ticket, responder: { authorize: () => expect.unreachable() } })
      const stream = pair.initiator.open()
      pair.initiator.write(stream, 'again')
      pair.responder.handle({ type: 'message', bytes: pair.start().next('initiator') })
      pair.responder.drain()
      expect(pair.responder.text(stream)).toBe('again')
      expect(pair.responder.session.identity).toBe(IDENTITY)
      pair.run()
      expect(pair.initiator.last('established')).toEqual({ type: 'established', early: true, resumed: true })
      expect(ticketsOf(pair)).toHaveLength(2)
      expect(ticket.secret.every((byte) => byte === 0)).toBe(true)
    }
  })

  test('a chain of resumptions goes on from ticket to ticket', () => {
    let pair = new Pair().start().run()
    for (let i = 0; i < 10; i++) pair = new Pair({ store: pair.store, ticket: ticketsOf(pair)[i % 2]! }).start().run()
    expect(pair.initiator.last('established')).toMatchObject({ resumed: true })
  })

  test('a repeated first flight finds its ticket spent: no data comes out of it', () => {
    const first = new Pair().start().run()
    const options: PairOptions = { store: first.store, ticket: ticketsOf(first)[0]! }
    const pair = new Pair(options)
    pair.initiator.write(pair.initiator.open(), 'pay')
    const flight = pair.start().next('initiator')
    pair.responder.handle({ type: 'message', bytes: flight })
    const replayed = new Pair({ store: first.store })
    replayed.responder.handle({ type: 'message', bytes: flight })
    replayed.responder.drain()
    expect(replayed.responder.data.size).toBe(0)
    expect(replayed.responder.effects).toEqual([
      { type: 'ended', closeCode: 4401, problem: expect.objectContaining({ code: 'key-changed', retry: 'elsewhere' }) },
    ])
  })

  test('an unknown ticket, and one that the store has dropped, end with 4401 and no answer', () => {
    const first = new Pair().start().run()
    const [ticket] = ticketsOf(first)
    const store = new TicketStore({ capacity: 1, perFunction: 1 })
    const pair = new Pair({ store, ticket: ticket! }).start().run()
    expect(pair.responder.last('ended')).toMatchObject({ closeCode: 4401, problem: { code: 'key-changed' } })
    expect(pair.initiator.effects).toEqual([])
  })

  test('the secret of another ticket does not fit, and the ticket is spent', () => {
    const first = new Pair().start().run()
    const [one, two] = ticketsOf(first)
    const pair = new Pair({ store: first.store, ticket: { ...one!, secret: two!.secret } }).start().run()
    expect(pair.responder.last('ended')).toMatchObject({ closeCode: 4401 })
    expect(first.store.size).toBe(1)
  })

  test('no tickets where none are to be handed out', () => {
    const pair = new Pair({ responder: { tickets: 0 } }).start().run()
    expect(pair.initiator.types()).toEqual(['established'])
  })
})

describe('who is refused', () => {
  test('a refused token: both ends hear why, no early data comes out', () => {
    const problem = streamProblem('token-expired', 'The session token has expired.', 'Ask for a new grant.')
    const pair = new Pair({ responder: { authorize: () => ({ refused: problem }) } })
    pair.initiator.write(pair.initiator.open(), 'x')
    pair.start().run()
    expect(pair.initiator.effects).toEqual([{ type: 'ended', problem, closeCode: 1000 }])
    expect(pair.responder.effects).toEqual([{ type: 'ended', problem, closeCode: 1000 }])
    expect(pair.responder.data.size).toBe(0)
    expect(pair.watched.live.size).toBe(0)
  })

  test('a flight for another key of the connector, or for another connector', () => {
    const other = new Pair()
    const mode = { ...ikMode(other), responderKey: other.keys.publicKey }
    for (const initiator of [{ mode }, { connector: 'con_2' }]) {
      const pair = new Pair({ initiator }).start().run()
      expect(pair.responder.last('ended')).toMatchObject({ closeCode: 4401, problem: { code: 'key-changed' } })
      expect(pair.responder.types()).toEqual(['ended'])
    }
  })

  test('a connector key of low order: nothing goes', () => {
    const mode = { ...ikMode(new Pair()), responderKey: new Uint8Array(32) }
    const pair = new Pair({ initiator: { mode } }).start().run()
    expect(pair.initiator.effects).toMatchObject([{ type: 'ended', problem: { code: 'key-changed' } }])
  })

  test.each([
    ['nothing', []],
    ['an unknown kind', [9, 1, 2, 3]],
    ['the kind alone', [1]],
    ['a ticket without a message', [2, ...new Array(16).fill(0)]],
    ['half a ticket', [2, 1, 2, 3]],
    ['too much', new Array(65_536).fill(1)],
  ])('a first flight of %s', (_, bytes) => {
    const pair = new Pair()
    pair.responder.handle({ type: 'message', bytes: Uint8Array.from(bytes) })
    pair.responder.drain()
    expect(pair.responder.types()).toEqual(['ended'])
    expect([4400, 4401]).toContain(pair.responder.last('ended')!.closeCode)
    expect(pair.responder.outgoing).toEqual([])
    expect(pair.watched.live.size).toBe(0)
  })

  test('a second message before the answer, and one before the start', () => {
    const pair = new Pair().start()
    pair.responder.handle({ type: 'message', bytes: pair.next('initiator') })
    pair.responder.handle({ type: 'message', bytes: new Uint8Array(50) })
    pair.responder.drain()
    expect(pair.responder.types()).toEqual(['established', 'ended'])
    const early = new Pair()
    early.initiator.handle({ type: 'message', bytes: new Uint8Array(50) })
    early.initiator.drain()
    expect(early.initiator.last('ended')).toMatchObject({ problem: { code: 'protocol-error' } })
  })
})

describe('tampering with the handshake', () => {
  test.each(['ik', 'resume'])('%s: any octet of message 1 changed, and any length: nothing comes out of it', (mode) => {
    const fresh = () => {
      if (mode === 'ik') return new Pair()
      const first = new Pair({ responder: { tickets: 1 } }).start().run()
      return new Pair({ store: first.store, ticket: ticketsOf(first)[0]! })
    }
    const length = flightOf(fresh()).length
    for (let at = 0; at < length; at++) {
      const pair = fresh()
      const flight = flightOf(pair)
      flight[at]! ^= 1 << (at % 8)
      refuses(pair, flight)
    }
    for (let cut = 0; cut < length; cut += 3) {
      const pair = fresh()
      refuses(pair, flightOf(pair).subarray(0, cut))
    }
    const longer = fresh()
    refuses(longer, Buffer.concat([flightOf(longer), Buffer.alloc(1)]))
  })

  test('any octet of message 2 changed, and any length', () => {
    const run = (change: (answer: Uint8Array) => Uint8Array) => {
      const pair = new Pair({ responder: { tickets: 1 } }).start()
      pair.responder.handle({ type: 'message', bytes: pair.next('initiator') })
      pair.initiator.handle({ type: 'message', bytes: change(pair.next('responder')) })
      pair.initiator.drain()
      return pair
    }
    let length = 0
    run((answer) => {
      length = answer.length
      return answer
    })
    for (let at = 0; at < length; at++) {
      const pair = run((answer) => {
        answer[at]! ^= 1 << (at % 8)
        return answer
      })
      expect(pair.initiator.effects).toMatchObject([{ type: 'ended', problem: { code: 'protocol-error' } }])
    }
    for (let cut = 0; cut < length; cut++) {
      expect(run((answer) => answer.subarray(0, cut)).initiator.types()).toEqual(['ended'])
    }
  })
})

function ikMode(pair: Pair) {
  const { functionKeys, keys } = pair
  return { type: 'ik', staticKeys: functionKeys, responderKey: keys.publicKey, token: TOKEN } as const
}

function flightOf(pair: Pair): Uint8Array {
  pair.initiator.write(pair.initiator.open(), 'x')
  return pair.start().next('initiator')
}

function refuses(pair: Pair, flight: Uint8Array): void {
  pair.responder.handle({ type: 'message', bytes: flight })
  pair.responder.drain()
  expect(pair.responder.types()).toEqual(['ended'])
  expect(pair.responder.data.size).toBe(0)
  expect(pair.responder.outgoing).toEqual([])
  pair.close()
  expect(pair.watched.live.size).toBe(0)
}
