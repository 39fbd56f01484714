/** LAN to wire from a device that hands over super-packets, each segment then on the way of any packet. */
import { DROP_BAD_OFFLOAD, DROP_OVERSIZED, DROP_TOO_BIG, LARGE_PACKET, VNET_HEADER } from '../abi.ts'
import { chooseSa } from './choose.ts'
import { IPV6_MIN_MTU } from './icmp.ts'
import { type IpPacket, isFault, PROTO_TCP, parseIp } from './ip.ts'
import { type HandOver, refuse, sealPacket } from './seal-path.ts'
import { segments } from './segment.ts'
import type { EngineState } from './state.ts'
import { GSO_NONE, readVnet, superHeaders, type VnetHeader, withChecksum } from './vnet.ts'

/**
 * False when the outbox has no room for it or for the rest of it; the next call goes on with that slot.
 * @param mayHandOver see `sealPacket`
 */
export function sealLarge(
  engine: EngineState,
  slot: number,
  input: Uint8Array,
  now: number,
  mayHandOver: boolean,
): boolean | HandOver {
  if (input.length < VNET_HEADER) return drop(engine, DROP_BAD_OFFLOAD)
  const header = readVnet(input)
  const bytes = input.slice(VNET_HEADER)
  if (bytes.length > LARGE_PACKET) return drop(engine, DROP_OVERSIZED)
  if (header.type === GSO_NONE) {
    const complete = withChecksum(bytes, header)
    return complete === undefined ? drop(engine, DROP_BAD_OFFLOAD) : sealPacket(engine, complete, now, mayHandOver)
  }
  const packet = parseIp(bytes)
  if (isFault(packet)) return drop(engine, packet.fault)
  const headers = superHeaders(packet, header)
  if (headers === undefined) return drop(engine, DROP_BAD_OFFLOAD)
  const fresh = engine.begun?.slot !== slot
  const done = sealSuper(engine, slot, packet, headers, header, now, mayHandOver && fresh)
  if (done !== false) engine.begun = undefined
  return done
}

function drop(engine: EngineState, reason: number): true {
  engine.tally.drop(reason)
  return true
}

function sealSuper(
  engine: EngineState,
  slot: number,
  packet: IpPacket,
  headers: number,
  header: VnetHeader,
  now: number,
  mayHandOver: boolean,
): boolean | HandOver {
  const choice = chooseSa(engine.tables, engine.routes, packet, mayHandOver)
  if (choice.type === 'hand-over') return { worker: choice.worker }
  if (choice.type === 'drop') return refuse(engine, packet, choice, now)
  const limit = packet.version === 6 ? Math.max(choice.mtu, IPV6_MIN_MTU) : choice.mtu
  const begun = engine.begun?.slot === slot ? engine.begun : { slot, sealed: 0, size: header.size }
  if (begun.sealed === 0 && packet.protocol === PROTO_TCP && begun !== engine.begun) {
    if (headers >= limit) {
      engine.tally.drop(DROP_TOO_BIG, choice.state.tally)
      return true
    }
    // A stream may be cut finer than its host asked for, where the path is narrower than it knew.
    begun.size = Math.min(begun.size, limit - headers)
  }
  engine.begun = begun
  for (const segment of segments(packet, headers, begun.size).slice(begun.sealed)) {
    if (engine.memory.wireTx.room === 0 || !sealPacket(engine, segment, now, false)) return false
    begun.sealed++
  }
  return true
}
