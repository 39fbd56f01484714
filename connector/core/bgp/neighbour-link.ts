/** One neighbour of the speaker: its session on one side, its part of the RIB on the other. */
import type { Instant, RandomBytes } from '../../../protocol/machine.ts'
import type { Address, Family } from '../../../protocol/net.ts'
import { bgpAction, pathOpinion } from '../bfd/coupling.ts'
import type { BfdStateChange, BfdStatus } from '../bfd/machine.ts'
import { DIAGNOSTICS } from '../bfd/wire.ts'
import { Calm } from './calm.ts'
import { restartToRib } from './negotiate.ts'
import type { NeighbourConfig, NeighbourStatus, RibEffect, RibInput } from './rib/types.ts'
import { BgpSession } from './session.ts'
import type { Negotiated, RouteInput, SessionEffect } from './session-types.ts'
import type {
  BgpEventCode,
  SpeakerConfig,
  SpeakerEffect,
  SpeakerInput,
  SpeakerNeighbour,
  SpeakerNeighbourStatus,
} from './speaker-types.ts'
import { afiOf, CEASE, type NotificationMessage, prefixLimitData, type UpdateMessage } from './wire/codec.ts'
import { downWords, faultWords, notificationWords } from './words.ts'

/** Prefixes that the RIB hands over at once, and that may wait in the session before it hands over more. */
const DRAINED = 4_096
const MOST_QUEUED = 16_384
/** RFC 5882 section 3.2: the session is not tried again at once over a path that has just failed. */
const BFD_HOLD_MS = 1_000

/** What outlives the session of a neighbour. */
export interface LinkHistory {
  readonly attempts: number
  readonly flaps: number
  readonly lastError: string | undefined
}

export interface LinkParts {
  readonly rib: (input: RibInput) => void
  readonly ribStatus: (neighbour: string, family: Family) => NeighbourStatus | undefined
  readonly emit: (effect: SpeakerEffect) => void
  readonly now: () => Instant
  readonly random: RandomBytes
}

/** Whether neighbours are to prefer other ways, and whether we do as well. */
export type Leaving = 'no' | 'neighbours' | 'both'

export class NeighbourLink {
  readonly name: string
  readonly tunnel: string
  #neighbour: SpeakerNeighbour
  readonly #parts: LinkParts
  readonly #session: BgpSession
  readonly #families: readonly Family[]
  /** Outer addresses of the tunnel, as far as they are known. */
  #ends: readonly Address[]
  /** What the session's queue had no room for, in order. */
  #refused: RouteInput[] = []
  #negotiated: Negotiated | undefined
  /** Its session is gone, and its routes stay until it is back. */
  #isRestarting = false
  #since: Instant | undefined
  #flaps = 0
  #lastError: string | undefined
  /** Closed because of too many prefixes. */
  #isOverLimit = false
  #leaving: Leaving = 'no'
  /** What ends it is no loss. */
  #isEnding = false
  readonly #calm = new Calm()

  constructor(
    { localAs, routerId }: SpeakerConfig,
    neighbour: SpeakerNeighbour,
    parts: LinkParts,
    ends: readonly Address[] = [],
    before: LinkHistory = { attempts: 0, flaps: 0, lastError: undefined },
  ) {
    this.name = neighbour.name
    this.tunnel = neighbour.tunnel
    this.#neighbour = neighbour
    this.#parts = parts
    this.#ends = ends.length > 0 ? ends : (neighbour.rib.tunnelEnds ?? [])
    this.#flaps = before.flaps
    this.#lastError = before.lastError
    this.#families = neighbour.session.families
    const transport = { ...neighbour.transport, remote: neighbour.rib.address, local: neighbour.local }
    this.#session = new BgpSession(
      { ...neighbour.session, localAs, peerAs: neighbour.rib.peerAs, identifier: routerId, transport },
      parts.random,
      before.attempts,
    )
  }

  get ribConfig(): NeighbourConfig {
    const { name, rib } = this.#neighbour
    return { ...rib, id: name, ...(this.#ends.length === 0 ? {} : { tunnelEnds: this.#ends }) }
  }

  get history(): LinkHistory {
    return { attempts: this.#session.attempts, flaps: this.#flaps, lastError: this.#lastError }
  }

  deadline(): Instant | undefined {
    return this.#session.deadline()
  }

  start(now: Instant, restarting = false): void {
    this.#session.handle({ type: 'start', restarting }, now)
  }

  stop(communication: string, now: Instant): void {
    this.#session.handle({ type: 'stop', subcode: CEASE.administrativeShutdown, communication }, now)
  }

  /** Ends it for good, for another configuration (RFC 4486): `subcode` says to the neighbour which it is. */
  end(subcode: number, now: Instant): void {
    this.#isEnding = true
    this.#session.handle({ type: 'stop', subcode }, now)
    this.settle(now)
  }

  /** What the RIB has of it is another thing; the session goes on, or comes back where the limit on it was changed. */
  adjust(neighbour: SpeakerNeighbour, now: Instant): void {
    const { maxPrefixes: before } = this.#neighbour.rib
    const { maxPrefixes: after } = neighbour.rib
    this.#neighbour = neighbour
    if (!this.#isOverLimit || (before?.limit === after?.limit && before?.restartMs === after?.restartMs)) return
    this.#isOverLimit = false
    this.#session.handle({ type: 'start' }, now)
    this.#session.handle({ type: 'reset', subcode: CEASE.otherConfigurationChange, holdMs: 0 }, now)
  }

  passed(now: Instant): void {
    this.#session.handle({ type: 'time' }, now)
  }

  take(input: Extract<SpeakerInput, { readonly neighbour: string }>, now: Instant): void {
    if (input.type !== 'reset') {
      this.#session.handle(input, now)
      return
    }
    this.#session.handle({ type: 'reset', subcode: CEASE.administrativeReset }, now)
    // One that too many prefixes have closed.
    this.#session.handle({ type: 'start' }, now)
  }

  /** The outer addresses of the tunnel to it; all of its routes are judged anew where they are others. */
  setTunnelEnds(ends: readonly Address[]): void {
    const known = this.#ends
    if (ends.length === 0 || (ends.length === known.length && ends.every((end, i) => end === known[i]))) return
    this.#ends = ends
    this.#parts.rib({ kind: 'neighbour', config: this.ribConfig })
  }

  /** What it is told carries GRACEFUL_SHUTDOWN, also in sessions to come (RFC 8326). */
  setLeaving(leaving: Leaving): void {
    if (this.#leaving === leaving) return
    this.#leaving = leaving
    if (this.#negotiated !== undefined) this.#tellLeaving()
  }

  #tellLeaving(): void {
    const active = this.#leaving !== 'no'
    this.#parts.rib({ kind: 'graceful-shutdown', neighbour: this.name, active, avoid: this.#leaving === 'both' })
  }

  /** Has the session's effects carried out. */
  settle(now: Instant): void {
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) {
      this.#perform(effect, now)
    }
  }

  /** Takes more of the RIB where the session has room. Returns whether the RIB had something to say. */
  drain(now: Instant): boolean {
    if (this.#negotiated === undefined) return false
    if (this.#refused.length > 0 || this.#session.queued >= MOST_QUEUED) return false
    const isPending = this.#families.some((family) => this.#parts.ribStatus(this.name, family)?.pending === true)
    if (!isPending) return false
    this.#parts.rib({ kind: 'drain', neighbour: this.name, limit: DRAINED })
    this.settle(now)
    return true
  }

  /** What the RIB wants of this neighbour. */
  carry(effect: Exclude<RibEffect, { kind: 'routes' }>, now: Instant): void {
    switch (effect.kind) {
      case 'advertise': {
        const { attributes, nextHop, prefixes } = effect
        this.#tell({ type: 'announce', attributes, nextHop, prefixes }, now)
        break
      }
      case 'withdraw':
        this.#tell({ type: 'withdraw', prefixes: effect.prefixes }, now)
        break
      case 'end-of-rib':
        this.#tell({ type: 'end-of-rib', family: effect.family }, now)
        break
      case 'refresh-begins':
        this.#tell({ type: 'refresh-begin', family: effect.family }, now)
        break
      case 'refresh-ends':
        this.#tell({ type: 'refresh-end', family: effect.family }, now)
        break
      case 'prefix-limit':
        this.#limitReached(effect, now)
        break
      case 'prefix-warning':
        this.report(
          'prefix-warning',
          'warn',
          `${effect.prefixes} IPv${effect.family} prefixes; ${effect.limit} may come`,
        )
        break
      case 'rejected': {
        const { first, prefixes, reason } = effect
        const what = prefixes === 1 ? first : `${first} and ${prefixes - 1} more`
        // Some speakers send back what they have from us.
        this.report('rejected', reason === 'as-loop' ? 'info' : 'warn', `${what} not taken: ${reason}`)
        break
      }
      case 'damped':
        this.report('damped', 'warn', `${effect.prefix} flaps and is held back`)
        break
      case 'reused':
        this.report('damped', 'info', `${effect.prefix} has been quiet and is used again`)
        break
    }
  }

  /** The tunnel or BFD came up: a session that waits need not. One that too many prefixes have closed still does. */
  pathUp(now: Instant): void {
    if (!this.#isOverLimit) this.#session.handle({ type: 'path-up' }, now)
  }

  /** BFD has news of the path (RFC 5882 section 4.3). */
  pathChanged(change: BfdStateChange, now: Instant): void {
    const opinion = pathOpinion(change)
    if (opinion === 'up') {
      this.report('bfd-up', 'info', 'BFD is up')
      this.pathUp(now)
    }
    if (opinion === 'down')
      this.report('bfd-down', 'warn', `BFD lost it: ${DIAGNOSTICS[change.diagnostic] ?? change.diagnostic}`)
    const negotiated = this.#negotiated?.gracefulRestart !== undefined
    const action = bgpAction(change, { negotiated, restarting: this.#isRestarting })
    if (action === 'none') return
    const keepRoutes = action === 'end-session'
    this.#session.handle({ type: 'reset', subcode: CEASE.bfdDown, holdMs: BFD_HOLD_MS, keepRoutes }, now)
    this.settle(now)
    if (action === 'withdraw') this.#parts.rib({ kind: 'neighbour-down', neighbour: this.name })
  }

  report(code: BgpEventCode, level: 'info' | 'warn', text: string, update?: Uint8Array): void {
    if (level === 'warn') this.#lastError = text
    const held = this.#calm.ask(code, this.#parts.now())
    if (held === undefined) return
    const more = held === 0 ? '' : ` (and ${held} more of the kind before)`
    const event = { code, level, text: `${text}${more}`, ...(update === undefined ? {} : { update }) }
    this.#parts.emit({ type: 'report', neighbour: this.name, event })
  }

  status(bfd: BfdStatus | undefined, now: Instant): SpeakerNeighbourStatus {
    const { local, rib } = this.#neighbour
    const negotiated = this.#negotiated
    const counts = this.#families.flatMap((family) => {
      const status = this.#parts.ribStatus(this.name, family)
      if (status === undefined) return []
      const { pending: _, ...rest } = status
      return [[family, rest] as const]
    })
    return {
      name: this.name,
      tunnel: this.tunnel,
      local,
      address: rib.address,
      peerAs: rib.peerAs,
      state: this.#session.state,
      forMs: Math.max(0, now - (this.#since ?? now)),
      flaps: this.#flaps,
      ...(negotiated === undefined
        ? {}
        : { holdTimeS: negotiated.holdTimeS, peerIdentifier: negotiated.peerIdentifier }),
      prefixes: Object.fromEntries(counts),
      ...(bfd === undefined ? {} : { bfd: { state: bfd.state, flaps: bfd.flaps, detectionMs: bfd.detectionMs } }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  #tell(input: RouteInput, now: Instant): void {
    if (this.#refused.length > 0) this.#refused.push(input)
    else this.#session.handle(input, now)
  }

  #perform(effect: SessionEffect, now: Instant): void {
    const { name } = this
    switch (effect.type) {
      case 'connect':
      case 'send':
      case 'close':
      case 'listen':
        this.#parts.emit({ ...effect, neighbour: name })
        break
      case 'state':
        this.#since = now
        break
      case 'established':
        this.#established(effect.negotiated)
        break
      case 'down':
        this.#down(effect)
        break
      case 'notification':
        this.#notified(effect.direction, effect.message)
        break
      case 'update':
        this.#parts.rib({ kind: 'update', neighbour: name, update: effect.update })
        break
      case 'end-of-rib':
        this.#parts.rib({ kind: 'update', neighbour: name, update: endOf(effect.family) })
        break
      case 'fault':
        this.report('fault', 'warn', faultWords(effect.fault), effect.update)
        break
      case 'refresh-request':
        this.#parts.rib({ kind: 'refresh-asked', neighbour: name, family: effect.family })
        break
      case 'refresh-begin':
      case 'refresh-end':
        this.#parts.rib({ kind: `${effect.type}s`, neighbour: name, family: effect.family })
        break
      case 'unsendable':
        this.report('unsendable', 'warn', `${effect.prefixes.lengths.length} prefixes: attributes that fit no message`)
        break
      case 'refused':
        this.#refused.push(effect.input)
        break
      case 'room':
        this.#again(now)
    }
  }

  #again(now: Instant): void {
    const waiting = this.#refused
    this.#refused = []
    for (const input of waiting) this.#tell(input, now)
  }

  #established(negotiated: Negotiated): void {
    this.#negotiated = negotiated
    this.#isRestarting = false
    this.#isOverLimit = false
    this.#refused = []
    const { peerAs, holdTimeS, families, enhancedRefresh } = negotiated
    const names = families.map((family) => `IPv${family}`).join(' and ')
    this.report('established', 'info', `established with AS ${peerAs}: ${names}, hold time ${holdTimeS} s`)
    this.#parts.rib({
      kind: 'neighbour-up',
      neighbour: this.name,
      routerId: negotiated.peerIdentifier,
      families,
      nextHops: this.#neighbour.nextHops,
      ...restartToRib(negotiated),
      enhancedRefresh,
    })
    if (this.#leaving !== 'no') this.#tellLeaving()
  }

  #down({ cause, keep, restartTimeS }: Extract<SessionEffect, { type: 'down' }>): void {
    this.#negotiated = undefined
    this.#refused = []
    if (!this.#isEnding) this.#flaps++
    this.#isRestarting = keep.length > 0
    const kept = this.#isRestarting ? `; its routes stay for ${restartTimeS} s` : ''
    this.report('down', this.#isEnding ? 'info' : 'warn', `lost: ${downWords(cause)}${kept}`)
    const stale = this.#isRestarting ? { stale: { families: keep, ms: restartTimeS * 1000 } } : {}
    this.#parts.rib({ kind: 'neighbour-down', neighbour: this.name, ...stale })
  }

  #notified(direction: 'sent' | 'received', message: NotificationMessage): void {
    const who = direction === 'sent' ? 'we told the neighbour' : 'the neighbour told us'
    this.report(`notification-${direction}`, this.#isEnding ? 'info' : 'warn', `${who}: ${notificationWords(message)}`)
  }

  #limitReached({ family, limit, restartMs }: Extract<RibEffect, { kind: 'prefix-limit' }>, now: Instant): void {
    const again = restartMs === undefined ? 'until somebody resets it' : `for ${Math.round(restartMs / 1000)} s`
    this.report('prefix-limit', 'warn', `more than ${limit} IPv${family} prefixes: closed ${again}`)
    this.#isOverLimit = true
    const reason = { subcode: CEASE.maximumPrefixes, data: prefixLimitData(afiOf(family), limit) }
    if (restartMs === undefined) this.#session.handle({ type: 'stop', ...reason }, now)
    else this.#session.handle({ type: 'reset', holdMs: restartMs, ...reason }, now)
    this.settle(now)
  }
}

function endOf(family: Family): UpdateMessage {
  return { type: 'UPDATE', withdrawn: [], reach: [], faults: [], endOfRib: afiOf(family) }
}
