import { describe, expect, it } from 'vitest'
import { DROP_BAD_HEADER, DROP_ECN, DROP_FRAGMENT_LIMIT, DROP_FRAGMENT_OVERLAP } from '../abi.ts'
import {
  fragmentHeader,
  fragmentOf,
  type IpFields,
  ipv4,
  ipv6,
  optionsHeader,
  pattern,
  udp,
} from '../testing/packets.ts'
import { concat } from './bytes.ts'
import { type IpPacket, parseIp } from './ip.ts'
import { Reassembly, type ReassemblyResult } from './reassembly.ts'

const DATA = udp(292)

/** The results of offering fragments given as [from, to] of DATA. */
function offerAll(ranges: readonly (readonly [number, number])[], fields: IpFields = {}, table = new Reassembly()) {
  return ranges.map(([from, to]) => offer(table, fragmentOf(4, DATA, from, to, fields)))
}

function offer(table: Reassembly, bytes: Uint8Array, scope = '', now = 0): ReassemblyResult {
  const step = table.offer(parseIp(bytes) as IpPacket, scope, now)
  step.apply()
  return step.result
}

const overlap = { type: 'dropped', reason: DROP_FRAGMENT_OVERLAP }
const kept = { type: 'kept' }

describe('a datagram', () => {
  it('is whole with its last missing piece, in any order', () => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]
    const ranges = [
      [0, 96],
      [96, 200],
      [200, 300],
    ] as const
    for (const order of orders) {
      const [first, second, third] = offerAll(order.map((i) => ranges[i]!))
      expect([first, second]).toEqual([kept, kept])
      expect(third).toMatchObject({ type: 'complete', datagram: { bytes: ipv4(DATA) } })
    }
  })

  it('has the options, TTL and DSCP of its first fragment, and no DF', () => {
    const table = new Reassembly()
    const options = Uint8Array.of(0x07, 3, 4, 0)
    offer(table, fragmentOf(4, DATA, 96, 300, { ttl: 9, tos: 0x40 }))
    const first = ipv4(DATA.subarray(0, 96), { options, ttl: 7, tos: 0x20, flags: 0x6000 })
    const done = offer(table, first)
    expect(done).toMatchObject({ datagram: { bytes: ipv4(DATA, { options, ttl: 7, tos: 0x20 }) } })
  })

  it('of IPv6 loses the fragment header and keeps what follows it', () => {
    const table = new Reassembly()
    const data = concat(optionsHeader(17), DATA)
    const piece = (from: number, to: number) => {
      const header = fragmentHeader(60, from, to < data.length, 77)
      return ipv6(data.subarray(from, to), { firstHeader: 60, extensions: concat(optionsHeader(44), header) })
    }
    expect(offer(table, piece(0, 104))).toEqual(kept)
    const whole = ipv6(data, { firstHeader: 60, extensions: optionsHeader(60) })
    expect(offer(table, piece(104, data.length))).toEqual({
      type: 'complete',
      datagram: { bytes: whole, longest: 48 + 8 + 204, place: expect.objectContaining({ id: 77, headerAt: 48 }) },
    })
  })
})

describe('what does not belong together', () => {
  it.each([
    ['identification', { id: 9 }],
    ['source', { source: '10.1.0.6' }],
    ['destination', { destination: '10.2.0.1' }],
    ['protocol', { protocol: 6 }],
  ])('is told by %s', (_, other) => {
    const table = new Reassembly()
    expect(offerAll([[0, 96]], {}, table)).toEqual([kept])
    expect(offerAll([[96, 300]], other, table)).toEqual([kept])
    expect(offerAll([[96, 300]], {}, table)[0]!.type).toBe('complete')
  })

  it('is told by scope', () => {
    const table = new Reassembly()
    offer(table, fragmentOf(4, DATA, 0, 96), 'in 1')
    expect(offer(table, fragmentOf(4, DATA, 96, 300), 'in 2')).toEqual(kept)
  })
})

describe('overlaps (RFC 5722)', () => {
  it.each([
    [
      'an exact repetition',
      [
        [0, 96],
        [0, 96],
      ],
    ],
    [
      'eight bytes',
      [
        [0, 104],
        [96, 200],
      ],
    ],
    [
      'one inside the other',
      [
        [0, 200],
        [96, 104],
      ],
    ],
    [
      'data behind the end',
      [
        [200, 300],
        [296, 304],
      ],
    ],
  ] as const)('cost the datagram: %s', (_, [first, second]) => {
    const table = new Reassembly()
    const data = udp(400)
    const piece = ([from, to]: readonly [number, number]) =>
      fragmentOf(4, to === 300 ? data.subarray(0, 300) : data, from, to)
    expect(offer(table, piece(first))).toEqual(kept)
    expect(offer(table, piece(second))).toEqual(overlap)
    expect(offer(table, piece([304, 320]))).toEqual(overlap)
  })

  it('are two different ends', () => {
    const table = new Reassembly()
    expect(offer(table, fragmentOf(4, DATA, 200, 300))).toEqual(kept)
    expect(offer(table, fragmentOf(4, udp(392), 304, 400))).toEqual(overlap)
  })

  it('are an end before data that came', () => {
    const table = new Reassembly()
    expect(offer(table, fragmentOf(4, udp(592), 304, 400))).toEqual(kept)
    expect(offer(table, fragmentOf(4, DATA, 200, 300))).toEqual(overlap)
  })
})

describe('bounds', () => {
  it('64 fragments', () => {
    const table = new Reassembly()
    const data = udp(8 * 80)
    const results = Array.from({ length: 66 }, (_, i) => offer(table, fragmentOf(4, data, 8 * i, 8 * i + 8)))
    expect(results.slice(0, 64)).toEqual(results.slice(0, 64).map(() => kept))
    expect(results[64]).toEqual({ type: 'dropped', reason: DROP_FRAGMENT_LIMIT })
    expect(results[65]).toEqual(overlap)
  })

  it('65,535 bytes, header included', () => {
    const table = new Reassembly()
    const end = ipv4(pattern(15), { flags: 8190 })
    expect(offer(table, end)).toEqual(kept)
    const first = ipv4(pattern(96), { flags: 0x2000 })
    expect(offer(table, first)).toEqual({ type: 'dropped', reason: DROP_FRAGMENT_LIMIT })
  })

  it('64 datagrams: the oldest gives way', () => {
    const table = new Reassembly()
    const piece = (id: number, from: number, to: number) => parseIp(fragmentOf(4, DATA, from, to, { id })) as IpPacket
    for (let id = 0; id < 65; id++) {
      const step = table.offer(piece(id, 0, 96), '', id)
      step.apply()
      expect(step.evicted).toBe(id === 64 ? 1 : 0)
    }
    expect(table.offer(piece(1, 96, 300), '', 65).result.type).toBe('complete')
    expect(table.offer(piece(0, 96, 300), '', 65).result.type).toBe('kept')
  })

  it('2,000 milliseconds', () => {
    const table = new Reassembly()
    offer(table, fragmentOf(4, DATA, 0, 96, { id: 1 }), '', 1000)
    offer(table, fragmentOf(4, DATA, 0, 96, { id: 2 }), '', 1001)
    expect(table.expire(2999)).toBe(0)
    expect(table.expire(3000)).toBe(1)
    expect(offer(table, fragmentOf(4, DATA, 96, 300, { id: 2 }), '', 3000).type).toBe('complete')
    expect(offer(table, fragmentOf(4, DATA, 96, 300, { id: 1 }), '', 3000)).toEqual(kept)
  })

  it('of sense: pieces of nothing, or of no multiple of 8', () => {
    const table = new Reassembly()
    const bad = { type: 'dropped', reason: DROP_BAD_HEADER }
    expect(offer(table, ipv4(pattern(12), { flags: 0x2000 }))).toEqual(bad)
    expect(offer(table, ipv4(new Uint8Array(0), { flags: 9 }))).toEqual(bad)
    expect(
      offerAll(
        [
          [0, 96],
          [96, 300],
        ],
        {},
        table,
      )[1]!.type,
    ).toBe('complete')
  })
})

it('nothing happens before a step is applied', () => {
  const table = new Reassembly()
  offer(table, fragmentOf(4, DATA, 0, 96))
  const last = parseIp(fragmentOf(4, DATA, 96, 300)) as IpPacket
  expect(table.offer(last, '', 0).result.type).toBe('complete')
  expect(table.offer(last, '', 0).result.type).toBe('complete')
})

it.each([
  [[1, 3], 3],
  [[2, 2], 2],
  [[3, 0], undefined],
])('ECN %j becomes %s (RFC 3168 section 5.3)', (marks, expected) => {
  const table = new Reassembly()
  offer(table, fragmentOf(4, DATA, 0, 96, { tos: marks[0]! }))
  const result = offer(table, fragmentOf(4, DATA, 96, 300, { tos: marks[1]! }))
  if (expected === undefined) expect(result).toEqual({ type: 'dropped', reason: DROP_ECN })
  else expect(result).toMatchObject({ datagram: { bytes: ipv4(DATA, { tos: expected }) } })
})
