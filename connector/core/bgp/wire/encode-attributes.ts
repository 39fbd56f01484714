/** Path attributes as bytes, in the order of their types (RFC 4271 section 5). */
import { concat, putU16, putU32 } from '../../ike/wire/bytes.ts'
import { asPathHas, encodeAsPath, twoOctets } from './as-path.ts'
import { ATTRIBUTE, FLAG } from './constants.ts'
import type { PathAttributes } from './types.ts'

export interface EncodeOptions {
  /** Both ends announced four-octet AS numbers (RFC 6793). */
  readonly fourOctetAs: boolean
  /** The peer announced extended messages (RFC 8654). */
  readonly extendedMessages: boolean
  /** The peer is in our AS. To others LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST never go. */
  readonly internal: boolean
}

type Part = readonly [type: number, flags: number, value: Uint8Array]

const wellKnown = FLAG.transitive
const optional = FLAG.optional
const transitive = FLAG.optional | FLAG.transitive

/**
 * All attributes but the multiprotocol ones. `nextHop` becomes NEXT_HOP (4 octets) where the prefixes stand in the
 * NLRI field. Throws a RangeError for a value out of range.
 */
export function encodeAttributes(attributes: PathAttributes, options: EncodeOptions, nextHop?: Uint8Array): Uint8Array {
  const parts: Part[] = [
    [ATTRIBUTE.ORIGIN, wellKnown, Uint8Array.of(attributes.origin)],
    ...asParts(attributes, options),
    ...(nextHop === undefined ? [] : [[ATTRIBUTE.NEXT_HOP, wellKnown, nextHop] as const]),
    ...numberPart(ATTRIBUTE.MULTI_EXIT_DISC, optional, attributes.med),
    ...(attributes.atomicAggregate ? [[ATTRIBUTE.ATOMIC_AGGREGATE, wellKnown, new Uint8Array(0)] as const] : []),
    ...wordsPart(ATTRIBUTE.COMMUNITIES, transitive, attributes.communities),
    ...(options.internal ? internalParts(attributes) : []),
    ...extendedPart(attributes),
    ...wordsPart(ATTRIBUTE.LARGE_COMMUNITIES, transitive, attributes.largeCommunities?.flat()),
    ...numberPart(ATTRIBUTE.OTC, transitive, attributes.onlyToCustomer),
    ...(attributes.unknown ?? []).map(({ flags, type, value }) => [type, flags, value] as const),
  ]
  parts.sort((left, right) => left[0] - right[0])
  return concat(parts.map(encodeAttribute))
}

/** One attribute. The length has two octets where it needs them. */
export function encodeAttribute([type, flags, value]: Part): Uint8Array {
  const long = value.length > 0xff
  const bytes = new Uint8Array((long ? 4 : 3) + value.length)
  bytes[0] = (flags & ~FLAG.extendedLength) | (long ? FLAG.extendedLength : 0)
  bytes[1] = type
  // One that is longer still fits into no message: whoever packs it finds no room.
  if (long) putU16(bytes, 2, Math.min(value.length, 0xffff))
  else bytes[2] = value.length
  bytes.set(value, long ? 4 : 3)
  return bytes
}

/** AS_PATH and AGGREGATOR; for an old speaker what two octets cannot say stands beside them (RFC 6793 section 4.2.2). */
function asParts({ asPath, aggregator }: PathAttributes, { fourOctetAs }: EncodeOptions): Part[] {
  const parts: Part[] = [[ATTRIBUTE.AS_PATH, wellKnown, encodeAsPath(asPath, fourOctetAs ? 4 : 2)]]
  if (!fourOctetAs && asPathHas(asPath, needsFour)) {
    parts.push([ATTRIBUTE.AS4_PATH, transitive, encodeAsPath(asPath, 4)])
  }
  if (aggregator === undefined) return parts
  const { asn, routerId } = aggregator
  if (fourOctetAs) return [...parts, [ATTRIBUTE.AGGREGATOR, transitive, words([asn, routerId])]]
  const value = new Uint8Array(6)
  putU16(value, 0, twoOctets(asn))
  putU32(value, 2, routerId)
  parts.push([ATTRIBUTE.AGGREGATOR, transitive, value])
  if (needsFour(asn)) parts.push([ATTRIBUTE.AS4_AGGREGATOR, transitive, words([asn, routerId])])
  return parts
}

function needsFour(asn: number): boolean {
  return asn > 0xffff
}

function internalParts({ localPref, originatorId, clusterList }: PathAttributes): Part[] {
  return [
    ...numberPart(ATTRIBUTE.LOCAL_PREF, wellKnown, localPref),
    ...numberPart(ATTRIBUTE.ORIGINATOR_ID, optional, originatorId),
    ...wordsPart(ATTRIBUTE.CLUSTER_LIST, optional, clusterList),
  ]
}

function extendedPart({ extendedCommunities }: PathAttributes): Part[] {
  if (extendedCommunities === undefined || extendedCommunities.length === 0) return []
  return [[ATTRIBUTE.EXTENDED_COMMUNITIES, transitive, concat(extendedCommunities)]]
}

function numberPart(type: number, flags: number, value: number | undefined): Part[] {
  return value === undefined ? [] : [[type, flags, words([value])]]
}

function wordsPart(type: number, flags: number, values: readonly number[] | undefined): Part[] {
  return values === undefined || values.length === 0 ? [] : [[type, flags, words(values)]]
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length)
  for (const [index, value] of values.entries()) putU32(bytes, 4 * index, value)
  return bytes
}
