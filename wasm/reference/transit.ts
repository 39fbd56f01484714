/** From one tunnel to another: what goes on, what it loses on the way, and who answers. */
import { DROP_TTL_EXCEEDED, VERDICT_DROPPED, VERDICT_TRANSIT } from '../abi.ts'
import type { TunnelHandle } from '../packet-engine.ts'
import { getU16, setU16, updateChecksum } from './bytes.ts'
import { leadsOn } from './choose.ts'
import { type IpPacket, isFault, parseIp } from './ip.ts'
import { answerTimeExceeded, leadsToTunnels, sealPacket } from './seal-path.ts'
import type { EngineState } from './state.ts'
import type { InboundState } from './tables.ts'

/** Whether the packet, which came by tunnel `from`, goes on by another. */
export function goesOn({ tables, routes }: EngineState, from: TunnelHandle, packet: IpPacket): boolean {
  const group = routes.lookup(packet.destination)
  if (tables.tunnel(from)?.transit !== true || group === undefined) return false
  return tables.members(group).some((member) => leadsOn(tables, from, member))
}

/** Takes one hop off (RFC 1812 section 5.3.1, RFC 8200 section 3), in place. False when there is none left. */
export function takeHop({ version, bytes }: IpPacket): boolean {
  const at = version === 4 ? 8 : 7
  if (bytes[at]! <= 1) return false
  const before = getU16(bytes, 8)
  bytes[at]!--
  if (version === 4) setU16(bytes, 10, updateChecksum(getU16(bytes, 10), before, getU16(bytes, 8)))
  return true
}

/** Has pieces of one packet, whose hop is taken, go on. Returns VERDICT_*. */
export function passOn(
  engine: EngineState,
  state: InboundState,
  pieces: readonly Uint8Array[],
  alive: boolean,
): number {
  const { transit } = engine.memory
  // The first piece is enough to answer.
  for (const piece of alive ? pieces : pieces.slice(0, 1)) transit.pass(piece, state.sa.tunnel, !alive)
  if (alive) return VERDICT_TRANSIT
  engine.tally.drop(DROP_TTL_EXCEEDED, state.tally)
  return VERDICT_DROPPED
}

/** Returns how many packets were consumed. */
export function sealTransit(engine: EngineState, now: number): number {
  const { transit } = engine.memory
  const first = transit.next
  for (; transit.next < transit.count; transit.next++) {
    const entry = transit.next
    const from = transit.via[entry]! - 1
    const passed = sealOnward(
      engine,
      { bytes: transit.packet(entry), from, expired: transit.expired[entry] === 1 },
      now,
      true,
    )
    if (passed === undefined) break
    transit.handOver[entry] = passed.handOver
    if (passed.answer === undefined) continue
    transit.replace(entry, passed.answer)
    transit.via[entry] = 0
  }
  return transit.next - first
}

export interface Onward {
  readonly bytes: Uint8Array
  readonly from: TunnelHandle
  readonly expired: boolean
}

/** `answer`: what went to the source instead. `handOver` is 1 more than the worker that has to seal it, or 0. */
export interface Passed {
  readonly handOver: number
  readonly answer: Uint8Array | undefined
}

/** Undefined when the packet has to wait for emptier outboxes. */
export function sealOnward(
  engine: EngineState,
  { bytes, from, expired }: Onward,
  now: number,
  mayHandOver: boolean,
): Passed | undefined {
  const { lanTx, wireTx } = engine.memory
  if (lanTx.room === 0 || wireTx.room === 0) return undefined
  const before = { lan: lanTx.count, wire: wireTx.count }
  engine.via = from
  const outcome = expired ? answerExpired(engine, bytes, now) : sealPacket(engine, bytes, now, mayHandOver)
  engine.via = undefined
  if (outcome === false) return undefined
  if (wireTx.count > before.wire) engine.tables.tunnelTally(from).transit++
  const answered =
    lanTx.count > before.lan && leadsToTunnels(engine, destinationOf(lanTx.packet(before.lan), lanTx.header))
  if (!answered) return { handOver: outcome === true ? 0 : outcome.worker + 1, answer: undefined }
  const answer = lanTx.takeBack()
  const turned = sealPacket(engine, answer, now, true)
  return { handOver: typeof turned === 'boolean' ? 0 : turned.worker + 1, answer }
}

function answerExpired(engine: EngineState, bytes: Uint8Array, now: number): boolean {
  const packet = parseIp(bytes)
  return isFault(packet) || answerTimeExceeded(engine, packet, now)
}

function destinationOf(packet: Uint8Array, header: Uint8Array): Uint8Array {
  const parsed = parseIp(packet.subarray(header.length))
  if (isFault(parsed)) throw new Error('an answer that is no packet')
  return parsed.destination
}
