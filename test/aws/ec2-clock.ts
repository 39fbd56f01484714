/** The stand-in's time: the machine's, or one that a test moves. */
export interface Ec2Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Resolves so many milliseconds later. */
  sleep(ms: number): Promise<void>
  /** Whoever sleeps wakes at once, and nobody sleeps again. */
  end(): void
}

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export class MachineClock implements Ec2Clock {
  readonly #sleepers = new Map<NodeJS.Timeout, () => void>()
  #ended = false

  now(): number {
    return Date.now()
  }

  sleep(ms: number): Promise<void> {
    if (this.#ended) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#sleepers.delete(timer)
        resolve()
      }, ms)
      this.#sleepers.set(timer, resolve)
    })
  }

  end(): void {
    this.#ended = true
    for (const [timer, wake] of this.#sleepers) {
      clearTimeout(timer)
      wake()
    }
    this.#sleepers.clear()
  }
}

export class ManualClock implements Ec2Clock {
  #now: number
  #sleepers: Sleeper[] = []
  #ended = false

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  sleep(ms: number): Promise<void> {
    if (this.#ended) return Promise.resolve()
    return new Promise((wake) => this.#sleepers.push({ until: this.#now + ms, wake }))
  }

  get sleeping(): number {
    return this.#sleepers.length
  }

  advance(ms: number): void {
    this.#now += ms
    const due = this.#sleepers.filter(({ until }) => until <= this.#now)
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.#now)
    for (const { wake } of due) wake()
  }

  end(): void {
    this.#ended = true
    for (const { wake } of this.#sleepers) wake()
    this.#sleepers = []
  }
}
