/** BFD Control packets (RFC 5880 section 4.1), and what is wrong with those that are none. */

/** As the two bits of the Sta field stand for them. */
export const BFD_STATES = ['admin-down', 'down', 'init', 'up'] as const
export type BfdState = (typeof BFD_STATES)[number]

/** Diagnostic codes by number (RFC 5880 section 4.1; 9 is of RFC 6428). Others are reserved and are kept as they come. */
export const DIAGNOSTICS = [
  'no diagnostic',
  'control detection time expired',
  'echo function failed',
  'neighbor signaled session down',
  'forwarding plane reset',
  'path down',
  'concatenated path down',
  'administratively down',
  'reverse concatenated path down',
  'mis-connectivity defect',
] as const

export const diagnostic = {
  none: 0,
  detectionTimeExpired: 1,
  neighborSignaledDown: 3,
  forwardingPlaneReset: 4,
  pathDown: 5,
  administrativelyDown: 7,
} as const

/** A Control packet that keeps the rules of section 4. Intervals are microseconds, discriminators 32 bits. */
export interface BfdPacket {
  /** 0 to 31. */
  readonly diagnostic: number
  readonly state: BfdState
  readonly poll: boolean
  readonly final: boolean
  /** The sender's BFD does not share fate with its control plane. */
  readonly controlPlaneIndependent: boolean
  readonly demand: boolean
  /** 1 to 255. */
  readonly detectMult: number
  /** Not zero. */
  readonly myDiscriminator: number
  /** Zero while the sender does not know it. */
  readonly yourDiscriminator: number
  readonly desiredMinTxUs: number
  readonly requiredMinRxUs: number
  readonly requiredMinEchoRxUs: number
  /** The Authentication Section (sections 4.2 to 4.4), unverified. */
  readonly authentication?: BfdAuthentication
}

export interface BfdAuthentication {
  /** 1 simple password, 2 and 3 keyed MD5, 4 and 5 keyed SHA1, others reserved. */
  readonly type: number
  /** What stands behind type and length; may be a password: not for logs. */
  readonly data: Uint8Array
}

export const BFD_FAULTS = [
  'truncated',
  'bad-version',
  'bad-length',
  'zero-detect-mult',
  'multipoint',
  'zero-my-discriminator',
  'zero-your-discriminator',
  'poll-and-final',
  'bad-authentication',
] as const
export type BfdFaultKind = (typeof BFD_FAULTS)[number]

/** Why bytes are not a valid Control packet. Its consequence is always the same: the packet is discarded (6.8.6). */
export interface BfdFault {
  readonly fault: BfdFaultKind
  /** One sentence, without contents of the authentication section. */
  readonly reason: string
}

export const BFD_LENGTH = 24
const VERSION = 1
const AUTH_HEADER = 2

/** Offsets of the octets and words. */
const field = {
  versionDiag: 0,
  flags: 1,
  detectMult: 2,
  length: 3,
  mine: 4,
  yours: 8,
  tx: 12,
  rx: 16,
  echo: 20,
} as const
const flag = { poll: 0x20, final: 0x10, control: 0x08, authentication: 0x04, demand: 0x02, multipoint: 0x01 } as const

export function isBfdFault(value: BfdPacket | BfdFault): value is BfdFault {
  return 'fault' in value
}

/**
 * Reads one UDP payload by the rules of section 6.8.6 that need no session, in their order. Bytes behind the Length
 * field's end are allowed there and ignored. The packet holds copies.
 */
export function decodeBfd(bytes: Uint8Array): BfdPacket | BfdFault {
  if (bytes.length < BFD_LENGTH) {
    return bfdFault(
      'truncated',
      `A BFD Control packet has at least ${BFD_LENGTH} bytes; only ${bytes.length} are there.`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = bytes[field.flags]!
  const fault = headerFault(bytes, view, flags)
  if (fault !== undefined) return fault
  const packet: BfdPacket = {
    diagnostic: bytes[field.versionDiag]! & 0x1f,
    state: BFD_STATES[flags >>> 6]!,
    poll: (flags & flag.poll) !== 0,
    final: (flags & flag.final) !== 0,
    controlPlaneIndependent: (flags & flag.control) !== 0,
    demand: (flags & flag.demand) !== 0,
    detectMult: bytes[field.detectMult]!,
    myDiscriminator: view.getUint32(field.mine),
    yourDiscriminator: view.getUint32(field.yours),
    desiredMinTxUs: view.getUint32(field.tx),
    requiredMinRxUs: view.getUint32(field.rx),
    requiredMinEchoRxUs: view.getUint32(field.echo),
  }
  if ((flags & flag.authentication) === 0) return packet
  return withAuthentication(packet, bytes.subarray(BFD_LENGTH, bytes[field.length]!))
}

function headerFault(bytes: Uint8Array, view: DataView, flags: number): BfdFault | undefined {
  const version = bytes[field.versionDiag]! >>> 5
  const length = bytes[field.length]!
  const least = (flags & flag.authentication) === 0 ? BFD_LENGTH : BFD_LENGTH + AUTH_HEADER
  if (version !== VERSION) return bfdFault('bad-version', `The version is ${version}, not ${VERSION}.`)
  if (length < least) return bfdFault('bad-length', `The Length field says ${length}; at least ${least} are needed.`)
  if (length > bytes.length) {
    return bfdFault('bad-length', `The Length field says ${length}; the datagram has ${bytes.length} bytes.`)
  }
  if (bytes[field.detectMult] === 0) return bfdFault('zero-detect-mult', 'Detect Mult is zero.')
  if ((flags & flag.multipoint) !== 0) return bfdFault('multipoint', 'The Multipoint bit is set.')
  if (view.getUint32(field.mine) === 0) return bfdFault('zero-my-discriminator', 'My Discriminator is zero.')
  const state = BFD_STATES[flags >>> 6]!
  if (view.getUint32(field.yours) === 0 && state !== 'down' && state !== 'admin-down') {
    return bfdFault('zero-your-discriminator', `Your Discriminator is zero in state ${state}.`)
  }
  // Section 6.5 forbids both in one packet: neither is then to be believed.
  if ((flags & flag.poll) !== 0 && (flags & flag.final) !== 0) {
    return bfdFault('poll-and-final', 'Poll and Final are both set.')
  }
  return undefined
}

function withAuthentication(packet: BfdPacket, section: Uint8Array): BfdPacket | BfdFault {
  const length = section[1]!
  if (length < AUTH_HEADER || length > section.length) {
    return bfdFault('bad-authentication', `Auth Len says ${length}; the section has ${section.length} bytes.`)
  }
  return { ...packet, authentication: { type: section[0]!, data: section.slice(AUTH_HEADER, length) } }
}

function bfdFault(fault: BfdFaultKind, reason: string): BfdFault {
  return { fault, reason }
}

/** The packet's bytes, freshly allocated. Throws a RangeError for a field out of range: the caller's mistake. */
export function encodeBfd(packet: BfdPacket): Uint8Array {
  const auth = packet.authentication
  const authLength = auth === undefined ? 0 : AUTH_HEADER + auth.data.length
  const bytes = new Uint8Array(BFD_LENGTH + authLength)
  const view = new DataView(bytes.buffer)
  bytes[field.versionDiag] = (VERSION << 5) | within('diagnostic', packet.diagnostic, 0, 0x1f)
  bytes[field.flags] = flagsOf(packet)
  bytes[field.detectMult] = within('detectMult', packet.detectMult, 1, 0xff)
  bytes[field.length] = within('length', bytes.length, BFD_LENGTH, 0xff)
  view.setUint32(field.mine, within('myDiscriminator', packet.myDiscriminator, 1, 0xffffffff))
  view.setUint32(field.yours, within('yourDiscriminator', packet.yourDiscriminator, 0, 0xffffffff))
  view.setUint32(field.tx, within('desiredMinTxUs', packet.desiredMinTxUs, 0, 0xffffffff))
  view.setUint32(field.rx, within('requiredMinRxUs', packet.requiredMinRxUs, 0, 0xffffffff))
  view.setUint32(field.echo, within('requiredMinEchoRxUs', packet.requiredMinEchoRxUs, 0, 0xffffffff))
  if (auth !== undefined) {
    bytes[BFD_LENGTH] = within('authentication type', auth.type, 0, 0xff)
    bytes[BFD_LENGTH + 1] = authLength
    bytes.set(auth.data, BFD_LENGTH + AUTH_HEADER)
  }
  return bytes
}

function flagsOf(packet: BfdPacket): number {
  return (
    (BFD_STATES.indexOf(packet.state) << 6) |
    (packet.poll ? flag.poll : 0) |
    (packet.final ? flag.final : 0) |
    (packet.controlPlaneIndependent ? flag.control : 0) |
    (packet.authentication === undefined ? 0 : flag.authentication) |
    (packet.demand ? flag.demand : 0)
  )
}

function within(name: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} is ${value}, not an integer from ${least} to ${most}`)
  }
  return value
}
