/** From captured frames to output records. */

import { BFD_PORTS, bfdJson, looksLikeBfd } from './bfd-json.ts'
import { BGP_PORT, BgpStreams } from './bgp-stream.ts'
import { classify, classifyBare, type Datagram } from './datagram.ts'
import { espJson } from './esp-json.ts'
import type { Frame, FrameFault } from './frame.ts'
import { ikeJson } from './ike-json.ts'
import { IP_PROTOCOL, type IpPacket, parseIp, parseUdp, protocolName } from './ip.ts'
import type { KeyRing } from './keys.ts'
import { ipPacketOf } from './link.ts'
import type { Json } from './payload-json.ts'
import { Reassembly } from './reassembly.ts'
import { parseTcp } from './tcp.ts'

/** Keeps what spans frames: fragments of IKE messages, BGP connections, and the high halves of sequence numbers. */
export class Decoder {
  private readonly keys: KeyRing
  private readonly reassembly = new Reassembly()
  private readonly bgp = new BgpStreams()

  constructor(keys: KeyRing) {
    this.keys = keys
  }

  /** The records of one frame, or undefined if it is nothing of ours. A TCP segment has as many as it ends messages. */
  records(frame: Frame | FrameFault): readonly Json[] | undefined {
    const found = this.read(frame)
    return found === undefined || Array.isArray(found) ? found : [found as Json]
  }

  /** Records of what was not whole when the capture ended. */
  finish(): readonly Json[] {
    return this.bgp.finish()
  }

  private read(frame: Frame | FrameFault): Json | readonly Json[] | undefined {
    if ('fault' in frame) return { kind: 'frame', frame: frame.number, malformed: frame.fault }
    const head: Json = { frame: frame.number, ...(frame.time === undefined ? {} : { time: frame.time }) }
    if (frame.link === 'datagram') return this.bare(frame, head)
    const link = ipPacketOf(frame.link, frame.bytes)
    if (link === 'other') return undefined
    if ('unsupported' in link) {
      return { kind: 'frame', ...head, malformed: `Link type ${link.unsupported} is not supported.` }
    }
    if ('malformed' in link) return { kind: 'frame', ...head, malformed: withSnap(link.malformed, frame) }
    const packet = parseIp(link.packet)
    if ('malformed' in packet) return { kind: 'frame', ...head, malformed: withSnap(packet.malformed, frame) }
    return this.packet(packet, head)
  }

  private bare(frame: Frame, head: Json): Json | undefined {
    const { source, destination } = frame
    if (source === undefined || destination === undefined) {
      if (hasMarker(frame.bytes)) return this.bgp.message(frame.bytes, head)
      if (looksLikeBfd(frame.bytes)) return { kind: 'bfd', ...head, ...bfdJson(frame.bytes) }
      return this.datagram(classifyBare(frame.bytes, this.keys), { ...head })
    }
    const ends = { src: endpoint(source.address, source.port), dst: endpoint(destination.address, destination.port) }
    if (hasMarker(frame.bytes) || [source.port, destination.port].includes(BGP_PORT)) {
      return this.bgp.message(frame.bytes, { ...head, ...ends })
    }
    if (BFD_PORTS.includes(destination.port)) return { kind: 'bfd', ...head, ...ends, ...bfdJson(frame.bytes) }
    const found = classify(frame.bytes, [source.port, destination.port], this.keys)
    return this.datagram(found.kind === 'other' ? classifyBare(frame.bytes, this.keys) : found, { ...head, ...ends })
  }

  private packet(packet: IpPacket, head: Json): Json | readonly Json[] | undefined {
    const { protocol } = packet
    if (protocol === IP_PROTOCOL.tcp && packet.fragment === undefined) return this.segment(packet, head)
    if (protocol !== IP_PROTOCOL.udp && protocol !== IP_PROTOCOL.esp) return undefined
    if (packet.fragment !== undefined) {
      const { source, destination, fragment } = packet
      const ends = { src: source, dst: destination, protocol, protocolName: protocolName(protocol) }
      return { kind: 'ip-fragment', ...head, ...ends, ...fragment, length: packet.length }
    }
    if (protocol === IP_PROTOCOL.esp) {
      const ends = { src: packet.source, dst: packet.destination }
      return { kind: 'esp', ...head, ...ends, encapsulation: 'ip', ...espJson(packet.payload, this.keys) }
    }
    const udp = parseUdp(packet.payload)
    if ('malformed' in udp) {
      return { kind: 'frame', ...head, src: packet.source, dst: packet.destination, malformed: udp.malformed }
    }
    const ends = {
      src: endpoint(packet.source, udp.sourcePort),
      dst: endpoint(packet.destination, udp.destinationPort),
    }
    if (BFD_PORTS.includes(udp.destinationPort)) return { kind: 'bfd', ...head, ...ends, ...bfdJson(udp.payload) }
    const ports = [udp.sourcePort, udp.destinationPort]
    return this.datagram(classify(udp.payload, ports, this.keys), { ...head, ...ends })
  }

  private segment(packet: IpPacket, head: Json): readonly Json[] | undefined {
    const tcp = parseTcp(packet.payload)
    if ('malformed' in tcp || (tcp.sourcePort !== BGP_PORT && tcp.destinationPort !== BGP_PORT)) return undefined
    const ends = {
      src: endpoint(packet.source, tcp.sourcePort),
      dst: endpoint(packet.destination, tcp.destinationPort),
    }
    return this.bgp.segment(tcp, { ...head, ...ends })
  }

  private datagram(found: Datagram, head: Json): Json | undefined {
    switch (found.kind) {
      case 'ike':
        return { kind: 'ike', ...head, length: found.bytes.length, ...ikeJson(found.bytes, this.keys, this.reassembly) }
      case 'esp':
        return { kind: 'esp', ...head, encapsulation: 'udp', ...espJson(found.bytes, this.keys) }
      case 'keepalive':
        return { kind: 'keepalive', ...head }
      case 'other':
        return undefined
      default:
        return found satisfies never
    }
  }
}

/**
 * A BGP message begins with 16 octets of ones (RFC 4271 section 4.1), with which no SPI begins. Three quarters of them
 * show what a broken or short line was meant to be.
 */
function hasMarker(bytes: Uint8Array): boolean {
  const marker = bytes.subarray(0, 16)
  return marker.length >= 4 && marker.filter((octet) => octet === 0xff).length >= (marker.length * 3) / 4
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A cut capture explains most short packets: the remedy is to capture again. */
function withSnap(reason: string, frame: Frame): string {
  if (frame.originalLength === undefined) return reason
  return `${reason} Only ${frame.bytes.length} of ${frame.originalLength} bytes were captured; use a larger snap length.`
}
