/** Path attributes, each with its flags, its reader and its rules (RFC 4271 section 4.3, RFC 7606 section 7). */
import { u16, u32 } from '../../ike/wire/bytes.ts'
import { asPathHas, decodeAsPath, hasSet, twoOctets } from './as-path.ts'
import { ATTRIBUTE, FLAG } from './constants.ts'
import type { FaultName } from './faults.ts'
import { readNextHop } from './multiprotocol.ts'
import type { Aggregator, AsPath, DecodeOptions, LargeCommunity, NextHop, UnknownAttribute } from './types.ts'

/** What the readers have found so far. */
export interface AttributeDraft {
  origin?: number
  asPath?: AsPath
  nextHop?: NextHop
  med?: number
  localPref?: number
  atomicAggregate?: true
  aggregator?: Aggregator
  communities?: readonly number[]
  originatorId?: number
  clusterList?: readonly number[]
  extendedCommunities?: readonly Uint8Array[]
  as4Path?: AsPath
  as4Aggregator?: Aggregator
  largeCommunities?: readonly LargeCommunity[]
  onlyToCustomer?: number
  unknown: UnknownAttribute[]
}

/** A row's name, or with a reason where the row alone does not say it. */
export type Outcome = FaultName | readonly [FaultName, string] | undefined

type Reader = (value: Uint8Array, draft: AttributeDraft, options: DecodeOptions) => Outcome

export interface AttributeRule {
  /** The Optional and Transitive bits that it must have. */
  readonly flags: number
  /** Takes the value into the draft, or says which rule it breaks. Absent for those that the caller reads. */
  readonly read?: Reader
}

const wellKnown = FLAG.transitive
const optional = FLAG.optional
const transitive = FLAG.optional | FLAG.transitive

export const ATTRIBUTE_RULES: Readonly<Record<number, AttributeRule>> = {
  [ATTRIBUTE.ORIGIN]: { flags: wellKnown, read: readOrigin },
  [ATTRIBUTE.AS_PATH]: { flags: wellKnown, read: readAsPath },
  [ATTRIBUTE.NEXT_HOP]: { flags: wellKnown, read: readNextHopAttribute },
  [ATTRIBUTE.MULTI_EXIT_DISC]: { flags: optional, read: readMed },
  [ATTRIBUTE.LOCAL_PREF]: { flags: wellKnown, read: readLocalPref },
  [ATTRIBUTE.ATOMIC_AGGREGATE]: { flags: wellKnown, read: readAtomicAggregate },
  [ATTRIBUTE.AGGREGATOR]: { flags: transitive, read: readAggregator },
  [ATTRIBUTE.COMMUNITIES]: { flags: transitive, read: readCommunities },
  [ATTRIBUTE.ORIGINATOR_ID]: { flags: optional, read: readOriginatorId },
  [ATTRIBUTE.CLUSTER_LIST]: { flags: optional, read: readClusterList },
  [ATTRIBUTE.MP_REACH_NLRI]: { flags: optional },
  [ATTRIBUTE.MP_UNREACH_NLRI]: { flags: optional },
  [ATTRIBUTE.EXTENDED_COMMUNITIES]: { flags: transitive, read: readExtendedCommunities },
  [ATTRIBUTE.AS4_PATH]: { flags: transitive, read: readAs4Path },
  [ATTRIBUTE.AS4_AGGREGATOR]: { flags: transitive, read: readAs4Aggregator },
  [ATTRIBUTE.IPV6_EXTENDED_COMMUNITIES]: { flags: transitive, read: readIpv6ExtendedCommunities },
  [ATTRIBUTE.LARGE_COMMUNITIES]: { flags: transitive, read: readLargeCommunities },
  [ATTRIBUTE.OTC]: { flags: transitive, read: readOtc },
}

function readOrigin(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (value.length !== 1) return 'origin-length'
  if (value[0]! > 2) return 'origin-value'
  draft.origin = value[0]!
  return undefined
}

function readAsPath(value: Uint8Array, draft: AttributeDraft, options: DecodeOptions): Outcome {
  const path = decodeAsPath(value, options.fourOctetAs ? 4 : 2, 'refuse')
  if (typeof path === 'string') return ['as-path', `In AS_PATH, ${path}.`]
  if (asPathHas(path, isZero)) return 'as-path-zero'
  const first = path[0]
  if (!options.internal && options.firstAs !== undefined) {
    const nearest = first?.type === 'sequence' ? first.asns[0] : undefined
    const expected = options.fourOctetAs ? options.firstAs : twoOctets(options.firstAs)
    if (nearest !== expected) return ['as-path-first', `AS_PATH does not begin with the peer's AS ${options.firstAs}.`]
  }
  draft.asPath = path
  return hasSet(path) ? ['as-set', 'AS_PATH has a set.'] : undefined
}

function isZero(asn: number): boolean {
  return asn === 0
}

function readNextHopAttribute(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (value.length !== 4) return 'next-hop-length'
  const nextHop = readNextHop(value)
  if (typeof nextHop === 'string') return ['next-hop', nextHop]
  draft.nextHop = nextHop
  return undefined
}

function readMed(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (value.length !== 4) return 'med-length'
  draft.med = u32(value, 0)
  return undefined
}

function readLocalPref(value: Uint8Array, draft: AttributeDraft, { internal }: DecodeOptions): Outcome {
  if (!internal) return 'local-pref-external'
  if (value.length !== 4) return 'local-pref-length'
  draft.localPref = u32(value, 0)
  return undefined
}

function readAtomicAggregate(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (value.length !== 0) return 'atomic-aggregate-length'
  draft.atomicAggregate = true
  return undefined
}

function readAggregator(value: Uint8Array, draft: AttributeDraft, { fourOctetAs }: DecodeOptions): Outcome {
  if (value.length !== (fourOctetAs ? 8 : 6)) return 'aggregator-length'
  const asn = fourOctetAs ? u32(value, 0) : u16(value, 0)
  if (asn === 0) return 'aggregator-zero'
  draft.aggregator = { asn, routerId: u32(value, value.length - 4) }
  return undefined
}

function readCommunities(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (!isMultiple(value, 4)) return 'communities-length'
  draft.communities = [...new Set(readWords(value))].sort((left, right) => left - right)
  return undefined
}

function readOriginatorId(value: Uint8Array, draft: AttributeDraft, { internal }: DecodeOptions): Outcome {
  if (!internal) return 'originator-id-external'
  if (value.length !== 4) return 'originator-id-length'
  draft.originatorId = u32(value, 0)
  return undefined
}

function readClusterList(value: Uint8Array, draft: AttributeDraft, { internal }: DecodeOptions): Outcome {
  if (!internal) return 'cluster-list-external'
  if (!isMultiple(value, 4)) return 'cluster-list-length'
  draft.clusterList = readWords(value)
  return undefined
}

function readExtendedCommunities(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (!isMultiple(value, 8)) return 'extended-communities-length'
  draft.extendedCommunities = Array.from({ length: value.length / 8 }, (_, index) =>
    value.slice(8 * index, 8 * index + 8),
  )
  return undefined
}

function readIpv6ExtendedCommunities(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (!isMultiple(value, 20)) return 'ipv6-extended-communities-length'
  // No policy of ours reads them: they go on as they are.
  draft.unknown.push({ flags: transitive, type: ATTRIBUTE.IPV6_EXTENDED_COMMUNITIES, value: value.slice() })
  return undefined
}

function readAs4Path(value: Uint8Array, draft: AttributeDraft, { fourOctetAs }: DecodeOptions): Outcome {
  if (fourOctetAs) return 'as4-from-new-speaker'
  // RFC 6793 section 6: too short to carry one path segment.
  const path = value.length < 6 ? 'there is no segment' : decodeAsPath(value, 4, 'omit')
  if (typeof path === 'string') return ['as4-path', `In AS4_PATH, ${path}.`]
  if (asPathHas(path, isZero)) return 'as4-path-zero'
  draft.as4Path = path
  return hasSet(path) ? ['as-set', 'AS4_PATH has a set.'] : undefined
}

function readAs4Aggregator(value: Uint8Array, draft: AttributeDraft, { fourOctetAs }: DecodeOptions): Outcome {
  if (fourOctetAs) return 'as4-from-new-speaker'
  if (value.length !== 8) return 'as4-aggregator-length'
  const asn = u32(value, 0)
  if (asn === 0) return 'as4-aggregator-zero'
  draft.as4Aggregator = { asn, routerId: u32(value, 4) }
  return undefined
}

function readLargeCommunities(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (!isMultiple(value, 12)) return 'large-communities-length'
  const words = readWords(value)
  const found = Array.from(
    { length: words.length / 3 },
    (_, index): LargeCommunity => [words[3 * index]!, words[3 * index + 1]!, words[3 * index + 2]!],
  )
  found.sort(compareLarge)
  // RFC 8092 section 5: repetitions are silently removed.
  draft.largeCommunities = found.filter((each, index) => index === 0 || compareLarge(each, found[index - 1]!) !== 0)
  return undefined
}

function compareLarge(left: LargeCommunity, right: LargeCommunity): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2]
}

function readOtc(value: Uint8Array, draft: AttributeDraft): Outcome {
  if (value.length !== 4) return 'otc-length'
  draft.onlyToCustomer = u32(value, 0)
  return undefined
}

/** RFC 7606 section 4: zero octets are a fault too. */
function isMultiple(value: Uint8Array, size: number): boolean {
  return value.length > 0 && value.length % size === 0
}

function readWords(value: Uint8Array): number[] {
  return Array.from({ length: value.length / 4 }, (_, index) => u32(value, 4 * index))
}
