/** OPEN (RFC 4271 section 4.2), with extended optional parameters (RFC 9072). */
import { concat, putU8, putU16, putU32, u16, u32 } from '../../ike/wire/bytes.ts'
import { decodeCapabilities, encodeCapability } from './capabilities.ts'
import { BGP_VERSION, HEADER_LENGTH, MESSAGE } from './constants.ts'
import { type BgpFault, bgpFault, isBgpFault } from './faults.ts'
import { encodeHeader } from './header.ts'
import type { Capability, OpenMessage } from './types.ts'

/** Offsets within the message. */
const field = { version: 19, myAs: 20, holdTime: 22, identifier: 24, parametersLength: 28, parameters: 29 } as const
/** The type of a parameter that says that lengths have two octets (RFC 9072 section 2). */
const EXTENDED = 255
const CAPABILITIES = 2

/** `message` is whole, its header checked. Semantics that need our configuration are the session's. */
export function decodeOpen(message: Uint8Array): OpenMessage | BgpFault {
  const version = message[field.version]!
  if (version !== BGP_VERSION) {
    return bgpFault('open-version', `The version is ${version}, not ${BGP_VERSION}.`, Uint8Array.of(0, BGP_VERSION))
  }
  const myAs = u16(message, field.myAs)
  const holdTime = u16(message, field.holdTime)
  const bgpIdentifier = u32(message, field.identifier)
  if (myAs === 0) return bgpFault('open-peer-as', 'The AS number is 0.')
  if (bgpIdentifier === 0) return bgpFault('open-identifier', 'The BGP identifier is 0.0.0.0.')
  const capabilities = decodeParameters(message)
  if (!Array.isArray(capabilities)) return capabilities
  if (capabilities.some((each) => each.type === 'four-octet-as' && each.asn === 0)) {
    return bgpFault('open-peer-as', 'The four-octet AS number is 0.')
  }
  // RFC 4271 section 6.2: one or two seconds must be refused.
  if (holdTime === 1 || holdTime === 2) return bgpFault('open-hold-time', `The hold time is ${holdTime} s.`)
  return { type: 'OPEN', version, myAs, holdTime, bgpIdentifier, capabilities }
}

interface Layout {
  readonly at: number
  /** Octets of a parameter's length. */
  readonly wide: boolean
}

function decodeParameters(message: Uint8Array): Capability[] | BgpFault {
  const layout = layoutOf(message)
  if (isBgpFault(layout)) return layout
  const found: Capability[] = []
  let { at } = layout
  while (at < message.length) {
    const head = layout.wide ? 3 : 2
    if (message.length - at < head) return malformed(`The optional parameter at offset ${at} is cut off.`)
    const type = message[at]!
    const end = at + head + (layout.wide ? u16(message, at + 1) : message[at + 1]!)
    if (end > message.length) return malformed(`The optional parameter at offset ${at} ends behind the message.`)
    if (type !== CAPABILITIES) return bgpFault('open-parameter', `Optional parameter ${type} is not supported.`)
    const capabilities = decodeCapabilities(message.subarray(at + head, end))
    if (typeof capabilities === 'string') return malformed(`In the parameter at offset ${at}, ${capabilities}.`)
    found.push(...capabilities)
    at = end
  }
  return found
}

function layoutOf(message: Uint8Array): Layout | BgpFault {
  const length = message[field.parametersLength]!
  const wide = length !== 0 && message.length >= field.parameters + 3 && message[field.parameters] === EXTENDED
  const at = wide ? field.parameters + 3 : field.parameters
  const claimed = wide ? u16(message, field.parameters + 1) : length
  if (at + claimed === message.length) return { at, wide }
  return malformed(`The optional parameters claim ${claimed} octets; ${message.length - at} are there.`)
}

function malformed(reason: string): BgpFault {
  return bgpFault('open-parameter-malformed', reason)
}

/** One parameter for each capability, which every speaker understands. Throws a RangeError for a field out of range. */
export function encodeOpen(open: OpenMessage): Uint8Array {
  const capabilities = open.capabilities.map(encodeCapability)
  const short = capabilities.reduce((sum, { length }) => sum + 2 + length, 0)
  const wide = short >= EXTENDED
  const parameters = capabilities.map((bytes) => concat([parameterHead(bytes.length, wide), bytes]))
  const fixed = new Uint8Array(field.parameters - HEADER_LENGTH)
  putU8(fixed, field.version - HEADER_LENGTH, open.version)
  putU16(fixed, field.myAs - HEADER_LENGTH, open.myAs)
  putU16(fixed, field.holdTime - HEADER_LENGTH, open.holdTime)
  putU32(fixed, field.identifier - HEADER_LENGTH, open.bgpIdentifier)
  putU8(fixed, field.parametersLength - HEADER_LENGTH, wide ? EXTENDED : short)
  const head = wide ? [extendedHead(parameters)] : []
  return encodeHeader(MESSAGE.OPEN, [fixed, ...head, ...parameters])
}

function parameterHead(length: number, wide: boolean): Uint8Array {
  const head = new Uint8Array(wide ? 3 : 2)
  head[0] = CAPABILITIES
  if (wide) putU16(head, 1, length)
  else putU8(head, 1, length)
  return head
}

function extendedHead(parameters: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(3)
  head[0] = EXTENDED
  putU16(
    head,
    1,
    parameters.reduce((sum, { length }) => sum + length, 0),
  )
  return head
}
