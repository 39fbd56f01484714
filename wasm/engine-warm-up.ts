/** Synthetic traffic through an engine that is thrown away afterwards. */
import { address, prefix } from '../protocol/net.ts'
import { BATCH, OUTBOX } from './abi.ts'
import type { AeadSuite, PacketEngine, TrafficSelector } from './packet-engine.ts'

/** V8 optimises the packet path after about a thousand packets; the rest lets its background threads finish. */
const ROUNDS = 40
const SIZES = [64, 576, 1400]
const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
const KEY_BYTES: Record<AeadSuite, number> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 }

/** Seals and opens packets of several sizes with every suite. `engine` must be new. */
export function runWarmUp(engine: PacketEngine): void {
  engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
  engine.setGroup(0, [0])
  engine.setRoute(prefix('0.0.0.0/0'), 0)
  for (const [i, suite] of SUITES.entries()) {
    install(engine, suite, 256 + i)
    for (let round = 0; round < ROUNDS; round++) carry(engine, SIZES[round % SIZES.length]!, round)
  }
}

const EVERYTHING: TrafficSelector = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}

function install(engine: PacketEngine, suite: AeadSuite, spi: number): void {
  const sa = {
    suite,
    // Nothing secret ever goes under these keys.
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

function carry(engine: PacketEngine, size: number, now: number): void {
  for (let i = 0; i < BATCH; i++) {
    const slot = engine.lanRx.slot(i, size)
    slot.fill(0)
    slot.set([0x45, 0, size >> 8, size & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1])
    engine.lanRx.length[i] = size
  }
  engine.sealBatch(0, BATCH, now)
  const count = Math.min(engine.wireTx.count, BATCH, OUTBOX)
  for (let i = 0; i < count; i++) {
    const sealed = engine.wireTx.packet(i)
    engine.wireRx.slot(i, sealed.length).set(sealed)
    engine.wireRx.length[i] = sealed.length
  }
  engine.openBatch(count, 'udp', now)
}
