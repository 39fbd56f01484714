/**
 * Packets for the LAN that follow one another in a flow, as one super-packet, which crosses the kernel's stack once.
 * What leaves it is what came: cut apart again it gives the same packets, in the same order within their flow. A
 * packet whose checksum is wrong is never part of one, because the kernel would make a right checksum of it.
 */
import { COALESCE_BUFFERS, COALESCE_DATAGRAMS, COALESCE_FLOWS, LARGE_BYTES, LARGE_PACKET, VNET_HEADER } from '../abi'
import { COALESCED, LAN_TX_COUNT } from './arena'
import { copySum, fold, pseudoSum, sumWords } from './checksum'
import { PACKET, PROTOCOL_TCP, PROTOCOL_UDP, load16, setIpv4Checksum, store16 } from './ip'
import { lanHeader, pushLan, setLanEntry } from './outbox'
import { checksumOffset, writeSuperHeader } from './vnet'

const TCP_HEADER: u32 = 20
const UDP_HEADER: u32 = 8
const PSH: u32 = 8
const ACK: u32 = 0x10
const ECE: u32 = 0x40
const DONT_FRAGMENT: u32 = 0x4000
/** Room for the virtio_net_hdr, and then alignment. */
const HEADROOM: usize = 16

/** A flow that the next packet may join. */
@unmanaged
class Flow {
  sourceHigh: u64
  sourceLow: u64
  destinationHigh: u64
  destinationLow: u64
  sourcePort: u32
  destinationPort: u32
  version: u32
  protocol: u32
  /** The packet: the first as it came, and with more than one the super-packet so far. */
  start: usize
  length: u32
  /** Bytes of IP and transport headers, and of payload in every packet but a shorter last. */
  headers: u32
  size: u32
  packets: u32
  /** Entry of the LAN outbox. */
  entry: u32
}

const FLOW_STRIDE: u32 = 96
const FLOWS: usize = memory.data(COALESCE_FLOWS * 96, 16)
if (offsetof<Flow>() > FLOW_STRIDE) ERROR('flow record too long')

/** Open flows, in the order in which they were opened. */
let flows: u32 = 0
let buffers: u32 = 0
/** Whether the device takes runs of datagrams. */
let takesDatagrams: bool = false

// @ts-ignore: decorator
@inline
function flowAt(index: u32): Flow {
  return changetype<Flow>(FLOWS + index * FLOW_STRIDE)
}

export function setCoalescing(datagrams: bool): void {
  takesDatagrams = datagrams
}

export function emptyCoalescer(): void {
  flows = 0
  buffers = 0
}

/** At the end of a batch. */
export function finishCoalescing(): void {
  while (flows != 0) close(flows - 1)
}

/** Hands the parsed packet to the LAN, which must have room, by itself or as part of another entry. */
export function deliverLan(): void {
  if (!lanHeader || (PACKET.protocol != PROTOCOL_TCP && PACKET.protocol != PROTOCOL_UDP)) {
    pushLan(PACKET.start, PACKET.length)
    return
  }
  const headers = headersToJoin()
  const position = headers == 0 ? -1 : find()
  if (position >= 0) {
    if (join(flowAt(position), headers)) {
      if (isLast(flowAt(position), headers)) close(position)
      return
    }
    close(position)
  } else closeFlow()
  pushLan(PACKET.start, PACKET.length)
  if (headers != 0 && !hasPush()) open(headers)
}

/** No packet may join what the parsed packet, if it is of the same flow, comes after. */
export function closeFlow(): void {
  for (let i = flows; i != 0; i--) {
    const flow = flowAt(i - 1)
    if (!sameHosts(flow)) continue
    if (PACKET.hasPorts && !samePorts(flow)) continue
    close(i - 1)
  }
}

/** Bytes of headers of the parsed packet, or 0 if it is not of the kind that may be joined. */
function headersToJoin(): u32 {
  const ip: u32 = PACKET.version == 4 ? 20 : 40
  if (PACKET.fragment || !PACKET.hasPorts || PACKET.headerLength != ip) return 0
  const transport = PACKET.start + ip
  const available = PACKET.length - ip
  if (PACKET.protocol == PROTOCOL_UDP) {
    if (!takesDatagrams || available <= UDP_HEADER || load16(transport + 4) != available) return 0
    return load<u16>(transport, 6) == 0 ? 0 : ip + UDP_HEADER
  }
  if (available <= TCP_HEADER) return 0
  const length = (<u32>load<u8>(transport, 12) >> 4) << 2
  if (length < TCP_HEADER || length >= available) return 0
  return (load<u8>(transport, 13) & ~(PSH | ECE)) == ACK ? ip + length : 0
}

function hasPush(): bool {
  return PACKET.protocol == PROTOCOL_TCP && (load<u8>(PACKET.start + PACKET.headerLength, 13) & PSH) != 0
}

// @ts-ignore: decorator
@inline
function sameHosts(flow: Flow): bool {
  return (
    flow.sourceHigh == PACKET.sourceHigh &&
    flow.destinationHigh == PACKET.destinationHigh &&
    flow.sourceLow == PACKET.sourceLow &&
    flow.destinationLow == PACKET.destinationLow &&
    flow.version == PACKET.version &&
    flow.protocol == PACKET.protocol
  )
}

// @ts-ignore: decorator
@inline
function samePorts(flow: Flow): bool {
  return flow.sourcePort == PACKET.sourcePort && flow.destinationPort == PACKET.destinationPort
}

function find(): i32 {
  for (let i = flows; i != 0; i--) if (samePorts(flowAt(i - 1)) && sameHosts(flowAt(i - 1))) return i - 1
  return -1
}

/** The entry that was pushed last is the first packet of a flow. */
function open(headers: u32): void {
  if (flows == <u32>COALESCE_FLOWS) close(0)
  const flow = flowAt(flows++)
  flow.sourceHigh = PACKET.sourceHigh
  flow.sourceLow = PACKET.sourceLow
  flow.destinationHigh = PACKET.destinationHigh
  flow.destinationLow = PACKET.destinationLow
  flow.sourcePort = PACKET.sourcePort
  flow.destinationPort = PACKET.destinationPort
  flow.version = PACKET.version
  flow.protocol = PACKET.protocol
  flow.start = PACKET.start
  flow.length = PACKET.length
  flow.headers = headers
  flow.size = PACKET.length - headers
  flow.packets = 1
  flow.entry = load<u32>(LAN_TX_COUNT) - 1
}

/** Puts the parsed packet behind those of the flow. Returns false, and has changed nothing, if it must not be there. */
function join(flow: Flow, headers: u32): bool {
  const size = PACKET.length - headers
  if (headers != flow.headers || size > flow.size || flow.length + size > <u32>LARGE_PACKET) return false
  if (!follows(flow)) return false
  let target = flow.start
  if (flow.packets == 1) {
    if (buffers == COALESCE_BUFFERS) return false
    target = COALESCED + buffers * LARGE_BYTES + HEADROOM
    memory.copy(target, flow.start, headers)
    if (!copyVerified(target + headers, flow.start, headers, flow.size)) return false
  }
  if (!copyVerified(target + flow.length, PACKET.start, headers, size)) return false
  if (flow.packets == 1) buffers++
  flow.start = target
  flow.length += size
  flow.packets++
  return true
}

/** Whether but for what segmentation would make of it the headers are those of the flow's next packet. */
function follows(flow: Flow): bool {
  const start = PACKET.start
  const first = flow.start
  if (flow.version == 4) {
    if (load<u16>(start) != load<u16>(first) || load<u32>(start, 6) != load<u32>(first, 6)) return false
    const id = (load16(first + 4) + flow.packets) & 0xffff
    // The identification of what is never cut says nothing (RFC 6864 section 4.1).
    if (load16(start + 4) != id && (load16(start + 6) & DONT_FRAGMENT) == 0) return false
  } else if (load<u32>(start) != load<u32>(first) || load<u16>(start, 6) != load<u16>(first, 6)) return false
  const ip = PACKET.headerLength
  return flow.protocol == PROTOCOL_TCP ? tcpFollows(flow, start + ip, first + ip) : flow.packets < <u32>COALESCE_DATAGRAMS
}

function tcpFollows(flow: Flow, tcp: usize, first: usize): bool {
  const expected = bswap<u32>(load<u32>(first, 4)) + flow.length - flow.headers
  if (bswap<u32>(load<u32>(tcp, 4)) != expected || load<u32>(tcp, 8) != load<u32>(first, 8)) return false
  // Header length, flags and window; then urgent pointer and options.
  if (((load<u32>(tcp, 12) ^ load<u32>(first, 12)) & ~(PSH << 8)) != 0) return false
  if (load<u16>(tcp, 18) != load<u16>(first, 18)) return false
  const end = flow.headers - PACKET.headerLength
  for (let at = TCP_HEADER; at < end; at += 4) if (load<u32>(tcp + at) != load<u32>(first + at)) return false
  return true
}

/** Copies the payload of the packet at `start`, of the parsed one's flow. Returns whether its checksum is right. */
function copyVerified(target: usize, start: usize, headers: u32, size: u32): bool {
  const ip = PACKET.headerLength
  const payload = copySum(target, start + headers, size)
  const pseudo = pseudoSum(start, PACKET.version, PACKET.protocol, headers - ip + size)
  return fold(pseudo + sumWords(start + ip, headers - ip) + payload) == 0xffff
}

/** Whether nothing may follow the parsed packet, which has just joined. */
function isLast(flow: Flow, headers: u32): bool {
  if (hasPush()) {
    const flags = flow.start + PACKET.headerLength + 13
    store<u8>(flags, load<u8>(flags) | <u8>PSH)
    return true
  }
  return PACKET.length - headers < flow.size
}

/** Takes the flow out, and of more than one packet makes the super-packet that they are. */
function close(index: u32): void {
  const flow = flowAt(index)
  if (flow.packets > 1) finish(flow)
  flows--
  memory.copy(FLOWS + index * FLOW_STRIDE, FLOWS + (index + 1) * FLOW_STRIDE, (flows - index) * FLOW_STRIDE)
}

function finish(flow: Flow): void {
  const start = flow.start
  const ip: u32 = flow.version == 4 ? 20 : 40
  if (flow.version == 4) {
    store16(start + 2, flow.length)
    setIpv4Checksum(start, ip)
  } else store16(start + 4, flow.length - ip)
  const transport = start + ip
  if (flow.protocol == PROTOCOL_UDP) store16(transport + 4, flow.length - ip)
  const partial = fold(pseudoSum(start, flow.version, flow.protocol, flow.length - ip))
  store<u16>(transport + checksumOffset(flow.protocol), <u16>partial)
  writeSuperHeader(start - VNET_HEADER, flow.version, flow.protocol, flow.headers, flow.size)
  setLanEntry(flow.entry, start, flow.length)
}
