/** What the engine's tests share: packets, a site with one tunnel, ESP made by hand on `node:crypto`. */
import { type CipherGCMTypes, createCipheriv } from 'node:crypto'
import { address, addressBytes, prefix, prefixRange } from '../../protocol/net.ts'
import { BATCH, NAME_STRIDE } from '../abi.ts'
import type {
  Encapsulation,
  EngineEvent,
  InboundSa,
  OutboundSa,
  PacketEngine,
  SaHandle,
  SaKeys,
  TrafficSelector,
  Tunnel,
} from '../packet-engine.ts'

export const LEFT = '10.1.0.1'
export const RIGHT = '10.2.0.1'
export const LEFT6 = '2001:db8:1::1'
export const RIGHT6 = '2001:db8:2::1'

export const KEYS: SaKeys = {
  suite: 'aes-128-gcm',
  key: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  salt: Uint8Array.of(0xa, 0xb, 0xc, 0xd),
}

export function selector(text: string, over: Partial<TrafficSelector> = {}): TrafficSelector {
  const { first, last } = prefixRange(prefix(text))
  return { protocol: 0, startPort: 0, endPort: 65535, startAddress: first, endAddress: last, ...over }
}

const LEFT_NETS = [selector('10.1.0.0/16'), selector('2001:db8:1::/48')]
const RIGHT_NETS = [selector('10.2.0.0/16'), selector('2001:db8:2::/48')]

export interface Site {
  readonly inbound: SaHandle
  readonly outbound: SaHandle
}

export interface SiteOptions {
  readonly keys?: SaKeys
  readonly esn?: boolean
  readonly inbound?: Partial<InboundSa>
  readonly outbound?: Partial<OutboundSa>
  readonly tunnel?: Partial<Tunnel>
  readonly remote?: string
  readonly encapsulation?: Encapsulation
}

/**
 * Sets the engine up as the left site of a tunnel whose both ends it is: what it seals for the right
 * networks it opens again as if the right site had received it.
 */
export function setUp(engine: PacketEngine, options: SiteOptions = {}): Site {
  const shared = { ...(options.keys ?? KEYS), spi: 0x1001, esn: options.esn ?? false, tunnel: 0 }
  engine.setEndpoint(0, {
    remote: { address: address(options.remote ?? '192.0.2.1'), port: 4500 },
    encapsulation: options.encapsulation ?? 'udp',
  })
  const inbound = engine.installInbound({
    ...shared,
    replayWindow: 64,
    local: RIGHT_NETS,
    remote: LEFT_NETS,
    ...options.inbound,
  })
  const outbound = engine.installOutbound({
    ...shared,
    endpoint: 0,
    local: LEFT_NETS,
    remote: RIGHT_NETS,
    ...options.outbound,
  })
  engine.setTunnel(0, { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [outbound], ...options.tunnel })
  engine.setGroup(0, [0])
  engine.setRoute(prefix('10.2.0.0/16'), 0)
  engine.setRoute(prefix('2001:db8:2::/48'), 0)
  return { inbound, outbound }
}

export interface Sealed {
  readonly bytes: Uint8Array
  readonly endpoint: number
  readonly tos: number
}

/** Seals all packets in as many calls as it takes; copies of what came out, the answers for the LAN beside. */
export function seal(
  engine: PacketEngine,
  packets: readonly Uint8Array[],
  now = 0,
): { wire: Sealed[]; lan: Uint8Array[] } {
  const wire: Sealed[] = []
  const lan: Uint8Array[] = []
  for (let at = 0; at < packets.length; at += BATCH) {
    const batch = packets.slice(at, at + BATCH)
    for (const [i, packet] of batch.entries()) {
      engine.lanRx.slot(i, packet.length).set(packet)
      engine.lanRx.length[i] = packet.length
    }
    for (let first = 0, calls = 0; first < batch.length && calls < 2 * BATCH; calls++) {
      first += engine.sealBatch(first, batch.length - first, now)
      for (let i = 0; i < engine.wireTx.count; i++) {
        wire.push({
          bytes: engine.wireTx.packet(i).slice(),
          endpoint: engine.wireTx.endpoint[i]!,
          tos: engine.wireTx.tos[i]!,
        })
      }
      for (let i = 0; i < engine.lanTx.count; i++) lan.push(engine.lanTx.packet(i).slice())
    }
  }
  return { wire, lan }
}

export interface Received {
  readonly bytes: Uint8Array
  readonly tos?: number
  readonly from?: readonly [string, number]
}

export interface OpenOptions {
  readonly encapsulation?: Encapsulation
  readonly now?: number
}

/** Opens all datagrams; the verdicts, and copies of what is for the LAN. */
export function open(
  engine: PacketEngine,
  datagrams: readonly (Uint8Array | Received)[],
  options: OpenOptions = {},
): { verdicts: number[]; lan: Uint8Array[] } {
  const verdicts: number[] = []
  const lan: Uint8Array[] = []
  for (let at = 0; at < datagrams.length; at += BATCH) {
    const batch = datagrams.slice(at, at + BATCH)
    for (const [i, item] of batch.entries()) {
      const datagram: Received = item instanceof Uint8Array ? { bytes: item } : item
      engine.wireRx.slot(i, datagram.bytes.length).set(datagram.bytes)
      engine.wireRx.length[i] = datagram.bytes.length
      engine.wireRx.tos[i] = datagram.tos ?? 0
      putName(engine, i, datagram.from ?? ['192.0.2.1', 4500])
    }
    engine.openBatch(batch.length, options.encapsulation ?? 'udp', options.now ?? 0)
    for (let i = 0; i < batch.length; i++) verdicts.push(engine.wireRx.verdict[i]!)
    for (let i = 0; i < engine.lanTx.count; i++) lan.push(engine.lanTx.packet(i).slice())
  }
  return { verdicts, lan }
}

function putName(engine: PacketEngine, slot: number, [host, port]: readonly [string, number]): void {
  const bytes = addressBytes(address(host))
  const name = new DataView(engine.memory, engine.wireRx.names + slot * NAME_STRIDE, NAME_STRIDE)
  for (let i = 0; i < NAME_STRIDE; i++) name.setUint8(i, 0)
  name.setUint16(0, bytes.length === 16 ? 10 : 2, true)
  name.setUint16(2, port)
  for (const [i, byte] of bytes.entries()) name.setUint8((bytes.length === 16 ? 8 : 4) + i, byte)
}

export function events(engine: PacketEngine): EngineEvent[] {
  const taken: EngineEvent[] = []
  for (let event = engine.pollEvent(); event !== undefined; event = engine.pollEvent()) taken.push(event)
  return taken
}

/** The drop counters that are not 0. */
export function dropped(engine: PacketEngine): Record<string, number> {
  return Object.fromEntries(Object.entries(engine.drops()).filter(([, count]) => count !== 0))
}

/** An ESP packet around `inner` with the trailer that `over` bends. */
export function espPacket(
  inner: Uint8Array,
  over: {
    keys?: SaKeys
    spi?: number
    sequence?: bigint
    esn?: boolean
    nextHeader?: number
    /** All bytes behind the inner packet but pad length and next header. */
    padding?: Uint8Array
    padLength?: number
  } = {},
): Uint8Array {
  const { suite, key, salt } = over.keys ?? KEYS
  const sequence = over.sequence ?? 1n
  const needed = (2 - inner.length) & 3
  const padding = over.padding ?? Uint8Array.from({ length: needed }, (_, i) => i + 1)
  const trailer = [...padding, over.padLength ?? padding.length, over.nextHeader ?? (inner[0]! >> 4 === 6 ? 41 : 4)]
  const header = Buffer.alloc(16)
  header.writeUInt32BE(over.spi ?? 0x1001, 0)
  header.writeUInt32BE(Number(sequence & 0xffff_ffffn), 4)
  header.writeBigUInt64BE(sequence, 8)
  const aad = Buffer.concat([header.subarray(0, 4), Buffer.alloc(over.esn ? 4 : 0), header.subarray(4, 8)])
  if (over.esn) aad.writeUInt32BE(Number(sequence >> 32n), 4)
  const nonce = Buffer.concat([salt, header.subarray(8)])
  const cipher = createCipheriv(suite as CipherGCMTypes, key, nonce, { authTagLength: 16 })
  cipher.setAAD(aad, { plaintextLength: inner.length + trailer.length })
  const text = Buffer.concat([cipher.update(Buffer.concat([inner, Buffer.from(trailer)])), cipher.final()])
  return Uint8Array.from(Buffer.concat([header, text, cipher.getAuthTag()]))
}

export interface Ipv4Fields {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly tos?: number
  readonly id?: number
  /** The 16 bits with DF, MF and the offset in units of 8 bytes. */
  readonly flags?: number
  readonly options?: readonly number[]
}

export function ipv4(payload: Uint8Array, fields: Ipv4Fields = {}): Uint8Array {
  const options = fields.options ?? []
  const header = 20 + options.length
  const packet = Buffer.alloc(header + payload.length)
  packet[0] = 0x40 | (header / 4)
  packet[1] = fields.tos ?? 0
  packet.writeUInt16BE(packet.length, 2)
  packet.writeUInt16BE(fields.id ?? 0x1234, 4)
  packet.writeUInt16BE(fields.flags ?? 0, 6)
  packet[8] = 64
  packet[9] = fields.protocol ?? 17
  packet.set(addressBytes(address(fields.source ?? LEFT)), 12)
  packet.set(addressBytes(address(fields.destination ?? RIGHT)), 16)
  packet.set(options, 20)
  packet.writeUInt16BE(checksum(packet.subarray(0, header)), 10)
  packet.set(payload, header)
  return Uint8Array.from(packet)
}

export function ipv6(
  payload: Uint8Array,
  fields: { source?: string; destination?: string; nextHeader?: number; trafficClass?: number } = {},
): Uint8Array {
  const packet = Buffer.alloc(40 + payload.length)
  packet.writeUInt32BE((6 << 28) | ((fields.trafficClass ?? 0) << 20), 0)
  packet.writeUInt16BE(payload.length, 4)
  packet[6] = fields.nextHeader ?? 17
  packet[7] = 64
  packet.set(addressBytes(address(fields.source ?? LEFT6)), 8)
  packet.set(addressBytes(address(fields.destination ?? RIGHT6)), 24)
  packet.set(payload, 40)
  return Uint8Array.from(packet)
}

/** UDP ports and `size` data bytes that tell their place; no checksum. */
export function udp(size: number, sourcePort = 1000, destinationPort = 2000): Uint8Array {
  const packet = Buffer.alloc(8 + size, 0)
  packet.writeUInt16BE(sourcePort, 0)
  packet.writeUInt16BE(destinationPort, 2)
  packet.writeUInt16BE(packet.length, 4)
  for (let i = 0; i < size; i++) packet[8 + i] = (i * 7 + (i >> 8)) & 0xff
  return Uint8Array.from(packet)
}

/** RFC 1071, over bytes that include the checksum field; 0 when that is right. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}

/** Checksum of a TCP segment or ICMPv6 message under its pseudo-header; 0 when it is right. */
export function transportChecksum(packet: Uint8Array, headerLength: number, protocol: number): number {
  const addresses = packet[0]! >> 4 === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40)
  const length = packet.length - headerLength
  const pseudo = [...addresses, 0, protocol, length >> 8, length & 0xff]
  return checksum(Uint8Array.from([...pseudo, ...packet.subarray(headerLength)]))
}

/** A small generator of numbers from 0 to `below` - 1, the same ones for the same seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0
    return Math.floor((((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32) * below)
  }
}
