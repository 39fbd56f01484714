import { describe, expect, test } from 'vitest'
import { CLOSINGS } from './close.ts'
import { ANSWER_MS, WAIT_MS } from './exchange.ts'
import { call, closed, Driven, driven, FLIGHT, HQ, message, serve, TIME } from './testing/driven.ts'
import type { ExchangeInput } from './types.ts'

const CALLED = 'send 2 {"type":"call"}'

/** Socket 1 is a function's, socket 2 one of the connector; in each state that they can be in. */
const STATES = {
  empty: () => driven(),
  waiting: () => driven(call(1)),
  'waiting with its flight': () => driven(call(1, { first: FLIGHT })),
  spare: () => driven(serve(2)),
  joined: () => driven(serve(2), call(1)),
  answered: () => driven(serve(2), call(1), { type: 'answered', socket: 2 }),
  ended: () => driven(serve(2), call(1), closed(1)),
  'without the connector, just revoked': () => driven({ type: 'connector-revoked', ...HQ }),
  'without the function, just revoked': () =>
    driven({ type: 'function-revoked', network: 'net', function: 'orders', at: 50 }),
  stopped: () => driven({ type: 'stop' }),
} as const
type State = keyof typeof STATES

const INPUTS = {
  'a function': call(3),
  'a function with its flight': call(3, { first: FLIGHT }),
  'a socket of the connector': serve(4),
  'a socket of another connector': serve(4, { connector: 'branch' }),
  'a message of the function': message(1),
  'a message of the connector': message(2),
  'what is no message, of the function': { type: 'misfit', socket: 1 },
  'what is no message, of the connector': { type: 'misfit', socket: 2 },
  'an answer': { type: 'answered', socket: 2 },
  'the function closes': closed(1, 1000),
  'the function vanishes': closed(1, 1006),
  'the connector refuses': closed(2, 4401, '{}'),
  'the connector vanishes': closed(2, 1006),
  'no link': { type: 'unlinked', ...HQ },
  'no link of another': { type: 'unlinked', network: 'net', connector: 'branch' },
  'the connector is revoked': { type: 'connector-revoked', ...HQ },
  'the function is revoked': { type: 'function-revoked', network: 'net', function: 'orders', at: 50 },
  'another function is revoked': { type: 'function-revoked', network: 'net', function: 'invoices', at: 50 },
  'the function of another network is revoked': {
    type: 'function-revoked',
    network: 'other',
    function: 'orders',
    at: 50,
  },
  stop: { type: 'stop' },
  time: TIME,
} as const satisfies Record<string, ExchangeInput>

const BOTH = ['waiting', 'waiting with its flight'] as const
const PAIR = ['joined', 'answered'] as const
const gone = ['refused unlinked', 'close 1 4404']

/** By state; what is not here brings about what `otherwise` says. */
type Row = { otherwise: string[] } & { [S in State]?: string[] }
const each = (states: readonly State[], effects: string[]): { [S in State]?: string[] } =>
  Object.fromEntries(states.map((state) => [state, effects]))

const EXPECTED: Record<keyof typeof INPUTS, Row> = {
  'a function': {
    spare: ['join 3+2', CALLED],
    stopped: ['refused stopped', 'close 3 4503'],
    'without the connector, just revoked': ['refused connector-revoked', 'close 3 4404'],
    'without the function, just revoked': ['refused function-revoked', 'close 3 4401'],
    otherwise: ['call hq'],
  },
  'a function with its flight': {
    spare: ['join 3+2', CALLED, 'send 2 3'],
    stopped: ['refused stopped', 'close 3 4503'],
    'without the connector, just revoked': ['refused connector-revoked', 'close 3 4404'],
    'without the function, just revoked': ['refused function-revoked', 'close 3 4401'],
    otherwise: ['call hq'],
  },
  'a socket of the connector': {
    waiting: ['join 1+4', 'send 4 {"type":"call"}'],
    'waiting with its flight': ['join 1+4', 'send 4 {"type":"call"}', 'send 4 3'],
    stopped: ['close 4 4503'],
    'without the connector, just revoked': ['close 4 1008'],
    otherwise: [],
  },
  'a socket of another connector': { stopped: ['close 4 4503'], otherwise: [] },
  'a message of the function': {
    'waiting with its flight': ['refused early', 'close 1 4400'],
    otherwise: [],
  },
  'a message of the connector': { spare: ['close 2 4400'], otherwise: [] },
  'what is no message, of the function': {
    ...each(BOTH, ['refused misfit', 'close 1 4400']),
    ...each(PAIR, ['ended misfit', 'close 1 1003', 'close 2 1001']),
    otherwise: [],
  },
  'what is no message, of the connector': {
    spare: ['close 2 4400'],
    ...each(PAIR, ['ended misfit', 'close 1 1001', 'close 2 1003']),
    otherwise: [],
  },
  'an answer': { otherwise: [] },
  'the function closes': {
    ...each(BOTH, ['refused left']),
    ...each(PAIR, ['ended function-closed', 'close 2 1000']),
    otherwise: [],
  },
  'the function vanishes': {
    ...each(BOTH, ['refused left']),
    ...each(PAIR, ['ended function-lost', 'close 2 1001']),
    otherwise: [],
  },
  'the connector refuses': { ...each(PAIR, ['ended connector-closed', 'close 1 4401']), otherwise: [] },
  'the connector vanishes': { ...each(PAIR, ['ended connector-lost', 'close 1 1001']), otherwise: [] },
  'no link': { ...each(BOTH, gone), otherwise: [] },
  'no link of another': { otherwise: [] },
  'the connector is revoked': {
    ...each(BOTH, ['refused connector-revoked', 'close 1 4404']),
    spare: ['close 2 1008'],
    ...each(PAIR, ['ended connector-revoked', 'close 1 1001', 'close 2 1008']),
    otherwise: [],
  },
  'the function is revoked': {
    ...each(BOTH, ['refused function-revoked', 'close 1 4401']),
    ...each(PAIR, ['ended function-revoked', 'close 1 1008', 'close 2 1001']),
    otherwise: [],
  },
  'another function is revoked': { otherwise: [] },
  'the function of another network is revoked': { otherwise: [] },
  stop: {
    ...each(BOTH, ['refused stopped', 'close 1 4503']),
    spare: ['close 2 4503'],
    ...each(PAIR, ['ended stopped', 'close 1 4503', 'close 2 4503']),
    otherwise: [],
  },
  time: { otherwise: [] },
}

describe.each(Object.keys(STATES) as State[])('where it is %s', (state) => {
  test.each(Object.keys(INPUTS) as (keyof typeof INPUTS)[])('%s', (name) => {
    const row = EXPECTED[name]
    expect(STATES[state]().give(INPUTS[name])).toEqual(row[state] ?? row.otherwise)
  })
})

describe('who was revoked', () => {
  test('is refused while session tokens of before may be about, and not those of later', () => {
    const one = driven({ type: 'function-revoked', network: 'net', function: 'orders', at: 50 })
    expect(one.after(599_999, call(1))).toEqual(['refused function-revoked', 'close 1 4401'])
    expect(one.give(call(2, { issuedAt: 51 }))).toEqual(['call hq'])
    expect(one.after(1, call(3))).toEqual(['call hq'])
  })

  test('is refused as a connector whenever the token was made', () => {
    const one = driven({ type: 'connector-revoked', ...HQ })
    expect(one.after(599_999, call(1, { issuedAt: 1e15 }))).toEqual(['refused connector-revoked', 'close 1 4404'])
  })

  test('is forgotten in the end, however many there are', () => {
    const one = new Driven()
    for (let n = 0; n < 10_001; n++) one.give({ type: 'function-revoked', network: 'net', function: `f${n}`, at: 50 })
    expect(one.give(call(1, { function: 'f0' }))).toEqual(['call hq'])
    expect(one.give(call(2, { function: 'f1' }))).toEqual(['refused function-revoked', 'close 2 4401'])
  })
})

describe('time', () => {
  test('a function waits ten seconds for its connector', () => {
    const one = driven(call(1))
    expect(one.exchange.deadline()).toBe(one.now + WAIT_MS)
    expect(one.after(WAIT_MS - 1, TIME)).toEqual([])
    expect(one.after(1, TIME)).toEqual(['refused no-connector', 'close 1 4404'])
    expect(one.exchange.deadline()).toBeUndefined()
  })

  test('a connector that does not answer has fifteen seconds, one that has answered has no end', () => {
    const [silent, answered] = [STATES.joined(), STATES.answered()]
    expect(silent.exchange.deadline()).toBe(silent.now + ANSWER_MS)
    expect(silent.after(ANSWER_MS - 1, TIME)).toEqual([])
    expect(silent.after(1, TIME)).toEqual(['ended no-answer', 'close 1 1001', 'close 2 1001'])
    expect(answered.exchange.deadline()).toBeUndefined()
    expect(answered.after(1e9, TIME)).toEqual([])
  })

  test('a spare waits without end, or as long as it may', () => {
    const [patient, brief] = [STATES.spare(), new Driven({ spareMs: 500 })]
    expect(patient.exchange.deadline()).toBeUndefined()
    brief.give(serve(2))
    expect(brief.exchange.deadline()).toBe(brief.now + 500)
    expect(brief.after(500, TIME)).toEqual(['close 2 1000'])
  })

  test('the earliest of all deadlines is told, and only what is due ends', () => {
    const one = driven(serve(2), call(1))
    const due = one.now + ANSWER_MS
    one.after(5000, call(3))
    expect(one.exchange.deadline()).toBe(due)
    one.after(5000, call(4))
    expect(one.after(5000, TIME)).toEqual([
      'refused no-connector',
      'close 3 4404',
      'ended no-answer',
      'close 1 1001',
      'close 2 1001',
    ])
    expect(one.exchange.deadline()).toBe(due + 5000)
  })
})

describe('first come, first served', () => {
  test('functions get the sockets of their connector in their order, and of no other', () => {
    const one = driven(call(1), call(2, { connector: 'branch' }), call(3), call(4, { network: 'other' }))
    expect(one.give(serve(10))).toEqual(['join 1+10', 'send 10 {"type":"call"}'])
    expect(one.give(serve(11))).toEqual(['join 3+11', 'send 11 {"type":"call"}'])
    expect(one.give(serve(12), serve(13, { connector: 'branch' }))).toContain('join 2+13')
  })

  test('the spare that waits longest is used first', () => {
    const one = driven(serve(10), serve(11))
    expect(one.give(call(1), call(2)).filter((effect) => effect.startsWith('join'))).toEqual(['join 1+10', 'join 2+11'])
  })

  test('a flight that came while waiting goes out when it is joined', () => {
    expect(driven(call(1), message(1)).give(serve(2))).toEqual(['join 1+2', CALLED, 'send 2 3'])
  })

  test('a socket that came for a function that left serves the next one', () => {
    expect(driven(call(1), closed(1), serve(2)).give(call(3))).toEqual(['join 3+2', CALLED])
  })
})

describe('what a pair is told of its end', () => {
  test.each([
    [1000, '', { code: 1000, reason: '' }],
    [4429, '{"code":"overloaded"}', { code: 4429, reason: '{"code":"overloaded"}' }],
    [4999, 'x', { code: 4999, reason: 'x' }],
    [1001, '{"code":"overloaded"}', { code: 1001, reason: '{"code":"overloaded"}' }],
    [1001, '', CLOSINGS.lost],
    [1005, '', CLOSINGS.lost],
    [1006, '', CLOSINGS.lost],
    [1009, '', CLOSINGS.lost],
    [3000, '', CLOSINGS.lost],
    [5000, '', CLOSINGS.lost],
  ])('%i %s', (code, reason, expected) => {
    const [, effect] = STATES.answered().take(closed(2, code, reason))
    expect(effect).toEqual({ type: 'close', socket: 1, ...expected })
  })

  test('and what the log is', () => {
    const one = STATES.answered()
    one.now += 250
    expect(one.take(closed(1))[0]).toEqual({
      type: 'ended',
      pair: { ...HQ, function: 'orders', sockets: { function: 1, connector: 2 }, ms: 250, why: 'function-closed' },
    })
  })

  test('no reason is longer than a close frame may have', () => {
    for (const { code, reason } of Object.values(CLOSINGS)) {
      expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(123)
      expect([1000, 1001, 1003, 1008].includes(code) || (code >= 4400 && code < 4600)).toBe(true)
    }
  })
})

describe('limits', () => {
  const many = (count: number, from: number, more: (n: number) => object = () => ({})) =>
    Array.from({ length: count }, (_, n) => call(from + n, more(n)))
  const busy = (socket: number) => ['refused busy', `close ${socket} 4429`]

  test('functions that wait at one connector', () => {
    const one = driven(...many(64, 1))
    expect(one.give(call(100))).toEqual(busy(100))
    expect(one.give(call(101, { connector: 'branch' }))).toEqual(['call branch'])
    one.give(closed(5))
    expect(one.give(call(102))).toEqual(['call hq'])
  })

  test('functions that wait in all', () => {
    const one = new Driven({ waiting: 3 })
    one.give(...many(3, 1, (n) => ({ connector: `c${n}` })))
    expect(one.give(call(10))).toEqual(busy(10))
  })

  test('bytes that wait', () => {
    const one = new Driven({ heldBytes: 10 })
    one.give(call(1, { first: new Uint8Array(6) }), call(2))
    expect(one.give(call(3, { first: new Uint8Array(5) }))).toEqual(busy(3))
    expect(one.give(message(2, new Uint8Array(5)))).toEqual(busy(2))
    expect(one.exchange.counts.heldBytes).toBe(6)
    one.give(serve(9))
    expect(one.exchange.counts.heldBytes).toBe(0)
  })

  test('sockets that a connector keeps ready', () => {
    const one = driven(...Array.from({ length: 16 }, (_, n) => serve(n)))
    expect(one.give(serve(20))).toEqual(['close 20 4429'])
    one.give(call(30))
    expect(one.give(serve(21))).toEqual([])
  })

  test('functions at one connector, of one function, in all', () => {
    const one = new Driven({ perConnector: 2 })
    one.give(serve(10), call(1), call(2))
    expect(one.give(serve(11), serve(12), call(3))).toContain('close 3 4429')
    const two = new Driven({ perFunction: 1 })
    two.give(serve(10), serve(11), call(1))
    expect(two.give(call(2))).toEqual(busy(2))
    expect(two.give(call(3, { function: 'invoices' }))).toContain('join 3+11')
    two.give(closed(1))
    expect(two.give(call(4))).toEqual(['call hq'])
    const three = new Driven({ total: 2 })
    three.give(...many(2, 1, (n) => ({ connector: `c${n}` })))
    expect(three.give(call(9))).toEqual(busy(9))
  })
})
