/** Security associations: one record each, handles with a generation so that a stale one names nothing. */
import { MAX_SAS, MAX_SELECTORS } from '../abi'
import { CONTROL_ADDRESSES, CONTROL_KEY, CONTROL_NONCE } from './arena'
import { dropContext, putKey } from './contexts'
import { giveSelectors, selectorAt, selectorReadsPorts, takeSelector } from './policy'
import { resetWindow } from './replay'
import {
  maxSas,
  SA_DROPS_BYTES,
  SA_GENERATIONS,
  SA_KEY_BYTES,
  SA_RECORD_BYTES,
  SA_STRIDE,
  SAS,
  WINDOW_BYTES,
  WINDOWS,
} from './reserve'
import { spiInsert, spiLookup, spiRemove } from './spi-table'
import { forgetSa } from './tunnel'

export const SA_FREE: u8 = 0
export const SA_INBOUND: u8 = 1
export const SA_OUTBOUND: u8 = 2
export const SA_AEAD: u8 = 3

const GENERATION_MASK: u32 = 0xffff
const INDEX_BITS: u32 = 15
/** Freed records that wait before the first of them is used again. */
const RESTING: u32 = 64

if (1 << INDEX_BITS != MAX_SAS) ERROR('handles do not fit')
if (SA_RECORD_BYTES + SA_DROPS_BYTES + SA_KEY_BYTES > SA_STRIDE) ERROR('SA room too small')

/** At most SA_RECORD_BYTES; `salt` and `iv` must stay in this order and without gaps. */
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
  /** Of the AEAD; 0 while the key is not expanded. See contexts.ts. */
  context: usize
  contextSlot: u32
  /** Packets of all SAs when it was last used, and how many times in a row that was lately. */
  lastUse: u32
  heat: u32
  /** Numbers of the first selector of either side, 0 for none. */
  localSelectors: u32
  remoteSelectors: u32
  /** Inbound: the ring of the replay window. */
  ring: usize
  /** Outbound: places in tunnels that it has. */
  places: u32
  /** Outbound: last number used. Inbound: highest number received. */
  sequence: u64
  /** Inbound: numbers that left the window without having come; those still in it are counted by `missingOf`. */
  missing: u64
  packets: u64
  bytes: u64
  lastAt: f64
  softPackets: f64
  hardPackets: f64
  softBytes: f64
  hardBytes: f64
  /** Inbound: where the highest packets come from; 0 while not known. */
  peerHead: u32
  peerHigh: u64
  peerLow: u64
  /** The 12-byte nonce: salt and IV (RFC 4106 section 4). */
  padding: u32
  salt: u32
  ivHigh: u32
  ivLow: u32
}

if (offsetof<Sa>() > SA_RECORD_BYTES) ERROR('SA record too long')

// @ts-ignore: decorator
@inline
export function saAt(index: u32): Sa {
  return changetype<Sa>(SAS + <usize>index * SA_STRIDE)
}

// @ts-ignore: decorator
@inline
export function nonceOf(sa: Sa): usize {
  return changetype<usize>(sa) + offsetof<Sa>('salt')
}

// @ts-ignore: decorator
@inline
export function keyOf(sa: Sa): usize {
  return changetype<usize>(sa) + SA_RECORD_BYTES + SA_DROPS_BYTES
}

/** The live SA behind a handle, or null. */
export function saByHandle(handle: u32): Sa | null {
  const index = handle & (MAX_SAS - 1)
  if (index >= maxSas) return null
  const sa = saAt(index)
  return sa.kind != SA_FREE && sa.handle == handle ? sa : null
}

export function saIndex(sa: Sa): u32 {
  return sa.handle & (MAX_SAS - 1)
}

/** Freed records, the one that was freed first in front; linked through `window`. */
let firstFree: i32 = -1
let lastFree: i32 = -1
let freeCount: u32 = 0
let unusedIndex: u32 = 0
/** Freed windows, linked through their first word; number + 1. */
let freeWindow: u32 = 0
let unusedWindow: u32 = 0

/** Number of a record that is not in use, or -1. New ones only where few are resting: memory in use stays low. */
function takeIndex(): i32 {
  if (unusedIndex < maxSas && freeCount < RESTING) return unusedIndex++
  if (freeCount == 0) return -1
  const index = firstFree
  freeCount--
  firstFree = freeCount == 0 ? -1 : <i32>saAt(index).window
  return index
}

function giveIndex(index: u32): void {
  if (freeCount == 0) firstFree = index
  else saAt(lastFree).window = index
  lastFree = index
  freeCount++
}

function takeWindow(): usize {
  if (freeWindow == 0) {
    unusedWindow++
    return WINDOWS + <usize>(unusedWindow - 1) * WINDOW_BYTES
  }
  const at = WINDOWS + <usize>(freeWindow - 1) * WINDOW_BYTES
  freeWindow = load<u32>(at)
  return at
}

function giveWindow(at: usize): void {
  store<u32>(at, freeWindow)
  freeWindow = <u32>((at - WINDOWS) / WINDOW_BYTES) + 1
}

/** A cleared record with the key of the control area, or null when the table is full. */
export function allocateSa(kind: u8, suite: u32): Sa | null {
  const index = takeIndex()
  if (index < 0) return null
  const sa = saAt(index)
  const generations = SA_GENERATIONS + (<usize>index << 2)
  const generation = (load<u32>(generations) & GENERATION_MASK) + 1
  store<u32>(generations, generation)
  memory.fill(changetype<usize>(sa), 0, SA_STRIDE)
  sa.kind = kind
  sa.suite = <u8>suite
  sa.handle = ((generation & GENERATION_MASK) << INDEX_BITS) | index
  sa.salt = load<u32>(CONTROL_NONCE)
  putKey(sa, CONTROL_KEY)
  memory.fill(CONTROL_KEY, 0, 64)
  memory.fill(CONTROL_NONCE, 0, 64)
  return sa
}

/** Takes a selector, with its two addresses in the control area, into one side of an SA. */
export function addSelector(handle: u32, local: bool, version: u32, protocol: u32, startPort: u32, endPort: u32): bool {
  const sa = saByHandle(handle)
  if (sa == null) return false
  const count = local ? sa.localCount : sa.remoteCount
  if (count == <u32>MAX_SELECTORS) return false
  const number = takeSelector()
  const selector = selectorAt(number)
  let last = local ? sa.localSelectors : sa.remoteSelectors
  if (last == 0) {
    if (local) sa.localSelectors = number
    else sa.remoteSelectors = number
  } else {
    while (selectorAt(last).next != 0) last = selectorAt(last).next
    selectorAt(last).next = number
  }
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
  sa.sequence = (<u64>highestHigh << 32) | <u64>highestLow
  sa.ring = takeWindow()
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
  const index = saIndex(sa)
  if (sa.kind == SA_INBOUND) {
    spiRemove(sa.spi)
    giveWindow(sa.ring)
  }
  if (sa.places != 0) forgetSa(sa)
  giveSelectors(sa.localSelectors)
  giveSelectors(sa.remoteSelectors)
  dropContext(sa)
  memory.fill(changetype<usize>(sa), 0, SA_STRIDE)
  giveIndex(index)
}
