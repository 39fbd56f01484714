/** Synthetic traffic for engines that are thrown away afterwards: to warm up, and to measure. */
import { address, prefix } from '../protocol/net.ts'
import { BATCH } from './abi.ts'
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
  engine.setTunnel(0, { pathMtu: 1500, clampMss: true, sas: [outbound], copyDscp: false })
}

/** Fills the LAN slots with IPv4 packets of `size` bytes. */
export function fillSynthetic(engine: PacketEngine, size: number): void {
  for (let i = 0; i < BATCH; i++) {
    const packet = engine.lanRx.slot(i, size)
    packet.fill(0)
    packet.set([0x45, 0, size >> 8, size & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1])
    let sum = 0
    for (let at = 0; at < 20; at += 2) sum += (packet[at]! << 8) | packet[at + 1]!
    const checksum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff
    packet[10] = checksum >> 8
    packet[11] = checksum & 0xff
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
