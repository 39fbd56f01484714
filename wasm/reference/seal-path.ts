/** LAN to wire: one packet through policy, fragmentation and encryption. */
import {
  DROP_FRAGMENT_LIMIT,
  DROP_HARD_LIMIT,
  DROP_ICMP_RATE,
  DROP_NO_ROUTE,
  DROP_NO_SA,
  DROP_OUTBOX_FULL,
  DROP_OVERSIZED,
  DROP_PROHIBITED,
  DROP_TOO_BIG,
  DROP_TRANSIT_LOOP,
  DROP_UNREACHABLE,
  MAX_INNER,
  OUTBOX,
} from '../abi.ts'
import type { TunnelHandle } from '../packet-engine.ts'
import { type Choice, chooseSa } from './choose.ts'
import { outerTos } from './ecn.ts'
import { NEXT_IPV4, NEXT_IPV6, NEXT_NONE, sealEsp } from './esp.ts'
import { fragmentIpv4, fragmentIpv6 } from './fragment.ts'
import { IPV6_MIN_MTU, mayAnswer, timeExceededAnswer, tooBigAnswer, unreachableAnswer } from './icmp.ts'
import { type IpPacket, isFault, parseIp } from './ip.ts'
import { hardReached, hasRoomFor, softReached, type Usage } from './limits.ts'
import { clampMss, mssFor } from './mss.ts'
import type { Datagram } from './reassembly.ts'
import type { EngineState } from './state.ts'
import type { OutboundState } from './tables.ts'

const ANSWERED: readonly number[] = [DROP_NO_ROUTE, DROP_NO_SA, DROP_UNREACHABLE, DROP_PROHIBITED, DROP_TRANSIT_LOOP]

type Carry = Extract<Choice, { type: 'carry' | 'reassemble' }>

/** For another worker; nothing has changed. */
export interface HandOver {
  readonly worker: number
}

/**
 * False when the outbox has no room for what the packet becomes; then nothing has changed.
 * @param mayHandOver the packet lies in a slot as it came, and comes from the LAN
 */
export function sealPacket(
  engine: EngineState,
  input: Uint8Array,
  now: number,
  mayHandOver: boolean,
): boolean | HandOver {
  if (input.length > MAX_INNER) return drop(engine, DROP_OVERSIZED)
  const packet = parseIp(input.slice())
  if (isFault(packet)) return drop(engine, packet.fault)
  const choice = chooseSa(engine.tables, engine.routes, packet, mayHandOver, engine.via)
  if (choice.type === 'hand-over') return { worker: choice.worker }
  if (choice.type === 'drop') return refuse(engine, packet, choice, now)
  if (choice.type === 'reassemble') return reassemble(engine, packet, choice.state, now)
  return carry(engine, packet, undefined, choice, now)
}

function drop(engine: EngineState, reason: number, state?: OutboundState): true {
  engine.tally.drop(reason, state?.tally)
  return true
}

export function refuse(
  engine: EngineState,
  packet: IpPacket,
  { reason, state, wants }: Extract<Choice, { type: 'drop' }>,
  now: number,
): true {
  if (wants !== undefined) reportNoSa(engine, wants, now)
  drop(engine, reason, state)
  if (!ANSWERED.includes(reason)) return true
  return answer(engine, packet, unreachableAnswer(packet, reason === DROP_PROHIBITED, ownFor(engine, packet)), now)
}

/** Once a second for each tunnel. */
function reportNoSa(engine: EngineState, tunnel: TunnelHandle, now: number): void {
  if (now - (engine.noSaAt.get(tunnel) ?? Number.NEGATIVE_INFINITY) < 1000) return
  engine.noSaAt.set(tunnel, now)
  engine.tally.event({ type: 'no-sa', tunnel })
}

/** Selectors that ask for ports see the whole datagram only (RFC 4301 section 7.2). */
function reassemble(engine: EngineState, packet: IpPacket, state: OutboundState, now: number): boolean {
  const step = engine.reassembly.offer(packet, 'out', now)
  if (step.result.type === 'complete') {
    const done = sealDatagram(engine, step.result.datagram, now)
    if (done) step.apply()
    return done
  }
  step.apply()
  for (let i = 0; i < step.evicted; i++) engine.tally.drop(DROP_FRAGMENT_LIMIT)
  if (step.result.type === 'dropped') engine.tally.drop(step.result.reason, state.tally)
  return true
}

function sealDatagram(engine: EngineState, datagram: Datagram, now: number): boolean {
  const packet = parseIp(datagram.bytes)
  if (isFault(packet)) return drop(engine, packet.fault)
  const choice = chooseSa(engine.tables, engine.routes, packet, false, engine.via)
  if (choice.type === 'hand-over') throw new Error('a datagram that was put together here is handed over')
  if (choice.type === 'drop') return refuse(engine, packet, choice, now)
  return carry(engine, packet, datagram, choice, now)
}

function carry(
  engine: EngineState,
  packet: IpPacket,
  datagram: Datagram | undefined,
  choice: Carry,
  now: number,
): boolean {
  const { state, tunnel, mtu } = choice
  if (tunnel.clampMss) clampMss(packet, mssFor(packet.version, mtu))
  // A path that cannot carry the 1,280 bytes of every IPv6 link gets them all the same, to be cut outside.
  const limit = packet.version === 6 ? Math.max(mtu, IPV6_MIN_MTU) : mtu
  const whole = packet.bytes.length <= limit
  if (!whole && packet.dontFragment && datagram === undefined) return answerTooBig(engine, packet, choice, now)
  const pieces = whole ? [packet.bytes] : piecesOf(packet, datagram, limit)
  if (pieces === undefined) return drop(engine, DROP_TOO_BIG, state)
  if (pieces.length > OUTBOX) return drop(engine, DROP_OUTBOX_FULL, state)
  if (pieces.length > engine.memory.wireTx.room) return false
  if (!hasRoomFor(state.sa, usageOf(state), pieces.length)) {
    stop(engine, state)
    return drop(engine, DROP_HARD_LIMIT, state)
  }
  const nextHeader = packet.version === 4 ? NEXT_IPV4 : NEXT_IPV6
  const tos = outerTos(packet.tos, tunnel.copyDscp)
  for (const piece of pieces) sendPiece(engine, state, nextHeader, piece, tos, now)
  return true
}

/** A packet with next header 59, on this SA. Returns false where that is at its limit. */
export function sealDummy(engine: EngineState, state: OutboundState, content: Uint8Array, now: number): boolean {
  if (!hasRoomFor(state.sa, usageOf(state), 1)) {
    stop(engine, state)
    return !drop(engine, DROP_HARD_LIMIT, state)
  }
  sendPiece(engine, state, NEXT_NONE, content, 0, now)
  return true
}

function piecesOf(packet: IpPacket, datagram: Datagram | undefined, mtu: number): Uint8Array[] | undefined {
  return packet.version === 4 ? fragmentIpv4(packet, mtu) : fragmentIpv6(packet.bytes, datagram!.place!, mtu)
}

function answerTooBig(engine: EngineState, packet: IpPacket, choice: Carry, now: number): true {
  engine.tally.drop(DROP_TOO_BIG, choice.state.tally)
  return answer(engine, packet, tooBigAnswer(packet, choice.mtu, ownFor(engine, packet)), now)
}

/** The packet had no hop left. */
export function answerTimeExceeded(engine: EngineState, packet: IpPacket, now: number): true {
  return answer(engine, packet, timeExceededAnswer(packet, ownFor(engine, packet)), now)
}

/** The source of an answer that goes into a tunnel. */
function ownFor(engine: EngineState, { source }: IpPacket): Uint8Array | undefined {
  if (engine.via === undefined || !leadsToTunnels(engine, source)) return undefined
  return engine.own.find((own) => own.length === source.length)
}

export function leadsToTunnels({ routes, tables }: EngineState, destination: Uint8Array): boolean {
  const group = routes.lookup(destination)
  return group !== undefined && tables.members(group).length > 0
}

function answer(engine: EngineState, packet: IpPacket, message: Uint8Array, now: number): true {
  if (!mayAnswer(packet)) return true
  if (!engine.icmpRate.take(now)) return drop(engine, DROP_ICMP_RATE)
  engine.memory.lanTx.push(message)
  return true
}

function sendPiece(
  engine: EngineState,
  state: OutboundState,
  nextHeader: number,
  inner: Uint8Array,
  tos: number,
  now: number,
): void {
  state.sequence++
  engine.memory.wireTx.send(sealEsp(state.sa, state.sequence, nextHeader, inner), state.sa.endpoint, tos)
  state.tally.passed(nextHeader === NEXT_NONE ? 0 : inner.length, now)
  if (!state.softReported && softReached(state.sa, usageOf(state))) {
    state.softReported = true
    engine.tally.event({ type: 'soft-limit', sa: state.handle })
  }
  if (hardReached(state.sa, usageOf(state))) stop(engine, state)
}

function stop(engine: EngineState, state: OutboundState): void {
  if (state.stopped) return
  state.stopped = true
  engine.tally.event({ type: 'hard-limit', sa: state.handle })
}

function usageOf(state: OutboundState): Usage {
  return { packets: state.tally.packets, bytes: state.tally.bytes, sequence: state.sequence }
}
