/**
 * ESP in tunnel mode (RFC 4303) with an AEAD whose 8-byte IV is the sequence number (RFC 4106
 * section 3, RFC 7634 section 2): header, IV, ciphertext with trailer, 16-byte ICV.
 */
import { BATCH, DROP_BAD_PADDING, LARGE_BYTES, OUTBOX, SLOT_BYTES } from '../abi'
import { aeadSealBatch } from './aead-batch'
import { clearJobs, jobCount, queueJob } from './aead-jobs'
import { LAN_RX, LARGE_LAN_RX, TRANSIT_SLOTS, WIRE_RX } from './arena'
import { layOutStream } from './key-stream'
import { contextFor } from './contexts'
import { pushWire, releaseWire, wireSlot, withholdWire } from './outbox'
import { keyOf, Sa } from './sa'

const HEADER: u32 = 8
const IV: u32 = 8
const ICV: u32 = 16
/** Shortest ESP packet: no payload, no padding, pad length and next header. */
export const ESP_MIN: u32 = 34
export const ESP_OK: i32 = -1

export const NEXT_IPV4: u32 = 4
export const NEXT_IPV6: u32 = 41
export const NEXT_NONE: u32 = 59

/** Where the inner packet of the next wire entry may be put together, to be encrypted in place. */
// @ts-ignore: decorator
@inline
export function wireText(): usize {
  return wireSlot() + HEADER + IV
}

// @ts-ignore: decorator
@inline
function inReceiveSlot(packet: usize): bool {
  if (packet - LAN_RX < <usize>(BATCH * SLOT_BYTES) || packet - LARGE_LAN_RX < <usize>(BATCH * LARGE_BYTES)) return true
  return packet - WIRE_RX < <usize>(OUTBOX * SLOT_BYTES) || packet - TRANSIT_SLOTS < <usize>(OUTBOX * SLOT_BYTES)
}

/**
 * Puts the inner packet into the next wire slot, which must be free, and queues its encryption: `finishSeal` has to
 * follow. A packet in a receive slot, in one of transit or at `wireText()` is taken from where it is, with the trailer written behind it, and
 * must stay there; any other is copied.
 */
export function sealEsp(sa: Sa, inner: usize, length: u32, nextHeader: u32, tos: u32): void {
  const slot = wireSlot()
  const target = slot + HEADER + IV
  if (inner != target && !inReceiveSlot(inner)) {
    memory.copy(target, inner, length)
    inner = target
  }
  const padding = (2 - length) & 3
  const trailer = inner + length
  store<u32>(trailer, 0x00030201)
  store<u8>(trailer + padding, <u8>padding)
  store<u8>(trailer + padding, <u8>nextHeader, 1)
  const sequence = sa.sequence + 1
  sa.sequence = sequence
  store<u32>(slot, bswap<u32>(sa.spi))
  store<u32>(slot, bswap<u32>(<u32>sequence), 4)
  store<u64>(slot, bswap<u64>(sequence), 8)
  const text = length + padding + 2
  queueEsp(sa, slot, sequence, inner, target, text)
  pushWire(HEADER + IV + text + ICV, sa.endpoint, tos)
}

/**
 * Encrypts what `sealEsp` has queued, or leaves that to `completeStreamSeal`, when the host has made the key stream. The
 * outbox is empty until then: nothing leaves it that is not encrypted.
 */
export function finishSeal(): void {
  if (layOutStream(jobCount())) withheld = withholdWire()
  else completeSeal()
}

/** Packets in the wire outbox that wait for their key stream. */
let withheld: u32 = 0

/** Does nothing where `finishSeal` has done it. */
export function completeStreamSeal(): void {
  if (withheld == 0) return
  completeSeal()
  releaseWire(withheld)
  withheld = 0
}

function completeSeal(): void {
  aeadSealBatch(0, jobCount())
  clearJobs()
}

/** Length of the payload data that `stripTrailer` found, and the next header. */
export let openedLength: u32 = 0
export let openedNextHeader: u32 = 0

/** Queues an ESP packet of at least ESP_MIN bytes, to be verified and decrypted in place by `aeadOpenBatch`. */
export function queueOpen(sa: Sa, packet: usize, length: u32, sequence: u64): void {
  const text = packet + HEADER + IV
  queueEsp(sa, packet, sequence, text, text, length - HEADER - IV - ICV)
}

/** The plaintext of a packet that was opened. */
// @ts-ignore: decorator
@inline
export function openedText(packet: usize): usize {
  return packet + HEADER + IV
}

/** SPI and sequence number are the AAD; under ESN that has all 64 bits (RFC 4106 section 5). */
function queueEsp(sa: Sa, packet: usize, sequence: u64, src: usize, dst: usize, length: u32): void {
  const job = queueJob()
  const spi = load<u32>(packet)
  if (sa.esn) {
    job.aadFirst = <u64>spi | (<u64>bswap<u32>(<u32>(sequence >> 32)) << 32)
    job.aadSecond = <u64>load<u32>(packet, 4)
    job.aadLength = 12
  } else {
    job.aadFirst = load<u64>(packet)
    job.aadSecond = 0
    job.aadLength = 8
  }
  job.salt = sa.salt
  job.ivHigh = load<u32>(packet, 8)
  job.ivLow = load<u32>(packet, 12)
  job.suite = sa.suite
  job.context = contextFor(sa, length)
  job.keys = keyOf(sa)
  job.src = src
  job.dst = dst
  job.length = length
  job.handle = sa.handle
  job.sequence = sequence
}

/** Checks and cuts off the trailer of the `text` plaintext bytes at `target` (RFC 4303 section 2.4). */
export function stripTrailer(target: usize, text: u32): i32 {
  const padding: u32 = load<u8>(target + text - 2)
  if (padding + 2 > text) return DROP_BAD_PADDING
  const start = target + text - 2 - padding
  let wrong: u32 = 0
  for (let i: u32 = 0; i < padding; i++) wrong |= <u32>load<u8>(start + i) ^ (i + 1)
  if (wrong != 0) return DROP_BAD_PADDING
  openedLength = text - 2 - padding
  openedNextHeader = load<u8>(target + text - 1)
  return ESP_OK
}
