/** The IKE header (RFC 7296 section 3.1). */
import { concat, plainView, putU8, putU32, u32 } from './bytes.ts'
import { type DecodeError, decodeError } from './decode-error.ts'
import type { IkeHeader } from './types.ts'

export const HEADER_LENGTH = 28

/** Byte ranges of the header. */
const field = {
  initiatorSpi: [0, 8],
  responderSpi: [8, 16],
  nextPayload: 16,
  version: 17,
  exchangeType: 18,
  flags: 19,
  messageId: 20,
  length: 24,
} as const

const flag = { initiator: 0x08, version: 0x10, response: 0x20 } as const

/**
 * Reads the header whatever its version, so that a higher one can be answered (RFC 7296 section 2.5).
 *
 * The Length field must equal the number of bytes given: section 3.1 defines it as header plus payloads, and a
 * datagram carries exactly one message, so a difference either way means cut off or smuggled bytes. A non-ESP
 * marker must have been removed.
 */
export function decodeHeader(bytes: Uint8Array): IkeHeader | DecodeError {
  if (bytes.length < HEADER_LENGTH) {
    return decodeError('truncated', `An IKE header has ${HEADER_LENGTH} bytes; only ${bytes.length} are there.`)
  }
  const length = u32(bytes, field.length)
  if (length !== bytes.length) {
    return decodeError(
      'bad-length',
      `The header's length field at offset ${field.length} says ${length} bytes; the datagram has ${bytes.length}.`,
    )
  }
  return readHeader(bytes)
}

/** As `decodeHeader`, of at least `HEADER_LENGTH` bytes and whatever the length field says. */
export function readHeader(message: Uint8Array): IkeHeader {
  const bytes = plainView(message)
  const version = bytes[field.version]!
  const flags = bytes[field.flags]!
  return {
    initiatorSpi: bytes.slice(...field.initiatorSpi),
    responderSpi: bytes.slice(...field.responderSpi),
    majorVersion: version >>> 4,
    minorVersion: version & 0x0f,
    exchangeType: bytes[field.exchangeType]!,
    flags: {
      initiator: (flags & flag.initiator) !== 0,
      response: (flags & flag.response) !== 0,
      version: (flags & flag.version) !== 0,
    },
    messageId: u32(bytes, field.messageId),
  }
}

/** Type of the first payload. The caller has decoded the header. */
export function firstPayloadOf(bytes: Uint8Array): number {
  return bytes[field.nextPayload]!
}

/** Header and payload bytes as one message. Throws a RangeError for a field out of range: the caller's mistake. */
export function encodeHeader(header: IkeHeader, firstPayload: number, payloads: Uint8Array): Uint8Array {
  if (header.initiatorSpi.length !== 8 || header.responderSpi.length !== 8) {
    throw new RangeError('an IKE SPI has 8 bytes')
  }
  const fixed = new Uint8Array(HEADER_LENGTH)
  fixed.set(header.initiatorSpi, field.initiatorSpi[0])
  fixed.set(header.responderSpi, field.responderSpi[0])
  fixed[field.nextPayload] = firstPayload
  putU8(fixed, field.version, (header.majorVersion << 4) | header.minorVersion)
  putU8(fixed, field.exchangeType, header.exchangeType)
  fixed[field.flags] =
    (header.flags.initiator ? flag.initiator : 0) |
    (header.flags.response ? flag.response : 0) |
    (header.flags.version ? flag.version : 0)
  putU32(fixed, field.messageId, header.messageId)
  putU32(fixed, field.length, HEADER_LENGTH + payloads.length)
  return concat([fixed, payloads])
}
