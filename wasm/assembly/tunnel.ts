/** Tunnels, next-hop groups and endpoints: small fixed records that control calls write. */
import { MAX_ENDPOINTS, MAX_GROUP_MEMBERS, MAX_GROUPS, MAX_INNER, MAX_TUNNEL_SAS, MAX_TUNNELS } from '../abi'
import { CONTROL_HANDLES, ENDPOINT_OVERHEADS, GROUP_STRIDE, GROUPS, TUNNEL_STRIDE, TUNNELS } from './arena'
import { Sa, SA_OUTBOUND, saAt, saByHandle, saIndex } from './sa'

/** ESP header, IV and ICV: what every ESP packet adds besides padding, pad length and next header. */
export const ESP_OVERHEAD: u32 = 32

@unmanaged
export class Tunnel {
  active: bool
  clampMss: bool
  copyDscp: bool
  noSaRaised: bool
  pathMtu: u32
  saCount: u32
  /** 1 more than the worker that carries what no SA here does, or 0. */
  handOver: u32
  /** Passed over while another member of the group takes the packet. */
  down: bool
  /** What came by it may leave by another that has this, and the other way round. */
  transit: bool
  /** REVERSE_PATH_ */
  reversePath: u8
  noSaAt: f64
  /** Packets that came by it and were sent on by another. */
  sentOn: u64
  /** Packets that came by it and whose source leads elsewhere. */
  asymmetric: u64
  // Then MAX_TUNNEL_SAS SA indices of 4 bytes.
}

if (offsetof<Tunnel>() + MAX_TUNNEL_SAS * 4 > TUNNEL_STRIDE) ERROR('tunnel record too long')

// @ts-ignore: decorator
@inline
export function tunnelAt(index: u32): Tunnel {
  return changetype<Tunnel>(TUNNELS + index * TUNNEL_STRIDE)
}

// @ts-ignore: decorator
@inline
function saSlot(tunnel: Tunnel, position: u32): usize {
  return changetype<usize>(tunnel) + offsetof<Tunnel>() + (position << 2)
}

// @ts-ignore: decorator
@inline
export function tunnelSa(tunnel: Tunnel, position: u32): Sa {
  return saAt(load<u32>(saSlot(tunnel, position)))
}

/** Whether routes have ever been asked for about what is opened. */
export let looksUp: bool = false

/** One more than the highest tunnel that was ever set. */
let tunnelsUsed: u32 = 0

/** Takes `count` handles from the control area. Returns false when one is no outbound SA. */
export function putTunnel(
  index: u32,
  pathMtu: u32,
  clampMss: bool,
  copyDscp: bool,
  handOver: u32,
  down: bool,
  transit: bool,
  reversePath: u32,
  count: u32,
): bool {
  if (index >= <u32>MAX_TUNNELS || count > <u32>MAX_TUNNEL_SAS) return false
  for (let i: u32 = 0; i < count; i++) {
    const sa = saByHandle(load<u32>(CONTROL_HANDLES + (i << 2)))
    if (sa == null || sa.kind != SA_OUTBOUND) return false
  }
  const tunnel = tunnelAt(index)
  leavePlaces(tunnel)
  tunnel.active = true
  tunnel.clampMss = clampMss
  tunnel.copyDscp = copyDscp
  tunnel.pathMtu = pathMtu
  tunnel.handOver = handOver
  tunnel.down = down
  tunnel.transit = transit
  tunnel.reversePath = <u8>reversePath
  if (transit || reversePath != 0) looksUp = true
  tunnel.saCount = count
  for (let i: u32 = 0; i < count; i++) {
    const sa = saByHandle(load<u32>(CONTROL_HANDLES + (i << 2)))
    if (sa == null) continue
    store<u32>(saSlot(tunnel, i), saIndex(sa))
    sa.places++
  }
  tunnelsUsed = max<u32>(tunnelsUsed, index + 1)
  return true
}

export function dropTunnel(index: u32): void {
  if (index >= <u32>MAX_TUNNELS) return
  leavePlaces(tunnelAt(index))
  memory.fill(TUNNELS + index * TUNNEL_STRIDE, 0, TUNNEL_STRIDE)
}

function leavePlaces(tunnel: Tunnel): void {
  for (let i: u32 = 0; i < tunnel.saCount; i++) tunnelSa(tunnel, i).places--
}

/** Takes an SA out of all tunnels; its own, where it mostly is, first. */
export function forgetSa(sa: Sa): void {
  const index = saIndex(sa)
  forgetIn(sa.tunnel, sa, index)
  for (let tunnel: u32 = 0; tunnel < tunnelsUsed && sa.places != 0; tunnel++) forgetIn(tunnel, sa, index)
}

function forgetIn(number: u32, sa: Sa, index: u32): void {
  const tunnel = tunnelAt(number)
  let kept: u32 = 0
  for (let i: u32 = 0; i < tunnel.saCount; i++) {
    const member = load<u32>(saSlot(tunnel, i))
    if (member == index) sa.places--
    else store<u32>(saSlot(tunnel, kept++), member)
  }
  tunnel.saCount = kept
}

/**
 * Of a group: a head of 32 bits, with the count of its members in the low 8, the DROP_ reason of a group that refuses in
 * the next, and a bit for one with weights; MAX_GROUP_MEMBERS tunnel numbers of 32 bits; as many weights of 8.
 */
export const GROUP_COUNT_MASK: u32 = 0xff
const GROUP_WEIGHTED: u32 = 1 << 16
const GROUP_WEIGHTS: u32 = 4 + MAX_GROUP_MEMBERS * 4

if (GROUP_WEIGHTS + MAX_GROUP_MEMBERS > GROUP_STRIDE) ERROR('group record too long')

/** Takes `count` tunnel numbers from the control area, and behind the last that may be there as many weights. */
export function putGroup(index: u32, count: u32, weighted: bool): bool {
  if (index >= <u32>MAX_GROUPS || count > <u32>MAX_GROUP_MEMBERS) return false
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(CONTROL_HANDLES + (i << 2)) >= <u32>MAX_TUNNELS) return false
  }
  const group = GROUPS + index * GROUP_STRIDE
  store<u32>(group, count | (weighted ? GROUP_WEIGHTED : 0))
  memory.copy(group + 4, CONTROL_HANDLES, count << 2)
  for (let i: u32 = 0; i < count; i++) {
    store<u8>(group + GROUP_WEIGHTS + i, <u8>load<u32>(CONTROL_HANDLES + ((MAX_GROUP_MEMBERS + i) << 2)))
  }
  return true
}

/** A group that drops for `reason`. */
export function putRefusal(index: u32, reason: u32): bool {
  if (index >= <u32>MAX_GROUPS) return false
  store<u32>(GROUPS + index * GROUP_STRIDE, reason << 8)
  return true
}

// @ts-ignore: decorator
@inline
export function groupHead(index: u32): u32 {
  return load<u32>(GROUPS + index * GROUP_STRIDE)
}

/** The reason for which a group with this head refuses, or 0. */
// @ts-ignore: decorator
@inline
export function groupRefusal(head: u32): u32 {
  return (head >> 8) & 0xff
}

// @ts-ignore: decorator
@inline
export function isWeightedGroup(head: u32): bool {
  return (head & GROUP_WEIGHTED) != 0
}

/** Where its tunnel numbers are. */
// @ts-ignore: decorator
@inline
export function groupMembers(index: u32): usize {
  return GROUPS + index * GROUP_STRIDE + 4
}

// @ts-ignore: decorator
@inline
export function groupWeight(index: u32, position: u32): u32 {
  return load<u8>(GROUPS + index * GROUP_STRIDE + GROUP_WEIGHTS + position)
}

export function putEndpoint(index: u32, overhead: u32): bool {
  if (index >= <u32>MAX_ENDPOINTS) return false
  store<u8>(ENDPOINT_OVERHEADS + index, <u8>overhead)
  return true
}

export function endpointOverhead(index: u32): u32 {
  return load<u8>(ENDPOINT_OVERHEADS + index)
}

/**
 * Largest inner packet that fits the path of a tunnel in one ESP packet of this SA (RFC 4303 section 2.4:
 * the trailer aligns to 4 bytes), or 0 while tunnel or endpoint are not set.
 */
export function innerMtuOf(sa: Sa, tunnel: Tunnel): u32 {
  const overhead = endpointOverhead(sa.endpoint)
  if (!tunnel.active || overhead == 0) return 0
  const room = ((tunnel.pathMtu - overhead - ESP_OVERHEAD) & ~3) - 2
  return min<u32>(room, MAX_INNER)
}
