/**
 * Which tunnel a class of traffic prefers: the first of its order that passes and keeps within the limits. When none
 * does, the one that is beyond them least. What has given way comes back when it has been well for the class's hold.
 */
import type { Instant } from '../../../protocol/machine.ts'
import type { PathReport } from '../probe/report.ts'
import { Quality } from './quality.ts'
import type { ClassStatus, PathClass, SteerReason } from './types.ts'

/** Between two moves that no tunnel's end makes necessary. */
const DWELL_MS = 3_000
/** Among tunnels that are all beyond the limits, one has to be better by that to be moved to. */
const CLEARLY_BETTER = 0.5

/** What a class may use a tunnel for: `free`: as it likes; `down` and `leaving`: only where there is no other. */
export type Fitness = 'free' | 'down' | 'leaving'

export interface ClassMove {
  readonly from: string
  readonly to: string
  readonly because: SteerReason
}

interface Member {
  readonly connection: string
  quality: Quality
  fitness: Fitness
  /** It has carried traffic of the class before: when it comes back, it waits. */
  wasFree: boolean
  freeSince: Instant
}

export class ClassSteering {
  #config: PathClass
  #members: readonly Member[]
  #current: string
  #since: Instant
  #because: SteerReason | undefined
  #from: string | undefined
  #moves = 0
  #movedAt = Number.NEGATIVE_INFINITY
  #settledAt = Number.NEGATIVE_INFINITY

  /** @param config with a tunnel at least */
  constructor(config: PathClass, now: Instant) {
    this.#config = config
    this.#members = config.prefer.map((connection) => newMember(connection, config, now))
    this.#current = config.prefer[0]!
    this.#since = now
  }

  get name(): string {
    return this.#config.name
  }

  /** The tunnels in the order in which engines are to try them. */
  get prefer(): readonly string[] {
    return [this.#current, ...this.#config.prefer.filter((connection) => connection !== this.#current)]
  }

  has(connection: string): boolean {
    return this.#config.prefer.includes(connection)
  }

  /** Takes another configuration; what is known of the tunnels goes on where the limits are the same. */
  change(config: PathClass, now: Instant): ClassMove | undefined {
    const isSame = JSON.stringify(config.limits) === JSON.stringify(this.#config.limits)
    const known = new Map(this.#members.map((member) => [member.connection, member]))
    this.#members = config.prefer.map((connection) => {
      const member = known.get(connection) ?? newMember(connection, config, now)
      if (!isSame || config.holdMs !== this.#config.holdMs) member.quality = new Quality(config)
      return member
    })
    const isOther = config.prefer.join(' ') !== this.#config.prefer.join(' ')
    this.#config = config
    if (!isOther) return undefined
    const from = this.#current
    this.#current = (this.#fit(now) ?? this.#members[0]!).connection
    if (from === this.#current) return undefined
    return this.#moved(from, 'plan', now)
  }

  take(connection: string, report: PathReport, now: Instant): void {
    for (const member of this.#members) if (member.connection === connection) member.quality.take(report, now)
  }

  isSuspect(connection: string): boolean {
    return this.#members.some((member) => member.connection === connection && member.quality.isSuspect)
  }

  setFitness(connection: string, fitness: Fitness, now: Instant): void {
    for (const member of this.#members) {
      if (member.connection !== connection || member.fitness === fitness) continue
      // What has never carried anything, or was taken away on purpose, has nothing to prove.
      const mayReturn = !member.wasFree || member.fitness === 'leaving'
      if (fitness === 'free') member.freeSince = mayReturn ? Number.NEGATIVE_INFINITY : now
      member.fitness = fitness
      member.wasFree ||= fitness === 'free'
    }
  }

  /** To be called after every change, and at `deadline`. */
  settle(now: Instant): ClassMove | undefined {
    this.#settledAt = now
    for (const { quality } of this.#members) quality.settle(now)
    const current = this.#members.find(({ connection }) => connection === this.#current)!
    const choice = this.#choose(current, now)
    if (choice === undefined || choice.target === current) return undefined
    this.#current = choice.target.connection
    return this.#moved(current.connection, choice.because, now)
  }

  deadline(): Instant | undefined {
    const times = [this.#movedAt + DWELL_MS, ...this.#members.flatMap(({ quality }) => quality.deadline() ?? [])]
    for (const { freeSince } of this.#members) times.push(freeSince + this.#config.holdMs)
    const coming = times.filter((time) => time > this.#settledAt)
    return coming.length === 0 ? undefined : Math.min(...coming)
  }

  status(): ClassStatus {
    return {
      name: this.name,
      tunnel: this.#current,
      since: this.#since,
      because: this.#because,
      from: this.#from,
      moves: this.#moves,
      tunnels: this.#members.map(({ connection, quality }) => ({ connection, beyond: quality.beyond })),
    }
  }
  #choose(current: Member, now: Instant): { readonly target: Member; readonly because: SteerReason } | undefined {
    const fit = this.#fit(now)
    if (current.fitness !== 'free') {
      const target = fit ?? this.#least((member) => member.fitness === 'free')
      return target && { target, because: current.fitness === 'down' ? 'down' : 'drain' }
    }
    if (now - this.#movedAt < DWELL_MS) return undefined
    const [because] = current.quality.beyond
    if (because !== undefined) {
      const enough = CLEARLY_BETTER * current.quality.ratio
      const target = fit ?? this.#least(({ fitness, quality }) => fitness === 'free' && quality.ratio < enough)
      return target && { target, because }
    }
    const isBefore = fit !== undefined && this.#members.indexOf(fit) < this.#members.indexOf(current)
    return isBefore ? { target: fit, because: 'well-again' } : undefined
  }

  /** The first that nothing speaks against; what came back has to have waited, unless it is in use as it is. */
  #fit(now: Instant): Member | undefined {
    const { holdMs } = this.#config
    return this.#members.find(({ connection, fitness, quality, freeSince }) => {
      const hasWaited = connection === this.#current || now - freeSince >= holdMs
      return fitness === 'free' && !quality.isBeyond && hasWaited
    })
  }

  #least(may: (member: Member) => boolean): Member | undefined {
    let least: Member | undefined
    for (const member of this.#members) {
      if (may(member) && (least === undefined || member.quality.ratio < least.quality.ratio)) least = member
    }
    return least
  }

  #moved(from: string, because: SteerReason, now: Instant): ClassMove {
    this.#since = now
    this.#movedAt = now
    this.#because = because
    this.#from = from
    this.#moves++
    return { from, to: this.#current, because }
  }
}

function newMember(connection: string, config: PathClass, now: Instant): Member {
  return { connection, quality: new Quality(config), fitness: 'down', wasFree: false, freeSince: now }
}
