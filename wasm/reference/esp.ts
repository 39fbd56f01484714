/** One ESP packet (RFC 4303 section 2), sealed and opened with an AEAD (RFC 4106, RFC 7634). */
import type { SaKeys } from '../packet-engine.ts'
import { aeadOpen, aeadSeal, TAG_BYTES } from './aead.ts'
import { concat, getU32, roundDown, setU32, setU64 } from './bytes.ts'

export const NEXT_IPV4 = 4
export const NEXT_IPV6 = 41
export const NEXT_NONE = 59

const ESP_HEADER = 8
const IV_BYTES = 8
const TRAILER = 2
/** SPI, sequence number, IV and tag around the encrypted part. */
const FRAME = ESP_HEADER + IV_BYTES + TAG_BYTES
/** The shortest packet that can be one: nothing but the trailer. */
export const ESP_MIN = FRAME + TRAILER

export interface EspKeys extends SaKeys {
  readonly spi: number
  readonly esn: boolean
}

/** Bytes of inner packet that fit one ESP packet of at most `espBytes`. */
export function innerCapacity(espBytes: number): number {
  return roundDown(espBytes - FRAME, 4) - TRAILER
}

/** The other way round: bytes of the ESP packet around so many. */
export function outerEspLength(inner: number): number {
  return FRAME + roundDown(inner + TRAILER + 3, 4)
}

/**
 * SPI, sequence number, IV, ciphertext and tag. The IV is the 64-bit sequence number, so that no nonce repeats;
 * the padding is the shortest to 4 bytes (RFC 4303 section 2.4).
 */
export function sealEsp(keys: EspKeys, sequence: bigint, nextHeader: number, inner: Uint8Array): Uint8Array {
  return sealText(keys, sequence, concat(inner, padding(-(inner.length + TRAILER) & 3), Uint8Array.of(nextHeader)))
}

/** Seals a text that has its trailer already. */
export function sealText(keys: EspKeys, sequence: bigint, plaintext: Uint8Array): Uint8Array {
  const header = new Uint8Array(ESP_HEADER + IV_BYTES)
  setU32(header, 0, keys.spi)
  setU32(header, 4, Number(sequence & 0xffff_ffffn))
  setU64(header, 8, sequence)
  const nonce = concat(keys.salt, header.subarray(8))
  return concat(header, aeadSeal(keys.suite, keys.key, nonce, additionalData(keys, sequence), plaintext))
}

/** The decrypted part, trailer included, or undefined when it is not authentic. `sequence` has the inferred 64 bits. */
export function openEsp(keys: EspKeys, sequence: bigint, packet: Uint8Array): Uint8Array | undefined {
  const nonce = concat(keys.salt, packet.subarray(ESP_HEADER, ESP_HEADER + IV_BYTES))
  const sealed = packet.subarray(ESP_HEADER + IV_BYTES)
  return aeadOpen(keys.suite, keys.key, nonce, additionalData(keys, sequence), sealed)
}

export function spiOf(packet: Uint8Array): number {
  return getU32(packet, 0)
}

export function wireSequence(packet: Uint8Array): number {
  return getU32(packet, 4)
}

export interface EspPayload {
  readonly nextHeader: number
  /** The inner packet, with TFC padding (RFC 4303 section 2.7) still behind it. */
  readonly payload: Uint8Array
}

/** Takes the trailer off, or undefined when pad length or pad bytes 1, 2, 3 ... are wrong (RFC 4303 section 2.4). */
export function splitTrailer(plaintext: Uint8Array): EspPayload | undefined {
  const padLength = plaintext[plaintext.length - 2]!
  const end = plaintext.length - TRAILER - padLength
  if (end < 0) return undefined
  for (let i = 0; i < padLength; i++) if (plaintext[end + i] !== i + 1) return undefined
  return { nextHeader: plaintext[plaintext.length - 1]!, payload: plaintext.subarray(0, end) }
}

/** RFC 4106 section 5: SPI and 32-bit sequence number, or 64-bit with ESN. */
function additionalData(keys: EspKeys, sequence: bigint): Uint8Array {
  const aad = new Uint8Array(keys.esn ? 12 : 8)
  setU32(aad, 0, keys.spi)
  if (keys.esn) setU64(aad, 4, sequence)
  else setU32(aad, 4, Number(sequence & 0xffff_ffffn))
  return aad
}

/** Pad bytes and the pad length field. */
function padding(length: number): Uint8Array {
  return Uint8Array.from({ length: length + 1 }, (_, i) => (i < length ? i + 1 : length))
}
