/** What IKE_AUTH and CREATE_CHILD_SA have in common: agreeing on a Child SA and making its keys. */
import type { Instant } from '../../../protocol/machine.ts'
import { type ChildSa, installChild } from './child.ts'
import { carrier, openChildren } from './children.ts'
import { NONCE_LENGTH } from './context.ts'
import type { KeyExchange } from './crypto.ts'
import { deriveChildKeys } from './keymat.ts'
import { find, findNotify, lowest, notify, spiBytes, spiNumber } from './messages.ts'
import { groupId } from './names.ts'
import { acceptEsp, type ChildExchange, type Choice, chooseEsp, groupBytes, groupToRequest } from './negotiate.ts'
import { type Failure, unacceptableOffer, unacceptableSelectors } from './report.ts'
import { noteResourceInfo, type Place, placeAdditional, resourceInfo, siblingOf } from './resources.ts'
import type { IkeSa } from './sa.ts'
import { acceptNarrowed, narrow, type SelectorPair, sameSelectors, selectorPayloads } from './selectors.ts'
import type { Session } from './session.ts'
import { MAX_CHILDREN } from './timing.ts'
import type { ChildConfig, EspProposal } from './types.ts'
import { NOTIFY } from './wire/notify.ts'
import type { NotifyPayload, Payload } from './wire/types.ts'

/** Our side of a request for a Child SA. */
export interface ChildOffer {
  readonly config: ChildConfig
  readonly resource: number
  readonly inboundSpi: number
  readonly exchange: ChildExchange
  readonly initiatorNonce: Uint8Array
  /** With the group whose public value we sent. */
  readonly keyExchange?: { readonly group: number; readonly exchange: KeyExchange }
  readonly replaces?: ChildSa
  /** The new one is additional to this one: its selectors are the same. */
  readonly sibling?: ChildSa
}

/** As initiator: installs the Child SA of the response, or says what is wrong with it. Nothing is installed then. */
export function completeChild(
  sa: IkeSa,
  offer: ChildOffer,
  responderNonce: Uint8Array,
  payloads: readonly Payload[],
  now: Instant,
): ChildSa | string {
  const [answer, tsi, tsr] = [find(payloads, 'SA'), find(payloads, 'TSi'), find(payloads, 'TSr')]
  if (answer === undefined || tsi === undefined || tsr === undefined) return 'its answer lacks SA, TSi or TSr'
  const { config } = offer
  const agreement = acceptEsp(answer.proposals, config.proposals, offer.exchange)
  const outboundSpi = agreement === undefined ? undefined : spiNumber(agreement.peerSpi)
  if (agreement === undefined || outboundSpi === undefined) return 'it chose an ESP suite that we did not offer'
  const { sibling } = offer
  const selectors = acceptNarrowed({ tsi: tsi.selectors, tsr: tsr.selectors }, sibling?.selectors ?? config)
  if (selectors === undefined) return 'its traffic selectors go beyond those that we asked for'
  if (sibling !== undefined && !sameSelectors(selectors, sibling.selectors))
    return 'it narrowed the traffic selectors of an additional Child SA'
  const secret = completeKeyExchange(offer, agreement.suite, find(payloads, 'KE'))
  if (typeof secret === 'string') return secret
  const { initiatorNonce, inboundSpi, resource } = offer
  noteResourceInfo(sa.session!, config.name, payloads, sibling)
  const keys = childKeys(sa, agreement.suite, initiatorNonce, responderNonce, secret)
  return installChild(
    sa.session!,
    {
      config,
      suite: agreement.suite,
      inboundSpi,
      outboundSpi,
      selectors,
      resource,
      extra: offer.replaces?.extra ?? false,
      inbound: keys.responder,
      outbound: keys.initiator,
      byUs: true,
      low: lowest(initiatorNonce, responderNonce),
      ...(offer.replaces === undefined ? {} : { replaces: offer.replaces }),
    },
    now,
  )
}

/** A request for a Child SA, seen by the responder. */
export interface ChildRequest {
  readonly exchange: ChildExchange
  readonly payloads: readonly Payload[]
  readonly initiatorNonce: Uint8Array
  /** Of IKE_SA_INIT; absent in CREATE_CHILD_SA, where one is made when all else is agreed. */
  readonly responderNonce?: Uint8Array
  readonly replaces?: ChildSa
}

export interface ChildRefusal {
  readonly notify: NotifyPayload
  /** Undefined where the peer just has to ask again. */
  readonly failure?: Failure
}

/** As responder: installs the Child SA and makes the answer, or says why not. */
export function answerChild(
  sa: IkeSa,
  request: ChildRequest,
  now: Instant,
): { child: ChildSa; payloads: Payload[] } | ChildRefusal {
  const session = sa.session!
  const { config } = session.connection
  if (openChildren(session).length >= MAX_CHILDREN * Math.max(1, config.children.length))
    return { notify: notify(NOTIFY.NO_ADDITIONAL_SAS) }
  const match = matchConfig(session, request)
  if ('notify' in match) return match
  const outcome = answerMatch(sa, session, request, match, now)
  if (!('child' in outcome)) sa.context.releaseChildSpi(match.inboundSpi)
  return outcome
}

function answerMatch(sa: IkeSa, session: Session, request: ChildRequest, match: Match, now: Instant) {
  const { crypto, random } = sa.context
  const { config, choice, selectors, inboundSpi, place } = match
  const { suite } = choice
  const ke = find(request.payloads, 'KE')
  const wanted = groupToRequest(suite, ke?.group)
  if (wanted !== undefined) return { notify: notify(NOTIFY.INVALID_KE_PAYLOAD, groupBytes(wanted)) }
  const exchange = suite.group === undefined ? undefined : crypto.generate(groupId(suite.group))
  const secret = exchange?.complete(ke!.data)
  if (exchange !== undefined && secret === undefined) return { notify: notify(NOTIFY.INVALID_SYNTAX) }
  const responderNonce = request.responderNonce ?? random(NONCE_LENGTH)
  const keys = childKeys(sa, suite, request.initiatorNonce, responderNonce, secret)
  noteResourceInfo(session, config.name, request.payloads)
  const child = installChild(
    session,
    {
      config,
      suite,
      inboundSpi,
      outboundSpi: spiNumber(choice.peerSpi)!,
      selectors,
      ...place,
      inbound: keys.initiator,
      outbound: keys.responder,
      byUs: false,
      low: lowest(request.initiatorNonce, responderNonce),
      ...(request.replaces === undefined ? {} : { replaces: request.replaces }),
    },
    now,
  )
  const payloads: Payload[] = [{ type: 'SA', proposals: [choice.answer] }]
  if (request.responderNonce === undefined) payloads.push({ type: 'NONCE', data: responderNonce })
  if (exchange !== undefined) payloads.push({ type: 'KE', group: ke!.group, data: exchange.publicValue })
  payloads.push(...selectorPayloads(selectors, 'responder'))
  if (wantsResources(request)) payloads.push(resourceInfo())
  return { child, payloads }
}

interface Match {
  readonly config: ChildConfig
  readonly choice: Choice<EspProposal>
  readonly selectors: SelectorPair
  readonly place: Place
  readonly inboundSpi: number
}

/** The child that the request is about, and where its SA goes. The SPI is taken. */
function matchConfig(session: Session, request: ChildRequest): Match | ChildRefusal {
  const { context, connection } = session
  const candidates = candidatesOf(session, request)
  const proposals = find(request.payloads, 'SA')?.proposals ?? []
  let fitting: ChildConfig | undefined
  for (const { config, selectors, sibling } of candidates) {
    fitting ??= config
    const additional = request.replaces === undefined && sibling !== undefined
    const home = { resource: connection.home, extra: false }
    const place = request.replaces ?? (additional ? placeAdditional(session, config.name) : home)
    if (place === undefined) return { notify: notify(NOTIFY.TS_MAX_QUEUE) }
    const { resource, extra } = place
    const inboundSpi = context.newChildSpi(resource)
    const choice = chooseEsp(proposals, config.proposals, spiBytes(inboundSpi), request.exchange)
    if (choice !== undefined) return { config, choice, selectors, place: { resource, extra }, inboundSpi }
    context.releaseChildSpi(inboundSpi)
  }
  if (fitting === undefined) return unacceptable(session, request)
  return {
    notify: notify(NOTIFY.NO_PROPOSAL_CHOSEN),
    failure: unacceptableOffer('ESP', proposals, fitting.proposals),
  }
}

interface Candidate {
  readonly config: ChildConfig
  readonly selectors: SelectorPair
  /** The peer asks for one more of the same (RFC 9611). */
  readonly sibling: ChildSa | undefined
}

/**
 * The children whose selectors fit, the likeliest first: at a rekey only the old one's; else one that it is an
 * additional SA of; then those that are not up.
 */
function candidatesOf(session: Session, request: ChildRequest): Candidate[] {
  const tsi = find(request.payloads, 'TSi')?.selectors ?? []
  const tsr = find(request.payloads, 'TSr')?.selectors ?? []
  const { children } = session.connection.config
  const fitting = (request.replaces === undefined ? children : [request.replaces.config]).flatMap((config) => {
    const selectors = narrow({ tsi, tsr }, config, 'responder')
    if (selectors === undefined) return []
    const sibling = wantsResources(request) ? siblingOf(session, config.name, selectors) : undefined
    return [{ config, selectors, sibling }]
  })
  const rank = ({ config, sibling }: Candidate) =>
    sibling !== undefined ? 0 : carrier(session, config.name) === undefined ? 1 : 2
  return fitting.sort((left, right) => rank(left) - rank(right))
}

function wantsResources({ payloads }: ChildRequest): boolean {
  return findNotify(payloads, NOTIFY.SA_RESOURCE_INFO) !== undefined
}

function unacceptable(session: Session, { payloads, replaces }: ChildRequest): ChildRefusal {
  const tsi = find(payloads, 'TSi')?.selectors ?? []
  const tsr = find(payloads, 'TSr')?.selectors ?? []
  const ours = replaces === undefined ? session.connection.config.children : [replaces.config]
  return { notify: notify(NOTIFY.TS_UNACCEPTABLE), failure: unacceptableSelectors(tsi, tsr, ours) }
}

/** g^ir where the suite has PFS, undefined where not, or what is wrong. */
function completeKeyExchange(
  { keyExchange }: ChildOffer,
  suite: EspProposal,
  ke: { readonly group: number; readonly data: Uint8Array } | undefined,
): Uint8Array | undefined | string {
  if (suite.group === undefined) return undefined
  const group = groupId(suite.group)
  if (keyExchange?.group !== group || ke?.group !== group)
    return 'its key exchange does not fit the suite that it chose'
  return keyExchange.exchange.complete(ke.data) ?? 'its public value is invalid'
}

function childKeys(
  sa: IkeSa,
  suite: EspProposal,
  initiatorNonce: Uint8Array,
  responderNonce: Uint8Array,
  sharedSecret: Uint8Array | undefined,
) {
  const keys = deriveChildKeys(sa.context.crypto, sa.secrets!.keys, {
    encryption: suite.encryption,
    initiatorNonce,
    responderNonce,
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
  })
  sharedSecret?.fill(0)
  return keys
}
