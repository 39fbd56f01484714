/** From one tunnel to another inside the engine: who goes on, by which tunnel, at what cost, and who is told. */
import { describe, expect, it } from 'vitest'
import { address, addressBytes, prefix } from '../protocol/net.ts'
import { OUTBOX, VERDICT_CONSUMED, VERDICT_DELIVERED, VERDICT_DROPPED, VERDICT_TRANSIT } from './abi.ts'
import { internetChecksum } from './reference/bytes.ts'
import { brokenPacket, Random, randomPackets } from './testing/differential-random.ts'
import { A, B, C, everything, Hub, OWN4, OWN6 } from './testing/hub-fixture.ts'
import { fragmentOf, type IpFields, ip, ipv4, tcp, tcpPacket, transportChecksum, udp } from './testing/packets.ts'

/** Hosts of the sites behind A, B and C. */
const HOST = { 4: ['10.1.0.5', '10.2.0.5', '10.3.0.5'], 6: ['fd01::5', 'fd02::5', 'fd03::5'] } as const

function between(version: 4 | 6, from: number, to: number, fields: IpFields = {}, size = 100): Uint8Array {
  const source = HOST[version][from]!
  const destination = HOST[version][to]!
  return ip(version, udp(size), { source, destination, ...fields })
}

const hops = (packet: Uint8Array) => packet[packet[0]! >> 4 === 4 ? 8 : 7]
const source = (packet: Uint8Array) => (packet[0]! >> 4 === 4 ? packet.slice(12, 16) : packet.slice(8, 24))
const ttlOf = (ttl: number) => ({ ttl })

/** The same packet with a hop less. */
function hopped(packet: Uint8Array): Uint8Array {
  const version = packet[0]! >> 4 === 4 ? 4 : 6
  const out = packet.slice()
  out[version === 4 ? 8 : 7]!--
  if (version === 4) {
    out.fill(0, 10, 12)
    const sum = internetChecksum(out.subarray(0, (out[0]! & 15) * 4))
    out.set([sum >> 8, sum & 0xff], 10)
  }
  return out
}

describe.each([4, 6] as const)('an IPv%i packet', (version) => {
  it('goes from tunnel to tunnel with a hop less and nothing else changed, and to no LAN', () => {
    const hub = new Hub()
    const packet = between(version, A, B, { tos: 0xb8 })
    const { verdicts, lan, sentOn } = hub.arrive(A, [packet, packet])
    expect(verdicts).toEqual([VERDICT_TRANSIT, VERDICT_TRANSIT])
    expect(lan).toEqual([])
    expect(sentOn).toEqual(Array(2).fill({ tunnel: B, inner: hopped(packet), tos: 0xb8 }))
    expect(hub.pair.tunnelCounters(A)).toEqual({ transit: 2, asymmetric: 0 })
    expect(hub.pair.tunnelCounters(B)).toEqual({ transit: 0, asymmetric: 0 })
    expect(hub.pair.counters(hub.inbound[A]!)).toMatchObject({ packets: 2, bytes: 2 * packet.length })
    expect(hub.pair.counters(hub.outbound[B]!)).toMatchObject({ packets: 2, bytes: 2 * packet.length })
    expect(hub.dropped()).toEqual({})
  })

  it('has a right checksum whatever its TTL was', () => {
    const hub = new Hub()
    for (let ttl = 2; ttl < 256; ttl++) {
      const packet = between(version, A, B, { ttl, id: ttl * 257 })
      expect(hub.arrive(A, [packet]).sentOn[0]!.inner).toEqual(hopped(packet))
    }
  })

  it('goes to the LAN untouched where its destination leads to no tunnel for transit', () => {
    const hub = new Hub()
    const destination = version === 4 ? '10.77.0.1' : 'fd77::1'
    const home = ip(version, udp(10), { source: HOST[version][A]!, destination })
    // No route, a route to a group of none, and one to the tunnel that it came by.
    expect(hub.arrive(A, [home]).lan).toEqual([home])
    hub.route(version === 4 ? '10.77.0.0/16' : 'fd77::/16', 7, [])
    expect(hub.arrive(A, [home]).lan).toEqual([home])
    hub.route(version === 4 ? '10.77.0.0/16' : 'fd77::/16', 7, [A])
    expect(hub.arrive(A, [home]).lan).toEqual([home])
    const packet = between(version, A, B)
    hub.tunnel(B, { transit: false })
    expect(hub.arrive(A, [packet]).lan).toEqual([packet])
    hub.tunnel(B, { transit: true })
    hub.tunnel(A, { transit: false })
    expect(hub.arrive(A, [packet])).toMatchObject({ lan: [packet], verdicts: [VERDICT_DELIVERED], sentOn: [] })
    expect(hub.pair.tunnelCounters(A).transit).toBe(0)
  })

  it('with its last hop is answered by the tunnel that its source leads to, from an address of the hub', () => {
    for (const ttl of [0, 1]) {
      const hub = new Hub()
      const packet = between(version, A, B, ttlOf(ttl))
      const { verdicts, lan, sentOn } = hub.arrive(A, [packet])
      expect([verdicts, lan]).toEqual([[VERDICT_DROPPED], []])
      expect(sentOn.length).toBe(1)
      const { tunnel, inner } = sentOn[0]!
      expect(tunnel).toBe(A)
      expect(source(inner)).toEqual(addressBytes(address(version === 4 ? OWN4 : OWN6)))
      expect(inner.subarray(-packet.length)).toEqual(packet)
      const at = inner.length - packet.length - 8
      expect([...inner.subarray(at, at + 2)]).toEqual(version === 4 ? [11, 0] : [3, 0])
      if (version === 4) expect(internetChecksum(inner.subarray(at))).toBe(0)
      else expect(transportChecksum(6, inner, at, 58)).toBe(0)
      expect(hub.dropped()).toEqual({ ttl_exceeded: 1 })
      expect(hub.pair.counters(hub.inbound[A]!)).toMatchObject({ packets: 0, drops: { ttl_exceeded: 1 } })
      expect(hub.pair.tunnelCounters(A).transit).toBe(0)
    }
  })

  it('with its last hop is answered to the LAN, where its source leads to no tunnel', () => {
    const hub = new Hub()
    hub.pair.removeRoute(prefix(version === 4 ? '10.1.0.0/16' : 'fd01::/16'))
    const packet = between(version, A, B, ttlOf(1))
    const { sentOn, onward } = hub.arrive(A, [packet])
    expect([sentOn, onward.lan.length]).toEqual([[], 1])
    // Linux takes no packet from itself.
    expect(source(onward.lan[0]!)).toEqual(addressBytes(address(HOST[version][B]!)))
  })

  it('that is too large for its way on is answered with what would fit', () => {
    const hub = new Hub()
    hub.tunnel(B, { pathMtu: 1400 })
    const mtu = hub.pair.innerMtu(hub.outbound[B]!)
    const fits = between(version, A, B, { flags: 0x4000 }, mtu - (version === 4 ? 28 : 48))
    const large = between(version, A, B, { flags: 0x4000 }, mtu - (version === 4 ? 27 : 47))
    const { sentOn } = hub.arrive(A, [fits, large])
    expect(sentOn.map(({ tunnel }) => tunnel)).toEqual([B, A])
    expect(sentOn[0]!.inner).toEqual(hopped(fits))
    const icmp = sentOn[1]!.inner.subarray(version === 4 ? 20 : 40)
    expect([...icmp.subarray(0, 2)]).toEqual(version === 4 ? [3, 4] : [2, 0])
    expect((icmp[6]! << 8) | icmp[7]!).toBe(mtu)
    expect(hub.dropped()).toEqual({ too_big: 1 })
  })

  it('needs the selectors of both SAs', () => {
    const hub = new Hub([everything({ protocol: 17 }), everything({ protocol: 6 }), undefined])
    const toB = between(version, A, B)
    expect(hub.arrive(A, [toB]).verdicts).toEqual([VERDICT_TRANSIT])
    expect(hub.dropped()).toEqual({ selector_out: 1 })
    expect(hub.arrive(B, [between(version, B, C)]).verdicts).toEqual([VERDICT_DROPPED])
    expect(hub.dropped()).toEqual({ selector_out: 1, selector_in: 1 })
  })

  it('of a SYN has its MSS fit the narrower of both ways', () => {
    for (const narrow of [A, B]) {
      const hub = new Hub()
      hub.tunnel(narrow, { pathMtu: 1300 })
      const mtu = hub.pair.innerMtu(hub.outbound[narrow]!)
      const fields = { source: HOST[version][A]!, destination: HOST[version][B]! }
      const { inner } = hub.arrive(A, [tcpPacket(version, tcp(2, Uint8Array.of(2, 4, 5, 0xb4)), fields)]).sentOn[0]!
      const at = inner.length - 24
      expect((inner[at + 22]! << 8) | inner[at + 23]!).toBe(mtu - (version === 4 ? 40 : 60))
      expect(transportChecksum(version, inner, at, 6)).toBe(0)
    }
  })

  it('in fragments goes on in these; put together for its ports, in fragments no longer than they were', () => {
    const data = udp(3000)
    const fields = { source: HOST[version][A]!, destination: HOST[version][B]!, id: 7 }
    const pieces = [0, 1000, 2000, 3000].map((at) =>
      fragmentOf(version, data, at, Math.min(at + 1000, data.length), fields),
    )
    const plain = new Hub().arrive(A, pieces)
    expect(plain.sentOn.map(({ inner }) => inner)).toEqual(pieces.map(hopped))
    const byPort = everything({ startPort: 1, endPort: 65535 })
    for (const selectors of [
      [byPort, undefined],
      [undefined, byPort],
      [byPort, byPort],
    ]) {
      const hub = new Hub(selectors)
      const { sentOn, verdicts } = hub.arrive(A, pieces.toReversed())
      const whole = selectors[1] === undefined ? 1000 : 1400
      expect(sentOn.map(({ inner }) => hops(inner))).toEqual(sentOn.map(() => 63))
      expect(sentOn.reduce((sum, { inner }) => sum + inner.length, 0)).toBeGreaterThan(data.length)
      for (const { inner } of sentOn) expect(inner.length).toBeLessThanOrEqual(whole + 48)
      expect(hub.dropped()).toEqual({})
      expect(hub.pair.tunnelCounters(A).transit).toBeGreaterThan(0)
      if (selectors[0] !== undefined) {
        expect(verdicts).toEqual([VERDICT_CONSUMED, VERDICT_CONSUMED, VERDICT_CONSUMED, VERDICT_TRANSIT])
      }
    }
  })

  it('put together, with its last hop, is answered once', () => {
    const data = udp(3000)
    const fields = { source: HOST[version][A]!, destination: HOST[version][B]!, id: 7, ttl: 1 }
    const pieces = [0, 1504].map((at) => fragmentOf(version, data, at, Math.min(at + 1504, data.length), fields))
    const hub = new Hub([everything({ startPort: 1, endPort: 65535 })])
    hub.tunnel(A, { pathMtu: 9000 })
    const { sentOn, verdicts } = hub.arrive(A, pieces)
    expect(verdicts).toEqual([VERDICT_CONSUMED, VERDICT_DROPPED])
    // The answer is ICMP, which A's selectors by port take as well.
    expect(sentOn.map(({ tunnel }) => tunnel)).toEqual([A])
    expect(hub.dropped()).toEqual({ ttl_exceeded: 1 })
  })
})

it('IPv4 without DF is cut for its way on', () => {
  const hub = new Hub()
  hub.tunnel(B, { pathMtu: 700 })
  const { sentOn, verdicts } = hub.arrive(A, [between(4, A, B, {}, 1300)])
  expect(verdicts).toEqual([VERDICT_TRANSIT])
  expect(sentOn.length).toBe(3)
  expect(hub.pair.tunnelCounters(A).transit).toBe(1)
})

describe('loops', () => {
  it('end where only the tunnel is left that the packet came by, and its source is told', () => {
    const hub = new Hub()
    hub.route('10.9.0.0/16', 7, [A, B])
    const packet = ipv4(udp(10), { source: HOST[4][A]!, destination: '10.9.0.1' })
    expect(hub.arrive(A, [packet]).sentOn).toMatchObject([{ tunnel: B }])
    hub.pair.removeSa(hub.outbound[B]!)
    const { sentOn } = hub.arrive(A, [packet])
    expect(sentOn.map(({ tunnel, inner }) => [tunnel, inner[20], inner[21]])).toEqual([[A, 3, 1]])
    expect(hub.dropped()).toEqual({ transit_loop: 1 })
  })

  it('of two hubs that send to each other end with the hops', () => {
    const hub = new Hub()
    // B's hub and C's hub both believe that the other one knows the way.
    hub.route('10.9.0.0/16', 7, [B, C])
    let packet = ipv4(udp(10), { source: HOST[4][A]!, destination: '10.9.0.1', ttl: 16 })
    let by = A
    let turns = 0
    for (; turns < 100; turns++) {
      const { sentOn } = hub.arrive(by, [packet])
      if (sentOn[0]?.tunnel === A) break
      expect(sentOn[0]!.tunnel).not.toBe(by)
      by = sentOn[0]!.tunnel
      packet = sentOn[0]!.inner
    }
    expect(turns).toBe(15)
    expect(hub.dropped()).toEqual({ ttl_exceeded: 1 })
  })

  it('are none through a member that is not for transit', () => {
    const hub = new Hub()
    hub.tunnel(B, { transit: false })
    hub.route('10.9.0.0/16', 7, [B, C])
    const packet = ipv4(udp(10), { source: HOST[4][A]!, destination: '10.9.0.1' })
    expect(hub.arrive(A, [packet]).sentOn).toMatchObject([{ tunnel: C }])
    hub.tunnel(C, { sas: [] })
    expect(hub.arrive(A, [packet]).sentOn).toMatchObject([{ tunnel: A }])
    expect(hub.dropped()).toEqual({ no_sa: 1 })
    expect(hub.pair.events.filter(({ type }) => type === 'no-sa')).toEqual([{ type: 'no-sa', tunnel: C }])
  })

  it('take the tunnel that passes before one that is down, and that one before none', () => {
    const hub = new Hub()
    hub.route('10.9.0.0/16', 7, [B, C])
    const packet = ipv4(udp(10), { source: HOST[4][A]!, destination: '10.9.0.1' })
    hub.tunnel(B, { down: true })
    expect(hub.arrive(A, [packet]).sentOn).toMatchObject([{ tunnel: C }])
    hub.tunnel(C, { down: true })
    expect(hub.arrive(A, [packet]).sentOn).toMatchObject([{ tunnel: B }])
  })
})

describe('answers', () => {
  it('do not answer answers, nor fragments but the first, and keep to the rate', () => {
    const hub = new Hub()
    const fields = { source: HOST[4][A]!, destination: HOST[4][B]!, ttl: 1 }
    const error = ipv4(Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 0), { ...fields, protocol: 1 })
    const later = fragmentOf(4, udp(1000), 504, 1008, fields)
    expect(hub.arrive(A, [error, later]).sentOn).toEqual([])
    const many = Array.from({ length: 120 }, () => between(4, A, B, ttlOf(1)))
    expect(hub.arrive(A, many).sentOn.length).toBe(100)
    expect(hub.dropped()).toEqual({ ttl_exceeded: 122, icmp_rate: 20 })
  })

  it('come from where the packet was to go while the hub has no address of its own', () => {
    const hub = new Hub()
    hub.pair.setOwnAddresses([])
    const { sentOn } = hub.arrive(A, [between(4, A, B, ttlOf(1))])
    expect(source(sentOn[0]!.inner)).toEqual(addressBytes(address(HOST[4][B]!)))
  })
})

it('a full batch of packets that are cut comes in several calls, none lost, out of runs too', () => {
  const hub = new Hub()
  hub.tunnel(B, { pathMtu: 576 })
  const packets = Array.from({ length: 40 }, (_, i) => between(4, A, B, { id: i }, 1200))
  const { sentOn, verdicts } = hub.arriveInRun(A, packets)
  expect(verdicts).toEqual(packets.map(() => VERDICT_TRANSIT))
  expect(sentOn.length).toBe(3 * 40)
  const long = Array.from({ length: 60 }, (_, i) => between(4, A, B, { id: i }, 3000))
  hub.tunnel(A, { pathMtu: 9000 })
  expect(hub.arrive(A, long).sentOn.length).toBeGreaterThan(OUTBOX)
  expect(hub.pair.tunnelCounters(A).transit).toBe(100)
  expect(hub.dropped()).toEqual({})
})

it('packets for the LAN and answers of IKE among those in transit keep their places', () => {
  const hub = new Hub()
  const home = ipv4(udp(10), { source: HOST[4][A]!, destination: '10.77.0.1' })
  const { verdicts, lan, sentOn } = hub.arrive(A, [home, between(4, A, B), home, between(4, A, C), home])
  expect(verdicts).toEqual([1, 6, 1, 6, 1].map((code) => (code === 1 ? VERDICT_DELIVERED : VERDICT_TRANSIT)))
  expect(lan).toEqual([home, home, home])
  expect(sentOn.map(({ tunnel }) => tunnel)).toEqual([B, C])
})

describe('a packet whose way on is another worker’s', () => {
  it('is left to it with a hop less, and what it came by', () => {
    const hub = new Hub()
    hub.tunnel(B, { sas: [], handOver: 3 })
    const packet = between(4, A, B)
    const { onward, sentOn } = hub.arrive(A, [packet])
    expect(sentOn).toEqual([])
    expect(onward.left).toEqual([{ packet: hopped(packet), worker: 3, via: A + 1 }])
    expect(hub.pair.tunnelCounters(A).transit).toBe(0)
  })

  it('leaves that one by tunnels for transit only, with no hop less, and is counted there', () => {
    const hub = new Hub()
    hub.route('10.2.0.0/16', 7, [A, C, B])
    hub.tunnel(C, { transit: false })
    const packet = between(4, A, B)
    const { wire, handOver } = hub.pair.seal([packet, packet], 0, true, [A + 1, 0])
    expect(handOver).toEqual([0, 0])
    expect(wire.map(({ endpoint }) => endpoint)).toEqual([B, A])
    expect(hub.pair.tunnelCounters(A).transit).toBe(1)
    // Not out of an inbox: it says nothing there.
    expect(hub.pair.seal([packet], 0, false, [A + 1]).wire.map(({ endpoint }) => endpoint)).toEqual([A])
  })

  it('behind a virtio_net_hdr, too', () => {
    const hub = new Hub()
    hub.pair.setLanFormat({ header: true, datagrams: false })
    hub.route('10.2.0.0/16', 7, [A, B])
    const packet = between(4, A, B)
    const framed = Uint8Array.of(...new Uint8Array(10), ...packet)
    expect(hub.pair.sealLarge([framed], 0, true, [A + 1]).wire.map(({ endpoint }) => endpoint)).toEqual([B])
  })

  it.each([false, true])('is answered by the worker of its source; with a header: %s', (header) => {
    const hub = new Hub()
    hub.pair.setLanFormat({ header, datagrams: false })
    hub.tunnel(A, { sas: [], handOver: 5 })
    hub.tunnel(B, { pathMtu: 600 })
    const large = between(4, A, B, { flags: 0x4000 }, 800)
    const framed = header ? Uint8Array.of(...new Uint8Array(10), ...large) : large
    const taken = header ? hub.pair.sealLarge([framed], 0, true, [A + 1]) : hub.pair.seal([framed], 0, true, [A + 1])
    expect([taken.wire, taken.lan, taken.handOver]).toEqual([[], [], [6]])
    // And where it was opened here, the same.
    hub.pair.setLanFormat({ header: false, datagrams: false })
    const { onward } = hub.arrive(A, [large])
    expect(onward.left).toMatchObject([{ worker: 5, via: 0 }])
    expect(source(onward.left[0]!.packet)).toEqual(addressBytes(address(OWN4)))
  })

  it('that names no tunnel is one from the LAN', () => {
    const hub = new Hub()
    const packet = between(4, A, A)
    for (const via of [16385, 0xffff_ffff]) {
      expect(hub.pair.seal([packet], 0, true, [via]).wire.map(({ endpoint }) => endpoint)).toEqual([A])
    }
  })
})

it('whatever comes, packets go on, home, into a fragment or away, none twice and none back', () => {
  const random = new Random(77)
  const hub = new Hub([everything({ startPort: 1, endPort: 65535 })])
  hub.tunnel(B, { pathMtu: 700, reversePath: 'loose' })
  const seen = { onward: 0, home: 0, dropped: 0 }
  for (let round = 0; round < 60; round++) {
    const inners = Array.from({ length: 10 }, () => randomPackets(random, 'near')).flat()
    const sent = inners.map((inner) => (random.chance(30) ? brokenPacket(random, inner) : inner)).slice(0, 60)
    const by = random.pick([A, B, C])
    const { verdicts, sentOn, lan } = hub.arrive(
      by,
      sent.map((inner) => inner.subarray(0, 8900)),
      round * 300,
    )
    seen.onward += verdicts.filter((verdict) => verdict === VERDICT_TRANSIT).length
    seen.home += lan.length
    seen.dropped += verdicts.filter((verdict) => verdict === VERDICT_DROPPED).length
    for (const { tunnel, inner } of sentOn) {
      const ours = [OWN4, OWN6].map((own) => addressBytes(address(own)).join())
      expect(tunnel !== by || ours.includes(source(inner).join())).toBe(true)
    }
  }
  expect(Object.values(seen).filter((count) => count < 100)).toEqual([])
})
