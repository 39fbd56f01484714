/** Proposals: offering ours, choosing from the peer's, checking its choice (RFC 7296 sections 2.7 and 3.3). */
import { encryptionTransform, groupId, groupName, integrityId, isAead, prfId } from './names.ts'
import type { EspProposal, GroupName, IkeProposal } from './types.ts'
import { ESN, INTEG, KE_METHOD, PROTOCOL, TRANSFORM } from './wire/constants.ts'
import type { Proposal, Transform } from './wire/types.ts'

/** The exchange in which a Child SA is negotiated: only CREATE_CHILD_SA has a key exchange of its own. */
export type ChildExchange = 'IKE_AUTH' | 'CREATE_CHILD_SA'

/** What both sides settled on. */
export interface Agreement<Suite> {
  /** The suite in force. After IKE_AUTH an ESP suite has no group. */
  readonly suite: Suite
  /** Empty in IKE_SA_INIT, 8 bytes at an IKE rekey, 4 bytes for ESP. */
  readonly peerSpi: Uint8Array
}

export interface Choice<Suite> extends Agreement<Suite> {
  /** The one proposal of our answer: the peer's number, our SPI, one transform of each type. */
  readonly answer: Proposal
}

const MAX_PROPOSALS = 255

/** One proposal for each of our suites, in order of preference. `spi` is empty in IKE_SA_INIT, 8 bytes at a rekey. */
export function offerIke(ours: readonly IkeProposal[], spi: Uint8Array): Proposal[] {
  return offer(PROTOCOL.IKE, ours.map(ikeTransforms), spi)
}

/** One proposal for each of our ESP suites. `spi` (4 bytes) is the one that we receive on. */
export function offerEsp(ours: readonly EspProposal[], spi: Uint8Array, exchange: ChildExchange): Proposal[] {
  return offer(PROTOCOL.ESP, espSuites(ours, exchange).map(espTransforms), spi)
}

/**
 * As responder: the first of our suites that the peer offers, or undefined for NO_PROPOSAL_CHOSEN. `spi` is ours for
 * the answer and says which length the peer's must have.
 */
export function chooseIke(
  offered: readonly Proposal[],
  ours: readonly IkeProposal[],
  spi: Uint8Array,
): Choice<IkeProposal> | undefined {
  return choose(PROTOCOL.IKE, offered, ours, ikeTransforms, spi)
}

/**
 * As `chooseIke`, for ESP. In IKE_AUTH any key exchange transform that the peer sends is left out of the answer; in
 * CREATE_CHILD_SA the group, or its absence, must be one of ours.
 */
export function chooseEsp(
  offered: readonly Proposal[],
  ours: readonly EspProposal[],
  spi: Uint8Array,
  exchange: ChildExchange,
): Choice<EspProposal> | undefined {
  const usable = offered.filter((proposal) => isChildSpi(proposal.spi))
  const stripped = exchange === 'IKE_AUTH' ? usable.map(withoutKeyExchange) : usable
  return choose(PROTOCOL.ESP, stripped, espSuites(ours, exchange), espTransforms, spi)
}

/**
 * As initiator: which of our suites the responder's SA payload accepts, or undefined when it is not exactly one
 * proposal with exactly what we offered. `spiLength` is 0 in IKE_SA_INIT, 8 at a rekey.
 */
export function acceptIke(
  answer: readonly Proposal[],
  ours: readonly IkeProposal[],
  spiLength: 0 | 8,
): Agreement<IkeProposal> | undefined {
  return accept(PROTOCOL.IKE, answer, ours, ikeTransforms, spiLength)
}

/** As `acceptIke`, for ESP. A key exchange transform in the answer of IKE_AUTH is ignored. */
export function acceptEsp(
  answer: readonly Proposal[],
  ours: readonly EspProposal[],
  exchange: ChildExchange,
): Agreement<EspProposal> | undefined {
  const usable = answer.filter((proposal) => isChildSpi(proposal.spi))
  if (usable.length !== answer.length) return undefined
  const stripped = exchange === 'IKE_AUTH' ? usable.map(withoutKeyExchange) : usable
  return accept(PROTOCOL.ESP, stripped, espSuites(ours, exchange), espTransforms, 4)
}

/**
 * The group that the responder names in INVALID_KE_PAYLOAD, or undefined when the KE payload fits the chosen suite
 * (RFC 7296 section 1.3). `keGroup` is the KE payload's, undefined when there is none; a suite without a group
 * needs none.
 */
export function groupToRequest(suite: { readonly group?: GroupName }, keGroup: number | undefined): number | undefined {
  if (suite.group === undefined) return undefined
  const wanted = groupId(suite.group)
  return keGroup === wanted ? undefined : wanted
}

/**
 * As initiator, the group that INVALID_KE_PAYLOAD's data (2 bytes) asks for, if it is one that we offered; otherwise
 * undefined: the message is forged or the peer is broken, and trying again would lead nowhere.
 */
export function requestedGroup(
  data: Uint8Array,
  ours: readonly { readonly group?: GroupName }[],
): GroupName | undefined {
  if (data.length !== 2) return undefined
  const name = groupName((data[0]! << 8) | data[1]!)
  return ours.some((suite) => suite.group !== undefined && suite.group === name) ? name : undefined
}

/** INVALID_KE_PAYLOAD's data. */
export function groupBytes(group: number): Uint8Array {
  return Uint8Array.of(group >> 8, group & 0xff)
}

function offer(protocol: number, suites: readonly Transform[][], spi: Uint8Array): Proposal[] {
  return suites.slice(0, MAX_PROPOSALS).map((transforms, index) => ({ number: index + 1, protocol, spi, transforms }))
}

function choose<Suite>(
  protocol: number,
  offered: readonly Proposal[],
  ours: readonly Suite[],
  transformsOf: (suite: Suite) => Transform[],
  spi: Uint8Array,
): Choice<Suite> | undefined {
  const candidates = offered.filter((it) => it.protocol === protocol && it.spi.length === spi.length)
  for (const suite of ours) {
    const wanted = transformsOf(suite)
    for (const candidate of candidates) {
      const transforms = select(candidate, wanted)
      if (transforms === undefined) continue
      return { suite, peerSpi: candidate.spi, answer: { number: candidate.number, protocol, spi, transforms } }
    }
  }
  return undefined
}

/**
 * The transforms that answer `wanted` from a proposal, or undefined. A proposal with a transform type that we don't
 * know is unacceptable as a whole, and so is one that lacks a type that we need, ESN included (RFC 7296 section
 * 3.3.6). An explicit NONE for a type that we don't want is echoed.
 */
function select(proposal: Proposal, wanted: readonly Transform[]): Transform[] | undefined {
  const chosen: Transform[] = []
  for (const type of new Set(proposal.transforms.map((transform) => transform.type))) {
    const sameType = proposal.transforms.filter((it) => it.type === type && it.unknownAttribute !== true)
    const want = wanted.find((it) => it.type === type)
    if (want !== undefined) {
      if (!sameType.some((it) => sameTransform(it, want))) return undefined
      chosen.push(want)
    } else if (type === TRANSFORM.INTEG) {
      // Offers that mix combined-mode ciphers with others list integrity algorithms for the others alone.
      if (sameType.some((it) => it.id === INTEG.NONE)) chosen.push({ type, id: INTEG.NONE })
    } else if (type === TRANSFORM.KE && sameType.some((it) => it.id === KE_METHOD.NONE)) {
      chosen.push({ type, id: KE_METHOD.NONE })
    } else return undefined
  }
  return wanted.every((want) => chosen.includes(want)) ? chosen : undefined
}

function accept<Suite>(
  protocol: number,
  answer: readonly Proposal[],
  ours: readonly Suite[],
  transformsOf: (suite: Suite) => Transform[],
  spiLength: number,
): Agreement<Suite> | undefined {
  const [only] = answer
  if (only === undefined || answer.length !== 1) return undefined
  if (only.protocol !== protocol || only.spi.length !== spiLength) return undefined
  const types = only.transforms.map((transform) => transform.type)
  if (new Set(types).size !== types.length) return undefined
  // Our proposals hold one suite each, so the transforms identify it; some peers answer with number 1 always.
  const suite = ours.find((candidate) => answersExactly(only.transforms, transformsOf(candidate)))
  return suite === undefined ? undefined : { suite, peerSpi: only.spi }
}

/** True when the answer holds all that was offered and beyond it at most an explicit NONE. */
function answersExactly(answer: readonly Transform[], offered: readonly Transform[]): boolean {
  if (!offered.every((want) => answer.some((it) => it.unknownAttribute !== true && sameTransform(it, want))))
    return false
  return answer.every((it) => offered.some((want) => want.type === it.type) || isNone(it))
}

function isNone({ type, id }: Transform): boolean {
  return (type === TRANSFORM.INTEG && id === INTEG.NONE) || (type === TRANSFORM.KE && id === KE_METHOD.NONE)
}

function sameTransform(left: Transform, right: Transform): boolean {
  return left.type === right.type && left.id === right.id && left.keyLength === right.keyLength
}

function ikeTransforms(suite: IkeProposal): Transform[] {
  const transforms: Transform[] = [
    { type: TRANSFORM.ENCR, ...encryptionTransform(suite.encryption) },
    { type: TRANSFORM.PRF, id: prfId(suite.prf) },
  ]
  if (suite.integrity !== undefined && !isAead(suite.encryption))
    transforms.push({ type: TRANSFORM.INTEG, id: integrityId(suite.integrity) })
  transforms.push({ type: TRANSFORM.KE, id: groupId(suite.group) })
  return transforms
}

function espTransforms(suite: EspProposal): Transform[] {
  const transforms: Transform[] = [{ type: TRANSFORM.ENCR, ...encryptionTransform(suite.encryption) }]
  if (suite.group !== undefined) transforms.push({ type: TRANSFORM.KE, id: groupId(suite.group) })
  transforms.push({ type: TRANSFORM.ESN, id: suite.esn ? ESN.ESN : ESN.NO_ESN })
  return transforms
}

/** Our suites as this exchange can carry them: without groups, and then without repetitions, in IKE_AUTH. */
function espSuites(ours: readonly EspProposal[], exchange: ChildExchange): readonly EspProposal[] {
  if (exchange === 'CREATE_CHILD_SA') return ours
  const suites: EspProposal[] = []
  for (const { encryption, esn } of ours) {
    if (!suites.some((it) => it.encryption === encryption && it.esn === esn)) suites.push({ encryption, esn })
  }
  return suites
}

function withoutKeyExchange(proposal: Proposal): Proposal {
  return { ...proposal, transforms: proposal.transforms.filter(({ type }) => type !== TRANSFORM.KE) }
}

/** SPIs 0 to 255 are reserved (RFC 4303 section 2.1). */
function isChildSpi(spi: Uint8Array): boolean {
  return spi.length === 4 && (spi[0]! | spi[1]! | spi[2]!) !== 0
}
