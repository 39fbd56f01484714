/** Many Child SAs in one engine, each packet of a batch on another one: what a packet costs, and the memory they take. */
import { randomBytes } from 'node:crypto'
import { address, prefix } from '../../protocol/net.ts'
import { BATCH, SLOT_BYTES } from '../../wasm/abi.ts'
import { createEngine } from '../../wasm/load.ts'
import type { AeadSuite, PacketEngine, SaHandle, TrafficSelector } from '../../wasm/packet-engine.ts'
import { median, residentBytes } from './growth-measure.ts'

export interface SaRow {
  readonly suite: AeadSuite
  readonly childSas: number
  readonly size: number
  /** Nanoseconds per packet: SPI lookup and window check alone, a whole seal, a whole open. */
  readonly spi: number
  readonly seal: number
  readonly open: number
  /** Microseconds per Child SA, with its endpoint, tunnel, group and route. */
  readonly install: number
  readonly remove: number
  /** Resident memory of a Child SA that is installed, and once it has carried packets both ways; null for few. */
  readonly bytesInstalled: number | null
  readonly bytesUsed: number | null
}

interface Child {
  readonly inbound: SaHandle
  readonly outbound: SaHandle
}

const FIRST_SPI = 0x10000
const ROUNDS = 5
const MIN_PACKETS = 12_000
const MIN_FOR_MEMORY = 1000
const MAX_SEALED = 1600

export function measureSas(suite: AeadSuite, childSas: number, size: number): SaRow {
  const engine = createEngine()
  engine.warmUp()
  const before = residentBytes()
  let start = performance.now()
  const children = Array.from({ length: childSas }, (_, i) => install(engine, suite, i))
  const installMs = performance.now() - start
  const installed = residentBytes()
  const sealed = new Sealed(childSas)
  const rounds = Math.ceil(Math.max(childSas, MIN_PACKETS) / childSas)
  const held = residentBytes()
  sealAll(engine, childSas, size, 1, sealed)
  openAll(engine, childSas, 1, sealed)
  const used = residentBytes()
  const seal = median(Array.from({ length: ROUNDS }, () => sealAll(engine, childSas, size, rounds)))
  const open = median(Array.from({ length: ROUNDS }, () => openAll(engine, childSas, rounds, sealed)))
  checkCounters(engine, children, rounds * ROUNDS + 1)
  start = performance.now()
  for (const { inbound, outbound } of children) {
    engine.removeSa(outbound)
    engine.removeSa(inbound)
  }
  const remove = ((performance.now() - start) * 1000) / childSas
  const many = childSas >= MIN_FOR_MEMORY
  return {
    suite,
    childSas,
    size,
    spi: measureSpi(childSas, rounds),
    seal,
    open,
    install: (installMs * 1000) / childSas,
    remove,
    bytesInstalled: many ? (installed - before) / childSas : null,
    bytesUsed: many ? (installed - before + used - held - sealed.bytes.length) / childSas : null,
  }
}

/** One sealed packet for each Child SA. */
class Sealed {
  readonly bytes: Buffer
  readonly lengths: Uint32Array

  constructor(count: number) {
    this.bytes = Buffer.alloc(count * MAX_SEALED)
    this.lengths = new Uint32Array(count)
  }
}

function install(engine: PacketEngine, suite: AeadSuite, i: number): Child {
  const keys = { suite, key: randomBytes(suite === 'aes-128-gcm' ? 16 : 32), salt: randomBytes(4) }
  const shared = { ...keys, spi: FIRST_SPI + i * 7, esn: true, tunnel: i, local: [ANY], remote: [ANY] }
  engine.setEndpoint(i, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
  // Without a window, so that the same packets can be opened again.
  const inbound = engine.installInbound({ ...shared, replayWindow: 0 })
  // The same keys as its own peer would have: what it seals it opens.
  const outbound = engine.installOutbound({ ...shared, endpoint: i })
  engine.setTunnel(i, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [outbound] })
  engine.setGroup(i, [i])
  engine.setRoute(prefix(`10.${i >> 8}.${i & 255}.0/24`), i)
  return { inbound, outbound }
}

function sealAll(engine: PacketEngine, count: number, size: number, rounds: number, keep?: Sealed): number {
  for (let slot = 0; slot < BATCH; slot++) engine.lanRx.slot(slot, size).fill(0)
  return batches(count, rounds, (first, packets) => {
    for (let slot = 0; slot < packets; slot++) putPacket(engine, slot, (first + slot) % count, size)
    const nanoseconds = timed(() => engine.sealBatch(0, packets, 0))
    if (engine.wireTx.count !== packets) throw new Error(`${engine.wireTx.count} of ${packets} packets were sealed`)
    for (let slot = 0; keep !== undefined && slot < packets; slot++) {
      const packet = engine.wireTx.packet(slot)
      keep.bytes.set(packet, (first + slot) * MAX_SEALED)
      keep.lengths[first + slot] = packet.length
    }
    return nanoseconds
  })
}

function openAll(engine: PacketEngine, count: number, rounds: number, sealed: Sealed): number {
  return batches(count, rounds, (first, packets) => {
    for (let slot = 0; slot < packets; slot++) {
      const child = (first + slot) % count
      const length = sealed.lengths[child]!
      engine.wireRx.slot(slot, length).set(sealed.bytes.subarray(child * MAX_SEALED, child * MAX_SEALED + length))
      engine.wireRx.length[slot] = length
    }
    const nanoseconds = timed(() => engine.openBatch(packets, 'udp', 0))
    if (engine.lanTx.count !== packets) throw new Error(`${engine.lanTx.count} of ${packets} packets were opened`)
    return nanoseconds
  })
}

/**
 * Nanoseconds to find an SA by its SPI and have its window refuse the packet: sequence number 0 is never valid. SPIs
 * are random, as those of a connector are.
 */
function measureSpi(count: number, rounds: number): number {
  const engine = createEngine()
  const spis = new Set<number>()
  while (spis.size < count) spis.add(0x100 + Math.floor(Math.random() * 0xffff_fe00))
  const keys = { suite: 'chacha20-poly1305', key: randomBytes(32), salt: randomBytes(4) } as const
  const shared = { ...keys, esn: false, replayWindow: 64, tunnel: 0, local: [ANY], remote: [ANY] }
  for (const spi of spis) engine.installInbound({ ...shared, spi })
  const order = [...spis]
  const headers = Array.from({ length: BATCH }, (_, slot) => Buffer.from(engine.wireRx.slot(slot, 64).fill(0).buffer))
  const nanoseconds = Array.from({ length: ROUNDS }, () =>
    batches(count, rounds, (first, packets) => {
      for (let slot = 0; slot < packets; slot++) {
        headers[slot]!.writeUInt32BE(order[(first + slot) % count]!, engine.wireRx.offset + slot * SLOT_BYTES)
        engine.wireRx.length[slot] = 64
      }
      return timed(() => engine.openBatch(packets, 'udp', 0))
    }),
  )
  if (engine.drops().replayed !== count * rounds * ROUNDS) throw new Error('packets were not refused')
  return median(nanoseconds)
}

/** Goes round all Child SAs, in batches; returns nanoseconds per packet. */
function batches(count: number, rounds: number, batch: (first: number, packets: number) => number): number {
  const total = count * rounds
  let nanoseconds = 0
  for (let first = 0; first < total; first += BATCH) nanoseconds += batch(first, Math.min(BATCH, total - first))
  return nanoseconds / total
}

function timed(call: () => void): number {
  const start = performance.now()
  call()
  return (performance.now() - start) * 1e6
}

/** An IPv4 packet with UDP for the network of Child SA `child`. */
function putPacket(engine: PacketEngine, slot: number, child: number, size: number): void {
  const packet = engine.lanRx.slot(slot, 28)
  packet.set([0x45, 0, size >> 8, size & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 172, 16, 0, 1, 10, child >> 8, child & 255, 1])
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!
  const checksum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff
  packet[10] = checksum >> 8
  packet[11] = checksum & 0xff
  packet[24] = (size - 20) >> 8
  packet[25] = (size - 20) & 0xff
  engine.lanRx.length[slot] = size
}

function checkCounters(engine: PacketEngine, children: readonly Child[], packets: number): void {
  for (const { inbound, outbound } of [children[0]!, children.at(-1)!]) {
    const counts = [engine.counters(inbound).packets, engine.counters(outbound).packets]
    if (counts.some((count) => count !== packets)) throw new Error(`${counts} packets instead of ${packets}`)
  }
}

const ANY: TrafficSelector = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}
