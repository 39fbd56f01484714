/** The order in which a packet tries the members of its group: traffic classes, weighted flows, tunnels that are down. */
import { MAX_TUNNELS } from '../abi.ts'
import type { TunnelHandle } from '../packet-engine.ts'
import type { CheckedClass, CheckedMatch, MatchPrefix } from '../steering-arguments.ts'
import { type IpPacket, PROTO_SCTP, PROTO_TCP, PROTO_UDP, portsOf } from './ip.ts'

/** Of a group that carries packets. */
export interface Member {
  readonly tunnel: TunnelHandle
  /** Undefined in a group whose order is that of its members. */
  readonly weight: number | undefined
}

export interface Steering {
  readonly classes: readonly CheckedClass[]
  readonly flowSeed: number
  isDown(tunnel: TunnelHandle): boolean
}

export function inTurn(packet: IpPacket, members: readonly Member[], steering: Steering): TunnelHandle[] {
  const prefer = steering.classes.find(({ matches }) => matches.some((match) => takes(match, packet)))?.prefer ?? []
  const place = ({ tunnel }: Member) => (prefer.includes(tunnel) ? prefer.indexOf(tunnel) : MAX_TUNNELS)
  const down = ({ tunnel }: Member) => Number(steering.isDown(tunnel))
  const flow = flowHash(packet, steering.flowSeed)
  const cost = ({ tunnel }: Member) => memberCost(flow, tunnel)
  const byWeight = (left: Member, right: Member) =>
    left.weight === undefined || right.weight === undefined ? 0 : cost(left) * right.weight - cost(right) * left.weight
  return [...members]
    .sort((left, right) => down(left) - down(right) || place(left) - place(right) || byWeight(left, right))
    .map(({ tunnel }) => tunnel)
}

function takes(match: CheckedMatch, packet: IpPacket): boolean {
  const { version, protocol, dscp, ports } = match
  if (version !== 0 && version !== packet.version) return false
  if (protocol !== undefined && protocol !== packet.protocol) return false
  if (dscp !== undefined && dscp !== packet.tos >> 2) return false
  if (!covers(match.source, packet.source) || !covers(match.destination, packet.destination)) return false
  if (ports === undefined) return true
  const seen = flowPorts(packet)
  if (seen === undefined) return false
  const { source, destination } = ports
  if (seen.source < source.start || seen.source > source.end) return false
  return seen.destination >= destination.start && seen.destination <= destination.end
}

function covers(prefix: MatchPrefix | undefined, address: Uint8Array): boolean {
  if (prefix === undefined) return true
  for (let bit = 0; bit < prefix.bits; bit++) {
    if (((prefix.address[bit >> 3]! ^ address[bit >> 3]!) << (bit & 7)) & 0x80) return false
  }
  return true
}

/** Ports that every packet of the flow shows. */
function flowPorts(packet: IpPacket): { source: number; destination: number } | undefined {
  if (packet.fragment !== undefined) return undefined
  return [PROTO_TCP, PROTO_UDP, PROTO_SCTP].includes(packet.protocol) ? portsOf(packet) : undefined
}

const MASK = (1n << 64n) - 1n

/** A permutation of 64 bits. */
function scramble(key: bigint): bigint {
  let x = key
  for (let round = 0; round < 2; round++) x = ((x ^ (x >> 32n)) * 0xd6e8feb86659fd93n) & MASK
  return x ^ (x >> 32n)
}

function flowHash(packet: IpPacket, seed: number): bigint {
  const both = numberOf(packet.source, packet.destination)
  let hash = BigInt(seed)
  for (let shift = packet.version === 4 ? 0n : 192n; shift >= 0n; shift -= 64n) {
    hash = scramble(hash ^ ((both >> shift) & MASK))
  }
  const { source, destination } = flowPorts(packet) ?? { source: 0, destination: 0 }
  return scramble(hash ^ ((BigInt(packet.protocol) << 32n) | BigInt(source * 0x10000 + destination)))
}

function numberOf(...parts: readonly Uint8Array[]): bigint {
  return parts.flatMap((bytes) => [...bytes]).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

/** In the unit of the costs there are so many to one power of two. */
const UNIT = 2 ** 20
const STEPS = 256

function stepLog(step: number): number {
  return Math.floor(Math.log2(1 + step / STEPS) * UNIT)
}

/** -log2 of a hash as a fraction of 2^32, with straight lines between the steps of each power of two. */
function memberCost(flow: bigint, tunnel: TunnelHandle): number {
  const hash = Number(scramble((flow + BigInt(tunnel) * 0x9e3779b97f4a7c15n) & MASK) >> 32n)
  const value = Math.max(hash, 1)
  const power = 31 - Math.clz32(value)
  const position = (value / 2 ** power - 1) * STEPS
  const step = Math.floor(position)
  const log = stepLog(step) + Math.floor((stepLog(step + 1) - stepLog(step)) * (position - step))
  return (32 - power) * UNIT - log
}
