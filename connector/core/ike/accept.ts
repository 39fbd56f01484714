/** IKE_SA_INIT as responder: nothing is kept of a request that is refused (RFC 7296 sections 1.2, 2.6, 2.7, 2.21.1). */
import type { Instant } from '../../../protocol/machine.ts'
import type { Connection } from './connection.ts'
import { type Context, NONCE_LENGTH } from './context.ts'
import type { CookieMint } from './cookie.ts'
import type { Received } from './exchange.ts'
import { deriveIkeKeys } from './keymat.ts'
import { find, findNotify, isZero, NOTHING, notify } from './messages.ts'
import { groupId } from './names.ts'
import { detectNat, natDetectionNotifies } from './nat.ts'
import { chooseIke, groupBytes, groupToRequest } from './negotiate.ts'
import { Path } from './path.ts'
import { unsupportedCritical } from './protect.ts'
import { unacceptableOffer } from './report.ts'
import { brokenRule } from './rules.ts'
import { IkeSa } from './sa.ts'
import { HALF_OPEN_MS } from './timing.ts'
import { encodeMessage, IKE_MAJOR_VERSION } from './wire/message.ts'
import { NOTIFY } from './wire/notify.ts'
import type { Payload } from './wire/types.ts'

/** What the endpoint knows when a stranger knocks. */
export interface Doorway {
  readonly context: Context
  readonly connections: readonly Connection[]
  readonly cookies: CookieMint
  readonly halfOpen: number
}

/** The new half-open SA, or undefined: the request was answered with an error, or dropped, and counted. */
export function acceptInit(doorway: Doorway, received: Received, now: Instant): IkeSa | undefined {
  const { context } = doorway
  const { payloads } = received.message
  const refuse = (type: number, data?: Uint8Array) => {
    sendPlain(context, received, new Uint8Array(8), [notify(type, data)])
    return undefined
  }
  if (isZero(received.message.header.initiatorSpi)) return dropped(context, 'malformed')
  const critical = unsupportedCritical(payloads)
  if (critical !== undefined) return refuse(NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD, Uint8Array.of(critical))
  if (brokenRule('init-request', payloads) !== undefined) {
    context.counters.malformed++
    return refuse(NOTIFY.INVALID_SYNTAX)
  }
  const candidates = doorway.connections.filter(({ config, stopping }) => {
    if (stopping || config.localAddress !== received.local.address) return false
    return config.remoteAddress === undefined || config.remoteAddress === received.remote.address
  })
  if (candidates.length === 0) {
    context.counters.noConnection++
    return refuse(NOTIFY.NO_PROPOSAL_CHOSEN)
  }
  if (!mayEnter(doorway, received)) return undefined
  return negotiate(context, candidates, received, now)
}

/** Under load only those get in that receive at the address that they send from (section 2.6). */
function mayEnter({ context, cookies, halfOpen }: Doorway, received: Received): boolean {
  const { limits, counters } = context
  if (halfOpen >= limits.maxHalfOpen) {
    counters.halfOpenRefused++
    return false
  }
  if (halfOpen < limits.cookieThreshold) return true
  const { payloads, header } = received.message
  const nonce = find(payloads, 'NONCE')!.data
  const input = { initiatorSpi: header.initiatorSpi, address: received.remote.address, nonce }
  const cookie = findNotify(payloads, NOTIFY.COOKIE)
  if (cookie !== undefined && cookies.verify(cookie.data, input)) return true
  counters.cookiesDemanded++
  sendPlain(context, received, new Uint8Array(8), [notify(NOTIFY.COOKIE, cookies.make(input))])
  return false
}

function negotiate(
  context: Context,
  candidates: readonly Connection[],
  received: Received,
  now: Instant,
): IkeSa | undefined {
  const { payloads } = received.message
  const { crypto } = context
  const offered = find(payloads, 'SA')!.proposals
  const choices = candidates.map(({ config }) => chooseIke(offered, config.proposals, NOTHING))
  const choice = choices.find((it) => it !== undefined)
  const refuse = (type: number, data?: Uint8Array) => {
    sendPlain(context, received, new Uint8Array(8), [notify(type, data)])
    return undefined
  }
  if (choice === undefined) {
    candidates[0]!.fail(unacceptableOffer('IKE', offered, candidates[0]!.config.proposals), now)
    return refuse(NOTIFY.NO_PROPOSAL_CHOSEN)
  }
  const { suite } = choice
  const ke = find(payloads, 'KE')!
  const wanted = groupToRequest(suite, ke.group)
  if (wanted !== undefined) return refuse(NOTIFY.INVALID_KE_PAYLOAD, groupBytes(wanted))
  const exchange = crypto.generate(groupId(suite.group))
  const sharedSecret = exchange.complete(ke.data)
  if (sharedSecret === undefined) {
    context.counters.malformed++
    return refuse(NOTIFY.INVALID_SYNTAX)
  }
  const sa = halfOpenSa(context, candidates, received, now)
  const nonces = { initiatorNonce: find(payloads, 'NONCE')!.data, responderNonce: context.random(NONCE_LENGTH) }
  const spis = { initiatorSpi: sa.initiatorSpi, responderSpi: sa.responderSpi }
  sa.setKeys(suite, deriveIkeKeys(crypto, { proposal: suite, sharedSecret, ...nonces, ...spis }))
  sharedSecret.fill(0)
  const fragments = sa.fragmentSize > 0 && findNotify(payloads, NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined
  sa.fragmentation = fragments
  const { local, remote, forced } = sa.path
  const answer: Payload[] = [
    { type: 'SA', proposals: [choice.answer] },
    { type: 'KE', group: ke.group, data: exchange.publicValue },
    { type: 'NONCE', data: nonces.responderNonce },
    ...(sa.path.nat.supported ? natDetectionNotifies(crypto, { ...spis, local, remote }, forced) : []),
    ...(fragments ? [notify(NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED)] : []),
  ]
  const response = sendPlain(context, received, sa.localSpi, answer)
  const sharing = candidates.filter((_, index) => choices[index] !== undefined && sameSuite(choices[index], choice))
  sa.halfOpen = { candidates: sharing, request: received.bytes.slice(), response, ...nonces }
  return sa
}

function halfOpenSa(context: Context, candidates: readonly Connection[], received: Received, now: Instant): IkeSa {
  const { header, payloads } = received.message
  const { local, remote } = received
  const first = candidates[0]!.config
  const path = new Path(local, remote, first.encapsulation === 'udp')
  // In the request's header the responder's SPI is zero, and that is what the peer has hashed.
  const view = { initiatorSpi: header.initiatorSpi, responderSpi: header.responderSpi, local, remote }
  path.nat = detectNat(context.crypto, view, payloads)
  const spis = { localSpi: context.newIkeSpi(), remoteSpi: header.initiatorSpi }
  const sa = new IkeSa(context, { role: 'responder', state: 'half-open', path, ...spis, firstExpectedId: 1 }, now)
  sa.fragmentSize = first.fragmentSize
  sa.expireAt = now + HALF_OPEN_MS
  return sa
}

function sameSuite(left: { readonly suite: object } | undefined, right: { readonly suite: object }): boolean {
  return JSON.stringify(left?.suite) === JSON.stringify(right.suite)
}

/** An answer outside any SA; the bytes that went out. */
export function sendPlain(
  context: Context,
  { message, local, remote }: Received,
  responderSpi: Uint8Array,
  payloads: readonly Payload[],
): Uint8Array {
  const { initiatorSpi, exchangeType, messageId, flags } = message.header
  const bytes = encodeMessage({
    header: {
      initiatorSpi,
      responderSpi,
      majorVersion: IKE_MAJOR_VERSION,
      minorVersion: 0,
      exchangeType,
      flags: { initiator: !flags.initiator, response: true, version: false },
      messageId,
    },
    payloads,
  })
  context.emit({ type: 'send', local, remote, bytes })
  return bytes
}

function dropped(context: Context, counter: 'malformed'): undefined {
  context.counters[counter]++
  return undefined
}
