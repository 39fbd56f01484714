import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ReplayMemory, TicketStore } from './stream-session.ts'

const START = 1_000_000_000
const LATER = START + 3_600_000

describe('the memory of first flights', () => {
  test('takes each ephemeral key once', () => {
    const memory = new ReplayMemory({ start: START, capacity: 10 })
    expect(memory.admit(key(1), LATER, LATER)).toBe(true)
    expect(memory.admit(key(1), LATER, LATER)).toBe(false)
    expect(memory.admit(key(2), LATER, LATER)).toBe(true)
  })

  test.each([
    ['as old as may be', LATER - 60_000, LATER, true],
    ['older', LATER - 60_001, LATER, false],
    ['as far ahead as may be', LATER + 2000, LATER, true],
    ['further ahead', LATER + 2001, LATER, false],
    ['just past what an earlier process may have taken', START + 2000, START + 2000, true],
    ['within it', START + 1999, START + 2000, false],
    ['before the start', START - 1, START + 30_000, false],
    ['no number', Number.NaN, LATER, false],
    ['without end', Number.POSITIVE_INFINITY, LATER, false],
  ])('a time that is %s', (_, time, now, taken) => {
    expect(new ReplayMemory({ start: START, capacity: 10 }).admit(key(1), time, now)).toBe(taken)
  })

  test('takes nothing while it is full, and forgets what is too old to come again', () => {
    const memory = new ReplayMemory({ start: START, capacity: 3 })
    for (let i = 0; i < 3; i++) expect(memory.admit(key(i), LATER, LATER)).toBe(true)
    expect(memory.admit(key(9), LATER, LATER)).toBe(false)
    const next = LATER + 200_000
    expect(memory.admit(key(9), next, next)).toBe(true)
    expect(memory.size).toBe(1)
  })

  test('a clock that is set back does not bring a flight back', () => {
    const memory = new ReplayMemory({ start: START, capacity: 10 })
    expect(memory.admit(key(1), LATER, LATER)).toBe(true)
    expect(memory.admit(key(2), LATER + 300_000, LATER + 300_000)).toBe(true)
    expect(memory.admit(key(1), LATER, LATER)).toBe(false)
  })

  test('whatever the clock does, no flight is taken twice, and memory has its bound', () => {
    const flights = fc.array(fc.tuple(fc.nat(20), fc.integer({ min: -90_000, max: 90_000 })), { maxLength: 200 })
    fc.assert(
      fc.property(flights, (steps) => {
        const memory = new ReplayMemory({ start: START, capacity: 15 })
        const taken = new Set<number>()
        let now = LATER
        for (const [flight, by] of steps) {
          now += by
          // The time of a flight never changes: it is authenticated with its key.
          if (!memory.admit(key(flight), LATER + flight * 20_000, now)) continue
          expect(taken.has(flight)).toBe(false)
          taken.add(flight)
        }
        expect(memory.size).toBeLessThanOrEqual(15)
      }),
    )
  })
})

describe('the store of tickets', () => {
  test('gives each ticket out once, with its identity', () => {
    const store = new TicketStore({ capacity: 10, perFunction: 10 })
    const secret = new Uint8Array(32).fill(7)
    store.keep(id(1), secret, identity('a'), 1000, 0)
    expect(store.take(id(2), 0)).toBeUndefined()
    expect(store.take(id(1), 999)).toEqual({ secret: new Uint8Array(32).fill(7), identity: identity('a') })
    expect(store.take(id(1), 999)).toBeUndefined()
    expect(store.size).toBe(0)
  })

  test('not after its time, also behind one that is good for longer; its secret is wiped', () => {
    const store = new TicketStore({ capacity: 10, perFunction: 10 })
    const secrets = [1, 2].map((byte) => new Uint8Array(32).fill(byte))
    store.keep(id(1), secrets[0]!, identity('a'), 5000, 0)
    store.keep(id(2), secrets[1]!, identity('a'), 1000, 0)
    expect(store.take(id(2), 1000)).toBeUndefined()
    expect(isZero(secrets[1]!)).toBe(true)
    expect(store.size).toBe(1)
    expect(store.take(id(1), 5000)).toBeUndefined()
    expect(isZero(secrets[0]!)).toBe(true)
    expect(store.size).toBe(0)
  })

  test('of one function the oldest gives way to its own, of all the oldest of all', () => {
    const store = new TicketStore({ capacity: 4, perFunction: 2 })
    const secrets = Array.from({ length: 6 }, (_, i) => new Uint8Array(32).fill(i + 1))
    const keep = (i: number, name: string) => store.keep(id(i), secrets[i]!, identity(name), 1000, 0)
    keep(0, 'a')
    keep(1, 'b')
    keep(2, 'b')
    keep(3, 'b')
    expect(secrets.map(isZero)).toEqual([false, true, false, false, false, false])
    keep(4, 'c')
    keep(5, 'd')
    expect(store.size).toBe(4)
    expect(isZero(secrets[0]!)).toBe(true)
    for (const i of [2, 3, 4, 5]) expect(store.take(id(i), 0)?.secret).toBe(secrets[i])
  })

  test('the tickets of a function, and all, can be dropped', () => {
    const store = new TicketStore({ capacity: 10, perFunction: 10 })
    const secrets = Array.from({ length: 4 }, (_, i) => new Uint8Array(32).fill(i + 1))
    for (const [i, secret] of secrets.entries()) store.keep(id(i), secret, identity(i < 2 ? 'a' : 'b'), 1000, 0)
    store.forget('fn_a')
    store.forget('fn_other')
    expect(secrets.map(isZero)).toEqual([true, true, false, false])
    store.clear()
    expect(secrets.every(isZero)).toBe(true)
    expect(store.size).toBe(0)
  })
})

function key(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte)
}

function id(byte: number): Uint8Array {
  return new Uint8Array(16).fill(byte)
}

function identity(name: string) {
  return { function: `fn_${name}`, name, services: [], expiresAt: 0 }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
