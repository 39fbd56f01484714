/** The Security Association payload (RFC 7296 section 3.3). */
import { concat, putU8, putU16, u16 } from './bytes.ts'
import { ATTRIBUTE, PROTOCOL } from './constants.ts'
import { type DecodeError, decodeError, isDecodeError } from './decode-error.ts'
import type { Proposal, SaPayload, Transform, TransformAttribute } from './types.ts'

/** No honest SA payload comes near these; they bound the work that one datagram can cause. */
const MAX_PROPOSALS = 64
const MAX_TRANSFORMS = 1024
const MAX_ATTRIBUTES = 16

/** Byte ranges of a proposal substructure (section 3.3.1); the SPI follows. */
const proposal = { last: 0, length: 2, number: 4, protocol: 5, spiSize: 6, transformCount: 7, end: 8 } as const
/** Byte ranges of a transform substructure (section 3.3.2); attributes follow. */
const transform = { last: 0, length: 2, type: 4, id: 6, end: 8 } as const
/** Byte ranges of a transform attribute (section 3.3.5). */
const attribute = { type: 0, value: 2, end: 4 } as const

const MORE_PROPOSALS = 2
const MORE_TRANSFORMS = 3
const SHORT_FORMAT = 0x8000

/** `at` is the offset of `body`, for reasons only. */
export function decodeSa(body: Uint8Array, at: number): SaPayload | DecodeError {
  const proposals: Proposal[] = []
  let offset = 0
  let transforms = 0
  let more = true
  while (more) {
    if (proposals.length === MAX_PROPOSALS) {
      return decodeError('too-many-items', `More than ${MAX_PROPOSALS} proposals at offset ${at + offset}.`)
    }
    const end = substructureEnd(body, offset, proposal.end, at, 'proposal')
    if (typeof end !== 'number') return end
    const decoded = decodeProposal(body.subarray(offset, end), at + offset)
    if (isDecodeError(decoded)) return decoded
    proposals.push(decoded)
    transforms += decoded.transforms.length
    if (transforms > MAX_TRANSFORMS) {
      return decodeError('too-many-items', `More than ${MAX_TRANSFORMS} transforms at offset ${at + offset}.`)
    }
    const last = body[offset + proposal.last]!
    if (last !== 0 && last !== MORE_PROPOSALS) {
      return decodeError('bad-payload', `The proposal at offset ${at + offset} is marked ${last} and not 0 or 2.`)
    }
    more = last !== 0
    offset = end
  }
  if (offset !== body.length) {
    return decodeError('bad-length', `${body.length - offset} bytes follow the last proposal at offset ${at + offset}.`)
  }
  return { type: 'SA', proposals }
}

function decodeProposal(bytes: Uint8Array, at: number): Proposal | DecodeError {
  const protocol = bytes[proposal.protocol]!
  const spiSize = bytes[proposal.spiSize]!
  const count = bytes[proposal.transformCount]!
  const transformsAt = proposal.end + spiSize
  if (transformsAt > bytes.length) {
    return decodeError('truncated', `The SPI of the proposal at offset ${at} ends behind the proposal.`)
  }
  if (!spiSizeFits(protocol, spiSize)) {
    return decodeError('bad-length', `The proposal at offset ${at} has an SPI of ${spiSize} bytes.`)
  }
  const transforms: Transform[] = []
  let offset: number = transformsAt
  for (let index = 0; index < count; index++) {
    const end = substructureEnd(bytes, offset, transform.end, at, 'transform')
    if (typeof end !== 'number') return end
    const expected = index === count - 1 ? 0 : MORE_TRANSFORMS
    if (bytes[offset + transform.last] !== expected) {
      return decodeError('bad-payload', `The transform at offset ${at + offset} must be marked ${expected}.`)
    }
    const decoded = decodeTransform(bytes.subarray(offset, end), at + offset)
    if (isDecodeError(decoded)) return decoded
    transforms.push(decoded)
    offset = end
  }
  if (offset !== bytes.length) {
    return decodeError('bad-length', `The proposal at offset ${at} is longer than its ${count} transforms.`)
  }
  return { number: bytes[proposal.number]!, protocol, spi: bytes.slice(proposal.end, transformsAt), transforms }
}

/** Section 3.3.1: none or 8 bytes for IKE, 4 for AH and ESP. Of other protocols nothing is known. */
function spiSizeFits(protocol: number, size: number): boolean {
  if (protocol === PROTOCOL.IKE) return size === 0 || size === 8
  if (protocol === PROTOCOL.AH || protocol === PROTOCOL.ESP) return size === 4
  return true
}

function decodeTransform(bytes: Uint8Array, at: number): Transform | DecodeError {
  const attributes: TransformAttribute[] = []
  let offset: number = transform.end
  while (offset < bytes.length) {
    if (attributes.length === MAX_ATTRIBUTES) {
      return decodeError('too-many-items', `More than ${MAX_ATTRIBUTES} attributes at offset ${at + offset}.`)
    }
    const decoded = decodeAttribute(bytes, offset, at)
    if (isDecodeError(decoded)) return decoded
    attributes.push(decoded)
    offset += attribute.end + (decoded.short ? 0 : decoded.value.length)
  }
  const fixed = { type: bytes[transform.type]!, id: u16(bytes, transform.id) }
  if (attributes.length === 0) return fixed
  const only = attributes.length === 1 ? attributes[0]! : undefined
  if (only?.short && only.type === ATTRIBUTE.KEY_LENGTH) return { ...fixed, keyLength: u16(only.value, 0) }
  const keyLength = attributes.find((each) => each.short && each.type === ATTRIBUTE.KEY_LENGTH)
  return {
    ...fixed,
    ...(keyLength === undefined ? {} : { keyLength: u16(keyLength.value, 0) }),
    unknownAttribute: true,
    attributes,
  }
}

function decodeAttribute(bytes: Uint8Array, offset: number, at: number): TransformAttribute | DecodeError {
  if (bytes.length - offset < attribute.end) {
    return decodeError('truncated', `The attribute at offset ${at + offset} ends behind its transform.`)
  }
  const head = u16(bytes, offset + attribute.type)
  const type = head & ~SHORT_FORMAT
  if ((head & SHORT_FORMAT) !== 0) {
    return { type, short: true, value: bytes.slice(offset + attribute.value, offset + attribute.end) }
  }
  const end = offset + attribute.end + u16(bytes, offset + attribute.value)
  if (end > bytes.length) {
    return decodeError('truncated', `The attribute at offset ${at + offset} ends behind its transform.`)
  }
  return { type, short: false, value: bytes.slice(offset + attribute.end, end) }
}

/** Where a proposal or transform ends; both carry their length, header included, in bytes 2 and 3. */
function substructureEnd(
  bytes: Uint8Array,
  offset: number,
  minimum: number,
  at: number,
  what: string,
): number | DecodeError {
  if (bytes.length - offset < minimum) {
    return decodeError('truncated', `The ${what} at offset ${at + offset} is cut off.`)
  }
  const length = u16(bytes, offset + 2)
  if (length < minimum) {
    return decodeError('bad-length', `The ${what} at offset ${at + offset} claims a length of ${length} bytes.`)
  }
  if (offset + length > bytes.length) {
    return decodeError('truncated', `The ${what} at offset ${at + offset} ends behind its container.`)
  }
  return offset + length
}

export function encodeSa(payload: SaPayload): Uint8Array {
  if (payload.proposals.length === 0) throw new RangeError('an SA payload needs a proposal')
  const last = payload.proposals.length - 1
  return concat(payload.proposals.map((each, index) => encodeProposal(each, index === last)))
}

function encodeProposal(value: Proposal, isLast: boolean): Uint8Array {
  const last = value.transforms.length - 1
  const transforms = concat(value.transforms.map((each, index) => encodeTransform(each, index === last)))
  const head = new Uint8Array(proposal.end)
  head[proposal.last] = isLast ? 0 : MORE_PROPOSALS
  putU16(head, proposal.length, proposal.end + value.spi.length + transforms.length)
  putU8(head, proposal.number, value.number)
  putU8(head, proposal.protocol, value.protocol)
  putU8(head, proposal.spiSize, value.spi.length)
  putU8(head, proposal.transformCount, value.transforms.length)
  return concat([head, value.spi, transforms])
}

function encodeTransform(value: Transform, isLast: boolean): Uint8Array {
  const attributes = concat(attributesOf(value).map(encodeAttribute))
  const head = new Uint8Array(transform.end)
  head[transform.last] = isLast ? 0 : MORE_TRANSFORMS
  putU16(head, transform.length, transform.end + attributes.length)
  putU8(head, transform.type, value.type)
  putU16(head, transform.id, value.id)
  return concat([head, attributes])
}

function attributesOf(value: Transform): readonly TransformAttribute[] {
  if (value.attributes !== undefined) return value.attributes
  if (value.keyLength === undefined) return []
  const bits = new Uint8Array(2)
  putU16(bits, 0, value.keyLength)
  return [{ type: ATTRIBUTE.KEY_LENGTH, short: true, value: bits }]
}

function encodeAttribute(value: TransformAttribute): Uint8Array {
  const head = new Uint8Array(attribute.end)
  if (value.short) {
    putU16(head, attribute.type, value.type | SHORT_FORMAT)
    head.set(value.value, attribute.value)
    return head
  }
  putU16(head, attribute.type, value.type)
  putU16(head, attribute.value, value.value.length)
  return concat([head, value.value])
}
