/** UPDATEs as bytes: as many prefixes in one as it holds. */
import { addressBytes } from '../../../../protocol/net.ts'
import { concat, putU8, putU16 } from '../../ike/wire/bytes.ts'
import { ATTRIBUTE, FLAG, HEADER_LENGTH, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, MESSAGE } from './constants.ts'
import { type EncodeOptions, encodeAttribute, encodeAttributes } from './encode-attributes.ts'
import { encodeHeader } from './header.ts'
import { encodeFamily, familyOfAfi } from './multiprotocol.ts'
import { encodePrefixes } from './nlri.ts'
import type { AfiSafi, NextHop, PathAttributes, PrefixBlock } from './types.ts'

/** Header and both length fields. */
const FRAME = HEADER_LENGTH + 4
/** Flags, type and a length of two octets. */
const MP_HEAD = 4

export interface PackedUpdate {
  readonly message: Uint8Array
  /** The first prefix that is not in it: where the next message begins. The number of all prefixes at the end. */
  readonly next: number
}

/**
 * The next UPDATE that announces prefixes of `block` from `from` on, which is less than their number. Undefined where
 * the attributes leave no room for one: such a route cannot be told and must be withdrawn (RFC 8654 section 5).
 */
export function packAnnouncement(
  attributes: PathAttributes,
  nextHop: NextHop,
  block: PrefixBlock,
  from: number,
  options: EncodeOptions,
): PackedUpdate | undefined {
  const hop = nextHopBytes(nextHop)
  const isIpv4 = block.family === 4
  const encoded = encodeAttributes(attributes, options, isIpv4 ? hop : undefined)
  const reach = isIpv4 ? undefined : concat([encodeFamily(6), Uint8Array.of(hop.length), hop, Uint8Array.of(0)])
  const taken = FRAME + encoded.length + (reach === undefined ? 0 : MP_HEAD + reach.length)
  const { bytes, next } = encodePrefixes(block, from, limitOf(options) - taken)
  if (next === from) return undefined
  if (reach === undefined) return { message: encodeUpdate(NOTHING, [encoded], bytes), next }
  return {
    message: encodeUpdate(NOTHING, [mpAttribute(ATTRIBUTE.MP_REACH_NLRI, [reach, bytes]), encoded], NOTHING),
    next,
  }
}

/** The next UPDATE that withdraws prefixes of `block` from `from` on, which is less than their number. */
export function packWithdrawal(block: PrefixBlock, from: number, options: EncodeOptions): PackedUpdate {
  if (block.family === 4) {
    const { bytes, next } = encodePrefixes(block, from, limitOf(options) - FRAME)
    return { message: encodeUpdate(bytes, [], NOTHING), next }
  }
  const family = encodeFamily(6)
  const { bytes, next } = encodePrefixes(block, from, limitOf(options) - FRAME - MP_HEAD - family.length)
  return { message: encodeUpdate(NOTHING, [mpAttribute(ATTRIBUTE.MP_UNREACH_NLRI, [family, bytes])], NOTHING), next }
}

/** RFC 4724 section 2: for IPv4 unicast an empty UPDATE, for others MP_UNREACH_NLRI without prefixes. */
export function encodeEndOfRib(afiSafi: AfiSafi): Uint8Array {
  if (familyOfAfi(afiSafi) === 4) return encodeUpdate(NOTHING, [], NOTHING)
  const family = new Uint8Array(3)
  putU16(family, 0, afiSafi.afi)
  putU8(family, 2, afiSafi.safi)
  const unreach = encodeAttribute([ATTRIBUTE.MP_UNREACH_NLRI, FLAG.optional, family])
  return encodeUpdate(NOTHING, [unreach], NOTHING)
}

const NOTHING = new Uint8Array(0)

function limitOf({ extendedMessages }: EncodeOptions): number {
  return extendedMessages ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE
}

/** 4, 16 or, with a link-local address beside a global one, 32 octets. */
function nextHopBytes({ address, linkLocal }: NextHop): Uint8Array {
  const first = addressBytes(address)
  return linkLocal === undefined || linkLocal === address ? first : concat([first, addressBytes(linkLocal)])
}

/** RFC 7606 section 5.1: it comes first. Its length always has two octets, as its room was reckoned. */
function mpAttribute(type: number, value: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(MP_HEAD)
  head[0] = FLAG.optional | FLAG.extendedLength
  head[1] = type
  putU16(
    head,
    2,
    value.reduce((sum, { length }) => sum + length, 0),
  )
  return concat([head, ...value])
}

function encodeUpdate(withdrawn: Uint8Array, attributes: readonly Uint8Array[], nlri: Uint8Array): Uint8Array {
  const all = concat(attributes)
  return encodeHeader(MESSAGE.UPDATE, [lengthField(withdrawn), withdrawn, lengthField(all), all, nlri])
}

function lengthField(bytes: Uint8Array): Uint8Array {
  const field = new Uint8Array(2)
  putU16(field, 0, bytes.length)
  return field
}
