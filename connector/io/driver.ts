/**
 * The one loop that runs a protocol machine: input, drain, one timer. Effects are carried out strictly in order;
 * one that returns a promise holds back those behind it, while inputs and timers go on.
 */
import { type Instant, type Machine, unreachable } from '../../protocol/machine.ts'

export interface DriverOptions<Effect> {
  /** Carries out one effect. A promise is an acknowledgement to wait for. */
  readonly perform: (effect: Effect) => Promise<void> | undefined
  /** An effect that failed, thrown or rejected; the queue goes on behind it. */
  readonly onError: (error: unknown, effect: Effect) => void
  /** The machine threw, which it never should: whatever came from outside must not end the process. */
  readonly onFault: (error: unknown) => void
  readonly clock?: () => Instant
  /** Effects carried out in one turn of the event loop before others get theirs. */
  readonly budget?: number
}

export interface Driver<Input> {
  post(input: Input): void
  /** Resolves when no effect is queued or under way. */
  idle(): Promise<void>
  /** Nothing is handled or carried out from here on. */
  stop(): void
}

const BUDGET = 1000
/** Longest timer; also what bounds the error after a suspend, which the monotonic clock does not count. */
const MAX_SLEEP_MS = 30_000
/** After a fault: a deadline that stays in the past must not become a busy loop. */
const FAULT_REST_MS = 1000

export function drive<Input, Effect>(
  machine: Machine<Input | { readonly type: 'time' }, Effect>,
  options: DriverOptions<Effect>,
): Driver<Input> {
  return new MachineDriver(machine, options)
}

type Running = 'idle' | 'scheduled' | 'waiting'

class MachineDriver<Input, Effect> implements Driver<Input> {
  readonly #machine: Machine<Input | { readonly type: 'time' }, Effect>
  readonly #options: DriverOptions<Effect>
  readonly #clock: () => Instant
  readonly #queue: Effect[] = []
  #running: Running = 'idle'
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #draining = false
  #idleWaiters: (() => void)[] = []

  constructor(machine: Machine<Input | { readonly type: 'time' }, Effect>, options: DriverOptions<Effect>) {
    this.#machine = machine
    this.#options = options
    this.#clock = options.clock ?? (() => performance.now())
  }

  post(input: Input | { readonly type: 'time' }): void {
    if (this.#stopped) return
    let restMs = 0
    try {
      this.#machine.handle(input, this.#clock())
    } catch (error) {
      restMs = FAULT_REST_MS
      this.#options.onFault(error)
    }
    for (let effect = this.#machine.poll(); effect !== undefined; effect = this.#machine.poll())
      this.#queue.push(effect)
    this.#arm(restMs)
    this.#run()
  }

  idle(): Promise<void> {
    if (this.#queue.length === 0 && this.#running === 'idle') return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#queue.length = 0
    this.#settle()
  }

  #arm(atLeastMs: number): void {
    clearTimeout(this.#timer)
    const deadline = this.#machine.deadline()
    if (deadline === undefined || this.#stopped) return
    // Rounded up: a timer that fires before its instant would only have to be armed again.
    const sleep = Math.min(MAX_SLEEP_MS, Math.max(atLeastMs, Math.ceil(deadline - this.#clock())))
    this.#timer = setTimeout(() => this.post({ type: 'time' }), sleep)
  }

  /** An effect may post an input: then the loop that is running takes what comes of it. */
  #run(): void {
    if (this.#draining) return
    switch (this.#running) {
      case 'waiting':
      case 'scheduled':
        return
      case 'idle':
        break
      default:
        unreachable(this.#running)
    }
    this.#draining = true
    let left = this.#options.budget ?? BUDGET
    while (this.#queue.length > 0 && this.#running === 'idle' && !this.#stopped) {
      if (left-- === 0) {
        this.#running = 'scheduled'
        setImmediate(() => this.#resume())
        break
      }
      this.#perform(this.#queue.shift()!)
    }
    this.#draining = false
    this.#settle()
  }

  #perform(effect: Effect): void {
    try {
      const acknowledged = this.#options.perform(effect)
      if (acknowledged === undefined) return
      this.#running = 'waiting'
      acknowledged.then(
        () => this.#resume(),
        (error: unknown) => {
          this.#options.onError(error, effect)
          this.#resume()
        },
      )
    } catch (error) {
      this.#options.onError(error, effect)
    }
  }

  #resume(): void {
    this.#running = 'idle'
    this.#run()
  }

  #settle(): void {
    if (this.#queue.length > 0 || (this.#running !== 'idle' && !this.#stopped)) return
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const waiter of waiters) waiter()
  }
}
