import { describe, expect, test } from 'vitest'
import {
  decode,
  events,
  messageOf,
  octets,
  rawRequest,
  rawResponse,
  VECTORS,
  varint,
} from '../test/fuzz/binary-http-messages.ts'
import { RequestDecoder, RequestEncoder, ResponseDecoder, ResponseEncoder } from './binary-http.ts'
import { decodeVarint, varintLength, varintSize, writeVarint } from './binary-http-varint.ts'

describe('integers', () => {
  test('the examples of RFC 9000 appendix A.1', () => {
    for (const [hex, value] of VECTORS.varints) {
      const bytes = octets(hex)
      expect(varintLength(bytes[0]!)).toBe(bytes.length)
      expect(decodeVarint(bytes)).toBe(value)
    }
    expect(decodeVarint(octets(VECTORS.hugeVarint))).toBeUndefined()
  })

  test('are written in as few bytes as can be, up to the largest safe one', () => {
    const edges = [0, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, Number.MAX_SAFE_INTEGER]
    expect(edges.map(varintSize)).toEqual([1, 1, 2, 2, 4, 4, 8, 8])
    for (const value of edges) {
      const bytes = new Uint8Array(varintSize(value))
      expect(writeVarint(bytes, 0, value)).toBe(bytes.length)
      expect(varintLength(bytes[0]!)).toBe(bytes.length)
      expect(decodeVarint(bytes)).toBe(value)
    }
    expect(decodeVarint(octets('c020000000000000'))).toBeUndefined()
  })
})

describe('the examples of the RFCs', () => {
  for (const vector of VECTORS.messages) {
    const expected = {
      informational: vector.informational,
      head: vector.head,
      content: Buffer.from(vector.content),
      trailers: vector.trailers,
    }

    test(vector.name, () => {
      expect(decode(vector.kind, octets(vector.hex))).toEqual(expected)
    })

    test(`${vector.name}, in two pieces and octet by octet`, () => {
      const bytes = octets(vector.hex)
      for (let cut = 0; cut <= bytes.length; cut++) {
        expect(decode(vector.kind, bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(expected)
      }
      expect(decode(vector.kind, ...Array.from(bytes, (octet) => Uint8Array.of(octet)))).toEqual(expected)
    })

    test(`${vector.name}, without what means nothing at its end, and with more of it`, () => {
      const bytes = octets(vector.hex)
      for (let cut = 0; cut <= vector.cut; cut++) {
        expect(decode(vector.kind, bytes.subarray(0, bytes.length - cut))).toEqual(expected)
      }
      if (vector.trailers.length > 0) return
      expect(decode(vector.kind, bytes, new Uint8Array(100))).toEqual(expected)
    })
  }

  test('figure 9 without its padding is what the encoder writes', () => {
    const { head, hex } = VECTORS.messages[1]!
    const encoder = new RequestEncoder()
    const written = Buffer.concat([encoder.head(head as never), encoder.end()])
    expect(written.toString('hex')).toBe(hex.slice(0, -20))
  })

  test('figure 11 is what the encoder writes', () => {
    const { head, hex, informational, content } = VECTORS.messages[2]!
    const encoder = new ResponseEncoder()
    const written = Buffer.concat([
      ...informational.map((one) => encoder.informational(one)),
      encoder.head(head as never),
      ...encoder.data(Buffer.from(content)),
      encoder.end(),
    ])
    expect(written.toString('hex')).toBe(hex)
  })
})

describe('truncation (RFC 9292 section 3.8)', () => {
  /** Where each example may end; a head that promises 51 bytes may not end before them. */
  const ENDS: readonly (readonly number[])[] = [
    [23, 133, 134, 135],
    [23, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144],
    [111, 367, 368],
    [3, 4, 34, 48],
    [25],
    [3],
  ]
  for (const [index, vector] of VECTORS.messages.entries()) {
    test(`${vector.name}, at every octet`, () => {
      const bytes = octets(vector.hex)
      const good = Array.from({ length: bytes.length + 1 }, (_, length) => length).filter(
        (length) => !('fault' in decode(vector.kind, bytes.subarray(0, length))),
      )
      expect(good).toEqual(ENDS[index])
    })
  }

  test('content of indeterminate length that ends with a whole chunk and no terminator is cut off', () => {
    const bytes = rawResponse(200, { content: 'hello' })
    expect(decode('response', bytes.subarray(0, -1))).toMatchObject({ content: Buffer.from('hello') })
    expect(decode('response', bytes.subarray(0, -2))).toEqual({ fault: 'the message is cut off' })
  })

  test('informational responses alone are no message', () => {
    expect(decode('response', Uint8Array.from([3, ...varint(103), 0]))).toEqual({ fault: 'the message is cut off' })
    expect(decode('response', Uint8Array.from([3, ...varint(103)]))).toEqual({ fault: 'the message is cut off' })
  })
})

describe('invalid messages', () => {
  const GET = [2, 3, 0x47, 0x45, 0x54, 4, 0x68, 0x74, 0x74, 0x70, 0, 1, 0x2f]
  const cases: Record<string, readonly [kind: 'request' | 'response', bytes: readonly number[], fault: RegExp]> = {
    'a response for a request': ['request', [1, 0x40, 200], /framing indicator 1/],
    'a request for a response': ['response', GET, /framing indicator 2/],
    'an unknown framing indicator': ['request', [4], /framing indicator 4/],
    'padding that is not zero': ['request', [...GET, 0, 0, 0, 0, 1], /padding/],
    'a field without a name in a section of known length': ['request', [0, ...GET.slice(1), 2, 0, 0], /without a name/],
    'a field beyond its section': ['request', [0, ...GET.slice(1), 3, 1, 0x61, 1, 0x62], /beyond its section/],
    'a name beyond its section': ['request', [0, ...GET.slice(1), 2, 1, 0x61, 0, 0], /beyond its section/],
    'a length beyond 2^53': ['request', [...GET, 0, 0xff, 255, 255, 255, 255, 255, 255, 255], /2\^53/],
    'status 99': ['response', [3, ...varint(99), 0], /status/],
    'status 600': ['response', [3, ...varint(600), 0], /status/],
    'status 101': ['response', [3, ...varint(101), 0], /101/],
  }
  for (const [name, [kind, bytes, fault]] of Object.entries(cases)) {
    test(name, () => {
      expect(decode(kind, Uint8Array.from(bytes))).toEqual({ fault: expect.stringMatching(fault) })
    })
  }

  test('nothing comes behind a fault', () => {
    const decoder = new RequestDecoder()
    expect(decoder.push(Uint8Array.of(4)).map(({ type }) => type)).toEqual(['fault'])
    expect([decoder.push(rawRequest({})), decoder.finish()]).toEqual([[], []])
  })

  test('nothing comes behind the end', () => {
    const decoder = new RequestDecoder()
    decoder.push(rawRequest({}))
    expect(decoder.finish()).toEqual([{ type: 'end' }])
    expect([decoder.push(rawRequest({})), decoder.finish()]).toEqual([[], []])
  })
})

describe('content-length', () => {
  const five: readonly [string, string] = ['content-length', '5']
  test.each([
    ['fits', 'hello', undefined],
    ['is less', 'hello!', /more content/],
    ['is more', 'hell', /less content/],
  ] as const)('%s', (_, content, fault) => {
    const expected = fault === undefined ? { content: Buffer.from(content) } : { fault: expect.stringMatching(fault) }
    expect(decode('request', rawRequest({ method: 'POST', fields: [five], content }))).toMatchObject(expected)
    expect(decode('response', rawResponse(200, { fields: [five], content }))).toMatchObject(expected)
  })

  test('that is exceeded is a fault before the surplus is out', () => {
    const decoder = new RequestDecoder()
    const bytes = rawRequest({ method: 'POST', fields: [five], content: 'x'.repeat(50) })
    expect(decoder.push(bytes).map(({ type }) => type)).toEqual(['head', 'fault'])
  })

  test('means nothing where there is no content: HEAD, 204, 304', () => {
    const toHead = () => new ResponseDecoder({ toHead: true })
    expect(messageOf(events(toHead(), [rawResponse(200, { fields: [five] })]))).toMatchObject({ head: { status: 200 } })
    expect(messageOf(events(toHead(), [rawResponse(200, { content: 'x' })]))).toHaveProperty('fault')
    for (const status of [204, 304]) {
      expect(decode('response', rawResponse(status, { fields: [five] }))).toMatchObject({ head: { status } })
      expect(decode('response', rawResponse(status, { content: 'x' }))).toHaveProperty('fault')
    }
  })
})

describe('limits', () => {
  const limits = { maxHead: 300, maxFields: 3, maxFieldLine: 100, maxInformational: 2 }
  const a = (length: number): readonly [string, string] => ['a', 'x'.repeat(length)]

  test('of a head, of fields, of a field', () => {
    const fault = (bytes: Uint8Array) => events(new RequestDecoder({ limits }), [bytes]).at(-1)
    expect(fault(rawRequest({ fields: [a(99), a(99)] }))).toEqual({ type: 'end' })
    for (const bad of [{ fields: [a(100)] }, { fields: [a(1), a(1), a(1), a(1)] }, { fields: [a(99), a(99), a(99)] }]) {
      expect(fault(rawRequest(bad))).toMatchObject({ type: 'fault', code: 'too-large' })
      expect(fault(rawRequest({ trailers: bad.fields }))).toMatchObject({ type: 'fault', code: 'too-large' })
    }
    expect(fault(rawRequest({ path: `/${'x'.repeat(300)}` }))).toMatchObject({ type: 'fault', code: 'too-large' })
  })

  test('a length that lies is refused before there is room made for it', () => {
    const huge = [0x80 | 0x3f, 255, 255, 255]
    for (const bytes of [
      [2, ...huge],
      [2, 3, 0x47, 0x45, 0x54, ...huge],
      [0, 1, 0x47, 1, 0x68, 0, 1, 0x2f, ...huge],
    ]) {
      const decoder = new RequestDecoder()
      expect(decoder.push(Uint8Array.from(bytes))).toMatchObject([{ type: 'fault', code: 'too-large' }])
    }
  })

  test('of informational responses, each of which has a head of its own', () => {
    const one = [...varint(103), ...text('link', 'x'.repeat(90)), 0]
    const final = [...varint(200), 0]
    const run = (count: number) =>
      events(new ResponseDecoder({ limits }), [
        Uint8Array.from([3, ...Array.from({ length: count }, () => one).flat(), ...final]),
      ])
    expect(run(2).map(({ type }) => type)).toEqual(['informational', 'informational', 'head', 'end'])
    expect(run(3).at(-1)).toMatchObject({ type: 'fault', code: 'too-large' })
  })

  test('there is none for content, of which nothing is kept', () => {
    const decoder = new ResponseDecoder()
    decoder.push(Uint8Array.from([3, ...varint(200), 0]))
    const chunk = new Uint8Array(1 << 20)
    let received = 0
    for (let count = 0; count < 100; count++) {
      decoder.push(Uint8Array.from([0x80 | 0x00, 0x10, 0, 0]))
      for (const event of decoder.push(chunk)) {
        if (event.type !== 'data') throw new Error(event.type)
        expect(event.bytes.buffer).toBe(chunk.buffer)
        received += event.bytes.length
      }
    }
    expect(received).toBe(100 * chunk.length)
  })

  function text(...values: string[]): number[] {
    return values.flatMap((value) => [...varint(value.length), ...Buffer.from(value)])
  }
})
