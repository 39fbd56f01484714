/** Two ends that probe each other over a path whose faults a seed decides, in virtual time. */
import type { Instant } from '../../../protocol/machine.ts'
import { ProbeMachine, type ProbeSettings } from './machine.ts'
import type { PathReport } from './report.ts'
import { setSize } from './wire.ts'

/** Bytes of the outer packet beyond the inner one: ESP in UDP over IPv4, as it is aligned. */
export function outerLength(inner: number): number {
  return 20 + 8 + 8 + 8 + Math.ceil((inner + 2) / 4) * 4 + 16
}

/** The largest inner packet whose outer one has no more than `outer` bytes. */
export function innerLength(outer: number): number {
  let inner = outer - 62
  while (outerLength(inner) > outer) inner--
  return inner
}

/** 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export interface Way {
  /** 0 to 1. */
  loss: number
  delayMs: number
  /** At most so much more, evenly spread. */
  jitterMs: number
  /** Of outer packets; larger ones are gone without a word. */
  mtu: number
  cut: boolean
}

export interface Told {
  readonly at: Instant
  readonly report: PathReport
}

export class End {
  readonly machine: ProbeMachine
  readonly reports: Told[] = []
  /** What the interface takes; undefined: there is no SA. */
  interfaceMtu: number | undefined = 1500
  /** It is woken so much late, evenly spread from 0. */
  lateMs = 0
  /** Asleep until then, as a host that is paused. */
  asleepUntil: Instant = 0
  sent = 0
  wakeAt: Instant = 0

  constructor(random: () => number) {
    this.machine = new ProbeMachine((length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)))
  }

  get last(): PathReport | undefined {
    return this.reports.at(-1)?.report
  }

  get states(): string[] {
    const states: string[] = []
    for (const { report } of this.reports) if (report.state !== states.at(-1)) states.push(report.state)
    return states
  }

  /** When the state was first told, from `since` on. */
  firstAt(state: PathReport['state'], since: Instant): Instant | undefined {
    return this.reports.find(({ at, report }) => at >= since && report.state === state)?.at
  }
}

type Packet = { readonly at: Instant; readonly to: End; readonly bytes: Uint8Array }

export class ProbeWorld {
  now: Instant = 1000
  readonly a: End
  readonly b: End
  readonly forth: Way
  readonly back: Way
  readonly #random: () => number
  #packets: Packet[] = []

  constructor(seed: number, way: Partial<Way> = {}) {
    this.#random = randomFrom(seed)
    this.a = new End(this.#random)
    this.b = new End(this.#random)
    const whole: Way = { loss: 0, delayMs: 5, jitterMs: 0, mtu: 1500, cut: false, ...way }
    this.forth = { ...whole }
    this.back = { ...whole }
  }

  both(change: Partial<Way>): void {
    Object.assign(this.forth, change)
    Object.assign(this.back, change)
  }

  configure(end: End, settings: ProbeSettings | undefined): void {
    end.machine.handle({ type: 'settings', settings }, this.now)
    this.#drain(end)
  }

  examine(end: End, on: boolean): void {
    end.machine.handle({ type: 'examine', on }, this.now)
    this.#drain(end)
  }

  /** Lets so many milliseconds pass. */
  run(ms: number): void {
    const until = this.now + ms
    for (;;) {
      const next = this.#next()
      if (next === undefined || next.at > until) break
      this.now = Math.max(this.now, next.at)
      next.step()
    }
    this.now = until
  }

  #next(): { readonly at: Instant; readonly step: () => void } | undefined {
    let best: { at: Instant; step: () => void } | undefined
    const offer = (at: Instant, step: () => void): void => {
      if (best === undefined || at < best.at) best = { at, step }
    }
    for (const packet of this.#packets) {
      offer(Math.max(packet.at, packet.to.asleepUntil), () => this.#deliver(packet))
    }
    for (const end of [this.a, this.b]) {
      if (end.machine.deadline() !== undefined) offer(Math.max(end.wakeAt, end.asleepUntil), () => this.#wake(end))
    }
    return best
  }

  #wake(end: End): void {
    end.machine.handle({ type: 'time' }, this.now)
    this.#drain(end)
  }

  #deliver(packet: Packet): void {
    this.#packets = this.#packets.filter((each) => each !== packet)
    packet.to.machine.handle({ type: 'message', bytes: packet.bytes }, this.now)
    this.#drain(packet.to)
  }

  #drain(end: End): void {
    for (let effect = end.machine.poll(); effect !== undefined; effect = end.machine.poll()) {
      if (effect.type === 'report') {
        end.reports.push({ at: this.now, report: effect.report })
        continue
      }
      const { token, payload, outer } = effect
      if (end.interfaceMtu === undefined || (outer ?? 0) > end.interfaceMtu) {
        const why = end.interfaceMtu === undefined ? 'no-sa' : 'too-large'
        end.machine.handle({ type: 'unsent', token, why }, this.now)
      } else this.#send(end, payload, outer)
    }
    const deadline = end.machine.deadline()
    if (deadline !== undefined) end.wakeAt = Math.max(deadline, this.now) + this.#random() * end.lateMs
  }

  #send(from: End, payload: Uint8Array, outer: number | undefined): void {
    from.sent++
    const way = from === this.a ? this.forth : this.back
    const bytes = new Uint8Array(outer === undefined ? payload.length : innerLength(outer))
    bytes.set(payload)
    setSize(bytes, bytes.length)
    const isLost = way.cut || this.#random() < way.loss || outerLength(bytes.length) > way.mtu
    if (isLost) return
    const at = this.now + way.delayMs + this.#random() * way.jitterMs
    this.#packets.push({ at, to: from === this.a ? this.b : this.a, bytes })
  }
}
