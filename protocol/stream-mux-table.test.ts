/** Every frame in every state of a stream. */
import { describe, expect, test } from 'vitest'
import { drain, frame, newMux } from '../test/fuzz/stream-mux-pair.ts'
import type { Mux } from './stream-mux.ts'
import { FLAG, FRAME } from './stream-mux-frame.ts'
import type { MuxInput } from './stream-mux-types.ts'

const { SYN, ACK, FIN, RST } = FLAG
const FLAGS = [0, SYN, ACK, FIN, RST, SYN | ACK, SYN | FIN, SYN | RST, FIN | RST, ACK | FIN]
const FRAMES = {
  'empty data': [FRAME.data, 0],
  data: [FRAME.data, 5],
  'window update': [FRAME.windowUpdate, 7],
} as const

/**
 * For each of FLAGS what comes out: o opened, d data, f finished, r reset, c closed, x failed, a point for nothing.
 * Only data that was on its way to a stream when we gave it up may come for it.
 */
const TABLE: Record<string, Record<keyof typeof FRAMES, string>> = {
  'new, of the peer': {
    'empty data': 'x o x x x o of or x x',
    data: 'x od x x x od odf or x x',
    'window update': 'x o x x x o of or x x',
  },
  open: {
    'empty data': '. x . f r x x x r f',
    data: 'd x d df r x x x r df',
    'window update': '. x . f r x x x r f',
  },
  'our FIN waits': {
    'empty data': '. x . f r x x x r f',
    data: 'd x d df r x x x r df',
    'window update': '. x . f r x x x r f',
  },
  'finished by us': {
    'empty data': '. x . fc r x x x r fc',
    data: 'd x d dfc r x x x r dfc',
    'window update': '. x . fc r x x x r fc',
  },
  'finished by the peer': {
    'empty data': '. x . x r x x x x x',
    data: 'x x x x x x x x x x',
    'window update': '. x . x r x x x x x',
  },
  closed: {
    'empty data': '. x . . . x x x . .',
    data: 'x x x x x x x x x x',
    'window update': '. x . . . x x x . .',
  },
  'reset by us': {
    'empty data': '. x . . . x x x . .',
    data: '. x . . . x x x . .',
    'window update': '. x . . . x x x . .',
  },
  'reset by the peer': {
    'empty data': '. x . . . x x x . .',
    data: 'x x x x x x x x x x',
    'window update': '. x . . . x x x . .',
  },
  refused: {
    'empty data': '. x . . . x x x . .',
    data: '. x . . . x x x . .',
    'window update': '. x . . . x x x . .',
  },
  'new, of our own': {
    'empty data': 'x x x x x x x x x x',
    data: 'x x x x x x x x x x',
    'window update': 'x x x x x x x x x x',
  },
  'open, of our own': {
    'empty data': '. x . f r x x x r f',
    data: 'd x d df r x x x r df',
    'window update': '. x . f r x x x r f',
  },
  'open, of our own, SYN not sent': {
    'empty data': '. x . f r x x x r f',
    data: 'd x d df r x x x r df',
    'window update': '. x . f r x x x r f',
  },
}

const syn: MuxInput = { type: 'received', bytes: frame(FRAME.windowUpdate, SYN, 1, 0) }
const fin: MuxInput = { type: 'received', bytes: frame(FRAME.windowUpdate, FIN, 1, 0) }
const rst: MuxInput = { type: 'received', bytes: frame(FRAME.windowUpdate, RST, 1, 0) }
const finish: MuxInput = { type: 'finish', stream: 1 }
const blocked: MuxInput = { type: 'transport', ready: false }
const open: MuxInput = { type: 'open', stream: 2 }

/** How a responder's stream comes into each state: stream 1 is the peer's, 2 our own. */
const STATES: Record<keyof typeof TABLE, readonly MuxInput[]> = {
  'new, of the peer': [],
  open: [syn],
  'our FIN waits': [syn, blocked, finish],
  'finished by us': [syn, finish],
  'finished by the peer': [syn, fin],
  closed: [syn, fin, finish],
  'reset by us': [syn, { type: 'reset', stream: 1 }],
  'reset by the peer': [syn, rst],
  refused: [{ type: 'go-away', code: 'normal' }, syn],
  'new, of our own': [],
  'open, of our own': [open],
  'open, of our own, SYN not sent': [blocked, open],
}

const LETTERS = { opened: 'o', data: 'd', finished: 'f', reset: 'r', closed: 'c', failed: 'x' } as const

describe('every frame in every state', () => {
  for (const [state, rows] of Object.entries(TABLE)) {
    for (const [name, [type, length]] of Object.entries(FRAMES)) {
      test(`${state}: ${name}`, () => {
        const expected = rows[name as keyof typeof FRAMES].split(' ')
        const seen = FLAGS.map((flags) => {
          const mux = inState(state)
          const body = type === FRAME.data ? new Uint8Array(length) : undefined
          const stream = state.includes('of our own') ? 2 : 1
          mux.handle({ type: 'received', bytes: frame(type, flags, stream, length, body) }, 0)
          return letters(mux) || '.'
        })
        expect(seen).toEqual(expected)
      })
    }
  }

  test('the table has a row for every state', () => {
    expect(Object.keys(STATES)).toEqual(Object.keys(TABLE))
  })
})

function inState(state: string): Mux {
  const mux = newMux('responder')
  for (const input of STATES[state]!) {
    mux.handle(input, 0)
    drain(mux)
  }
  return mux
}

function letters(mux: Mux): string {
  return drain(mux)
    .map(({ type }) => (type in LETTERS ? LETTERS[type as keyof typeof LETTERS] : ''))
    .join('')
}
