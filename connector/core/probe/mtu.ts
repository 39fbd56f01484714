/**
 * Packetization Layer Path MTU Discovery for datagram transports (RFC 8899) by probes that the other end answers; ICMP has
 * no part in it. Sizes are those of outer packets, IP header included. The states of section 5.2 are the phases here: Base
 * is `confirming` the size to start from. Sizes of one wave are asked for at the same time, so that a search takes few
 * round trips; when a probe counts as lost is for the caller to say, who knows whether small packets passed meanwhile.
 */
import type { Instant } from '../../../protocol/machine.ts'
import type { MeasuredMtu } from './report.ts'

export interface MtuSettings {
  /** What is in use until something is known. */
  readonly start: number
  /** Never less, 576 for IPv4 and 1280 for IPv6; never more. All three are multiples of 4 or lose up to 3 bytes. */
  readonly floor: number
  readonly ceiling: number
}

/** MAX_PROBES of section 5.1.2. */
export const MAX_PROBES = 3
/** CONFIRMATION_TIMER and PMTU_RAISE_TIMER of section 5.1.1; the latter begins short, for loss may have misled a search. */
export const CONFIRM_MS = 5000
export const RAISE_FIRST_MS = 10_000
export const RAISE_MS = 600_000
/** A search ends when it is known to so many bytes. */
const CLOSE_ENOUGH = 8
/** BASE_PLPMTU, which nearly every path takes. */
const BASE = 1280
/** Of Ethernet, PPPoE, and tunnels within tunnels. */
const USUAL = [1500, 1492, 1480, 1460, 1440, 1420, 1400, 1380, BASE, 1024, 768]

type Phase = 'confirming' | 'searching' | 'complete' | 'error'

interface Asked {
  tries: number
  /** Sent, and neither answered nor lost. */
  pending: boolean
}

export class MtuSearch {
  readonly #settings: MtuSettings
  #phase: Phase = 'confirming'
  #pathMtu: number
  /** Largest size that passes, as far as this search knows, and smallest that does not. */
  #passes: number | undefined
  #fails = Number.POSITIVE_INFINITY
  /** Sizes of the wave under way. */
  readonly #wave = new Map<number, Asked>()
  /** Whether sizes between the usual ones are looked for; not where only a raise is tried and nothing came of it. */
  #bisects = false
  #confirmAt: Instant = 0
  #raiseAt: Instant = Number.POSITIVE_INFINITY
  #raiseMs = RAISE_FIRST_MS
  #isMeasured = false
  /** Largest that this machine's own interface takes, where it said so. */
  #interfaceLimit = Number.POSITIVE_INFINITY

  constructor(settings: MtuSettings) {
    this.#settings = settings
    this.#pathMtu = Math.min(settings.ceiling, Math.max(settings.floor, settings.start))
    this.#ask([this.#pathMtu])
  }

  get phase(): Phase {
    return this.#phase
  }

  /** In use. */
  get pathMtu(): number {
    return this.#pathMtu
  }

  /** Undefined while there is no answer to tell of. */
  get measured(): MeasuredMtu | undefined {
    if (!this.#isMeasured) return undefined
    return { pathMtu: this.#pathMtu, searching: this.#phase === 'searching' && this.#bisects, why: this.#why() }
  }

  /** Sizes to be asked for now. They are under way then, until `answered`, `lost`, `unclear` or `tooLarge`. */
  due(now: Instant): number[] {
    if (this.#phase === 'complete' || this.#phase === 'error') this.#wake(now)
    const sizes: number[] = []
    for (const [size, asked] of this.#wave) {
      if (asked.pending) continue
      asked.pending = true
      sizes.push(size)
    }
    return sizes
  }

  /** When `due` has something, if nothing else happens. */
  deadline(): Instant | undefined {
    if ([...this.#wave.values()].some(({ pending }) => !pending)) return 0
    if (this.#phase === 'complete') return Math.min(this.#confirmAt, this.#raiseAt)
    return this.#phase === 'error' ? this.#raiseAt : undefined
  }

  answered(size: number, now: Instant): void {
    this.#isMeasured = true
    if (size >= this.#fails) this.#fails = Number.POSITIVE_INFINITY
    this.#passes = Math.max(this.#passes ?? 0, size)
    for (const asked of [...this.#wave.keys()]) if (asked <= size) this.#wave.delete(asked)
    if (this.#phase === 'confirming' && size < this.#pathMtu) return
    if (size > this.#pathMtu) {
      this.#pathMtu = size
      this.#bisects = true
    }
    if (this.#phase === 'confirming') this.#confirmed(now)
    else this.#goOn(now)
  }

  /** The probe did not come through, while a small one sent behind it did. */
  lost(size: number, now: Instant): void {
    const asked = this.#wave.get(size)
    if (asked === undefined) return
    asked.pending = false
    asked.tries++
    // A black hole, perhaps: what else would pass is asked for before it is certain.
    if (this.#phase === 'confirming' && size === this.#pathMtu && asked.tries === 1) this.#ask(this.#below(size))
    if (asked.tries >= MAX_PROBES) this.#failed(size, now)
  }

  /** The probe, and what was sent behind it, are gone, or it never left: that says nothing. */
  unclear(size: number): void {
    const asked = this.#wave.get(size)
    if (asked !== undefined) asked.pending = false
  }

  /** The interface of this machine does not take it. */
  tooLarge(size: number, now: Instant): void {
    this.#interfaceLimit = Math.min(this.#interfaceLimit, size)
    if (this.#phase === 'confirming' && size === this.#pathMtu) this.#ask(this.#below(size))
    if (this.#wave.has(size)) this.#failed(size, now)
  }

  /** The path may be another one: what is in use is confirmed, and more is looked for soon. */
  restart(now: Instant): void {
    this.#raiseMs = RAISE_FIRST_MS
    if (Number.isFinite(this.#raiseAt)) this.#raiseAt = now
    this.#confirm()
  }

  #confirm(): void {
    this.#phase = 'confirming'
    this.#passes = undefined
    this.#fails = Number.POSITIVE_INFINITY
    this.#wave.clear()
    this.#ask([this.#pathMtu])
  }

  #wake(now: Instant): void {
    if (now >= this.#raiseAt) {
      const isError = this.#phase === 'error'
      const limit = this.#fails
      this.#interfaceLimit = Number.POSITIVE_INFINITY
      this.#phase = 'searching'
      this.#fails = Number.POSITIVE_INFINITY
      this.#passes = isError ? undefined : this.#pathMtu
      this.#bisects = false
      this.#ask([...this.#above(this.#pathMtu), ...(limit < this.#settings.ceiling ? [limit] : [])])
      if (isError) this.#ask([this.#pathMtu])
      if (this.#wave.size === 0) this.#complete(now)
    } else if (this.#phase === 'complete' && now >= this.#confirmAt) this.#confirm()
  }

  /** What is in use passes. The first time, and after a change of path, more is looked for at once. */
  #confirmed(now: Instant): void {
    this.#wave.clear()
    if (Number.isFinite(this.#raiseAt)) {
      this.#phase = 'complete'
      this.#confirmAt = now + CONFIRM_MS
      return
    }
    this.#phase = 'searching'
    this.#bisects = true
    this.#ask(this.#above(this.#pathMtu))
    this.#goOn(now)
  }

  #failed(size: number, now: Instant): void {
    this.#fails = Math.min(this.#fails, size)
    for (const asked of [...this.#wave.keys()]) if (asked >= this.#fails) this.#wave.delete(asked)
    if (this.#phase === 'confirming') {
      if (this.#fails > this.#pathMtu) return
      // A black hole: down at once to what has passed meanwhile, or to what nearly every path takes.
      this.#phase = 'searching'
      this.#bisects = true
      this.#raiseMs = RAISE_FIRST_MS
      this.#pathMtu = this.#passes ?? Math.max(this.#settings.floor, Math.min(BASE, this.#pathMtu))
      this.#isMeasured = true
    }
    this.#goOn(now)
  }

  /** The next wave, when this one has told all it can. */
  #goOn(now: Instant): void {
    if (this.#wave.size > 0) return
    const { floor, ceiling } = this.#settings
    if (this.#passes === undefined) {
      this.#phase = 'error'
      this.#pathMtu = floor
      this.#isMeasured = true
      this.#setRaise(now)
      return
    }
    // In the end that is what passes, less also where a search had begun with more.
    this.#pathMtu = this.#passes
    const top = Math.min(this.#fails, ceiling + 1)
    const isFound = this.#passes >= ceiling || top - this.#passes <= CLOSE_ENOUGH
    // A raise that came to nothing is not pursued between the usual sizes.
    if (isFound || !this.#bisects) {
      this.#complete(now)
      return
    }
    const usual = this.#above(this.#passes).filter((size) => size < this.#fails)
    this.#ask(usual.length > 0 ? usual : [middle(this.#passes, top)])
  }

  #complete(now: Instant): void {
    this.#phase = 'complete'
    this.#confirmAt = now + CONFIRM_MS
    this.#setRaise(now)
  }

  #setRaise(now: Instant): void {
    this.#raiseAt = now + this.#raiseMs
    this.#raiseMs = Math.min(RAISE_MS, 2 * this.#raiseMs)
  }

  #ask(sizes: readonly number[]): void {
    for (const size of sizes) if (!this.#wave.has(size)) this.#wave.set(size, { tries: 0, pending: false })
  }

  #above(size: number): number[] {
    const { ceiling } = this.#settings
    const usual = USUAL.filter((each) => each > size && each < ceiling && each < this.#interfaceLimit)
    return size < ceiling && this.#interfaceLimit > ceiling ? [ceiling, ...usual] : usual
  }

  #below(size: number): number[] {
    const { floor } = this.#settings
    const usual = USUAL.filter((each) => each < size && each > floor)
    return size > floor ? [...usual, floor] : usual
  }

  #why(): string {
    if (this.#phase === 'error') return `no probe of ${this.#settings.floor} bytes was answered, while small ones are`
    if (this.#phase === 'searching' && this.#passes === undefined) return 'larger probes are not answered any more'
    if (this.#pathMtu >= this.#settings.ceiling) return 'the largest that is looked for'
    return 'largest probe that was answered'
  }
}

/** A multiple of 4, as lengths of ESP packets are, strictly between the two where there is one. */
function middle(low: number, high: number): number {
  return low + Math.max(4, Math.floor((high - low) / 8) * 4)
}
