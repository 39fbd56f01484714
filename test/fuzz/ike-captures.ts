/** Captures for tests: the recorded ones of test/vectors/ike, and builders of every format and link type. */
import { readFileSync } from 'node:fs'
import type { Frame, FrameSource } from '../../connector/cli/decode/frame.ts'
import { readPcap } from '../../connector/cli/decode/pcap.ts'
import { type Address, addressBytes } from '../../protocol/net.ts'

export const VECTORS = ['gcm', 'chacha', 'cbc-fragments'] as const
export type Vector = (typeof VECTORS)[number]

export const LINK = { null: 0, ethernet: 1, raw: 101, sll: 113, sll2: 276 } as const

/** A plain array: `slice` of a Buffer would share memory between test cases. */
export function vectorFile(name: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`../vectors/ike/${name}`, import.meta.url)))
}

/** Frames that must all be whole. */
export function framesOf(source: FrameSource): Frame[] {
  return [...source].map((frame) => {
    if ('fault' in frame) throw new Error(frame.fault)
    return frame
  })
}

/** The IP packets of a recorded capture, which has Ethernet frames. */
export function vectorPackets(name: Vector): Uint8Array[] {
  return framesOf(readPcap(vectorFile(`${name}.pcap`))).map(({ bytes }) => bytes.subarray(14))
}

/** UDP payloads of a recorded capture; its IPv4 headers have 20 bytes. */
export function vectorDatagrams(name: Vector): { ports: [number, number]; bytes: Uint8Array }[] {
  return vectorPackets(name).map((packet) => {
    const view = new DataView(packet.buffer, packet.byteOffset)
    return { ports: [view.getUint16(20), view.getUint16(22)], bytes: packet.subarray(28) }
  })
}

/** IKE messages of all recorded captures, without non-ESP markers. */
export function vectorMessages(): Uint8Array[] {
  return VECTORS.flatMap((name) => vectorDatagrams(name)).flatMap(({ ports, bytes }) => {
    if (ports.includes(500)) return [bytes]
    return Buffer.from(bytes.subarray(0, 4)).equals(Buffer.alloc(4)) ? [bytes.subarray(4)] : []
  })
}

export interface PcapOptions {
  readonly little?: boolean
  readonly nano?: boolean
  readonly link?: number
}

/** Packet n is stamped 1700000000 s plus n units of the file's resolution. */
export function pcapFile(frames: readonly Uint8Array[], options: PcapOptions = {}): Uint8Array {
  const { little = true, nano = false, link = LINK.ethernet } = options
  const u32 = (value: number) => number32(value, little)
  const records = frames.flatMap((frame, index) => [
    ...[1_700_000_000, index + 1, frame.length, frame.length].map(u32),
    frame,
  ])
  const version = little ? Uint8Array.of(2, 0, 4, 0) : Uint8Array.of(0, 2, 0, 4)
  return join(u32(nano ? 0xa1b23c4d : 0xa1b2c3d4), version, u32(0), u32(0), u32(0x40000), u32(link), ...records)
}

export interface BlockOptions {
  readonly little?: boolean
}

export function pcapngBlock(type: number, body: Uint8Array, { little = true }: BlockOptions = {}): Uint8Array {
  const padded = join(body, new Uint8Array((4 - (body.length % 4)) % 4))
  const length = number32(padded.length + 12, little)
  return join(number32(type, little), length, padded, length)
}

export function sectionHeader(options: BlockOptions = {}): Uint8Array {
  const { little = true } = options
  const version = little ? Uint8Array.of(1, 0, 0, 0) : Uint8Array.of(0, 1, 0, 0)
  const body = join(number32(0x1a2b3c4d, little), version, new Uint8Array(8).fill(0xff))
  return pcapngBlock(0x0a0d0d0a, body, options)
}

export function interfaceBlock(
  link: number,
  options: BlockOptions & { tsresol?: number; snap?: number } = {},
): Uint8Array {
  const { little = true, tsresol, snap = 0 } = options
  const resolution =
    tsresol === undefined ? [] : [number16(9, little), number16(1, little), Uint8Array.of(tsresol, 0, 0, 0)]
  const body = join(
    number16(link, little),
    number16(0, little),
    number32(snap, little),
    ...resolution,
    new Uint8Array(4),
  )
  return pcapngBlock(1, body, options)
}

export function enhancedPacket(
  frame: Uint8Array,
  ticks: bigint,
  options: BlockOptions & { from?: number } = {},
): Uint8Array {
  const { little = true, from = 0 } = options
  const words = [from, Number(ticks >> 32n), Number(ticks & 0xffffffffn), frame.length, frame.length]
  return pcapngBlock(6, join(...words.map((word) => number32(word, little)), frame), options)
}

export function simplePacket(frame: Uint8Array, options: BlockOptions = {}): Uint8Array {
  return pcapngBlock(3, join(number32(frame.length, options.little ?? true), frame), options)
}

/** An IP packet in its link layer's clothes. */
export function framed(link: number, packet: Uint8Array): Uint8Array {
  const ethertype = packet[0]! >>> 4 === 4 ? Uint8Array.of(0x08, 0x00) : Uint8Array.of(0x86, 0xdd)
  switch (link) {
    case LINK.ethernet:
      return join(new Uint8Array(12), ethertype, packet)
    case LINK.sll:
      return join(new Uint8Array(14), ethertype, packet)
    case LINK.sll2:
      return join(ethertype, new Uint8Array(18), packet)
    case LINK.null:
      return join(Uint8Array.of(2, 0, 0, 0), packet)
    default:
      return packet
  }
}

export function udpDatagram(source: number, destination: number, payload: Uint8Array): Uint8Array {
  return join(...[source, destination, payload.length + 8, 0].map((word) => number16(word, false)), payload)
}

export function ipPacket(from: string, to: string, protocol: number, payload: Uint8Array): Uint8Array {
  const source = addressBytes(from as Address)
  const destination = addressBytes(to as Address)
  if (source.length === 16) {
    const length = number16(payload.length, false)
    return join(Uint8Array.of(0x60, 0, 0, 0), length, Uint8Array.of(protocol, 64), source, destination, payload)
  }
  const length = number16(payload.length + 20, false)
  const middle = Uint8Array.of(0, 1, 0, 0, 64, protocol, 0, 0)
  return join(Uint8Array.of(0x45, 0), length, middle, source, destination, payload)
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

function number16(value: number, little: boolean): Uint8Array {
  return little ? Uint8Array.of(value, value >>> 8) : Uint8Array.of(value >>> 8, value)
}

function number32(value: number, little: boolean): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, little)
  return bytes
}
