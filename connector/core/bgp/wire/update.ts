/** UPDATE (RFC 4271 section 4.3): read as a whole, with every fault's consequence carried out (RFC 7606). */
import { u16 } from '../../ike/wire/bytes.ts'
import { asPathLength, mergeAs4Path } from './as-path.ts'
import { ATTRIBUTE_RULES, type AttributeDraft, type Outcome } from './attributes.ts'
import { AS_TRANS, ATTRIBUTE, attributeName, FLAG } from './constants.ts'
import { type BgpFault, bgpFault, type FaultName, strongest } from './faults.ts'
import { afiOf, decodeReach, decodeUnreach, familyOfAfi, type MpFault } from './multiprotocol.ts'
import { decodePrefixes } from './nlri.ts'
import type { AfiSafi, DecodeOptions, PathAttributes, PrefixBlock, Reach, UpdateMessage } from './types.ts'

/** Offset of the Withdrawn Routes Length. */
const WITHDRAWN_LENGTH = 19

/** One attribute as it stands in the message. */
interface RawAttribute {
  readonly flags: number
  readonly type: number
  /** Offset within the message. */
  readonly at: number
  readonly value: Uint8Array
  /** Flags, type, length and value. */
  readonly whole: Uint8Array
}

interface Reading {
  readonly options: DecodeOptions
  readonly draft: AttributeDraft
  readonly faults: BgpFault[]
  readonly withdrawn: PrefixBlock[]
  readonly reach: Reach[]
  /** Prefixes that the peer announced, also those without a usable next hop. */
  readonly announced: PrefixBlock[]
  /** Types seen, and those that occurred again. */
  readonly seen: Set<number>
  readonly repeated: Set<number>
  /** Prefixes stand in the NLRI field. */
  readonly hasNlri: boolean
  /** MP_REACH_NLRI was there, of whatever family. */
  hasReach: boolean
  unreach?: AfiSafi
}

/** `message` is whole, its header checked. A fault comes back only where the session must be reset. */
export function decodeUpdate(message: Uint8Array, options: DecodeOptions): UpdateMessage | BgpFault {
  const fields = splitFields(message)
  if ('fault' in fields) return fields
  const reading: Reading = {
    options,
    draft: { unknown: [] },
    faults: [],
    withdrawn: [],
    reach: [],
    announced: [],
    seen: new Set(),
    repeated: new Set(),
    hasNlri: fields.nlri.length > 0,
    hasReach: false,
  }
  const takesIpv4 = options.families.includes(4)
  const withdrawn = decodePrefixes(4, fields.withdrawn)
  if ('reason' in withdrawn) return nlriFault('withdrawn-syntax', fields.withdrawnAt + withdrawn.at, withdrawn.reason)
  if (withdrawn.lengths.length > 0 && takesIpv4) reading.withdrawn.push(withdrawn)
  readAttributes(reading, message, fields)
  const nlri = decodePrefixes(4, fields.nlri)
  if ('reason' in nlri) return nlriFault('nlri-syntax', fields.nlriAt + nlri.at, nlri.reason)
  forgetNextHop(reading)
  checkMandatory(reading)
  if (reading.hasNlri && takesIpv4) {
    reading.announced.push(nlri)
    if (reading.draft.nextHop !== undefined) reading.reach.push({ nextHop: reading.draft.nextHop, prefixes: nlri })
  }
  return conclude(reading, message.length)
}

interface Fields {
  readonly withdrawn: Uint8Array
  readonly withdrawnAt: number
  readonly attributesAt: number
  readonly nlri: Uint8Array
  readonly nlriAt: number
}

function splitFields(message: Uint8Array): Fields | BgpFault {
  const withdrawnAt = WITHDRAWN_LENGTH + 2
  const attributesAt = withdrawnAt + u16(message, WITHDRAWN_LENGTH) + 2
  const claimed = 'The Withdrawn Routes Length and Total Path Attribute Length claim more than the message has.'
  if (attributesAt > message.length) return bgpFault('field-lengths', claimed)
  const nlriAt = attributesAt + u16(message, attributesAt - 2)
  if (nlriAt > message.length) return bgpFault('field-lengths', claimed)
  const withdrawn = message.subarray(withdrawnAt, attributesAt - 2)
  return { withdrawn, withdrawnAt, attributesAt, nlri: message.subarray(nlriAt), nlriAt }
}

function nlriFault(fault: FaultName, at: number, reason: string): BgpFault {
  return bgpFault(fault, `At offset ${at}, ${reason}.`)
}

function readAttributes(reading: Reading, message: Uint8Array, { attributesAt, nlriAt }: Fields): void {
  let at = attributesAt
  while (at < nlriAt) {
    const extended = (message[at]! & FLAG.extendedLength) !== 0
    const valueAt = at + (extended ? 4 : 3)
    const end = valueAt > nlriAt ? valueAt : valueAt + (extended ? u16(message, at + 2) : message[at + 2]!)
    if (end > nlriAt) {
      const what = `The path attribute at offset ${at} ends behind the Total Path Attribute Length.`
      reading.faults.push(bgpFault('attribute-overrun', what))
      return
    }
    const value = message.subarray(valueAt, end)
    readAttribute(reading, {
      flags: message[at]!,
      type: message[at + 1]!,
      at,
      value,
      whole: message.subarray(at, end),
    })
    at = end
  }
}

const CHECKED_FLAGS = FLAG.optional | FLAG.transitive

function readAttribute(reading: Reading, raw: RawAttribute): void {
  const outcome = takeAttribute(reading, raw)
  if (outcome === undefined) return
  const [name, reason] = typeof outcome === 'string' ? [outcome, standardReason(outcome, raw)] : outcome
  reading.faults.push(bgpFault(name, reason, raw.whole, raw.type))
}

function takeAttribute(reading: Reading, raw: RawAttribute): Outcome {
  const { flags, type, at, value } = raw
  if (reading.seen.has(type)) return takeRepeated(reading, raw)
  reading.seen.add(type)
  const rule = ATTRIBUTE_RULES[type]
  if (rule === undefined) return takeUnknown(reading, raw)
  if ((flags & CHECKED_FLAGS) !== rule.flags) {
    // RFC 7606 section 5.3 counts wrong flags of these two among the errors of their syntax.
    const name = isMultiprotocol(type) ? 'mp-syntax' : 'attribute-flags'
    return [name, `${attributeName(type)} at offset ${at} has the flags 0x${flags.toString(16)}.`]
  }
  if (type === ATTRIBUTE.MP_REACH_NLRI) return takeReach(reading, value)
  if (type === ATTRIBUTE.MP_UNREACH_NLRI) return takeUnreach(reading, value)
  return rule.read?.(value, reading.draft, reading.options)
}

function isMultiprotocol(type: number): boolean {
  return type === ATTRIBUTE.MP_REACH_NLRI || type === ATTRIBUTE.MP_UNREACH_NLRI
}

function standardReason(name: FaultName, { type, at, value }: RawAttribute): string {
  const where = `${attributeName(type)} at offset ${at}`
  if (name.endsWith('-length')) return `${where} cannot have ${value.length} octets.`
  if (name.endsWith('-external')) return `${where} comes from an external peer.`
  if (name.endsWith('-zero')) return `${where} has AS 0.`
  if (name === 'as4-from-new-speaker') return `${where} comes from a speaker of four-octet AS numbers.`
  return `${where} has the value ${value[0]}.`
}

function sentenceName(type: number): string {
  return type in ATTRIBUTE_RULES ? attributeName(type) : `Attribute ${type}`
}

/** Told once of each type: a message of nothing else has room for thousands. */
function takeRepeated(reading: Reading, { type, at }: RawAttribute): Outcome {
  if (reading.repeated.has(type)) return undefined
  reading.repeated.add(type)
  const name = isMultiprotocol(type) ? 'mp-repeated' : 'attribute-repeated'
  return [name, `${sentenceName(type)} occurs again at offset ${at}.`]
}

/** RFC 4271 section 5: a transitive one goes on with Partial set, others end here. */
function takeUnknown(reading: Reading, { flags, type, at, value }: RawAttribute): Outcome {
  if ((flags & FLAG.optional) === 0) {
    return ['attribute-unknown', `The well-known attribute ${type} at offset ${at} does not exist.`]
  }
  if ((flags & FLAG.transitive) !== 0) {
    const kept = FLAG.optional | FLAG.transitive | FLAG.partial
    reading.draft.unknown.push({ flags: kept, type, value: value.slice() })
  }
  return undefined
}

function takeReach(reading: Reading, value: Uint8Array): Outcome {
  reading.hasReach = true
  const found = decodeReach(value, reading.options.families)
  if ('fault' in found) return mpOutcome(reading, found)
  // With no prefix nothing was announced: as RFC 7606 section 5.2 sees it, there is none.
  reading.hasReach = found.prefixes.lengths.length > 0
  if (!reading.hasReach) return undefined
  reading.announced.push(found.prefixes)
  reading.reach.push(found)
  return undefined
}

function takeUnreach(reading: Reading, value: Uint8Array): Outcome {
  const found = decodeUnreach(value, reading.options.families)
  if ('fault' in found) return mpOutcome(reading, found)
  if (found.lengths.length > 0) reading.withdrawn.push(found)
  else reading.unreach = afiOf(found.family)
  return undefined
}

function mpOutcome(reading: Reading, { fault, reason, prefixes }: MpFault): Outcome {
  if (prefixes !== undefined) reading.announced.push(prefixes)
  return [fault, reason]
}

/** RFC 4760 section 3: beside prefixes of MP_REACH_NLRI alone it is to be ignored, whatever is in it. */
function forgetNextHop({ hasNlri, hasReach, faults }: Reading): void {
  if (hasNlri || !hasReach) return
  const found = faults.findIndex(({ attribute }) => attribute === ATTRIBUTE.NEXT_HOP)
  if (found >= 0) faults.splice(found, 1)
}

/** RFC 7606 section 3d. NEXT_HOP belongs to the NLRI field alone (RFC 4760 section 3). */
function checkMandatory({ seen, hasNlri, hasReach, faults }: Reading): void {
  if (!hasNlri && !hasReach) return
  const needed = [ATTRIBUTE.ORIGIN, ATTRIBUTE.AS_PATH, ...(hasNlri ? [ATTRIBUTE.NEXT_HOP] : [])]
  for (const type of needed) {
    if (seen.has(type)) continue
    const reason = `${attributeName(type)} is missing.`
    faults.push(bgpFault('attribute-missing', reason, Uint8Array.of(type), type))
  }
}

/** Carries out the strongest consequence. */
function conclude(reading: Reading, length: number): UpdateMessage | BgpFault {
  const { faults, withdrawn, reach, announced } = reading
  const worst = strongest(faults)
  if (worst === 'session-reset') return faults.find(({ consequence }) => consequence === worst)!
  if (worst === 'treat-as-withdraw') {
    const first = faults.find(({ consequence }) => consequence === worst)!
    // Section 5.2: with nothing announced we cannot be sure that the prefixes were found.
    if (!reading.hasNlri && !reading.hasReach) return { ...first, consequence: 'session-reset' }
    const refused = { type: 'UPDATE' as const, withdrawn: [...withdrawn, ...announced], reach: [], faults }
    // A set is well-formed: whoever looks at the message can be shown what it says.
    return onlySets(faults) ? { ...refused, attributes: attributesOf(reading.draft) } : refused
  }
  const endOfRib = endOfRibOf(reading, length)
  const base = { type: 'UPDATE' as const, withdrawn, reach, faults }
  if (endOfRib !== undefined) return { ...base, endOfRib }
  return reach.length === 0 ? base : { ...base, attributes: attributesOf(reading.draft) }
}

/** Nothing is withdrawn for another reason than a set (RFC 9774). */
function onlySets(faults: readonly BgpFault[]): boolean {
  return faults.every(({ fault, consequence }) => consequence === 'attribute-discard' || fault === 'as-set')
}

/** RFC 4724 section 2: an empty UPDATE, or MP_UNREACH_NLRI without prefixes and nothing else. */
function endOfRibOf({ seen, unreach, options }: Reading, length: number): AfiSafi | undefined {
  if (length === WITHDRAWN_LENGTH + 4) return options.families.includes(4) ? afiOf(4) : undefined
  return seen.size === 1 && unreach !== undefined && familyOfAfi(unreach) !== undefined ? unreach : undefined
}

function attributesOf(draft: AttributeDraft): PathAttributes {
  const { nextHop: _, as4Path, as4Aggregator, unknown, asPath = [], origin = 0, ...rest } = draft
  const base = { ...rest, origin, asPath, ...(unknown.length === 0 ? {} : { unknown: sorted(unknown) }) }
  // RFC 6793 section 4.2.3: an aggregator that is not AS_TRANS shows that an old speaker aggregated anew.
  if (rest.aggregator !== undefined && rest.aggregator.asn !== AS_TRANS) return base
  const merged = as4Path === undefined || asPathLength(as4Path) === 0 ? asPath : mergeAs4Path(asPath, as4Path)
  const aggregator = rest.aggregator === undefined ? undefined : (as4Aggregator ?? rest.aggregator)
  return { ...base, asPath: merged, ...(aggregator === undefined ? {} : { aggregator }) }
}

function sorted<T extends { readonly type: number }>(attributes: readonly T[]): readonly T[] {
  return [...attributes].sort((left, right) => left.type - right.type)
}
