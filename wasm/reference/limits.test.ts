import { describe, expect, it } from 'vitest'
import type { OutboundSa } from '../packet-engine.ts'
import { hardReached, hasRoomFor, softReached } from './limits.ts'
import { RateLimit } from './rate.ts'
import { Tally } from './tally.ts'

const sa = (fields: Partial<OutboundSa>) => ({ esn: false, ...fields }) as OutboundSa
const usage = (packets: number, bytes = 0, sequence = BigInt(packets)) => ({ packets, bytes, sequence })

describe('limits of an SA', () => {
  it('are reached at their number, by packets or bytes', () => {
    const limited = sa({ softPackets: 5, softBytes: 1000, hardPackets: 10, hardBytes: 2000 })
    expect([4, 5].map((packets) => softReached(limited, usage(packets)))).toEqual([false, true])
    expect([999, 1000].map((bytes) => softReached(limited, usage(0, bytes)))).toEqual([false, true])
    expect([9, 10].map((packets) => hardReached(limited, usage(packets)))).toEqual([false, true])
    expect([1999, 2000].map((bytes) => hardReached(limited, usage(0, bytes)))).toEqual([false, true])
  })

  it('are none but the sequence number by default', () => {
    expect(softReached(sa({}), usage(1e15, 1e15, 1n))).toBe(false)
    expect(hardReached(sa({}), usage(1e15, 1e15, 0xffff_fffen))).toBe(false)
    expect(hardReached(sa({}), usage(0, 0, 0xffff_ffffn))).toBe(true)
    expect(hardReached(sa({ esn: true }), usage(0, 0, 0xffff_ffffn))).toBe(false)
    expect(hardReached(sa({ esn: true }), usage(0, 0, 0xffff_ffff_ffff_ffffn))).toBe(true)
  })

  it('leave room for all fragments or none', () => {
    expect(hasRoomFor(sa({ hardPackets: 10 }), usage(7), 3)).toBe(true)
    expect(hasRoomFor(sa({ hardPackets: 10 }), usage(7), 4)).toBe(false)
    expect(hasRoomFor(sa({}), usage(0, 0, 0xffff_fffdn), 2)).toBe(true)
    expect(hasRoomFor(sa({}), usage(0, 0, 0xffff_fffdn), 3)).toBe(false)
  })
})

describe('a rate', () => {
  it('is so many at once and then so many a second', () => {
    const rate = new RateLimit(10)
    const taken = (now: number) => Array.from({ length: 20 }, () => rate.take(now)).filter(Boolean).length
    expect(taken(5000)).toBe(10)
    expect(taken(5099)).toBe(0)
    expect(taken(5200)).toBe(2)
    expect(taken(60_000)).toBe(10)
  })

  it('gains nothing from a clock that runs back', () => {
    const rate = new RateLimit(1)
    expect([rate.take(1000), rate.take(0), rate.take(500)]).toEqual([true, false, false])
  })
})

it('events beyond 256 are counted', () => {
  const tally = new Tally()
  for (let tunnel = 0; tunnel < 258; tunnel++) tally.event({ type: 'no-sa', tunnel })
  expect(tally.report().event_overflow).toBe(2)
  expect(tally.poll()).toEqual({ type: 'no-sa', tunnel: 0 })
})
