import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeAnswer,
  encodeControl,
  MAX_CONTROL,
  readAnswer,
  readControl,
  type StreamControl,
} from './stream-control.ts'
import { streamProblem } from './stream-problem.ts'

const problem = streamProblem('connect-refused', 'Nobody listens.', 'Start it.')
const MESSAGES: readonly StreamControl[] = [
  { type: 'ticket', id: 'AAECAwQFBgcICQoLDA0ODw', goodMs: 3_600_000 },
  { type: 'reset', stream: 4_294_967_295, problem },
  { type: 'drain', problem },
]

test.each(MESSAGES)('$type comes back as it was', (message) => {
  expect(readControl(encodeControl(message))).toEqual(message)
})

test('what a later version adds is ignored', () => {
  expect(readControl(json({ ...MESSAGES[1], more: 1 }))).toEqual(MESSAGES[1])
})

test.each([
  {},
  { type: 'ticket' },
  { type: 'ticket', id: 'AAECAwQFBgcICQoLDA0O', goodMs: 1 },
  { type: 'ticket', id: 'AAECAwQFBgcICQoLDA0ODw==', goodMs: 1 },
  { type: 'ticket', id: 7, goodMs: 1 },
  { type: 'ticket', id: 'AAECAwQFBgcICQoLDA0ODw', goodMs: -1 },
  { type: 'ticket', id: 'AAECAwQFBgcICQoLDA0ODw', goodMs: 1.5 },
  { type: 'reset', problem },
  { type: 'reset', stream: -1, problem },
  { type: 'reset', stream: 4_294_967_296, problem },
  { type: 'reset', stream: '1', problem },
  { type: 'reset', stream: 1, problem: { ...problem, cause: 3 } },
  { type: 'reset', stream: 1, problem: [] },
  { type: 'drain' },
  { type: 'other', problem },
  [],
  null,
])('%j is no control message', (value) => {
  expect(readControl(json(value))).toBeUndefined()
})

test('octets that are no UTF-8 or no JSON are none', () => {
  for (const bytes of [[], [0xff], [0x7b], [0x22, 0xc0, 0xaf, 0x22]]) {
    expect(readControl(Uint8Array.from(bytes))).toBeUndefined()
    expect(readAnswer(Uint8Array.from(bytes))).toBeUndefined()
  }
})

describe('problems of the peer', () => {
  test('of an unknown code keep their words, and never allow another try', () => {
    for (const code of ['invented', 'toString', '__proto__']) {
      const read = readControl(json({ type: 'drain', problem: { code, cause: 'c', remedy: 'r', retry: 'elsewhere' } }))
      expect(read).toEqual({ type: 'drain', problem: streamProblem('protocol-error', 'c', 'r') })
    }
  })

  test('cannot say that another try is safe where their code does not', () => {
    const read = readControl(json({ type: 'drain', problem: { ...problem, code: 'session-lost', retry: 'later' } }))
    expect(read).toMatchObject({ problem: { retry: 'never' } })
  })

  test('have long sentences cut, so that what is written can always be read', () => {
    const long = streamProblem('overloaded', '\u0001'.repeat(5000), '\u{1f600}'.repeat(5000))
    const bytes = encodeControl({ type: 'reset', stream: 1, problem: long })
    expect(bytes.length).toBeLessThanOrEqual(MAX_CONTROL)
    expect(readControl(bytes)).toMatchObject({ problem: { code: 'overloaded' } })
    expect(readAnswer(encodeAnswer({ refused: long }))).toMatchObject({ refused: { code: 'overloaded' } })
  })
})

test('answers come back as they were, and nothing else is one', () => {
  for (const answer of [{ early: true }, { early: false }, { refused: problem }]) {
    expect(readAnswer(encodeAnswer(answer))).toEqual(answer)
  }
  for (const value of [{}, { early: 1 }, { refused: true }, { refused: {} }, 'early', null]) {
    expect(readAnswer(json(value))).toBeUndefined()
  }
})

test('any JSON at all is read without a throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      readControl(json(value))
      readAnswer(json(value))
      readControl(json({ type: 'reset', stream: value, problem: value }))
    }),
  )
})

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
