/** Chains of payloads behind the generic payload header (RFC 7296 section 3.2). */
import {
  decodeAuth,
  decodeCertificate,
  decodeConfiguration,
  decodeDelete,
  decodeId,
  decodeKe,
  decodeNonce,
  decodeNotify,
  encodeAuth,
  encodeCertificate,
  encodeConfiguration,
  encodeDelete,
  encodeId,
  encodeKe,
  encodeNotify,
} from './body.ts'
import { concat, plainView, putU16, u16 } from './bytes.ts'
import { PAYLOAD } from './constants.ts'
import { type DecodeError, decodeError, isDecodeError } from './decode-error.ts'
import { decodeSa, encodeSa } from './sa.ts'
import { decodeTs, encodeTs } from './ts.ts'
import type { EncryptedFragmentPayload, EncryptedPayload, Payload } from './types.ts'

export const MAX_PAYLOADS = 64

/** Byte ranges of the generic payload header. */
const generic = { next: 0, flags: 1, length: 2, end: 4 } as const
const CRITICAL = 0x80

/** Byte ranges of an SKF body (RFC 7383 section 2.5); the IV follows. */
const fragment = { number: 0, total: 2, end: 4 } as const

/**
 * Payloads inside an SK payload, padding removed. An SK or SKF payload in there is an error; so are bytes behind
 * the last payload. `firstPayload` 0 with no bytes is an empty message.
 */
export function decodePayloads(firstPayload: number, bytes: Uint8Array): Payload[] | DecodeError {
  return decodeChain(firstPayload, bytes, 0, false)
}

/**
 * Payloads from `start` to the end of `container`. Each payload is longer than 0 bytes and at most `MAX_PAYLOADS` are
 * read, so that no chain can run for ever. The critical bit matters for unknown types only (section 2.5).
 */
export function decodeChain(
  firstPayload: number,
  container: Uint8Array,
  start: number,
  encryptedAllowed: boolean,
): Payload[] | DecodeError {
  const bytes = plainView(container)
  const payloads: Payload[] = []
  let type = firstPayload
  let offset = start
  const failed = (error: DecodeError, critical: boolean) => ({
    ...error,
    payloadType: type,
    critical,
    before: payloads,
  })
  while (type !== PAYLOAD.NONE) {
    if (payloads.length === MAX_PAYLOADS) {
      return failed(decodeError('too-many-payloads', `More than ${MAX_PAYLOADS} payloads at offset ${offset}.`), false)
    }
    const critical = bytes.length > offset + generic.flags && (bytes[offset + generic.flags]! & CRITICAL) !== 0
    const end = payloadEnd(bytes, offset, type)
    if (typeof end !== 'number') return failed(end, critical)
    const next = bytes[offset + generic.next]!
    const body = bytes.subarray(offset + generic.end, end)
    const encrypted = type === PAYLOAD.SK || type === PAYLOAD.SKF
    if (encrypted && !encryptedAllowed) {
      const error = decodeError('bad-payload', `An encrypted payload at offset ${offset} inside an encrypted payload.`)
      return failed(error, critical)
    }
    const payload = decodeBody(type, body, offset + generic.end, next, critical)
    if (isDecodeError(payload)) return failed(payload, critical)
    payloads.push(payload)
    offset = end
    type = encrypted ? PAYLOAD.NONE : next
  }
  if (offset !== bytes.length) {
    const reason = `${bytes.length - offset} bytes follow the last payload at offset ${offset}.`
    return { ...decodeError('trailing-data', reason), before: payloads }
  }
  return payloads
}

function payloadEnd(bytes: Uint8Array, offset: number, type: number): number | DecodeError {
  if (bytes.length - offset < generic.end) {
    return decodeError('truncated', `The header of payload type ${type} at offset ${offset} is cut off.`)
  }
  const length = u16(bytes, offset + generic.length)
  if (length < generic.end) {
    return decodeError('bad-length', `Payload type ${type} at offset ${offset} claims a length of ${length} bytes.`)
  }
  if (offset + length > bytes.length) {
    return decodeError('truncated', `Payload type ${type} at offset ${offset} ends behind the message.`)
  }
  return offset + length
}

function decodeBody(
  type: number,
  body: Uint8Array,
  at: number,
  next: number,
  critical: boolean,
): Payload | DecodeError {
  switch (type) {
    case PAYLOAD.SA:
      return decodeSa(body, at)
    case PAYLOAD.KE:
      return decodeKe(body, at)
    case PAYLOAD.IDi:
      return decodeId('IDi', body, at)
    case PAYLOAD.IDr:
      return decodeId('IDr', body, at)
    case PAYLOAD.CERT:
      return decodeCertificate('CERT', body, at)
    case PAYLOAD.CERTREQ:
      return decodeCertificate('CERTREQ', body, at)
    case PAYLOAD.AUTH:
      return decodeAuth(body, at)
    case PAYLOAD.NONCE:
      return decodeNonce(body, at)
    case PAYLOAD.N:
      return decodeNotify(body, at)
    case PAYLOAD.D:
      return decodeDelete(body, at)
    case PAYLOAD.V:
      return { type: 'V', data: body.slice() }
    case PAYLOAD.TSi:
      return decodeTs('TSi', body, at)
    case PAYLOAD.TSr:
      return decodeTs('TSr', body, at)
    case PAYLOAD.SK:
      return { type: 'SK', firstPayload: next, body: body.slice() }
    case PAYLOAD.CP:
      return decodeConfiguration(body, at)
    case PAYLOAD.EAP:
      return { type: 'EAP', data: body.slice() }
    case PAYLOAD.SKF:
      return decodeFragment(body, at, next)
    default:
      return { type: 'UNKNOWN', payloadType: type, critical, body: body.slice() }
  }
}

/** RFC 7383 section 2.5: numbers start with 1, none is above the total, and only the first names a payload type. */
function decodeFragment(body: Uint8Array, at: number, next: number): EncryptedFragmentPayload | DecodeError {
  if (body.length < fragment.end) return decodeError('truncated', `The SKF payload at offset ${at} is cut off.`)
  const fragmentNumber = u16(body, fragment.number)
  const totalFragments = u16(body, fragment.total)
  if (fragmentNumber === 0 || fragmentNumber > totalFragments) {
    return decodeError('bad-payload', `Fragment ${fragmentNumber} of ${totalFragments} at offset ${at} cannot be.`)
  }
  if (fragmentNumber > 1 && next !== PAYLOAD.NONE) {
    return decodeError('bad-payload', `Fragment ${fragmentNumber} at offset ${at} names a next payload.`)
  }
  return { type: 'SKF', firstPayload: next, fragmentNumber, totalFragments, body: body.slice(fragment.end) }
}

/**
 * The chain as bytes and the type of its first payload. An SK or SKF payload must be last.
 * Throws a RangeError for what does not fit the wire: the caller's mistake.
 */
export function encodePayloads(payloads: readonly Payload[]): { firstPayload: number; bytes: Uint8Array } {
  const parts: Uint8Array[] = []
  for (const [index, payload] of payloads.entries()) {
    const following = payloads[index + 1]
    const encrypted = payload.type === 'SK' || payload.type === 'SKF'
    if (encrypted && following !== undefined) throw new RangeError('an encrypted payload must be the last one')
    const body = encodeBody(payload)
    const head = new Uint8Array(generic.end)
    head[generic.next] = encrypted ? payload.firstPayload : typeOf(following)
    head[generic.flags] = payload.type === 'UNKNOWN' && payload.critical ? CRITICAL : 0
    putU16(head, generic.length, generic.end + body.length)
    parts.push(head, body)
  }
  return { firstPayload: typeOf(payloads[0]), bytes: concat(parts) }
}

/** IANA's number of a payload. */
export function payloadTypeOf(payload: Payload): number {
  return payload.type === 'UNKNOWN' ? payload.payloadType : PAYLOAD[payload.type]
}

function typeOf(payload: Payload | undefined): number {
  return payload === undefined ? PAYLOAD.NONE : payloadTypeOf(payload)
}

function encodeBody(payload: Payload): Uint8Array {
  switch (payload.type) {
    case 'SA':
      return encodeSa(payload)
    case 'KE':
      return encodeKe(payload)
    case 'IDi':
    case 'IDr':
      return encodeId(payload)
    case 'CERT':
    case 'CERTREQ':
      return encodeCertificate(payload)
    case 'AUTH':
      return encodeAuth(payload)
    case 'N':
      return encodeNotify(payload)
    case 'D':
      return encodeDelete(payload)
    case 'TSi':
    case 'TSr':
      return encodeTs(payload)
    case 'CP':
      return encodeConfiguration(payload)
    case 'SKF':
      return encodeFragment(payload)
    case 'NONCE':
    case 'V':
    case 'EAP':
      return payload.data
    case 'SK':
    case 'UNKNOWN':
      return payload.body
    default:
      return payload satisfies never
  }
}

function encodeFragment(payload: EncryptedFragmentPayload): Uint8Array {
  const head = new Uint8Array(fragment.end)
  putU16(head, fragment.number, payload.fragmentNumber)
  putU16(head, fragment.total, payload.totalFragments)
  return concat([head, payload.body])
}

/** Of a whole message: everything before the sealed body, which the checksum covers as associated data (RFC 5282 section 5.1). */
export function associatedData(
  message: Uint8Array,
  encrypted: EncryptedPayload | EncryptedFragmentPayload,
): Uint8Array {
  return message.subarray(0, message.length - encrypted.body.length)
}
