/**
 * The packet engine in plain TypeScript on `node:crypto`: what the WebAssembly engine is compared against, and
 * the place to read what a packet goes through. Written after the RFCs, without care for speed.
 */
import { type Address, addressBytes, formatAddress, type Prefix, type SocketAddress } from '../protocol/net.ts'
import { prefixesOf } from '../protocol/prefix-block.ts'
import {
  BATCH,
  DROP_FRAGMENT_TIMEOUT,
  DROP_OVERSIZED,
  LARGE_BYTES,
  LARGE_PACKET,
  MAX_INNER,
  MAX_OUTER,
  MAX_TUNNELS,
  NAME_STRIDE,
  OUTBOX,
  SLOT_BYTES,
  VERDICT_ELSEWHERE,
  VNET_HEADER,
} from './abi.ts'
import { checkProbe, checkWorker } from './engine-arguments.ts'
import {
  type AeadSuite,
  type Encapsulation,
  EngineError,
  type GroupHandle,
  type LanFormat,
  type LanReceiveArea,
  type PacketEngine,
  type SaCounters,
  type SaHandle,
  type SaKeys,
  type TunnelHandle,
} from './packet-engine.ts'
import * as aead from './reference/aead.ts'
import { getU16 } from './reference/bytes.ts'
import { innerMtu } from './reference/choose.ts'
import { spiOf } from './reference/esp.ts'
import { openDatagram, workerOf } from './reference/open-path.ts'
import { outerLength, sealProbe } from './reference/probe.ts'
import { sealLarge } from './reference/seal-large.ts'
import { sealPacket } from './reference/seal-path.ts'
import { createState, type EngineState } from './reference/state.ts'
import { checkGroup, type Tables } from './reference/tables.ts'
import { sealOnward, sealTransit } from './reference/transit.ts'
import { PLAIN_VNET } from './reference/vnet.ts'
import { checkClasses, checkFlowSeed, checkOwnAddresses } from './steering-arguments.ts'

/** Linux socket address families, in the host's byte order at the start of a name. */
const AF_INET = 2
const AF_INET6 = 10
const NONCE_BYTES = 12

/** An engine with empty tables. */
export function createNodeEngine(): PacketEngine {
  const engine = createState()
  const { memory, tables, tally } = engine
  return {
    kind: 'node',
    memory: memory.buffer,
    lanRx: memory.lanRx,
    wireRx: memory.wireRx,
    lanLarge: memory.lanLarge,
    wireLarge: memory.wireLarge,
    lanTx: memory.lanTx,
    wireTx: memory.wireTx,
    probes: memory.probes,
    transit: memory.transit,
    ...controlOf(engine),
    ...batchesOf(engine),
    pollEvent: () => tally.poll(),
    counters: (sa) => countersOf(tables.sa(sa)),
    tunnelCounters: (tunnel) => ({ ...tables.tunnelTally(tunnel) }),
    drops: () => tally.report(),
    installAead: (suite: AeadSuite, key) => tables.installAead(suite, key),
    aeadSeal: (key, nonce, aad, plaintext) => aeadSeal(engine, key, nonce, aad, plaintext),
    aeadOpen: (key, nonce, aad, sealed) => aeadOpen(engine, key, nonce, aad, sealed),
  }
}

/** What is installed, set and removed. */
function controlOf(engine: EngineState) {
  const { tables, routes } = engine
  return {
    installInbound: (sa) => tables.installInbound(sa),
    installOutbound: (sa) => tables.installOutbound(sa),
    removeSa: (sa) => tables.removeSa(sa),
    setEndpoint: (handle, endpoint) => tables.setEndpoint(handle, endpoint),
    setTunnel: (handle, tunnel) => tables.setTunnel(handle, tunnel),
    removeTunnel: (handle) => removeTunnel(engine, handle),
    setGroup: (handle, tunnels, weights) => tables.setGroup(handle, tunnels, weights),
    setRefusal: (handle, answer) => tables.setRefusal(handle, answer),
    setClasses: (classes) => {
      tables.classes = checkClasses(classes)
    },
    setFlowSeed: (seed) => setFlowSeed(engine, seed),
    setOwnAddresses: (addresses) => {
      engine.own = checkOwnAddresses(addresses)
    },
    setShare: (worker, workers) => setShare(engine, worker, workers),
    setRoute: (prefix, group) => setRoute(engine, prefix, group),
    removeRoute: (prefix) => routes.remove(prefix),
    setRoutes: (prefixes, group) => {
      for (const prefix of prefixesOf(prefixes)) setRoute(engine, prefix, group)
    },
    removeRoutes: (prefixes) => {
      for (const prefix of prefixesOf(prefixes)) routes.remove(prefix)
    },
    lookupRoute: (destination: Address) => routes.lookup(addressBytes(destination)),
    innerMtu: (sa) => innerMtu(tables, tables.outbound(sa), tables.tunnel(tables.outbound(sa).sa.tunnel)),
  } satisfies Partial<PacketEngine>
}

/** What packets go through. */
function batchesOf(engine: EngineState) {
  return {
    sealBatch: (first, count, now, fromInbox = false) => sealBatch(engine, first, count, now, fromInbox),
    openBatch: (count, encapsulation, now) => openBatch(engine, count, encapsulation, now),
    setLanFormat: (format) => setLanFormat(engine, format),
    sealLarge: (first, count, now, fromInbox = false) => sealLargeBatch(engine, first, count, now, fromInbox),
    openRuns: (first, count, now) => openRuns(engine, first, count, now),
    sealTransit: (now) => {
      startBatch(engine, now)
      return sealTransit(engine, now)
    },
    sealProbe: (tunnel, payload, size, now) => {
      checkProbe(tunnel, payload, size)
      startBatch(engine, now)
      return sealProbe(engine, tunnel, payload, size, now)
    },
    outerLength: (tunnel, size) => outerLength(engine, tunnel, size),
    probeOverhead: (tunnel) => outerLength(engine, tunnel, 2) && outerLength(engine, tunnel, 2)! - 2,
  } satisfies Partial<PacketEngine>
}

function removeTunnel(engine: EngineState, handle: TunnelHandle): void {
  engine.tables.removeTunnel(handle)
  engine.noSaAt.delete(handle)
}

function countersOf(state: ReturnType<Tables['sa']>): SaCounters {
  const missing = state.kind === 'inbound' ? state.window.missing : undefined
  return { ...state.tally.report(), ...(missing !== undefined && { missing }) }
}

function setShare(engine: EngineState, worker: number, workers: number): void {
  checkWorker(worker, workers)
  engine.share = { worker, workers }
}

function setFlowSeed(engine: EngineState, seed: number): void {
  checkFlowSeed(seed)
  engine.tables.flowSeed = seed
}

function setRoute(engine: EngineState, prefix: Prefix, group: GroupHandle): void {
  checkGroup(group)
  engine.routes.set(prefix, group)
}

function sealBatch(engine: EngineState, first: number, count: number, now: number, fromInbox: boolean): number {
  startBatch(engine, now)
  const end = Math.min(first + count, BATCH)
  const { lanRx } = engine.memory
  for (let slot = first; slot < end; slot++) {
    const packet = lanRx.slot(slot, Math.min(lanRx.length[slot]!, SLOT_BYTES))
    if (fromInbox && cameByTunnel(lanRx, slot)) {
      if (!sealSlotOnward(engine, lanRx, slot, packet, now)) return slot - first
      continue
    }
    const outcome = sealPacket(engine, packet, now, !fromInbox)
    if (outcome === false) return slot - first
    lanRx.handOver[slot] = outcome === true ? 0 : outcome.worker + 1
  }
  return end - first
}

function cameByTunnel({ via }: LanReceiveArea, slot: number): boolean {
  return via[slot]! > 0 && via[slot]! <= MAX_TUNNELS
}

/** Another worker has handed it over; an answer takes its place. Returns false when it has to wait. */
function sealSlotOnward(
  engine: EngineState,
  area: LanReceiveArea,
  slot: number,
  packet: Uint8Array,
  now: number,
): boolean {
  const passed = sealOnward(engine, { bytes: packet, from: area.via[slot]! - 1, expired: false }, now, false)
  if (passed === undefined) return false
  area.handOver[slot] = passed.handOver
  if (passed.answer === undefined) return true
  area.length[slot] = area.length[slot]! - packet.length + passed.answer.length
  area.slot(slot).set(passed.answer, area.length[slot]! - passed.answer.length)
  area.via[slot] = 0
  return true
}

function openBatch(engine: EngineState, count: number, encapsulation: Encapsulation, now: number): void {
  startBatch(engine, now)
  const { wireRx, probes, transit } = engine.memory
  probes.clear()
  transit.clear()
  for (let slot = 0; slot < Math.min(count, OUTBOX); slot++) {
    const bytes = wireRx.slot(slot, Math.min(wireRx.length[slot]!, SLOT_BYTES)).slice()
    const remote = remoteOf(engine, slot)
    wireRx.verdict[slot] = openDatagram(engine, { bytes, encapsulation, remote, tos: wireRx.tos[slot]!, now })
    if (wireRx.verdict[slot] === VERDICT_ELSEWHERE) wireRx.elsewhere[slot] = workerOf(engine, spiOf(bytes))
  }
  engine.coalescer.finish()
}

function setLanFormat(engine: EngineState, { header, datagrams }: LanFormat): void {
  engine.memory.lanTx.header = header ? PLAIN_VNET : new Uint8Array(0)
  engine.coalescer.tcp = header
  engine.coalescer.datagrams = header && datagrams
}

function sealLargeBatch(engine: EngineState, first: number, count: number, now: number, fromInbox: boolean): number {
  startBatch(engine, now)
  if (engine.begun?.slot !== first) engine.begun = undefined
  const { lanLarge } = engine.memory
  const end = Math.min(first + count, BATCH)
  for (let slot = first; slot < end; slot++) {
    const packet = lanLarge.slot(slot, Math.min(lanLarge.length[slot]!, LARGE_BYTES))
    if (fromInbox && packet.length >= VNET_HEADER && cameByTunnel(lanLarge, slot)) {
      if (!sealSlotOnward(engine, lanLarge, slot, packet.subarray(VNET_HEADER), now)) return slot - first
      continue
    }
    const outcome = sealLarge(engine, slot, packet, now, !fromInbox)
    if (outcome === false) return slot - first
    lanLarge.handOver[slot] = outcome === true ? 0 : outcome.worker + 1
  }
  return end - first
}

function openRuns(engine: EngineState, first: number, count: number, now: number): number {
  const { wireLarge, wireRx } = engine.memory
  const bytes = new Uint8Array(engine.memory.buffer)
  wireLarge.datagrams = 0
  let slot = first
  for (; slot < Math.min(first + count, BATCH); slot++) {
    const datagrams = datagramsOf(
      wireLarge.slot(slot, Math.min(wireLarge.length[slot]!, LARGE_PACKET)),
      wireLarge.segment[slot]!,
    )
    if (slot > first && wireLarge.datagrams + datagrams.length > OUTBOX) break
    for (const datagram of datagrams) {
      if (wireLarge.datagrams === OUTBOX) {
        engine.tally.drop(DROP_OVERSIZED)
        break
      }
      const target = wireLarge.datagrams++
      wireRx.slot(target).set(datagram.subarray(0, MAX_OUTER))
      wireRx.length[target] = datagram.length
      wireRx.tos[target] = wireLarge.tos[slot]!
      const name = wireLarge.names + slot * NAME_STRIDE
      bytes.copyWithin(wireRx.names + target * NAME_STRIDE, name, name + NAME_STRIDE)
    }
  }
  openBatch(engine, wireLarge.datagrams, 'udp', now)
  return slot - first
}

/** Datagrams of `size` bytes laid end to end, the last one perhaps shorter; with a size of 0 there is one. */
function datagramsOf(run: Uint8Array, size: number): Uint8Array[] {
  const each = size === 0 ? run.length : size
  const out: Uint8Array[] = []
  for (let at = 0; at < run.length || at === 0; at += each) out.push(run.subarray(at, at + each))
  return out
}

function startBatch(engine: EngineState, now: number): void {
  engine.memory.lanTx.clear()
  engine.coalescer.clear()
  engine.memory.wireTx.clear()
  const expired = engine.reassembly.expire(now)
  for (let i = 0; i < expired; i++) engine.tally.drop(DROP_FRAGMENT_TIMEOUT)
}

/** The sender of a datagram, out of the sockaddr beside its slot. */
function remoteOf(engine: EngineState, slot: number): SocketAddress | undefined {
  const name = new Uint8Array(engine.memory.buffer, engine.memory.wireRx.names + slot * NAME_STRIDE, NAME_STRIDE)
  const family = name[0]! | (name[1]! << 8)
  const port = getU16(name, 2)
  if (family === AF_INET) return { address: formatAddress(name.subarray(4, 8)), port }
  if (family === AF_INET6) return { address: formatAddress(name.subarray(8, 24)), port }
  return undefined
}

function aeadSeal(
  engine: EngineState,
  handle: SaHandle,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const keys = bareKey(engine, handle, nonce)
  if (plaintext.length > MAX_INNER) throw new EngineError(`plaintext of ${plaintext.length} bytes`)
  return aead.aeadSeal(keys.suite, keys.key, nonce, aad, plaintext)
}

function aeadOpen(
  engine: EngineState,
  handle: SaHandle,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const keys = bareKey(engine, handle, nonce)
  if (sealed.length > MAX_INNER + aead.TAG_BYTES) throw new EngineError(`sealed text of ${sealed.length} bytes`)
  return aead.aeadOpen(keys.suite, keys.key, nonce, aad, sealed)
}

function bareKey(engine: EngineState, handle: SaHandle, nonce: Uint8Array): SaKeys {
  const state = engine.tables.sa(handle)
  if (state.kind !== 'aead') throw new EngineError(`handle ${handle} is not a bare key`)
  if (nonce.length !== NONCE_BYTES) throw new EngineError(`nonce of ${nonce.length} bytes`)
  return state.sa
}
