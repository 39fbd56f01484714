/** One ESP packet (RFC 4303) as a JSON value, opened where the key is known. */
import { u32 } from '../../core/ike/wire/bytes.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { IP_PROTOCOL, protocolName, summarize } from './ip.ts'
import type { EspKeys, KeyRing } from './keys.ts'
import type { Json } from './payload-json.ts'

/** Byte ranges: SPI, low half of the sequence number, then the IV. */
const field = { spi: 0, sequence: 4, end: 8 } as const
/** IV and ICV of all three AEADs. */
const AEAD_OVERHEAD = 8 + 16

/** Never throws, whatever the bytes are. */
export function espJson(bytes: Uint8Array, keys: KeyRing): Json {
  if (bytes.length < field.end) {
    return { length: bytes.length, malformed: `An ESP header has 8 bytes; only ${bytes.length} are there.` }
  }
  const spi = u32(bytes, field.spi)
  const sequence = u32(bytes, field.sequence)
  const head = { spi: `0x${spi.toString(16).padStart(8, '0')}`, sequence, length: bytes.length }
  if (spi === 0) return { ...head, malformed: 'SPI 0 is never on the wire.' }
  const candidates = keys.esp.get(spi)
  if (candidates === undefined) return { ...head, decryption: 'no-key' }
  if (bytes.length < field.end + AEAD_OVERHEAD) {
    return { ...head, decryption: 'failed', malformed: 'The packet is too short for an IV and a checksum.' }
  }
  for (const candidate of candidates) {
    const opened = open(bytes, sequence, candidate)
    if (opened !== undefined) return { ...head, ...opened }
  }
  return { ...head, decryption: 'failed' }
}

/** With ESN the high half of the sequence number is not sent (section 2.2.1): the last one seen, its neighbours, and 0. */
function open(bytes: Uint8Array, sequence: number, keys: EspKeys): Json | undefined {
  const body = bytes.subarray(field.end)
  if (!keys.esn) {
    const plaintext = nodeCrypto.open(keys.cipher, keys.key, NO_KEY, bytes.subarray(0, field.end), body)
    return plaintext === undefined ? undefined : contentJson(plaintext)
  }
  const highs = new Set([keys.high, (keys.high + 1) >>> 0, Math.max(0, keys.high - 1), 0])
  for (const high of highs) {
    const plaintext = nodeCrypto.open(keys.cipher, keys.key, NO_KEY, extendedHeader(bytes, high), body)
    if (plaintext === undefined) continue
    keys.high = high
    const extended = ((BigInt(high) << 32n) | BigInt(sequence)).toString()
    return { extendedSequence: extended, ...contentJson(plaintext) }
  }
  return undefined
}

const NO_KEY = new Uint8Array(0)

/** RFC 4106 section 5: SPI, then all 64 bits of the sequence number. */
function extendedHeader(bytes: Uint8Array, high: number): Uint8Array {
  const header = new Uint8Array(12)
  header.set(bytes.subarray(0, 4), 0)
  new DataView(header.buffer).setUint32(4, high)
  header.set(bytes.subarray(4, 8), 8)
  return header
}

function contentJson(plaintext: Uint8Array): Json {
  const padding = plaintext.at(-2)
  const nextHeader = plaintext.at(-1)
  if (padding === undefined || nextHeader === undefined || padding + 2 > plaintext.length) {
    return { decryption: 'ok', malformed: 'The pad length is more than the packet has.' }
  }
  const content = plaintext.subarray(0, plaintext.length - 2 - padding)
  const head = { decryption: 'ok', nextHeader, nextHeaderName: protocolName(nextHeader), padding }
  if (nextHeader === IP_PROTOCOL.none) return { ...head, dummy: true }
  if (nextHeader !== IP_PROTOCOL.ipv4 && nextHeader !== IP_PROTOCOL.ipv6) return { ...head, content: content.length }
  const inner = summarize(content)
  if (typeof inner.malformed === 'string') return { ...head, malformed: `Inner packet: ${inner.malformed}` }
  const tfcPadding = content.length - (inner.length as number)
  return { ...head, inner, ...(tfcPadding > 0 ? { tfcPadding } : {}) }
}
