/** Messages by chance: through our encoder and decoder, and against bhttp-js. */
import { BHttpDecoder, BHttpEncoder } from 'bhttp-js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, type Message } from '../test/fuzz/binary-http-messages.ts'
import { type FieldLine, RequestEncoder, type RequestHead, ResponseEncoder, type ResponseHead } from './binary-http.ts'

const NAME = 'abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&*+^`|~'
const VISIBLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index))

const visible = fc.constantFrom(...VISIBLE, '\u0080', '\u00ff')
const value = fc
  .tuple(visible, fc.string({ unit: fc.oneof(visible, fc.constantFrom(' ', '\t')), maxLength: 90 }), visible)
  .map((parts) => parts.join(''))
const name = fc.string({ unit: fc.constantFrom(...NAME), minLength: 1, maxLength: 80 }).map((text) => `x-${text}`)
const fields: fc.Arbitrary<FieldLine[]> = fc.array(fc.tuple(name, fc.oneof(value, fc.constant(''))), { maxLength: 6 })
const path = fc
  .string({ unit: fc.constantFrom(...VISIBLE.filter((character) => character !== '#')), maxLength: 90 })
  .map((text) => `/${text}`)
const content = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 })

const requestHead: fc.Arbitrary<RequestHead> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'DELETE', 'M-SEARCH'),
  scheme: fc.constantFrom('http', 'https'),
  authority: fc.constantFrom('', 'erp.internal', '[::1]:8000'),
  path,
  fields,
})
const responseHead = (statuses: readonly number[]): fc.Arbitrary<ResponseHead> =>
  fc.record({ status: fc.constantFrom(...statuses), fields })
const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 8 })
const padding = fc.nat({ max: 20 })

describe('what was encoded is decoded, cut anywhere', () => {
  test('requests', () => {
    fc.assert(
      fc.property(requestHead, content, fields, cuts, padding, (head, chunks, trailers, at, zeros) => {
        const encoder = new RequestEncoder()
        const bytes = joined([
          encoder.head(head),
          ...chunks.flatMap((chunk) => encoder.data(chunk)),
          encoder.end(trailers),
        ])
        const expected: Message = { informational: [], head, content: joined(chunks), trailers }
        expect(decode('request', ...pieces(joined([bytes, new Uint8Array(zeros)]), at))).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('responses', () => {
    const interim = fc.array(responseHead([100, 102, 103, 199]), { maxLength: 3 })
    const final = responseHead([200, 404, 599])
    fc.assert(
      fc.property(interim, final, content, fields, cuts, (informational, head, chunks, trailers, at) => {
        const encoder = new ResponseEncoder()
        const bytes = joined([
          ...informational.map((one) => encoder.informational(one)),
          encoder.head(head),
          ...chunks.flatMap((chunk) => encoder.data(chunk)),
          encoder.end(trailers),
        ])
        const expected: Message = { informational, head, content: joined(chunks), trailers }
        expect(decode('response', ...pieces(bytes, at))).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })
})

/** What it cannot do is left out: it misreads names from 64 octets, joins fields, and knows ASCII alone. */
const plainText = fc.string({ unit: fc.constantFrom(...'abc XYZ,;=019'), maxLength: 90 }).map((text) => text.trim())
const plainFields = fc
  .uniqueArray(fc.tuple(fc.constantFrom('x-a', 'x-long-name', 'accept', 'etag', 'link'), plainText), {
    selector: ([key]) => key,
    maxLength: 5,
  })
  .map((lines) => lines.toSorted(([one], [two]) => (one < two ? -1 : 1)))
const body = fc.uint8Array({ maxLength: 70_000, size: 'max' })

describe('against bhttp-js', () => {
  test('we read its requests, of known length', async () => {
    await fc.assert(
      fc.asyncProperty(plainFields, body, async (lines, bytes) => {
        const request = new Request('https://erp.internal:8443/orders', {
          method: 'POST',
          headers: lines.map(([key, text]) => [key, text] as [string, string]),
          body: bytes as Uint8Array<ArrayBuffer>,
        })
        const message = decode('request', await new BHttpEncoder().encodeRequest(request)) as Message
        const { fields: read, ...head } = message.head as RequestHead
        expect(head).toEqual({ method: 'POST', scheme: 'https', authority: 'erp.internal:8443', path: '/orders' })
        expect(read).toEqual(lines)
        expect(Buffer.from(message.content).equals(Buffer.from(bytes))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('we read its responses, of known length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(200, 404, 503), plainFields, body, async (status, lines, bytes) => {
        const headers = lines.map(([key, text]) => [key, text] as [string, string])
        const response = new Response(bytes as Uint8Array<ArrayBuffer>, { status, headers })
        const message = decode('response', await new BHttpEncoder().encodeResponse(response)) as Message
        expect(message.head).toEqual({ status, fields: lines })
        expect(Buffer.from(message.content).equals(Buffer.from(bytes))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('it reads our requests, of indeterminate length', async () => {
    await fc.assert(
      fc.asyncProperty(plainFields, fc.array(body, { maxLength: 3 }), async (lines, chunks) => {
        const encoder = new RequestEncoder()
        const head = { method: 'POST', scheme: 'https', authority: 'erp.internal', path: '/orders', fields: lines }
        const bytes = joined([encoder.head(head), ...chunks.flatMap((chunk) => encoder.data(chunk)), encoder.end()])
        const request: Request = new BHttpDecoder().decodeRequest(bytes)
        expect([request.method, request.url]).toEqual(['POST', 'https://erp.internal/orders'])
        expect([...request.headers]).toEqual(expect.arrayContaining(lines.map((line) => [...line])))
        expect(Buffer.from(await request.arrayBuffer()).equals(joined(chunks))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('it reads our responses, informational ones before them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(200, 404, 503), plainFields, body, async (status, lines, bytes) => {
        const encoder = new ResponseEncoder()
        const whole = joined([
          encoder.informational({ status: 103, fields: [['link', '</a>']] }),
          encoder.head({ status, fields: lines }),
          ...encoder.data(bytes),
          encoder.end(),
        ])
        const response: Response = new BHttpDecoder().decodeResponse(whole)
        expect(response.status).toBe(status)
        expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.from(bytes))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})

function joined(parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts)
}

function pieces(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const sorted = [0, ...at.map((cut) => Math.min(cut, bytes.length)).toSorted((one, two) => one - two), bytes.length]
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}
