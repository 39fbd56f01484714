/** What random worlds seldom reach, on both engines: tables and outboxes that overflow, numbers that end. */
import { describe, expect, it } from 'vitest'
import { address, type Prefix, prefix, prefixContains } from '../protocol/net.ts'
import { EVENT_CAPACITY, ICMP_PER_SECOND, OUTBOX, VERDICT_CONSUMED, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { createNodeEngine } from './engine-node.ts'
import { createEngine } from './load.ts'
import type { OutboundSa, TrafficSelector } from './packet-engine.ts'
import { concat } from './reference/bytes.ts'
import { sealEsp, sealText } from './reference/esp.ts'
import { EnginePair } from './testing/differential-pair.ts'
import { Random } from './testing/differential-random.ts'
import { fragmentHeader, fragmentOf, ipv4, ipv6, udp } from './testing/packets.ts'

const PEER = { address: address('192.0.2.1'), port: 4500 }
const SPI = 0x1234

function selectors(startPort = 0, endPort = 65535): TrafficSelector[] {
  return [
    ['0.0.0.0', '255.255.255.255'],
    ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ].map(([start, end]) => ({
    protocol: 0,
    startPort,
    endPort,
    startAddress: address(start!),
    endAddress: address(end!),
  }))
}

/** One tunnel, its far end in the same engines; all selectors on ports 1 to 65535, so that fragments are reassembled. */
function setUp(
  options: { pathMtu?: number; ports?: boolean; sa?: Partial<OutboundSa>; ipv6?: boolean; replayWindow?: number } = {},
) {
  const pair = new EnginePair(createEngine(), createNodeEngine())
  const own = options.ports ? selectors(1) : selectors()
  const sa: OutboundSa = {
    suite: 'aes-128-gcm',
    key: new Uint8Array(16).fill(7),
    salt: Uint8Array.of(1, 2, 3, 4),
    spi: SPI,
    esn: false,
    tunnel: 0,
    endpoint: 0,
    local: own,
    remote: own,
    ...options.sa,
  }
  const inbound = { ...sa, replayWindow: options.replayWindow ?? 64, initialHighest: sa.initialSequence ?? 0n }
  const remote = options.ipv6 ? { address: address('2001:db8::1'), port: 4500 } : PEER
  pair.setEndpoint(0, { remote, encapsulation: 'udp' })
  const out = pair.installOutbound(sa)
  const back = pair.installInbound(inbound)
  pair.setTunnel(0, { pathMtu: options.pathMtu ?? 1500, clampMss: true, copyDscp: false, sas: [out] })
  pair.setGroup(0, [0])
  pair.setRoute(prefix('0.0.0.0/0'), 0)
  pair.setRoute(prefix('::/0'), 0)
  return { pair, sa, out, back }
}

function pieces(version: 4 | 6, size: number, each: number, id = 1): Uint8Array[] {
  const data = udp(size - 8)
  const out: Uint8Array[] = []
  for (let at = 0; at < size; at += each) out.push(fragmentOf(version, data, at, Math.min(at + each, size), { id }))
  return out
}

const arrivals = (packets: readonly Uint8Array[]) => packets.map((bytes) => ({ bytes, remote: PEER, tos: 0 }))

describe('outboxes', () => {
  it('of a full batch of large packets come in several calls, none lost', () => {
    const { pair } = setUp({ pathMtu: 576 })
    const packets = Array.from({ length: 64 }, (_, i) => ipv4(udp(100 * i), { id: i }))
    const { wire } = pair.seal(packets, 0)
    expect(wire.length).toBeGreaterThan(OUTBOX)
    expect(pair.drops().outbox_full).toBe(0)
  })

  it('hold the largest datagram in fragments for the narrowest path', () => {
    const { pair } = setUp({ pathMtu: 576, ports: true })
    const { wire } = pair.seal(pieces(4, 65_512, 8_000), 0)
    expect(wire.length).toBeGreaterThan(130)
    expect(wire.length).toBeLessThanOrEqual(OUTBOX)
    expect(pair.drops().outbox_full).toBe(0)
  })

  it('let the last fragment wait while they are full', () => {
    const { pair } = setUp({ pathMtu: 576, ports: true })
    const whole = Array.from({ length: 12 }, () => ipv4(udp(4000)))
    const { wire } = pair.seal([...whole, ...pieces(4, 65_000, 8_000), ...whole], 0)
    expect(wire.length).toBeGreaterThan(2 * OUTBOX)
    expect(pair.drops().outbox_full).toBe(0)
  })

  it('to the LAN take IPv6 fragments as far as they go', () => {
    const { pair, sa } = setUp({ ports: true })
    const all = [...pieces(6, 40_000, 1_000, 1), ...pieces(6, 40_000, 1_000, 2)]
    const sealed = all.map((piece, i) => sealEsp(sa, BigInt(i + 1), 41, piece))
    const { lan, verdicts } = pair.open(arrivals(sealed), 'udp', 0)
    expect(lan).toEqual(all)
    expect(verdicts.filter((verdict) => verdict === VERDICT_DELIVERED).length).toBe(2)
  })
})

describe('reassembly', () => {
  it('gives the largest IPv4 datagram whole to the LAN', () => {
    const { pair, sa } = setUp({ ports: true })
    const sealed = pieces(4, 65_512, 8_000).map((piece, i) => sealEsp(sa, BigInt(i + 1), 4, piece))
    const { lan } = pair.open(arrivals(sealed), 'udp', 0)
    expect(lan.map((packet) => packet.length)).toEqual([65_532])
  })

  it('takes no fragment that ends beyond 65,535 bytes', () => {
    const { pair } = setUp({ ports: true })
    pair.seal([ipv4(udp(100), { flags: 0x1fff }), ipv4(new Uint8Array(8), { flags: 0x2000 | 8190 })], 0)
    pair.seal([ipv4(new Uint8Array(16), { flags: 0x2000 })], 0)
    expect(pair.drops()).toMatchObject({ bad_header: 1, fragment_limit: 1 })
  })

  it('ends at 64 fragments and at 64 datagrams', () => {
    const { pair } = setUp({ ports: true })
    pair.seal(pieces(4, 8 * 70, 8), 0)
    expect(pair.drops()).toMatchObject({ fragment_limit: 1, fragment_overlap: 5 })
    for (let id = 100; id < 170; id++) pair.seal([pieces(4, 800, 400, id)[0]!], id)
    expect(pair.drops().fragment_limit).toBe(7)
    for (let id = 169; id >= 100; id--) pair.seal([pieces(4, 800, 400, id)[1]!], 200)
    expect(pair.counters(0).packets).toBe(64)
    pair.seal([ipv4(udp(1))], 10_000)
    expect(pair.drops().fragment_timeout).toBe(6)
  })

  it('keeps headers in front of an IPv6 fragment header up to 512 bytes, whatever the path', () => {
    for (const length of [440, 464, 472, 480, 488, 504, 512, 520]) {
      const { pair } = setUp({ pathMtu: 576, ports: true, ipv6: true })
      const options = concat(Uint8Array.of(44, length / 8 - 6), new Uint8Array(length - 42))
      const piece = (offset: number, more: boolean) =>
        ipv6(udp(1992).subarray(0, 1000), {
          firstHeader: 60,
          extensions: concat(options, fragmentHeader(17, offset, more, 9)),
        })
      const { wire } = pair.seal([piece(0, true), piece(1000, false)], 0)
      expect(wire.length).toBe(length <= 512 ? 3 : 0)
    }
  })
})

describe('numbers that end', () => {
  it('stop an SA without ESN at its last sequence number', () => {
    const { pair, back } = setUp({ sa: { initialSequence: 0xffff_fffcn } })
    const { wire } = pair.seal(
      Array.from({ length: 5 }, () => ipv4(udp(10))),
      0,
    )
    expect(wire.length).toBe(3)
    expect(pair.events.map(({ type }) => type)).toEqual(['hard-limit'])
    expect(pair.drops().hard_limit).toBe(2)
    pair.open(arrivals(wire.map(({ bytes }) => bytes)), 'udp', 0)
    expect(pair.counters(back).packets).toBe(3)
  })

  it('go on over 2^32 with ESN, both ways and out of order', () => {
    const { pair, back } = setUp({ sa: { esn: true, initialSequence: 0x3_ffff_ffe0n } })
    const { wire } = pair.seal(
      Array.from({ length: 64 }, () => ipv4(udp(10))),
      0,
    )
    const mixed = new Random(5).shuffle(wire).map(({ bytes }) => bytes)
    const { verdicts } = pair.open(arrivals([...mixed, ...mixed]), 'udp', 0)
    expect(verdicts.filter((verdict) => verdict === VERDICT_DELIVERED).length).toBe(64)
    expect(pair.counters(back).drops).toEqual({ replayed: 64 })
  })

  it('send no fragment of a packet that the limit cuts off', () => {
    const { pair } = setUp({ pathMtu: 576, sa: { hardPackets: 3, softPackets: 1 } })
    expect(pair.seal([ipv4(udp(10)), ipv4(udp(3000)), ipv4(udp(10))], 0).wire.length).toBe(1)
    expect(pair.drops().hard_limit).toBe(2)
    expect(pair.events.map(({ type }) => type)).toEqual(['soft-limit', 'hard-limit'])
  })
})

describe('the replay window', () => {
  it.each([64, 128, 192, 1024, 4096])('of %i ends at the same packet, also after long jumps', (replayWindow) => {
    const { pair, sa, back } = setUp({ replayWindow })
    const inner = ipv4(udp(1))
    const size = BigInt(replayWindow)
    let top = 10_000n
    for (const jump of [0n, 1n, 63n, 64n, 65n, size - 1n, size, size + 1n, 2n * size, 100_000n]) {
      top += jump
      const edges = [top, top - size - 1n, top - size, top - size + 1n, top - size + 1n, top - size + 2n, top - 1n]
      pair.open(arrivals(edges.map((sequence) => sealEsp(sa, sequence, 4, inner))), 'udp', 0)
    }
    expect(pair.counters(back).drops).toMatchObject({ too_old: 20 })
  })
})

describe('ESN at the edges of its subspaces (RFC 4303 appendix A2)', () => {
  const TWO_32 = 0x1_0000_0000n

  it.each([0, 64, 128, 4096])('with a window of %i', (replayWindow) => {
    const size = BigInt(replayWindow === 0 ? 0x8000_0000 : replayWindow)
    for (const low of [0n, 1n, size - 2n, size - 1n, size, 0x8000_0000n, TWO_32 - size, TWO_32 - 1n]) {
      for (const high of [0n, 3n]) {
        const highest = high * TWO_32 + low
        const { pair, sa } = setUp({ replayWindow, sa: { esn: true, initialSequence: highest } })
        const offsets = [
          -size - 1n,
          -size,
          1n - size,
          2n - size,
          -1n,
          1n,
          TWO_32 - size - 1n,
          TWO_32 - size,
          TWO_32 - size + 1n,
        ]
        for (const offset of offsets.filter((each) => highest + each >= 0n)) {
          const bytes = sealEsp(sa, highest + offset, 4, ipv4(udp(1)))
          pair.open(arrivals([bytes]), 'udp', 0)
        }
      }
    }
  })
})

describe('the trailer', () => {
  it('ends where the text does, and not before it', () => {
    const { pair, sa } = setUp()
    let sequence = 1n
    const verdicts = [2, 3, 4, 5, 100, 257, 258, 300].flatMap((length) => {
      const texts = [length - 3, length - 2, length - 1, length, 255].map((pad) => trailed(length, pad & 0xff))
      return pair.open(arrivals(texts.map((text) => sealText(sa, sequence++, text))), 'udp', 0).verdicts
    })
    // Pad lengths that reach before the text are dropped, one that takes all of it leaves a dummy without payload.
    expect(verdicts.filter((verdict) => verdict === VERDICT_CONSUMED).length).toBe(24)
    expect(pair.drops().bad_padding).toBe(16)
  })

  /** Pad bytes that are right for `pad`, as far as they reach, in a dummy packet. */
  function trailed(length: number, pad: number): Uint8Array {
    const text = Uint8Array.from({ length }, (_, i) => i - (length - 2 - pad) + 1)
    text[length - 2] = pad
    text[length - 1] = 59
    return text
  }
})

describe('rates and queues', () => {
  it('answer at most 100 times a second', () => {
    const { pair } = setUp()
    const large = Array.from({ length: 192 }, () => ipv4(udp(3000), { flags: 0x4000 }))
    expect(pair.seal(large, 5).lan.length).toBe(ICMP_PER_SECOND)
    expect(pair.drops()).toMatchObject({ too_big: 192, icmp_rate: 92 })
    expect(pair.seal(large, 255).lan.length).toBe(ICMP_PER_SECOND / 4)
  })

  it('count events that nobody takes', () => {
    const { pair, sa } = setUp()
    pair.takesEvents = false
    for (let i = 0; i < 300; i++) {
      const bytes = sealEsp(sa, BigInt(i + 1), 59, new Uint8Array(0))
      const { verdicts } = pair.open([{ bytes, remote: { ...PEER, port: 1000 + i }, tos: 0 }], 'udp', i)
      expect(verdicts).toEqual([VERDICT_CONSUMED])
    }
    // The first packet, and a move with each of the others.
    expect(pair.drops().event_overflow).toBe(300 - EVENT_CAPACITY)
    pair.takesEvents = true
    pair.compareState()
    expect(pair.events.length).toBe(EVENT_CAPACITY)
  })

  it('take lengths that lie about the slot', () => {
    const { pair } = setUp()
    const lies = [9217, 10_240, 65_536, 0xffff_ffff].map((length) => ({
      bytes: new Uint8Array(0),
      remote: PEER,
      tos: 0,
      length,
    }))
    expect(pair.open(lies, 'udp', 0).verdicts).toEqual(lies.map(() => VERDICT_DROPPED))
    expect(pair.seal([new Uint8Array(9001)], 0).wire).toEqual([])
    expect(pair.drops().oversized).toBe(5)
  })
})

describe('routes', () => {
  it('are found by longest prefix while they come and go', () => {
    const { pair } = setUp()
    pair.removeRoute(prefix('0.0.0.0/0'))
    const random = new Random(11)
    const table = new Map<Prefix, number>()
    for (let i = 0; i < 1500; i++) {
      const some = prefix(`10.${random.below(4)}.${random.below(4)}.${random.below(8)}/${random.between(6, 32)}`)
      if (random.chance(60)) {
        pair.setRoute(some, i % 1000)
        table.set(some, i % 1000)
      } else {
        const gone = table.size > 0 && random.chance(80) ? random.pick([...table.keys()]) : some
        pair.removeRoute(gone)
        table.delete(gone)
      }
      const target = address(`10.${random.below(4)}.${random.below(4)}.${random.below(8)}`)
      const best = [...table.keys()]
        .filter((route) => prefixContains(route, target))
        .sort((a, b) => Number(b.split('/')[1]) - Number(a.split('/')[1]))[0]
      expect(pair.lookupRoute(target)).toBe(best && table.get(best))
    }
  })
})
