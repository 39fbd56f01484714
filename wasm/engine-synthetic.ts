/** Synthetic traffic for engines that are thrown away afterwards: to warm up, and to measure. */
import { address, prefix } from '../protocol/net.ts'
import { BATCH, MAX_OUTER, VNET_HEADER } from './abi.ts'
import type { AeadSuite, PacketEngine, TrafficSelector } from './packet-engine.ts'

const KEY_BYTES: Record<AeadSuite, number> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 }
const EVERYTHING: TrafficSelector = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}

/** One tunnel, to which every packet goes. `engine` must be new. */
export function setUpSynthetic(engine: PacketEngine): void {
  engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
  engine.setGroup(0, [0])
  engine.setRoute(prefix('0.0.0.0/0'), 0)
}

/** A pair of SAs; the outbound one takes the tunnel over. Nothing secret ever goes under its key. */
export function installSynthetic(engine: PacketEngine, suite: AeadSuite, spi: number): void {
  const sa = {
    suite,
    key: new Uint8Array(KEY_BYTES[suite]),
    salt: new Uint8Array(4),
    spi,
    esn: true,
    tunnel: 0,
    local: [EVERYTHING],
    remote: [EVERYTHING],
  }
  engine.installInbound({ ...sa, replayWindow: 1024 })
  const outbound = engine.installOutbound({ ...sa, endpoint: 0 })
  engine.setTunnel(0, { pathMtu: MAX_OUTER, clampMss: true, sas: [outbound], copyDscp: false })
}

/** Fills the LAN slots with IPv4 packets of `size` bytes. */
export function fillSynthetic(engine: PacketEngine, size: number): void {
  for (let i = 0; i < BATCH; i++) {
    const packet = engine.lanRx.slot(i, size)
    packet.fill(0)
    packet.set(ipv4Header(size, 17))
    engine.lanRx.length[i] = size
  }
}

/** Seals what `fillSynthetic` left. @throws when not all of it passes */
export function sealSynthetic(engine: PacketEngine, now: number): void {
  engine.sealBatch(0, BATCH, now)
  if (engine.wireTx.count !== BATCH) throw new Error(`${engine.wireTx.count} of ${BATCH} synthetic packets were sealed`)
}

/** Opens what `sealSynthetic` left. @throws when not all of it passes */
export function openSynthetic(engine: PacketEngine, now: number): void {
  for (let i = 0; i < BATCH; i++) {
    const sealed = engine.wireTx.packet(i)
    engine.wireRx.slot(i, sealed.length).set(sealed)
    engine.wireRx.length[i] = sealed.length
  }
  engine.openBatch(BATCH, 'udp', now)
  if (engine.lanTx.count !== BATCH) throw new Error(`${engine.lanTx.count} of ${BATCH} synthetic packets were opened`)
}

const SEGMENTS = 32
const SEGMENT_BYTES = 1000
const HEADERS = 40
/** TCPV4 with a partial checksum, in segments of SEGMENT_BYTES: see `assembly/vnet.ts`. */
const VNET = [1, 1, HEADERS, 0, SEGMENT_BYTES & 0xff, SEGMENT_BYTES >> 8, 20, 0, 16, 0]

/** A TCP super-packet through both directions. @throws when it does not come out whole */
export function carrySuperPacket(engine: PacketEngine, now: number): void {
  engine.setLanFormat({ header: true, datagrams: true })
  const length = HEADERS + SEGMENTS * SEGMENT_BYTES
  const slot = engine.lanLarge.slot(0, VNET_HEADER + length)
  slot.fill(0)
  slot.set(VNET)
  slot.set(ipv4Header(length, 6), VNET_HEADER)
  // Data offset and ACK, then the sum of the pseudo-header.
  slot.set([0x50, 0x10, 0, 0, ...partialSum(length - 20)], VNET_HEADER + 32)
  engine.lanLarge.length[0] = slot.length
  engine.sealLarge(0, 1, now)
  const run = engine.wireLarge.slot(0)
  let at = 0
  for (let i = 0; i < engine.wireTx.count; i++) {
    const sealed = engine.wireTx.packet(i)
    run.set(sealed, at)
    at += sealed.length
  }
  engine.wireLarge.length[0] = at
  engine.wireLarge.segment[0] = at / SEGMENTS
  engine.openRuns(0, 1, now)
  if (engine.lanTx.count !== 1) throw new Error(`a synthetic super-packet came out in ${engine.lanTx.count}`)
  engine.setLanFormat({ header: false, datagrams: false })
}

function ipv4Header(length: number, protocol: number): number[] {
  const header = [0x45, 0, length >> 8, length & 0xff, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]
  const checksum = ~folded(header) & 0xffff
  header[10] = checksum >> 8
  header[11] = checksum & 0xff
  return header
}

/** Of the addresses in `ipv4Header`, TCP, and `length` bytes of it. */
function partialSum(length: number): number[] {
  const sum = folded([10, 0, 0, 1, 10, 0, 1, 1, 0, 6, length >> 8, length & 0xff])
  return [sum >> 8, sum & 0xff]
}

function folded(bytes: readonly number[]): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!
  return (sum & 0xffff) + (sum >>> 16)
}
