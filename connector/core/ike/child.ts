/** One Child SA, and the effects that install, promote and remove it. */
import type { Instant } from '../../../protocol/machine.ts'
import { fraction } from './context.ts'
import type { DirectionKeys } from './keymat.ts'
import { type Expiry, expiryOf } from './lifetime.ts'
import { compareBytes, hex, spiBytes } from './messages.ts'
import { espSuite, suiteName } from './names.ts'
import { type SelectorPair, sameSelectors } from './selectors.ts'
import type { Session } from './session.ts'
import { type Slot, slotOf } from './slot.ts'
import { PROMOTE_MS, REPLACED_MS, SURPLUS_MS, SURPLUS_PEER_MS } from './timing.ts'
import type { ChildConfig, ChildSaSpec, ChildStatus, EspProposal } from './types.ts'

/**
 *     installed ── replaced ──┬── closed
 *         └────── deleting ───┘
 *
 * `replaced`: a rekey made a successor. `deleting`: our DELETE is queued or waits for its answer. `closed`: neither
 * end counts on it, but it opens what was on its way until `removeAt`.
 */
export type ChildState = 'installed' | 'replaced' | 'deleting' | 'closed'

export interface ChildParameters {
  readonly config: ChildConfig
  readonly suite: EspProposal
  readonly inboundSpi: number
  readonly outboundSpi: number
  readonly selectors: SelectorPair
  readonly resource: number
  /** Made for the peer's sake where no resource of ours lacked one. */
  readonly extra: boolean
  readonly inbound: DirectionKeys
  readonly outbound: DirectionKeys
  /** We sent the request that made it. */
  readonly byUs: boolean
  /** The lower nonce of that exchange. */
  readonly low: Uint8Array
  /** The SA that it takes over from. */
  readonly replaces?: ChildSa
}

export class ChildSa {
  readonly id: number
  /** As it is configured now. */
  config: ChildConfig
  readonly suite: EspProposal
  readonly inboundSpi: number
  readonly outboundSpi: number
  readonly selectors: SelectorPair
  readonly resource: number
  readonly slot: Slot
  readonly extra: boolean
  readonly byUs: boolean
  readonly low: Uint8Array
  readonly establishedAt: Instant
  readonly rekeys: number
  readonly expiry: Expiry
  state: ChildState = 'installed'
  /** Our rekey of it: waits in the queue, or for its answer. */
  rekeying: 'no' | 'queued' | 'sent' = 'no'
  /** Our DELETE of it is on its way. */
  deleteSent = false
  /** Waits before the next try of a refused rekey, growing. */
  retryPause = 0
  /** The peer's rekey of it, answered by us. */
  incoming: ChildSa | undefined
  successor: ChildSa | undefined
  predecessor: ChildSa | undefined
  /** When we send on it although the peer has not shown that it can receive. */
  promoteAt: Instant | undefined
  removeAt: Instant | undefined
  /** When we delete it, though that is the peer's part. */
  expireAt: Instant | undefined

  constructor(id: number, parameters: ChildParameters, expiry: Expiry, now: Instant) {
    this.id = id
    this.config = parameters.config
    this.suite = parameters.suite
    this.inboundSpi = parameters.inboundSpi
    this.outboundSpi = parameters.outboundSpi
    this.selectors = parameters.selectors
    this.resource = parameters.resource
    this.slot = slotOf(parameters.config.name, parameters.resource)
    this.extra = parameters.extra
    this.byUs = parameters.byUs
    this.low = parameters.low
    this.predecessor = parameters.replaces
    this.rekeys = parameters.replaces === undefined ? 0 : parameters.replaces.rekeys + 1
    this.expiry = expiry
    this.establishedAt = now
  }

  get name(): string {
    return this.config.name
  }
}

/** Makes the SA and hands its keys to the engine: it receives at once and sends nothing yet. */
export function installChild(session: Session, parameters: ChildParameters, now: Instant): ChildSa {
  const { context, connection, path } = session
  const { config, suite, selectors, inbound, outbound } = parameters
  const expiry = expiryOf(config.lifetime, now, fraction(context.random))
  const child = new ChildSa(context.newChildId(), parameters, expiry, now)
  // What it was made for is over already.
  const current = connection.config.children.find(({ name }) => name === config.name)
  if (current !== undefined && current !== config && !sameSelectors(current, config)) {
    child.config = current
    child.expiry.rekeyAt = now
  }
  session.children.push(child)
  session.childRetries.delete(child.slot)
  if (context.keyLog) logKeys(session, parameters)
  const { softPackets, hardPackets, softBytes, hardBytes } = config.lifetime
  const sa: ChildSaSpec = {
    id: child.id,
    connection: connection.name,
    child: config.name,
    resource: child.resource,
    suite: espSuite(suite.encryption),
    esn: suite.esn,
    replayWindow: config.replayWindow,
    local: selectors.local,
    remote: selectors.remote,
    inbound: { spi: child.inboundSpi, ...inbound },
    outbound: { spi: child.outboundSpi, ...outbound },
    limits: {
      ...(softPackets === undefined ? {} : { softPackets }),
      ...(hardPackets === undefined ? {} : { hardPackets }),
      ...(softBytes === undefined ? {} : { softBytes }),
      ...(hardBytes === undefined ? {} : { hardBytes }),
    },
    encapsulation: path.encapsulation,
    localAddress: path.local,
    remoteAddress: path.remote,
  }
  context.emit({ type: 'install-child', sa })
  return child
}

/** From here on traffic of its resource leaves on this SA. */
export function promoteChild(session: Session, child: ChildSa): void {
  const { connection, context } = session
  child.promoteAt = undefined
  if (child.state === 'closed' || connection.active.get(child.slot) === child) return
  connection.active.set(child.slot, child)
  context.emit({ type: 'promote-child', id: child.id })
}

/**
 * As responder of a new Child SA, to be called when the answer is sent. Where nothing carries the child's traffic yet,
 * sending at once can only win: a packet that overtakes the answer is lost, but so it would be without an SA. Where
 * another SA carries it, on this resource or on another, that one goes on until the peer is known to have the answer.
 */
export function promoteWhenSafe(session: Session, child: ChildSa, now: Instant): void {
  if (!session.connection.carries(child.name)) promoteChild(session, child)
  else child.promoteAt = now + PROMOTE_MS
}

/** A new Child SA, not one of a rekey, is there on this end. */
export function childEstablished(session: Session, child: ChildSa, now: Instant): void {
  settleDoubles(session, child, now)
  const { id, resource } = child
  const suite = suiteName(child.suite)
  session.connection.report({ type: 'child-established', child: child.name, id, suite, resource })
}

/**
 * Both ends may make what a slot lacks at the same time. Of two with the same selectors, the one made with the lowest
 * of the four nonces is surplus, as in RFC 7296 section 2.8.1: its creator deletes it. Where its creator does not, it
 * knows no such rule, and we do; or, of a peer with resources of its own, it needs it for one of them, where it is no
 * double: then our own goes.
 */
function settleDoubles(session: Session, child: ChildSa, now: Instant): void {
  if (child.state !== 'installed' || child.extra) return
  for (const other of session.children) {
    if (other === child || other.state !== 'installed' || other.extra || other.slot !== child.slot) continue
    if (!sameSelectors(other.selectors, child.selectors)) continue
    const [surplus, kept] = compareBytes(child.low, other.low) < 0 ? [child, other] : [other, child]
    if (surplus.byUs) surplus.expireAt = now + SURPLUS_MS
    else if (!session.shared.has(child.name)) surplus.expireAt = now + SURPLUS_PEER_MS
    else if (kept.byUs) kept.expireAt = now + REPLACED_MS
  }
}

/** The child goes on with this SA. */
export function childRekeyed(session: Session, child: ChildSa, old: ChildSa, now: Instant): void {
  settleDoubles(session, child, now)
  const { id, resource } = child
  session.connection.report({ type: 'child-rekeyed', child: child.name, id, replaces: old.id, resource })
}

export function childStatus(child: ChildSa, active: boolean): ChildStatus {
  const { id, name, suite, resource, inboundSpi, outboundSpi, establishedAt, expiry, rekeys, selectors } = child
  const { local, remote } = selectors
  const { rekeyAt } = expiry
  return {
    id,
    child: name,
    suite: suiteName(suite),
    inboundSpi,
    outboundSpi,
    establishedAt,
    rekeyAt,
    resource,
    active,
    rekeys,
    local,
    remote,
  }
}

function logKeys(session: Session, { suite, inboundSpi, outboundSpi, inbound, outbound }: ChildParameters): void {
  const { encryption, esn } = suite
  for (const [spi, { key, salt }] of [
    [inboundSpi, inbound],
    [outboundSpi, outbound],
  ] as const) {
    const entry = { spi: `0x${hex(spiBytes(spi))}`, encryption, key: hex(key), salt: hex(salt), esn }
    session.context.emit({ type: 'key-log', entry: { kind: 'esp', ...entry } })
  }
}
