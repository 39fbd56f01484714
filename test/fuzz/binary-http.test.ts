import { describe, expect, it } from 'vitest'
import { RequestDecoder, RequestEncoder, type RequestHead, ResponseDecoder } from '../../protocol/binary-http.ts'
import { events, messageOf, octets, rawRequest, rawResponse, VECTORS } from './binary-http-messages.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 20_240_517

const MESSAGES = [
  ...VECTORS.messages.map(({ hex }) => octets(hex)),
  rawRequest({ method: 'POST', fields: [['content-length', '5']], content: 'hello', trailers: [['x', 'y']] }),
  rawResponse(200, { fields: [['content-type', 'text/plain']], content: 'hello' }),
]

describe('the Binary HTTP decoders', () => {
  it('take 30,000 mutated messages: never throw, and what is whole is encoded again', () => {
    const next = random(SEED)
    const seen = { whole: 0, faulty: 0 }
    for (let index = 0; index < 30_000; index++) seen[check(mutate(MESSAGES, next), next, `input ${index}`)]++
    expect(Math.min(seen.whole, seen.faulty)).toBeGreaterThan(1000)
  })

  it('take 30,000 random messages', () => {
    const next = random(SEED + 1)
    const seen = { whole: 0, faulty: 0 }
    for (let index = 0; index < 30_000; index++) {
      const bytes = Uint8Array.from({ length: next(60) }, () => (next(4) === 0 ? next(256) : next(4)))
      seen[check(bytes, next, `input ${index}`)]++
    }
    expect(seen.faulty).toBeGreaterThan(1000)
  })
})

/** As request and as response, in two pieces; the events come in their order, or `messageOf` throws. */
function check(bytes: Uint8Array, next: (below: number) => number, where: string): 'whole' | 'faulty' {
  const cut = next(bytes.length + 1)
  const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
  const request = messageOf(events(new RequestDecoder(), pieces))
  const response = messageOf(events(new ResponseDecoder({ toHead: next(8) === 0 }), pieces))
  if (!('fault' in request) && !('fault' in response)) throw new Error(`${where}: request and response at once`)
  if ('fault' in request) return 'fault' in response ? 'faulty' : 'whole'
  const encoder = new RequestEncoder()
  const head = request.head as RequestHead
  const again = [encoder.head(head), ...encoder.data(request.content), encoder.end(request.trailers)]
  expect(messageOf(events(new RequestDecoder(), again)), where).toEqual(request)
  return 'whole'
}
