/** Wire to LAN: one datagram through replay check, decryption, policy. */

import { address, type SocketAddress, sameSocketAddress } from '../../protocol/net.ts'
import {
  DROP_AUTH_FAILED,
  DROP_BAD_HEADER,
  DROP_BAD_INNER,
  DROP_BAD_NEXT_HEADER,
  DROP_BAD_PADDING,
  DROP_ECN,
  DROP_FRAGMENT_LIMIT,
  DROP_OUTBOX_FULL,
  DROP_OVERSIZED,
  DROP_REPLAYED,
  DROP_REVERSE_PATH,
  DROP_SELECTOR_IN,
  DROP_TOO_OLD,
  DROP_TRUNCATED,
  DROP_UNKNOWN_SPI,
  MAX_OUTER,
  MAX_WORKERS,
  VERDICT_CONSUMED,
  VERDICT_DELIVERED,
  VERDICT_DROPPED,
  VERDICT_ELSEWHERE,
  VERDICT_IKE,
  VERDICT_KEEPALIVE,
} from '../abi.ts'
import { isProbe } from '../engine-arguments.ts'
import type { Encapsulation } from '../packet-engine.ts'
import { innerMtu } from './choose.ts'
import { decapsulatedEcn, ecnOf } from './ecn.ts'
import {
  ESP_MIN,
  type EspPayload,
  NEXT_IPV4,
  NEXT_IPV6,
  NEXT_NONE,
  openEsp,
  spiOf,
  splitTrailer,
  wireSequence,
} from './esp.ts'
import { fragmentIpv4, fragmentIpv6 } from './fragment.ts'
import { type IpPacket, isFault, parseIp, writeTos } from './ip.ts'
import { clampMss, mssFor } from './mss.ts'
import type { Datagram } from './reassembly.ts'
import { inferSequence } from './replay.ts'
import { comesBack } from './reverse-path.ts'
import { matchPacket } from './selectors.ts'
import type { EngineState } from './state.ts'
import type { InboundState } from './tables.ts'
import { goesOn, passOn, takeHop } from './transit.ts'

/** The non-ESP marker (RFC 3948 section 2.2), and behind it a whole IKE header. */
const MARKER = 4
const IKE_MIN = MARKER + 28

/** In place of a socket address of no family that we know. */
const NOWHERE: SocketAddress = { address: address('0.0.0.0'), port: 0 }

export interface Arrival {
  readonly bytes: Uint8Array
  readonly encapsulation: Encapsulation
  /** Undefined where the socket address is of no family that we know. */
  readonly remote: SocketAddress | undefined
  /** TOS octet of the outer header. */
  readonly tos: number
  readonly now: number
}

/** Returns VERDICT_*; what goes to the LAN is in `lanTx`. */
export function openDatagram(engine: EngineState, arrival: Arrival): number {
  const { bytes, encapsulation, remote } = arrival
  if (bytes.length > MAX_OUTER) return drop(engine, DROP_OVERSIZED)
  if (encapsulation === 'udp') {
    if (bytes.length === 1 && bytes[0] === 0xff) return VERDICT_KEEPALIVE
    if (bytes.length >= IKE_MIN && spiOf(bytes) === 0) return VERDICT_IKE
    if (bytes.length >= MARKER && spiOf(bytes) === 0) return drop(engine, DROP_TRUNCATED)
  }
  if (bytes.length < ESP_MIN) return drop(engine, DROP_TRUNCATED)
  const state = engine.tables.inboundBySpi(spiOf(bytes))
  if (state === undefined) {
    if (workerOf(engine, spiOf(bytes)) !== engine.share.worker) return VERDICT_ELSEWHERE
    if (engine.unknownSpiRate.take(arrival.now))
      engine.tally.event({ type: 'unknown-spi', spi: spiOf(bytes), remote: remote ?? NOWHERE })
    return drop(engine, DROP_UNKNOWN_SPI)
  }
  return openWith(engine, state, arrival)
}

/** The worker whose SPI it is: the low 4 bits; what is nobody's is worker 0's. */
export function workerOf({ share }: EngineState, spi: number): number {
  const bits = spi % MAX_WORKERS
  return bits < share.workers ? bits : 0
}

function drop(engine: EngineState, reason: number, state?: InboundState): number {
  engine.tally.drop(reason, state?.tally)
  return VERDICT_DROPPED
}

function passed(engine: EngineState, state: InboundState, innerBytes: number, now: number): void {
  if (state.tally.packets === 0) engine.tally.event({ type: 'first-packet', sa: state.handle })
  state.tally.passed(innerBytes, now)
}

/** Window check, verification, window commit, in this order (RFC 4303 section 3.4.3). */
function openWith(engine: EngineState, state: InboundState, arrival: Arrival): number {
  const sequence = sequenceOf(state, wireSequence(arrival.bytes))
  const fresh = sequence === undefined ? 'too-old' : state.window.check(sequence)
  if (fresh === 'too-old') return drop(engine, DROP_TOO_OLD, state)
  if (fresh === 'replayed') return drop(engine, DROP_REPLAYED, state)
  const plaintext = openEsp(state.sa, sequence!, arrival.bytes)
  if (plaintext === undefined) return drop(engine, DROP_AUTH_FAILED, state)
  if (state.window.commit(sequence!)) reportMove(engine, state, arrival)
  const esp = splitTrailer(plaintext)
  if (esp === undefined) return drop(engine, DROP_BAD_PADDING, state)
  return deliverPayload(engine, state, esp, arrival)
}

function sequenceOf(state: InboundState, low: number): bigint | undefined {
  return state.sa.esn ? inferSequence(state.window.highest, state.window.size, low) : BigInt(low)
}

/** A peer behind a moving NAT is followed by the host (RFC 7296 section 2.23). */
function reportMove(engine: EngineState, state: InboundState, arrival: Arrival): void {
  if (arrival.encapsulation !== 'udp') return
  const { remote } = arrival
  if (remote === undefined) return
  const before = state.peer
  state.peer = remote
  if (before === undefined || sameSocketAddress(before, remote)) return
  engine.tally.event({ type: 'peer-moved', sa: state.handle, remote })
}

function deliverPayload(engine: EngineState, state: InboundState, esp: EspPayload, arrival: Arrival): number {
  if (esp.nextHeader === NEXT_NONE) {
    const probe = isProbe(esp.payload)
    if (probe && !engine.memory.probes.list(esp.payload, state.sa.tunnel, arrival.tos)) {
      return drop(engine, DROP_OUTBOX_FULL, state)
    }
    passed(engine, state, 0, arrival.now)
    return VERDICT_CONSUMED
  }
  if (esp.nextHeader !== NEXT_IPV4 && esp.nextHeader !== NEXT_IPV6) return drop(engine, DROP_BAD_NEXT_HEADER, state)
  const packet = parseIp(esp.payload)
  if (isFault(packet) || packet.version !== (esp.nextHeader === NEXT_IPV4 ? 4 : 6)) {
    return drop(engine, DROP_BAD_INNER, state)
  }
  const ecn = decapsulatedEcn(ecnOf(packet.tos), ecnOf(arrival.tos))
  if (ecn === undefined) return drop(engine, DROP_ECN, state)
  const marked = ecn === ecnOf(packet.tos) ? packet : withTos(packet, (packet.tos & 0xfc) | ecn)
  const match = matchPacket(state.selectors, marked)
  if (match === 'no') return drop(engine, DROP_SELECTOR_IN, state)
  if (!comesBack(engine, state, marked)) return drop(engine, DROP_REVERSE_PATH, state)
  if (match === 'unknown') return reassemble(engine, state, marked, arrival.now)
  return deliver(engine, state, marked, undefined, marked.bytes.length, arrival.now)
}

function withTos(packet: IpPacket, tos: number): IpPacket {
  writeTos(packet.bytes, tos)
  return { ...packet, tos }
}

/** Selectors that ask for ports see the whole datagram only (RFC 4301 section 7.2). */
function reassemble(engine: EngineState, state: InboundState, fragment: IpPacket, now: number): number {
  const step = engine.reassembly.offer(fragment, `in ${state.sa.tunnel}`, now)
  step.apply()
  for (let i = 0; i < step.evicted; i++) engine.tally.drop(DROP_FRAGMENT_LIMIT)
  const { result } = step
  if (result.type === 'dropped') {
    return drop(engine, result.reason === DROP_BAD_HEADER ? DROP_BAD_INNER : result.reason, state)
  }
  if (result.type === 'kept') {
    passed(engine, state, fragment.bytes.length, now)
    return VERDICT_CONSUMED
  }
  const packet = parseIp(result.datagram.bytes)
  if (isFault(packet)) return drop(engine, DROP_BAD_INNER, state)
  if (matchPacket(state.selectors, packet) !== 'yes') return drop(engine, DROP_SELECTOR_IN, state)
  return deliver(engine, state, packet, result.datagram, fragment.bytes.length, now)
}

function deliver(
  engine: EngineState,
  state: InboundState,
  packet: IpPacket,
  datagram: Datagram | undefined,
  innerBytes: number,
  now: number,
): number {
  if (goesOn(engine, state.sa.tunnel, packet)) return sendOn(engine, state, packet, datagram, innerBytes, now)
  clampTowardsLan(engine, state, packet)
  const pieces = piecesFor(packet, datagram)
  if (pieces.length > engine.memory.lanTx.room) return drop(engine, DROP_OUTBOX_FULL, state)
  if (datagram?.place === undefined) engine.coalescer.deliver(packet)
  else {
    engine.coalescer.closeFlow(packet)
    for (const piece of pieces) engine.memory.lanTx.push(piece)
  }
  passed(engine, state, innerBytes, now)
  return VERDICT_DELIVERED
}

/** By another tunnel. Datagrams that were put together go in fragments no longer than those that came. */
function sendOn(
  engine: EngineState,
  state: InboundState,
  packet: IpPacket,
  datagram: Datagram | undefined,
  innerBytes: number,
  now: number,
): number {
  clampTowardsLan(engine, state, packet)
  const alive = takeHop(packet)
  const cut = datagram !== undefined && packet.version === 4
  const pieces = cut ? fragmentIpv4(packet, datagram.longest) : piecesFor(packet, datagram)
  if (pieces.length > engine.memory.transit.room) return drop(engine, DROP_OUTBOX_FULL, state)
  if (alive) passed(engine, state, innerBytes, now)
  return passOn(engine, state, pieces, alive)
}

/**
 * No router cuts IPv6, so a reassembled datagram goes on in fragments no longer than those that its source chose.
 * IPv4 goes whole: it is cut where it has to be.
 */
function piecesFor(packet: IpPacket, datagram: Datagram | undefined): Uint8Array[] {
  if (datagram?.place === undefined) return [packet.bytes]
  return fragmentIpv6(packet.bytes, datagram.place, datagram.longest) ?? [packet.bytes]
}

/** What the peer's host offers bounds what ours sends, through the tunnel's first outbound SA. */
function clampTowardsLan(engine: EngineState, state: InboundState, packet: IpPacket): void {
  const tunnel = engine.tables.tunnel(state.sa.tunnel)
  if (tunnel === undefined || !tunnel.clampMss || tunnel.sas.length === 0) return
  const mtu = innerMtu(engine.tables, engine.tables.outbound(tunnel.sas[0]!), tunnel)
  if (mtu > 0) clampMss(packet, mssFor(packet.version, mtu))
}
