/**
 * ESP in tunnel mode (RFC 4303) with an AEAD whose 8-byte IV is the sequence number (RFC 4106
 * section 3, RFC 7634 section 2): header, IV, ciphertext with trailer, 16-byte ICV.
 */
import { DROP_AUTH_FAILED, DROP_BAD_PADDING } from '../abi'
import { aeadOpen, aeadSeal } from './aead'
import { pushWire, wireSlot } from './outbox'
import { esnAadOf, nonceOf, Sa } from './sa'

const HEADER: u32 = 8
const IV: u32 = 8
const ICV: u32 = 16
/** Shortest ESP packet: no payload, no padding, pad length and next header. */
export const ESP_MIN: u32 = 34
export const ESP_OK: i32 = -1

export const NEXT_IPV4: u32 = 4
export const NEXT_IPV6: u32 = 41
export const NEXT_NONE: u32 = 59

/**
 * Seals the inner packet into the next wire slot, which must be free. Writes the trailer behind the
 * packet, into the slack of its slot.
 */
export function sealEsp(sa: Sa, inner: usize, length: u32, nextHeader: u32, tos: u32): void {
  const padding = (2 - length) & 3
  const trailer = inner + length
  store<u32>(trailer, 0x00030201)
  store<u8>(trailer + padding, <u8>padding)
  store<u8>(trailer + padding, <u8>nextHeader, 1)
  const sequence = sa.sequence + 1
  sa.sequence = sequence
  const slot = wireSlot()
  store<u32>(slot, bswap<u32>(sa.spi))
  store<u32>(slot, bswap<u32>(<u32>sequence), 4)
  store<u64>(slot, bswap<u64>(sequence), 8)
  store<u64>(nonceOf(sa), bswap<u64>(sequence), 4)
  const text = length + padding + 2
  const aad = prepareAad(sa, slot, sequence)
  aeadSeal(sa.suite, sa.context, nonceOf(sa), aad, sa.esn ? 12 : 8, inner, slot + HEADER + IV, text)
  pushWire(HEADER + IV + text + ICV, sa.endpoint, tos)
}

/** What `openEsp` found: length of the payload data, and the next header. */
export let openedLength: u32 = 0
export let openedNextHeader: u32 = 0

/** Verifies and decrypts an ESP packet of at least ESP_MIN bytes into `target`. */
export function verifyEsp(sa: Sa, packet: usize, length: u32, sequence: u64, target: usize): i32 {
  store<u64>(nonceOf(sa), load<u64>(packet, 8), 4)
  const text = length - HEADER - IV - ICV
  const aad = prepareAad(sa, packet, sequence)
  const authentic = aeadOpen(sa.suite, sa.context, nonceOf(sa), aad, sa.esn ? 12 : 8, packet + HEADER + IV, target, text)
  if (!authentic) return DROP_AUTH_FAILED
  openedLength = text
  return ESP_OK
}

/** Checks and cuts off the trailer of the text that `verifyEsp` left at `target` (RFC 4303 section 2.4). */
export function stripTrailer(target: usize): i32 {
  const text = openedLength
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

/** SPI and sequence number lie in the packet as they are; the high half under ESN does not. */
function prepareAad(sa: Sa, packet: usize, sequence: u64): usize {
  if (!sa.esn) return packet
  sa.aadHigh = bswap<u32>(<u32>(sequence >> 32))
  sa.aadLow = bswap<u32>(<u32>sequence)
  return esnAadOf(sa)
}
