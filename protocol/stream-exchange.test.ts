import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AnswerReader,
  type ExchangeRead,
  encodeAnswer,
  encodeOpening,
  isHost,
  MAX_OPENING,
  OpeningReader,
  openingFault,
  type StreamAnswer,
  type StreamOpening,
} from './stream-exchange.ts'
import { STREAM_PROBLEMS, type StreamProblemCode, streamProblem } from './stream-problem.ts'

const OPENING: StreamOpening = { kind: 'tcp', host: 'db.internal', port: 5432 }
const NONE = new Uint8Array(0)

describe('an opening', () => {
  const openings: readonly StreamOpening[] = [
    OPENING,
    { kind: 'http', host: 'erp.internal', port: 8000, timeoutMs: 30_000 },
    { kind: 'tcp', host: '2001:db8::1', port: 443, tls: true },
    { kind: 'tcp', host: '10.1.0.30', port: 1 },
    { kind: 'start-tls', of: 7, after: 8 },
    { kind: 'start-tls', of: 1, after: 0, serverName: 'db.internal' },
  ]

  test('is its length and JSON', () => {
    const bytes = encodeOpening(OPENING)
    const json = '{"kind":"tcp","host":"db.internal","port":5432}'
    expect(Buffer.from(bytes).toString('latin1')).toBe(`\0\0\0${String.fromCharCode(json.length)}${json}`)
  })

  test('is read back however it is cut, with what comes behind it', () => {
    for (const opening of openings) {
      const bytes = Buffer.concat([encodeOpening(opening), Buffer.from('rest')])
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { value, rest } = readAll(new OpeningReader(), [bytes.subarray(0, cut), bytes.subarray(cut)])
        expect([value, Buffer.from(rest).toString()]).toEqual([opening, 'rest'])
      }
      expect(
        readAll(
          new OpeningReader(),
          Array.from(bytes, (octet) => Uint8Array.of(octet)),
        ).value,
      ).toEqual(opening)
    }
  })

  test('with fields that nobody knows is read without them', () => {
    const result = new OpeningReader().push(framed({ ...OPENING, future: { a: 1 }, __proto__: 3 }))
    expect(result).toMatchObject({ type: 'done', value: OPENING, rest: { length: 0 } })
  })

  const faults: Record<string, readonly [opening: unknown, fault: RegExp]> = {
    'no object': [[OPENING], /object/],
    null: [null, /object/],
    'no kind': [{ host: 'a', port: 1 }, /kind/],
    'another kind': [{ ...OPENING, kind: 'udp' }, /kind/],
    'no host': [{ kind: 'tcp', port: 1 }, /host/],
    'a host that is none': [{ ...OPENING, host: 'a b' }, /host/],
    'port 0': [{ ...OPENING, port: 0 }, /port/],
    'port 65536': [{ ...OPENING, port: 65_536 }, /port/],
    'a port that is a text': [{ ...OPENING, port: '5432' }, /port/],
    'a broken port': [{ ...OPENING, port: 1.5 }, /port/],
    'tls that is a text': [{ ...OPENING, tls: 'yes' }, /tls/],
    'tls with http': [{ ...OPENING, kind: 'http', tls: true }, /tls/],
    'no time at all': [{ ...OPENING, timeoutMs: 0 }, /timeoutMs/],
    'more than a day': [{ ...OPENING, timeoutMs: 86_400_001 }, /timeoutMs/],
    'start-tls of nothing': [{ kind: 'start-tls', after: 0 }, /of/],
    'start-tls of stream 0': [{ kind: 'start-tls', of: 0, after: 0 }, /of/],
    'start-tls before the beginning': [{ kind: 'start-tls', of: 1, after: -1 }, /after/],
    'start-tls to no name': [{ kind: 'start-tls', of: 1, after: 0, serverName: '' }, /serverName/],
  }
  for (const [name, [opening, fault]] of Object.entries(faults)) {
    test(`with ${name} is refused`, () => {
      expect(new OpeningReader().push(framed(opening))).toEqual({ type: 'fault', cause: expect.stringMatching(fault) })
      expect(openingFault(opening)).toMatch(fault)
      expect(() => encodeOpening(opening as StreamOpening)).toThrow(TypeError)
    })
  }
})

describe('an opening that is no JSON', () => {
  test.each([
    ['too long', Uint8Array.of(0, 0, 0x10, 1)],
    ['far too long', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ['empty', Uint8Array.of(0, 0, 0, 0)],
    ['broken', Uint8Array.of(0, 0, 0, 1, 0x7b)],
    ['no UTF-8', Uint8Array.of(0, 0, 0, 3, 0x22, 0xff, 0x22)],
  ])('%s', (_, bytes) => {
    const reader = new OpeningReader()
    const fault = reader.push(bytes)
    expect(fault.type).toBe('fault')
    expect(reader.push(encodeOpening(OPENING))).toEqual(fault)
  })

  test('of the largest size is read', () => {
    const json = JSON.stringify(OPENING)
    const padded = `${json.slice(0, -1)},"pad":"${'x'.repeat(MAX_OPENING - json.length - 9)}"}`
    expect(padded).toHaveLength(MAX_OPENING)
    expect(new OpeningReader().push(framedText(padded))).toMatchObject({ type: 'done', value: OPENING })
    expect(new OpeningReader().push(framedText(`${padded} `))).toMatchObject({ type: 'fault' })
  })

  test('whatever the bytes are, nothing throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.jsonValue(), fc.nat(60), (bytes, value, cut) => {
        for (const input of [bytes, framed(value), Uint8Array.from([0, 0, 0, bytes.length, ...bytes])]) {
          for (const reader of [new OpeningReader(), new AnswerReader()]) {
            reader.push(input.subarray(0, cut))
            reader.push(input.subarray(cut))
          }
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('hosts', () => {
  test.each([
    'erp',
    'erp.internal',
    'ERP.internal.',
    '3com.example',
    '1.2.3.4',
    '::1',
    'xn--bcher-kva.example',
    'a.b-c.d',
  ])('%s', (host) => {
    expect(isHost(host)).toBe(true)
  })
  test.each([
    ...['', '.', 'a..b', '-a', 'a-', 'a_b', 'a b', 'a/b', 'a:80', '[::1]', 'b\u00fccher', 'a\u0000b', 'a\n'],
    ...['127.1', '2130706433', '0x7f000001', '0x7f.1', '1.2.3.4.5', '256.1.1.1', 'a.0x', '01.2.3.4', 'x.1.'],
    ...['a'.repeat(64), `${'a.'.repeat(127)}a`],
  ])('not %j', (host) => {
    expect(isHost(host)).toBe(false)
  })
})

describe('an answer', () => {
  const answers: readonly StreamAnswer[] = [
    { ok: true },
    { ok: true, remote: '10.1.0.30:5432' },
    { ok: false, problem: streamProblem('connect-refused', 'The port is shut.', 'Start the service.') },
  ]

  test('is read back, with what comes behind it', () => {
    for (const answer of answers) {
      const bytes = Buffer.concat([encodeAnswer(answer), Buffer.from('rest')])
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { value, rest } = readAll(new AnswerReader(), [bytes.subarray(0, cut), bytes.subarray(cut)])
        expect([value, Buffer.from(rest).toString()]).toEqual([answer, 'rest'])
      }
    }
  })

  test('with any code is read with the way of retrying that belongs to it, whatever the peer says', () => {
    for (const code of Object.keys(STREAM_PROBLEMS) as StreamProblemCode[]) {
      const problem = { code, cause: 'c', remedy: 'r', retry: 'elsewhere' }
      const { value } = readAll(new AnswerReader(), [framed({ ok: false, problem })])
      expect(value).toEqual({ ok: false, problem: { ...problem, retry: STREAM_PROBLEMS[code] } })
    }
  })

  test.each(['from-the-future', 'constructor', '__proto__'])('with the unknown code %s keeps its words', (code) => {
    const problem = { code, cause: 'Something new.', remedy: 'Update.', retry: 'later' }
    const { value } = readAll(new AnswerReader(), [framed({ ok: false, problem })])
    expect(value).toEqual({ ok: false, problem: streamProblem('protocol-error', 'Something new.', 'Update.') })
  })

  test.each([
    {},
    { ok: 1 },
    { ok: true, remote: 5 },
    { ok: true, remote: 'x'.repeat(301) },
    { ok: false },
    { ok: false, problem: 'no' },
    { ok: false, problem: { code: 'overloaded', cause: 'c' } },
    { ok: false, problem: { code: 7, cause: 'c', remedy: 'r' } },
  ])('that is none: %j', (answer) => {
    expect(new AnswerReader().push(framed(answer)).type).toBe('fault')
  })

  test('its sentences are cut, at both ends, so that it always fits', () => {
    const long = ['"'.repeat(9000), '\u20ac'.repeat(9000), '\u{1f600}'.repeat(9000), '\u0000\n'.repeat(9000)]
    for (const cause of long) {
      const bytes = encodeAnswer({ ok: false, problem: streamProblem('overloaded', cause, cause) })
      const { value } = readAll(new AnswerReader(), [bytes])
      if (value.ok) throw new Error('ok')
      expect([value.problem.cause.length, value.problem.remedy.length]).toEqual([512, 512])
      expect(value.problem.cause.isWellFormed()).toBe(true)
    }
    const problem = { code: 'overloaded', cause: `${'a'.repeat(511)}\u{1f600}`, remedy: 'a\u0000\u001b[2J\u2028b' }
    const { value } = readAll(new AnswerReader(), [framed({ ok: false, problem })])
    expect(value).toMatchObject({ problem: { cause: `${'a'.repeat(511)}\ufffd`, remedy: 'a  [2J b' } })
  })
})

function readAll<T>(reader: { push(bytes: Uint8Array): ExchangeRead<T> }, pieces: readonly Uint8Array[]) {
  let result: { value: T; rest: Uint8Array } | undefined
  for (const piece of pieces) {
    const read = reader.push(piece)
    if (read.type === 'fault') throw new Error(read.cause)
    if (read.type === 'done') result = { value: read.value, rest: Buffer.concat([result?.rest ?? NONE, read.rest]) }
  }
  if (result === undefined) throw new Error('more')
  return result
}

function framed(value: unknown): Uint8Array {
  return framedText(JSON.stringify(value))
}

function framedText(text: string): Uint8Array {
  const body = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}
