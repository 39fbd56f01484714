/** The header of every message (RFC 4271 section 4.1), and where a message ends in a stream of octets. */
import { putU16, u16 } from '../../ike/wire/bytes.ts'
import { HEADER_LENGTH, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, MESSAGE } from './constants.ts'
import { type BgpFault, bgpFault } from './faults.ts'

const field = { length: 16, type: 18 } as const

/** Least length by type (section 6.1, RFC 2918 section 3). A KEEPALIVE has no other. */
const LEAST: Readonly<Record<number, number>> = {
  [MESSAGE.OPEN]: 29,
  [MESSAGE.UPDATE]: 23,
  [MESSAGE.NOTIFICATION]: 21,
  [MESSAGE.KEEPALIVE]: HEADER_LENGTH,
  [MESSAGE['ROUTE-REFRESH']]: 23,
}

export interface Header {
  /** Of the whole message. */
  readonly length: number
  readonly type: number
}

/**
 * The header at the beginning of `bytes`; undefined while it is not whole. The message itself need not be.
 * `extended`: we announced extended messages. OPEN and KEEPALIVE are never extended (RFC 8654 section 4).
 */
export function decodeHeader(bytes: Uint8Array, extended: boolean): Header | BgpFault | undefined {
  const marked = Math.min(field.length, bytes.length)
  for (let at = 0; at < marked; at++) {
    if (bytes[at] !== 0xff) return bgpFault('header-marker', `The marker is not all ones at offset ${at}.`)
  }
  if (bytes.length < HEADER_LENGTH) return undefined
  const length = u16(bytes, field.length)
  const type = bytes[field.type]!
  const least = LEAST[type] ?? HEADER_LENGTH
  const mayBeLong = extended && type !== MESSAGE.OPEN && type !== MESSAGE.KEEPALIVE
  const most = type === MESSAGE.KEEPALIVE ? HEADER_LENGTH : mayBeLong ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE
  if (length < least || length > most) {
    const bound = length < least ? `at least ${least}` : `at most ${most}`
    const reason = `A message of type ${type} has ${bound} octets; the length field says ${length}.`
    return bgpFault('header-length', reason, bytes.subarray(field.length, field.type))
  }
  if (!(type in LEAST)) {
    return bgpFault('header-type', `Message type ${type} does not exist.`, bytes.subarray(field.type, HEADER_LENGTH))
  }
  return { length, type }
}

/** Header and body as one message. Throws a RangeError where it is longer than the field can say. */
export function encodeHeader(type: number, body: readonly Uint8Array[]): Uint8Array {
  const length = body.reduce((sum, part) => sum + part.length, HEADER_LENGTH)
  const bytes = new Uint8Array(length)
  bytes.fill(0xff, 0, field.length)
  putU16(bytes, field.length, length)
  bytes[field.type] = type
  let at = HEADER_LENGTH
  for (const part of body) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
