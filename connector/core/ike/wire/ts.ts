/** The Traffic Selector payloads (RFC 7296 section 3.13). */
import { concat, putU8, putU16, u16 } from './bytes.ts'
import { TS_TYPE } from './constants.ts'
import { type DecodeError, decodeError, isDecodeError } from './decode-error.ts'
import type { TsPayload, WireTrafficSelector } from './types.ts'

/** Byte ranges of the payload body: a count, three reserved bytes, selectors. */
const layout = { count: 0, end: 4 } as const
/** Byte ranges of a selector (section 3.13.1); both addresses follow. The first four bytes are common to all types. */
const selector = { type: 0, protocol: 1, length: 2, common: 4, startPort: 4, endPort: 6, end: 8 } as const

export function decodeTs(type: TsPayload['type'], body: Uint8Array, at: number): TsPayload | DecodeError {
  if (body.length < layout.end) return decodeError('truncated', `The ${type} payload at offset ${at} is cut off.`)
  const count = body[layout.count]!
  const selectors: WireTrafficSelector[] = []
  let offset: number = layout.end
  for (let index = 0; index < count; index++) {
    if (body.length - offset < selector.common) {
      return decodeError('truncated', `The traffic selector at offset ${at + offset} is cut off.`)
    }
    const length = u16(body, offset + selector.length)
    if (length < selector.common) {
      return decodeError('bad-length', `The traffic selector at offset ${at + offset} claims ${length} bytes.`)
    }
    if (offset + length > body.length) {
      return decodeError('truncated', `The traffic selector at offset ${at + offset} ends behind its payload.`)
    }
    const decoded = decodeSelector(body.subarray(offset, offset + length), at + offset)
    if (isDecodeError(decoded)) return decoded
    selectors.push(decoded)
    offset += length
  }
  if (offset !== body.length) {
    return decodeError('bad-length', `The ${type} payload at offset ${at} is longer than its ${count} selectors.`)
  }
  return { type, selectors }
}

function decodeSelector(bytes: Uint8Array, at: number): WireTrafficSelector | DecodeError {
  const tsType = bytes[selector.type]!
  const protocol = bytes[selector.protocol]!
  const size = addressSize(tsType)
  if (size === undefined) {
    const none = new Uint8Array(0)
    const body = bytes.slice(selector.common)
    return { tsType, protocol, startPort: 0, endPort: 0, startAddress: none, endAddress: none, body }
  }
  if (bytes.length !== selector.end + 2 * size) {
    return decodeError('bad-length', `The traffic selector at offset ${at} has ${bytes.length} bytes.`)
  }
  return {
    tsType,
    protocol,
    startPort: u16(bytes, selector.startPort),
    endPort: u16(bytes, selector.endPort),
    startAddress: bytes.slice(selector.end, selector.end + size),
    endAddress: bytes.slice(selector.end + size),
  }
}

function addressSize(tsType: number): number | undefined {
  if (tsType === TS_TYPE.TS_IPV4_ADDR_RANGE) return 4
  if (tsType === TS_TYPE.TS_IPV6_ADDR_RANGE) return 16
  return undefined
}

export function encodeTs(payload: TsPayload): Uint8Array {
  const head = new Uint8Array(layout.end)
  putU8(head, layout.count, payload.selectors.length)
  return concat([head, ...payload.selectors.map(encodeSelector)])
}

function encodeSelector(value: WireTrafficSelector): Uint8Array {
  const size = addressSize(value.tsType)
  if (size === undefined) {
    const head = new Uint8Array(selector.common)
    putU8(head, selector.type, value.tsType)
    putU8(head, selector.protocol, value.protocol)
    const body = value.body ?? new Uint8Array(0)
    putU16(head, selector.length, selector.common + body.length)
    return concat([head, body])
  }
  if (value.startAddress.length !== size || value.endAddress.length !== size) {
    throw new RangeError(`addresses of traffic selector type ${value.tsType} have ${size} bytes`)
  }
  const head = new Uint8Array(selector.end)
  putU8(head, selector.type, value.tsType)
  putU8(head, selector.protocol, value.protocol)
  putU16(head, selector.length, selector.end + 2 * size)
  putU16(head, selector.startPort, value.startPort)
  putU16(head, selector.endPort, value.endPort)
  return concat([head, value.startAddress, value.endAddress])
}
