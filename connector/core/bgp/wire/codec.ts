/** The BGP codecs on one page: import from here. */
import { HEADER_LENGTH, MESSAGE } from './constants.ts'
import { type BgpFault, bgpFault } from './faults.ts'
import { decodeHeader, encodeHeader } from './header.ts'
import { decodeNotification } from './notification.ts'
import { decodeOpen } from './open.ts'
import { decodeRefresh } from './refresh.ts'
import type { BgpMessage, DecodeOptions } from './types.ts'
import { decodeUpdate } from './update.ts'

export { asPathHas, asPathLength, joined } from './as-path.ts'
export * from './constants.ts'
export { type EncodeOptions, encodeAttributes } from './encode-attributes.ts'
export { encodeEndOfRib, type PackedUpdate, packAnnouncement, packWithdrawal } from './encode-update.ts'
export {
  type BgpFault,
  bgpFault,
  CONSEQUENCES,
  type Consequence,
  FAULTS,
  type FaultName,
  isBgpFault,
  strongest,
} from './faults.ts'
export { decodeHeader, type Header } from './header.ts'
export { afiOf, familyOfAfi } from './multiprotocol.ts'
export {
  encodeNotification,
  hardResetData,
  MAX_COMMUNICATION,
  notification,
  prefixLimitData,
  shutdownData,
} from './notification.ts'
export { encodeOpen } from './open.ts'
export { blockOf, partOf, prefixAt, prefixesOf, wordsOf } from './prefixes.ts'
export { encodeRefresh, REFRESH } from './refresh.ts'
export type * from './types.ts'
export { ORIGIN, ROLE } from './types.ts'

/**
 * Exactly one message. Never throws. A fault comes back where the session must be reset; milder ones stand in the
 * UPDATE (RFC 7606). A length field that says something else than `bytes` has is a fault too.
 */
export function decodeMessage(message: Uint8Array, options: DecodeOptions): BgpMessage | BgpFault {
  // A subclass of Uint8Array, such as Node's Buffer, may share memory where `slice` should copy.
  const bytes = new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
  const header = decodeHeader(bytes, options.extendedMessages)
  if (header === undefined || ('length' in header && header.length !== bytes.length)) {
    const claimed = header === undefined ? `${HEADER_LENGTH} of its header` : `${header.length}`
    const reason = `A message has ${claimed} octets; ${bytes.length} are there.`
    return bgpFault('header-length', reason, bytes.subarray(16, 18))
  }
  if ('fault' in header) return header
  switch (header.type) {
    case MESSAGE.OPEN:
      return decodeOpen(bytes)
    case MESSAGE.UPDATE:
      return decodeUpdate(bytes, options)
    case MESSAGE.NOTIFICATION:
      return decodeNotification(bytes)
    case MESSAGE.KEEPALIVE:
      return { type: 'KEEPALIVE' }
    default:
      return decodeRefresh(bytes)
  }
}

export function encodeKeepalive(): Uint8Array {
  return encodeHeader(MESSAGE.KEEPALIVE, [])
}
