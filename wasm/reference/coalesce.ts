/** Packets of a flow that follow one another, as one super-packet: what `segment.ts` does, undone. */
import { COALESCE_BUFFERS, COALESCE_DATAGRAMS, COALESCE_FLOWS, LARGE_PACKET } from '../abi.ts'
import { compareBytes, concat, equalBytes, getU16, getU32, internetChecksum, setU16 } from './bytes.ts'
import { IPV4_DF, type IpPacket, PROTO_TCP, PROTO_UDP, portsOf, writeIpv4Checksum } from './ip.ts'
import type { LanQueue } from './memory.ts'
import { pseudoHeader } from './segment.ts'
import { checksumPlace, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, transportHeader, writeVnet } from './vnet.ts'

const PSH = 0x08
const ACK = 0x10
const ECE = 0x40

/** Packets that are one super-packet so far; the first is entry `entry` of the outbox. */
interface Flow {
  readonly packets: IpPacket[]
  readonly headers: number
  readonly entry: number
}

export class Coalescer {
  /** What the device takes. */
  tcp = false
  datagrams = false
  readonly #outbox: LanQueue
  #flows: Flow[] = []
  #superPackets = 0

  constructor(outbox: LanQueue) {
    this.#outbox = outbox
  }

  clear(): void {
    this.#flows = []
    this.#superPackets = 0
  }

  /** Puts the packet into the outbox, by itself or as part of another entry. */
  deliver(packet: IpPacket): void {
    const headers = this.#headersToJoin(packet)
    const flow = headers === undefined ? undefined : this.#flows.find(({ packets }) => sameFlow(packets[0]!, packet))
    if (flow !== undefined && this.#joins(flow, packet, headers!)) {
      if (flow.packets.push(packet) === 2) this.#superPackets++
      if (hasPush(packet) || payloadOf(packet, headers!).length < sizeOf(flow)) this.#close(flow)
      return
    }
    this.closeFlow(packet)
    const entry = this.#outbox.push(packet.bytes)
    if (headers === undefined || hasPush(packet)) return
    if (this.#flows.length === COALESCE_FLOWS) this.#close(this.#flows[0]!)
    this.#flows.push({ packets: [packet], headers, entry })
  }

  /** Nothing may join what `packet`, if it is of the same flow, comes after. */
  closeFlow(packet: IpPacket): void {
    for (const flow of [...this.#flows]) if (mayBeSameFlow(flow.packets[0]!, packet)) this.#close(flow)
  }

  finish(): void {
    for (const flow of [...this.#flows]) this.#close(flow)
  }

  #headersToJoin(packet: IpPacket): number | undefined {
    if (packet.protocol === PROTO_TCP ? !this.tcp : packet.protocol !== PROTO_UDP || !this.datagrams) return undefined
    return headersToJoin(packet)
  }

  #joins(flow: Flow, packet: IpPacket, headers: number): boolean {
    const first = flow.packets[0]!
    const whole = flow.packets.reduce((total, { bytes }) => total + bytes.length - headers, bytesOf(packet, headers))
    if (headers !== flow.headers || payloadOf(packet, headers).length > sizeOf(flow)) return false
    if (headers + whole > LARGE_PACKET || !follows(flow, packet)) return false
    if (flow.packets.length > 1) return hasRightChecksum(packet)
    return this.#superPackets < COALESCE_BUFFERS && hasRightChecksum(first) && hasRightChecksum(packet)
  }

  #close(flow: Flow): void {
    this.#flows = this.#flows.filter((other) => other !== flow)
    if (flow.packets.length > 1) this.#outbox.replace(flow.entry, superPacket(flow.packets, flow.headers))
  }
}

function bytesOf(packet: IpPacket, headers: number): number {
  return packet.bytes.length - headers
}

function payloadOf(packet: IpPacket, headers: number): Uint8Array {
  return packet.bytes.subarray(headers)
}

function sizeOf({ packets, headers }: Flow): number {
  return bytesOf(packets[0]!, headers)
}

function hasPush(packet: IpPacket): boolean {
  return packet.protocol === PROTO_TCP && (packet.bytes[packet.payloadAt + 13]! & PSH) !== 0
}

/** Bytes of IP and transport headers of a packet that may be part of a super-packet. */
function headersToJoin(packet: IpPacket): number | undefined {
  const { bytes, payloadAt, fragment, version, protocol } = packet
  if (fragment !== undefined || payloadAt !== (version === 4 ? 20 : 40)) return undefined
  const transport = transportHeader(packet)
  if (transport === undefined || payloadAt + transport === bytes.length) return undefined
  if (protocol === PROTO_UDP) {
    const right = getU16(bytes, payloadAt + 4) === bytes.length - payloadAt && getU16(bytes, payloadAt + 6) !== 0
    return right ? payloadAt + transport : undefined
  }
  return (bytes[payloadAt + 13]! & ~(PSH | ECE)) === ACK ? payloadAt + transport : undefined
}

function sameHosts(left: IpPacket, right: IpPacket): boolean {
  return (
    left.version === right.version &&
    left.protocol === right.protocol &&
    compareBytes(left.source, right.source) === 0 &&
    compareBytes(left.destination, right.destination) === 0
  )
}

function sameFlow(left: IpPacket, right: IpPacket): boolean {
  if (!sameHosts(left, right)) return false
  const [one, other] = [portsOf(left)!, portsOf(right)!]
  return one.source === other.source && one.destination === other.destination
}

/** A packet that shows no ports may be of any flow between its hosts. */
function mayBeSameFlow(first: IpPacket, packet: IpPacket): boolean {
  return portsOf(packet) === undefined ? sameHosts(first, packet) : sameFlow(first, packet)
}

/** Whether the headers are those of the flow's next packet: whatever segmentation would not set must be equal. */
function follows({ packets, headers }: Flow, packet: IpPacket): boolean {
  const first = packets[0]!
  if (packet.protocol === PROTO_UDP && packets.length >= COALESCE_DATAGRAMS) return false
  if (packet.version === 4 && (getU16(packet.bytes, 6) & IPV4_DF) === 0) {
    if (getU16(packet.bytes, 4) !== ((getU16(first.bytes, 4) + packets.length) & 0xffff)) return false
  }
  if (packet.protocol === PROTO_TCP) {
    const sent = packets.reduce((total, each) => total + bytesOf(each, headers), 0)
    const expected = (getU32(first.bytes, first.payloadAt + 4) + sent) >>> 0
    if (getU32(packet.bytes, packet.payloadAt + 4) !== expected) return false
  }
  return equalBytes(constantPart(first, headers), constantPart(packet, headers))
}

/** The headers with what differs from segment to segment left out. */
function constantPart(packet: IpPacket, headers: number): Uint8Array {
  const out = packet.bytes.slice(0, headers)
  const transport = out.subarray(packet.payloadAt)
  if (packet.version === 4) {
    out.fill(0, 2, 6)
    out.fill(0, 10, 12)
  } else out.fill(0, 4, 6)
  if (packet.protocol === PROTO_TCP) {
    transport.fill(0, 4, 8)
    transport[13] = transport[13]! & ~PSH
  } else transport.fill(0, 4, 6)
  setU16(transport, checksumPlace(packet.protocol), 0)
  return out
}

function hasRightChecksum({ bytes, version, protocol, payloadAt }: IpPacket): boolean {
  const transport = bytes.subarray(payloadAt)
  return internetChecksum(pseudoHeader(bytes, version, protocol, transport.length), transport) === 0
}

/** The virtio_net_hdr, and the super-packet behind it with the sum of the pseudo-header for a checksum. */
export function superPacket(packets: readonly IpPacket[], headers: number): Uint8Array {
  const first = packets[0]!
  const { version, protocol, payloadAt } = first
  const out = concat(first.bytes.subarray(0, headers), ...packets.map((packet) => payloadOf(packet, headers)))
  const transport = out.subarray(payloadAt)
  if (version === 4) {
    setU16(out, 2, out.length)
    writeIpv4Checksum(out)
  } else setU16(out, 4, out.length - payloadAt)
  if (protocol === PROTO_UDP) setU16(transport, 4, transport.length)
  else if (hasPush(packets.at(-1)!)) transport[13] = transport[13]! | PSH
  const place = checksumPlace(protocol)
  const partial = ~internetChecksum(pseudoHeader(out, version, protocol, transport.length)) & 0xffff
  setU16(transport, place, partial)
  const header = writeVnet({
    needsChecksum: true,
    type: protocol === PROTO_UDP ? GSO_UDP_L4 : version === 4 ? GSO_TCPV4 : GSO_TCPV6,
    headers,
    size: bytesOf(first, headers),
    checksumStart: payloadAt,
    checksumOffset: place,
  })
  return concat(header, out)
}
