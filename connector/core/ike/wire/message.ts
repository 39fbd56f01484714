/** Whole IKE messages. */
import { type DecodeError, decodeError, isDecodeError } from './decode-error.ts'
import { decodeHeader, encodeHeader, firstPayloadOf, HEADER_LENGTH } from './header.ts'
import { decodeChain, encodePayloads } from './payloads.ts'
import type { IkeMessage } from './types.ts'

export const IKE_MAJOR_VERSION = 2

/**
 * A message from a datagram whose non-ESP marker has been removed. Unknown payloads are kept, the critical ones
 * too: refusing them is the caller's part (RFC 7296 section 2.5). Reserved bits are ignored.
 */
export function decodeMessage(bytes: Uint8Array): IkeMessage | DecodeError {
  const header = decodeHeader(bytes)
  if (isDecodeError(header)) return header
  if (header.majorVersion !== IKE_MAJOR_VERSION) {
    const version = `${header.majorVersion}.${header.minorVersion}`
    return decodeError('invalid-major-version', `The message at offset 0 is of IKE version ${version}, not 2.`)
  }
  const payloads = decodeChain(firstPayloadOf(bytes), bytes, HEADER_LENGTH, true)
  return isDecodeError(payloads) ? payloads : { header, payloads }
}

/** The message without a non-ESP marker. An SK or SKF body goes out as it is. Throws a RangeError as `encodePayloads`. */
export function encodeMessage(message: IkeMessage): Uint8Array {
  const { firstPayload, bytes } = encodePayloads(message.payloads)
  return encodeHeader(message.header, firstPayload, bytes)
}
