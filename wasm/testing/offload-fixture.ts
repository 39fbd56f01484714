/** Streams, runs and super-packets for tests of segmentation and coalescing. */

import { concat, setU16, setU32 } from '../reference/bytes.ts'
import { type IpPacket, isFault, PROTO_TCP, PROTO_UDP, parseIp } from '../reference/ip.ts'
import { pseudoHeader } from '../reference/segment.ts'
import { checksumPlace, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, type VnetHeader, writeVnet } from '../reference/vnet.ts'
import type { Random } from './differential-random.ts'
import { type IpFields, ip, tcp, transportChecksum } from './packets.ts'

export function parsed(bytes: Uint8Array): IpPacket {
  const packet = parseIp(bytes)
  if (isFault(packet)) throw new Error(`no packet: ${packet.fault}`)
  return packet
}

/** With the right transport checksum; `protocol` is in the fields. */
export function checked(version: 4 | 6, transport: Uint8Array, fields: IpFields & { protocol: number }): Uint8Array {
  const out = ip(version, transport, fields)
  const at = out.length - transport.length
  const field = at + checksumPlace(fields.protocol)
  setU16(out, field, 0)
  const sum = transportChecksum(version, out, at, fields.protocol)
  setU16(out, field, fields.protocol === PROTO_UDP ? sum || 0xffff : sum)
  return out
}

export interface StreamOptions {
  readonly version: 4 | 6
  readonly size: number
  readonly fields?: IpFields
  readonly options?: Uint8Array
  readonly flags?: number
  readonly ports?: readonly [number, number]
}

/** The TCP header of one segment and its payload. */
export function tcpSegment(sequence: number, payload: Uint8Array, options: StreamOptions): Uint8Array {
  const [from, to] = options.ports ?? [4000, 80]
  const header = tcp(options.flags ?? 0x10, options.options ?? new Uint8Array(0), from, to)
  setU32(header, 4, sequence >>> 0)
  return concat(header, payload)
}

export function udpDatagram(payload: Uint8Array, [from, to]: readonly [number, number] = [4000, 53]): Uint8Array {
  const header = new Uint8Array(8)
  setU16(header, 0, from)
  setU16(header, 2, to)
  setU16(header, 4, 8 + payload.length)
  return concat(header, payload)
}

/** As the kernel hands over a super-packet: the sum of the pseudo-header in place of the checksum. */
export function superPacketOf(packet: Uint8Array, size: number, over: Partial<VnetHeader> = {}): Uint8Array {
  const { version, protocol, payloadAt, bytes } = parsed(packet.slice())
  const place = checksumPlace(protocol)
  let sum = 0
  const pseudo = pseudoHeader(bytes, version, protocol, bytes.length - payloadAt)
  for (let i = 0; i < pseudo.length; i += 2) sum += (pseudo[i]! << 8) | pseudo[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  setU16(bytes, payloadAt + place, sum)
  const tcpType = version === 4 ? GSO_TCPV4 : GSO_TCPV6
  const header: VnetHeader = {
    needsChecksum: true,
    type: protocol === PROTO_TCP ? tcpType : GSO_UDP_L4,
    headers: 0,
    size,
    checksumStart: payloadAt,
    checksumOffset: place,
    ...over,
  }
  return concat(writeVnet(header), bytes)
}

/** A super-packet of random shape: mostly one that a kernel would make. */
export function randomSuperPacket(random: Random): Uint8Array {
  const version = random.chance(60) ? 4 : 6
  const protocol = random.chance(70) ? PROTO_TCP : PROTO_UDP
  const fields = {
    source: version === 4 ? '10.1.0.5' : 'fd01::5',
    destination: version === 4 ? random.pick(['10.2.0.9', '10.3.0.1']) : random.pick(['fd02::9', 'fd03::1']),
    tos: random.below(256),
    id: random.pick([0, 1, 0xfffe, random.below(65536)]),
    flags: version === 4 && random.chance(60) ? 0x4000 : 0,
    protocol,
    ...(version === 4 && random.chance(10) ? { options: Uint8Array.of(1, 1, 1, 0) } : {}),
  }
  const payload = random.bytes(random.pick([0, 1, 100, 1386, 1400, 2772, 2773, 9000, 20_000]))
  const options = random.chance(50) ? Uint8Array.of(1, 1, 8, 10, ...random.bytes(8)) : new Uint8Array(0)
  const flags = random.pick([0x10, 0x10, 0x18, 0x19, 0x11, 0x90, 0x98, 0xd9, 0x02, 0x12])
  const transport =
    protocol === PROTO_TCP
      ? tcpSegment(random.pick([1, 0xffff_f000]), payload, { version, size: 0, options, flags })
      : udpDatagram(payload)
  const size = random.pick([1386, 1386, 1300, 500, 100, 1, 8000, 65535])
  const few = payload.length / size > 300 ? 1386 : size
  return superPacketOf(ip(version, transport, fields), few)
}

/** The same with something wrong in the first 10 bytes, in the headers, or in the length. */
export function brokenSuperPacket(random: Random, packet: Uint8Array): Uint8Array {
  const kind = random.below(4)
  if (kind === 0) return packet.slice(0, random.below(Math.min(packet.length, 90)))
  const out = packet.slice()
  for (let i = random.between(1, 2); i > 0; i--) {
    const at = random.below(kind === 1 ? 60 : 10)
    if (at < out.length) out[at] = kind === 2 ? random.below(256) : out[at]! ^ (1 << random.below(8))
  }
  return out
}

/**
 * Packets of a few flows, as they come out of a tunnel: streams in order but for some that are late, lost, marked,
 * pushed, of another size, or wrong.
 */
export function randomFlows(random: Random, count: number): Uint8Array[] {
  const flows = Array.from({ length: random.pick([1, 1, 2, 3, 20]) }, (_, number) => ({
    version: random.chance(60) ? (4 as const) : (6 as const),
    protocol: random.chance(60) ? PROTO_TCP : PROTO_UDP,
    ports: [4000 + number, 80] as const,
    size: random.pick([1, 2, 333, 1000, 1386, 8000]),
    options: random.chance(50) ? Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8) : new Uint8Array(0),
    fragmentFlags: random.chance(50) ? 0x4000 : 0,
    sequence: random.pick([7, 0xffff_ff00]),
    id: random.pick([0, 0xfff0]),
  }))
  const out: Uint8Array[] = []
  while (out.length < count) {
    const flow = random.pick(flows)
    for (let i = random.pick([1, 2, 5, 30]); i > 0 && out.length < count; i--) {
      const size = random.chance(90) ? flow.size : random.pick([0, 1, flow.size >> 1, flow.size + 1])
      const fields = {
        source: flow.version === 4 ? '10.1.0.5' : 'fd01::5',
        destination: flow.version === 4 ? '10.2.0.9' : 'fd02::9',
        protocol: flow.protocol,
        tos: random.chance(97) ? 2 : random.below(256),
        ttl: random.chance(98) ? 64 : 63,
        id: random.chance(97) ? flow.id & 0xffff : 9,
        flags: flow.version === 4 ? flow.fragmentFlags : 0,
      }
      const flags = random.chance(95) ? 0x10 : random.pick([0x18, 0x50, 0x11, 0x90, 0x14, 0x02, 0x30])
      const shape = { version: flow.version, size, ports: flow.ports, options: flow.options, flags }
      const transport =
        flow.protocol === PROTO_TCP
          ? tcpSegment(flow.sequence, random.bytes(size), shape)
          : udpDatagram(random.bytes(size), flow.ports)
      const packet = checked(flow.version, transport, fields)
      if (random.chance(2)) packet[packet.length - 1] = packet[packet.length - 1]! ^ 1
      if (!random.chance(2)) flow.sequence += size
      flow.id++
      out.push(packet)
    }
  }
  return out
}

/** `packets` as a socket with UDP_GRO hands them over: neighbours of one length together, a shorter one last. */
export function runsOf(packets: readonly Uint8Array[], most = 40): { bytes: Uint8Array; segment: number }[] {
  const runs: { parts: Uint8Array[]; open: boolean }[] = []
  for (const packet of packets) {
    const run = runs.at(-1)
    const size = run === undefined ? 0 : run.parts[0]!.length
    if (run?.open && packet.length <= size && run.parts.length < most && size * (run.parts.length + 1) < 65_000) {
      run.parts.push(packet)
      run.open = packet.length === size
    } else runs.push({ parts: [packet], open: true })
  }
  return runs.map(({ parts }) => ({ bytes: concat(...parts), segment: parts.length > 1 ? parts[0]!.length : 0 }))
}
