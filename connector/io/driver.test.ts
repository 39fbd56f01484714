import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Machine } from '../../protocol/machine.ts'
import { drive } from './driver.ts'

type Input = { type: 'emit'; effects: string[] } | { type: 'time' }

/** Emits what it is told to, and wakes at the instants in `alarms`. */
class Script implements Machine<Input, string> {
  readonly inputs: { input: Input; now: number }[] = []
  readonly #effects: string[] = []
  readonly #alarms: number[]

  constructor(alarms: number[] = []) {
    this.#alarms = alarms
  }

  handle(input: Input, now: number): void {
    this.inputs.push({ input, now })
    if (input.type === 'emit') this.#effects.push(...input.effects)
    while (this.#alarms.length > 0 && this.#alarms[0]! <= now) this.#effects.push(`alarm ${this.#alarms.shift()}`)
  }

  poll(): string | undefined {
    return this.#effects.shift()
  }

  deadline(): number | undefined {
    return this.#alarms[0]
  }
}

const fail = (error: unknown): never => {
  throw error
}

describe('the driver', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('holds back what follows an effect that waits for its acknowledgement', async () => {
    const done: string[] = []
    let acknowledge = (): void => {}
    const driver = drive<Input, string>(new Script(), {
      perform: (effect) => {
        done.push(effect)
        if (effect !== 'install') return undefined
        return new Promise<void>((resolve) => {
          acknowledge = resolve
        })
      },
      onError: fail,
      onFault: fail,
    })
    driver.post({ type: 'emit', effects: ['a', 'install', 'send'] })
    driver.post({ type: 'emit', effects: ['later'] })
    expect(done).toEqual(['a', 'install'])
    acknowledge()
    await driver.idle()
    expect(done).toEqual(['a', 'install', 'send', 'later'])
  })

  it('goes on with timers while an acknowledgement is awaited', async () => {
    vi.useFakeTimers()
    const script = new Script([50, 120])
    const done: string[] = []
    const driver = drive<Input, string>(script, {
      perform: (effect) => {
        done.push(effect)
        return effect === 'install' ? new Promise<void>(() => {}) : undefined
      },
      onError: fail,
      onFault: fail,
      clock: () => Date.now() - epoch,
    })
    const epoch = Date.now()
    driver.post({ type: 'emit', effects: ['install'] })
    vi.advanceTimersByTime(49)
    expect(script.inputs).toHaveLength(1)
    vi.advanceTimersByTime(71)
    expect(script.inputs.map(({ now }) => now)).toEqual([0, 50, 120])
    expect(done).toEqual(['install'])
    expect(vi.getTimerCount()).toBe(0)
    driver.stop()
  })

  it('keeps the order when an effect leads to an input', () => {
    const done: string[] = []
    const driver = drive<Input, string>(new Script(), {
      perform: (effect) => {
        done.push(effect)
        if (effect === 'a') driver.post({ type: 'emit', effects: ['c'] })
        return undefined
      },
      onError: fail,
      onFault: fail,
    })
    driver.post({ type: 'emit', effects: ['a', 'b'] })
    expect(done).toEqual(['a', 'b', 'c'])
  })

  it('reports an effect that fails, thrown or rejected, and goes on', async () => {
    const errors: string[] = []
    const done: string[] = []
    const driver = drive<Input, string>(new Script(), {
      perform: (effect) => {
        if (effect === 'throws') throw new Error('thrown')
        if (effect === 'rejects') return Promise.reject(new Error('rejected'))
        done.push(effect)
        return undefined
      },
      onError: (error, effect) => errors.push(`${effect}: ${(error as Error).message}`),
      onFault: fail,
    })
    driver.post({ type: 'emit', effects: ['throws', 'a', 'rejects', 'b'] })
    await driver.idle()
    expect(done).toEqual(['a', 'b'])
    expect(errors).toEqual(['throws: thrown', 'rejects: rejected'])
  })

  it('lets others have a turn after its budget, and loses nothing', async () => {
    const done: string[] = []
    const driver = drive<Input, string>(new Script(), {
      perform: (effect) => {
        done.push(effect)
        return undefined
      },
      onError: fail,
      onFault: fail,
      budget: 3,
    })
    const effects = Array.from({ length: 8 }, (_, i) => String(i))
    driver.post({ type: 'emit', effects })
    expect(done).toHaveLength(3)
    driver.post({ type: 'emit', effects: ['last'] })
    expect(done).toHaveLength(3)
    await driver.idle()
    expect(done).toEqual([...effects, 'last'])
  })

  it('survives a machine that throws, and does not spin on a deadline that stays', () => {
    vi.useFakeTimers()
    const faults: string[] = []
    const handle = vi.fn((input: Input) => {
      if (input.type === 'time') throw new Error('fault')
    })
    const machine: Machine<Input, string> = { handle, poll: () => undefined, deadline: () => 0 }
    const driver = drive<Input, string>(machine, {
      perform: () => undefined,
      onError: fail,
      onFault: (error) => faults.push((error as Error).message),
      clock: () => 10,
    })
    driver.post({ type: 'emit', effects: [] })
    vi.advanceTimersByTime(3500)
    expect(faults).toEqual(Array(4).fill('fault'))
    driver.post({ type: 'emit', effects: [] })
    expect(handle).toHaveBeenCalledTimes(6)
    driver.stop()
  })

  it('does nothing more once stopped', async () => {
    const script = new Script([1])
    const done: string[] = []
    let acknowledge = (): void => {}
    const driver = drive<Input, string>(script, {
      perform: (effect) => {
        done.push(effect)
        return new Promise<void>((resolve) => {
          acknowledge = resolve
        })
      },
      onError: fail,
      onFault: fail,
      clock: () => 0,
    })
    driver.post({ type: 'emit', effects: ['a', 'b'] })
    driver.stop()
    acknowledge()
    driver.post({ type: 'emit', effects: ['c'] })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(done).toEqual(['a'])
    expect(script.inputs).toHaveLength(1)
  })
})
