/** Security associations: one record each, handles with a generation so that a stale one names nothing. */
import { MAX_SAS, MAX_SELECTORS, MAX_TUNNELS } from '../abi'
import { AEAD_CTX_BYTES, aeadInit, aeadWipe } from './aead'
import {
  AEAD_CONTEXTS,
  CONTROL_ADDRESSES,
  CONTROL_KEY,
  CONTROL_NONCE,
  SA_DROPS_BYTES,
  SA_GENERATIONS,
  SA_RECORD_BYTES,
  SA_SELECTORS_BYTES,
  SA_STRIDE,
  SAS,
  SELECTOR_BYTES,
} from './arena'
import { Selector, selectorReadsPorts } from './policy'
import { resetWindow } from './replay'
import { spiInsert, spiLookup, spiRemove } from './spi-table'
import { forgetSa } from './tunnel'

export const SA_FREE: u8 = 0
export const SA_INBOUND: u8 = 1
export const SA_OUTBOUND: u8 = 2
export const SA_AEAD: u8 = 3

const GENERATION_MASK: u32 = 0x3ffff
const INDEX_BITS: u32 = 12

/** At most SA_RECORD_BYTES; `salt`, `iv` and then `aad` must stay in this order and without gaps. */
@unmanaged
export class Sa {
  kind: u8
  suite: u8
  esn: bool
  /** Past a hard limit. */
  stopped: bool
  softRaised: bool
  /** Some selector asks for ports, so fragments have to be reassembled. */
  readsPorts: bool
  localCount: u8
  remoteCount: u8
  spi: u32
  tunnel: u32
  endpoint: u32
  window: u32
  handle: u32
  context: usize
  /** Outbound: last number used. Inbound: highest number received. */
  sequence: u64
  packets: u64
  bytes: u64
  lastAt: f64
  softPackets: f64
  hardPackets: f64
  softBytes: f64
  hardBytes: f64
  /** Inbound: where the highest packets come from; 0 while not known. */
  peerHead: u32
  reserved: u32
  peerHigh: u64
  peerLow: u64
  /** The 12-byte nonce: salt and IV (RFC 4106 section 4). */
  padding: u32
  salt: u32
  ivHigh: u32
  ivLow: u32
  /** SPI and 64-bit sequence number under ESN (RFC 4106 section 5). */
  aadSpi: u32
  aadHigh: u32
  aadLow: u32
}

if (offsetof<Sa>() > SA_RECORD_BYTES) ERROR('SA record too long')

// @ts-ignore: decorator
@inline
export function saAt(index: u32): Sa {
  return changetype<Sa>(SAS + index * SA_STRIDE)
}

// @ts-ignore: decorator
@inline
export function nonceOf(sa: Sa): usize {
  return changetype<usize>(sa) + offsetof<Sa>('salt')
}

// @ts-ignore: decorator
@inline
export function esnAadOf(sa: Sa): usize {
  return changetype<usize>(sa) + offsetof<Sa>('aadSpi')
}

// @ts-ignore: decorator
@inline
export function localSelectors(sa: Sa): usize {
  return changetype<usize>(sa) + SA_RECORD_BYTES + SA_DROPS_BYTES
}

// @ts-ignore: decorator
@inline
export function remoteSelectors(sa: Sa): usize {
  return localSelectors(sa) + <usize>MAX_SELECTORS * SELECTOR_BYTES
}

// @ts-ignore: decorator
@inline
export function windowOf(sa: Sa): usize {
  return localSelectors(sa) + SA_SELECTORS_BYTES
}

/** The live SA behind a handle, or null. */
export function saByHandle(handle: u32): Sa | null {
  const index = handle & (MAX_SAS - 1)
  const sa = saAt(index)
  return sa.kind != SA_FREE && sa.handle == handle ? sa : null
}

export function saIndex(sa: Sa): u32 {
  return sa.handle & (MAX_SAS - 1)
}

let nextIndex: u32 = 0

/** A cleared record with the key of the control area in its AEAD context, or null when the table is full. */
export function allocateSa(kind: u8, suite: u32): Sa | null {
  for (let tries: u32 = 0; tries < <u32>MAX_SAS; tries++) {
    const index = nextIndex
    nextIndex = (nextIndex + 1) & (MAX_SAS - 1)
    const sa = saAt(index)
    if (sa.kind != SA_FREE) continue
    const generations = SA_GENERATIONS + (index << 2)
    const generation = (load<u32>(generations) & GENERATION_MASK) + 1
    store<u32>(generations, generation)
    memory.fill(changetype<usize>(sa), 0, SA_STRIDE)
    sa.kind = kind
    sa.suite = <u8>suite
    sa.handle = ((generation & GENERATION_MASK) << INDEX_BITS) | index
    sa.context = AEAD_CONTEXTS + index * AEAD_CTX_BYTES
    sa.salt = load<u32>(CONTROL_NONCE)
    aeadInit(suite, sa.context, CONTROL_KEY)
    memory.fill(CONTROL_KEY, 0, 64)
    memory.fill(CONTROL_NONCE, 0, 64)
    return sa
  }
  return null
}

/** Takes a selector, with its two addresses in the control area, into one side of an SA. */
export function addSelector(handle: u32, local: bool, version: u32, protocol: u32, startPort: u32, endPort: u32): bool {
  const sa = saByHandle(handle)
  if (sa == null) return false
  const count = local ? sa.localCount : sa.remoteCount
  if (count == <u32>MAX_SELECTORS) return false
  const at = (local ? localSelectors(sa) : remoteSelectors(sa)) + <usize>count * SELECTOR_BYTES
  const selector = changetype<Selector>(at)
  selector.startHigh = bswap<u64>(load<u64>(CONTROL_ADDRESSES))
  selector.startLow = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 8))
  selector.endHigh = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 16))
  selector.endLow = bswap<u64>(load<u64>(CONTROL_ADDRESSES, 24))
  selector.version = <u8>version
  selector.protocol = <u8>protocol
  selector.startPort = <u16>startPort
  selector.endPort = <u16>endPort
  if (selectorReadsPorts(selector)) sa.readsPorts = true
  if (local) sa.localCount++
  else sa.remoteCount++
  return true
}

export function installInboundSa(
  spi: u32,
  suite: u32,
  esn: bool,
  window: u32,
  tunnel: u32,
  highestHigh: u32,
  highestLow: u32,
): i32 {
  if (spiLookup(spi) >= 0) return -2
  const sa = allocateSa(SA_INBOUND, suite)
  if (sa == null) return -1
  sa.spi = spi
  sa.esn = esn
  sa.window = window
  sa.tunnel = tunnel
  sa.aadSpi = bswap<u32>(spi)
  sa.sequence = (<u64>highestHigh << 32) | <u64>highestLow
  resetWindow(sa)
  spiInsert(spi, saIndex(sa))
  return sa.handle
}

export function installOutboundSa(
  spi: u32,
  suite: u32,
  esn: bool,
  tunnel: u32,
  endpoint: u32,
  sequenceHigh: u32,
  sequenceLow: u32,
): i32 {
  const sa = allocateSa(SA_OUTBOUND, suite)
  if (sa == null) return -1
  sa.spi = spi
  sa.esn = esn
  sa.tunnel = tunnel
  sa.endpoint = endpoint
  sa.aadSpi = bswap<u32>(spi)
  sa.sequence = (<u64>sequenceHigh << 32) | <u64>sequenceLow
  sa.softPackets = sa.hardPackets = sa.softBytes = sa.hardBytes = Infinity
  return sa.handle
}

export function setLimits(handle: u32, softPackets: f64, hardPackets: f64, softBytes: f64, hardBytes: f64): void {
  const sa = saByHandle(handle)
  if (sa == null) return
  sa.softPackets = softPackets
  sa.hardPackets = hardPackets
  sa.softBytes = softBytes
  sa.hardBytes = hardBytes
}

export function installAeadKey(suite: u32): i32 {
  const sa = allocateSa(SA_AEAD, suite)
  return sa == null ? -1 : <i32>sa.handle
}

export function releaseSa(handle: u32): void {
  const sa = saByHandle(handle)
  if (sa == null) return
  if (sa.kind == SA_INBOUND) spiRemove(sa.spi)
  if (sa.kind == SA_OUTBOUND) {
    for (let tunnel: u32 = 0; tunnel < <u32>MAX_TUNNELS; tunnel++) forgetSa(tunnel, saIndex(sa))
  }
  aeadWipe(sa.context)
  memory.fill(changetype<usize>(sa), 0, SA_STRIDE)
}
