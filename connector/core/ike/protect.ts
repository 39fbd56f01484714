/**
 * Encrypted messages: payloads into SK or SKF messages and back (RFC 7296 section 3.14, RFC 5282, RFC 7383).
 * The checks of SPIs, message ID and window come before `openMessage` and are the caller's.
 */
import type { Family } from '../../../protocol/net.ts'
import type { IkeCipher, IkeCrypto } from './crypto.ts'
import type { FragmentReassembler } from './fragments.ts'
import type { IkeKeys } from './keymat.ts'
import { cipherSizes } from './names.ts'
import {
  associatedData,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  HEADER_LENGTH,
  isDecodeError,
} from './wire/codec.ts'
import type { EncryptedFragmentPayload, EncryptedPayload, IkeHeader, IkeMessage, Payload } from './wire/types.ts'

/** Keys of one direction: SK_e with its salt, and SK_a, which is empty for an AEAD. Views into `IkeKeys`. */
export interface SealKeys {
  readonly skE: Uint8Array
  readonly skA: Uint8Array
}

/** Keys of what the IKE SA's initiator, or its responder, sends. */
export function sealKeys(keys: IkeKeys, sender: 'initiator' | 'responder'): SealKeys {
  return sender === 'initiator' ? { skE: keys.skEi, skA: keys.skAi } : { skE: keys.skEr, skA: keys.skAr }
}

/** Yields initialization vectors that never repeat under one key. One per IKE SA, for the direction that we send. */
export interface IvSource {
  next(): Uint8Array
}

/**
 * A counter for AEADs (RFC 5282 section 4). CBC needs IVs that nobody can foresee (RFC 7296 section 3.14): there
 * the counter goes through a PRF under SK_e. Throws a RangeError after 2^32 messages: the SA is long past its rekey.
 */
export function ivSource(crypto: IkeCrypto, cipher: IkeCipher, keys: SealKeys): IvSource {
  const { iv: length } = cipherSizes(cipher)
  let counter = 0
  const next = () => {
    if (counter > 0xffffffff) throw new RangeError('the initialization vectors of this IKE SA are used up')
    const block = new Uint8Array(8)
    new DataView(block.buffer).setUint32(4, counter++)
    return cipher.integ === undefined
      ? block
      : crypto.prf(PRF_HMAC_SHA2_256, keys.skE, IV_LABEL, block).slice(0, length)
  }
  return { next }
}

const PRF_HMAC_SHA2_256 = 5
const IV_LABEL = Uint8Array.from('isthmus cbc iv', (char) => char.charCodeAt(0))

/**
 * Largest IKE message, in bytes, for a datagram of `fragmentSize` bytes with IP and UDP headers (RFC 7383 section
 * 2.5.1). `marker`: the non-ESP marker comes before it. A `fragmentSize` of 0 means no limit: Infinity. Small ones
 * are raised to what every IPv4 host must be able to receive.
 */
export function maxMessageSize(fragmentSize: number, family: Family, marker: boolean): number {
  if (fragmentSize === 0) return Number.POSITIVE_INFINITY
  return Math.max(fragmentSize, MIN_DATAGRAM) - (family === 4 ? 20 : 40) - 8 - (marker ? 4 : 0)
}

const MIN_DATAGRAM = 576

export interface SealInput {
  readonly cipher: IkeCipher
  readonly keys: SealKeys
  readonly ivs: IvSource
  readonly header: IkeHeader
  readonly payloads: readonly Payload[]
  /**
   * `maxMessageSize(...)` when both sides sent IKEV2_FRAGMENTATION_SUPPORTED, otherwise Infinity. Not below 256.
   */
  readonly maxSize: number
}

/**
 * One SK message, or the SKF messages that it must be cut into, without non-ESP marker. Keep them for
 * retransmission: a second call for the same message ID would send other bytes.
 */
export function sealMessage(crypto: IkeCrypto, input: SealInput): Uint8Array[] {
  const { firstPayload, bytes } = encodePayloads(input.payloads)
  if (wholeSize(input.cipher, bytes.length) <= input.maxSize)
    return [sealOne(crypto, input, { type: 'SK', firstPayload, body: NOTHING }, bytes)]
  const size = fragmentContent(input)
  const totalFragments = Math.ceil(bytes.length / size)
  return Array.from({ length: totalFragments }, (_, index) => {
    const payload: EncryptedFragmentPayload = {
      type: 'SKF',
      firstPayload: index === 0 ? firstPayload : 0,
      fragmentNumber: index + 1,
      totalFragments,
      body: NOTHING,
    }
    return sealOne(crypto, input, payload, bytes.subarray(index * size, (index + 1) * size))
  })
}

export type OpenResult =
  | { readonly type: 'opened'; readonly payloads: readonly Payload[] }
  /** An authentic fragment; the message is not complete, or the fragment is a duplicate. */
  | { readonly type: 'fragment' }
  /** Count and drop: nothing about this message is known to come from the peer. */
  | { readonly type: 'failed'; readonly failure: 'not-encrypted' | 'integrity-failed' }
  /** Authentic, but beyond the limits of reassembly, or a fragment where none was agreed on: count and drop. */
  | { readonly type: 'failed'; readonly failure: 'fragment-refused' }
  /** Authentic, yet not a chain of payloads: INVALID_SYNTAX. */
  | { readonly type: 'failed'; readonly failure: 'malformed'; readonly reason: string }
  /** Authentic, with a critical payload of this unknown type: UNSUPPORTED_CRITICAL_PAYLOAD (RFC 7296 section 2.5). */
  | { readonly type: 'failed'; readonly failure: 'unsupported-critical'; readonly payloadType: number }

export interface OpenInput {
  readonly cipher: IkeCipher
  /** Keys of the direction that the message came in. */
  readonly keys: SealKeys
  /** The message as received, without non-ESP marker, and as decoded from just these bytes. */
  readonly bytes: Uint8Array
  readonly message: IkeMessage
  /** This IKE SA's reassembler, or undefined to refuse fragments. */
  readonly fragments: FragmentReassembler | undefined
}

/** Verifies, decrypts and reads a message. Total: any decoded message gives a result. */
export function openMessage(crypto: IkeCrypto, input: OpenInput): OpenResult {
  const { header, payloads } = input.message
  const last = payloads.at(-1)
  if (last?.type !== 'SK' && last?.type !== 'SKF') return { type: 'failed', failure: 'not-encrypted' }
  const aad = associatedData(input.bytes, last)
  const padded = crypto.open(input.cipher, input.keys.skE, input.keys.skA, aad, last.body)
  if (padded === undefined) return { type: 'failed', failure: 'integrity-failed' }
  const content = withoutPadding(padded)
  if (content === undefined) return malformed('The padding is longer than the encrypted payload.')
  if (last.type === 'SK') return readPayloads(last.firstPayload, content)
  if (input.fragments === undefined) return { type: 'failed', failure: 'fragment-refused' }
  const outcome = input.fragments.add({
    messageId: header.messageId,
    response: header.flags.response,
    number: last.fragmentNumber,
    total: last.totalFragments,
    firstPayload: last.firstPayload,
    content: content.slice(),
  })
  padded.fill(0)
  if (outcome.type === 'complete') return readPayloads(outcome.firstPayload, outcome.content)
  return outcome.type === 'refused' ? { type: 'failed', failure: 'fragment-refused' } : { type: 'fragment' }
}

/** Type of the first critical payload that we don't know, or undefined. For messages without encryption as well. */
export function unsupportedCritical(payloads: readonly Payload[]): number | undefined {
  for (const payload of payloads) {
    if (payload.type === 'UNKNOWN' && payload.critical) return payload.payloadType
  }
  return undefined
}

const NOTHING = new Uint8Array(0)
/** Generic payload header; in an SKF payload fragment number and total, too. */
const SK_HEADER_LENGTH = 4
const SKF_HEADER_LENGTH = 8
const MIN_MAX_SIZE = 256

function sealOne(
  crypto: IkeCrypto,
  { cipher, keys, ivs, header }: SealInput,
  payload: EncryptedPayload | EncryptedFragmentPayload,
  content: Uint8Array,
): Uint8Array {
  const { iv, icv, block } = cipherSizes(cipher)
  const padded = withPadding(content, block)
  const bodyLength = iv + padded.length + icv
  const message = encodeMessage({ header, payloads: [{ ...payload, body: new Uint8Array(bodyLength) }] })
  const aad = message.subarray(0, message.length - bodyLength)
  message.set(crypto.seal(cipher, keys.skE, keys.skA, ivs.next(), aad, padded), aad.length)
  padded.fill(0)
  return message
}

/** Length of the SK message that holds so many bytes of payload chain. */
function wholeSize(cipher: IkeCipher, content: number): number {
  const { iv, icv, block } = cipherSizes(cipher)
  return HEADER_LENGTH + SK_HEADER_LENGTH + iv + Math.ceil((content + 1) / block) * block + icv
}

/** Bytes of payload chain that one fragment carries. */
function fragmentContent({ cipher, maxSize }: SealInput): number {
  if (maxSize < MIN_MAX_SIZE) throw new RangeError(`IKE fragments of ${maxSize} bytes are too small`)
  const { iv, icv, block } = cipherSizes(cipher)
  const room = maxSize - HEADER_LENGTH - SKF_HEADER_LENGTH - iv - icv
  return room - (room % block) - 1
}

/** Content, zeros up to the block length, and the Pad Length byte. */
function withPadding(content: Uint8Array, block: number): Uint8Array {
  const length = Math.ceil((content.length + 1) / block) * block
  const padded = new Uint8Array(length)
  padded.set(content)
  padded[length - 1] = length - content.length - 1
  return padded
}

function withoutPadding(padded: Uint8Array): Uint8Array | undefined {
  const padLength = padded.at(-1)
  if (padLength === undefined || padLength >= padded.length) return undefined
  return padded.subarray(0, padded.length - 1 - padLength)
}

function readPayloads(firstPayload: number, content: Uint8Array): OpenResult {
  const payloads = decodePayloads(firstPayload, content)
  content.fill(0)
  if (isDecodeError(payloads)) return malformed(payloads.reason)
  const payloadType = unsupportedCritical(payloads)
  return payloadType === undefined
    ? { type: 'opened', payloads }
    : { type: 'failed', failure: 'unsupported-critical', payloadType }
}

function malformed(reason: string): OpenResult {
  return { type: 'failed', failure: 'malformed', reason }
}
