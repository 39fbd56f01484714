import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { RELAY_TIMING, type RelayEffect, type RelayInput, RelaySockets } from './relay.ts'

let relay: RelaySockets
let now: number

function give(input: RelayInput, at = now): RelayEffect[] {
  now = at
  relay.handle(input, now)
  const effects: RelayEffect[] = []
  for (let effect = relay.poll(); effect !== undefined; effect = relay.poll()) effects.push(effect)
  return effects
}

const numbers = (effects: RelayEffect[]) => effects.map(({ type, socket }) => `${type} ${socket}`)

beforeEach(() => {
  now = 1000
  relay = new RelaySockets(() => Uint8Array.of(255))
})

describe('sockets to the relay', () => {
  it('keeps as many waiting as the relay wants, and replaces one that is used at once', () => {
    expect(numbers(give({ type: 'linked', spare: 2 }))).toEqual(['dial 1', 'dial 2'])
    expect(give({ type: 'opened', socket: 1 })).toEqual([])
    expect(numbers(give({ type: 'used', socket: 1 }))).toEqual(['dial 3'])
    expect(relay.deadline()).toBeUndefined()
  })

  it('dials for each function that waits, and keeps none of them when they are gone', () => {
    give({ type: 'linked', spare: 0 })
    expect(numbers(give({ type: 'call', count: 2 }))).toEqual(['dial 1', 'dial 2'])
    expect(numbers(give({ type: 'call', count: 1 }))).toEqual(['dial 3'])
    for (const socket of [1, 2, 3]) {
      give({ type: 'opened', socket })
      expect(give({ type: 'used', socket })).toEqual([])
    }
    expect([relay.waiting, relay.deadline()]).toEqual([0, undefined])
  })

  it('waits longer after each failure, and longest where it is not wanted', () => {
    give({ type: 'linked', spare: 1 })
    const pauses = [1, 2, 3, 4].map((socket) => {
      give({ type: 'closed', socket })
      const pause = relay.deadline()! - now
      expect(numbers(give({ type: 'time' }, relay.deadline()!))).toEqual([`dial ${socket + 1}`])
      return pause
    })
    expect(pauses).toEqual([500, 1000, 2000, 4000])
    give({ type: 'closed', socket: 5, refused: true })
    expect(relay.deadline()! - now).toBe(RELAY_TIMING.retryMaxMs)
    expect(numbers(give({ type: 'linked', spare: 1 }))).toEqual(['dial 6'])
  })

  it('forgets calls that were not answered in time, for the functions are gone', () => {
    give({ type: 'linked', spare: 0 })
    give({ type: 'call', count: 1 })
    give({ type: 'closed', socket: 1 })
    expect(give({ type: 'time' }, now + RELAY_TIMING.callMs)).toEqual([])
    expect(relay.deadline()).toBeUndefined()
  })

  it('dials nothing while there is no link, and keeps what it has', () => {
    give({ type: 'linked', spare: 2 })
    give({ type: 'opened', socket: 1 })
    expect(give({ type: 'unlinked' })).toEqual([])
    expect(give({ type: 'closed', socket: 2 })).toEqual([])
    expect(give({ type: 'call', count: 5 })).toEqual([])
    expect([relay.waiting, relay.deadline()]).toEqual([1, undefined])
    expect(numbers(give({ type: 'linked', spare: 2 }))).toEqual(['dial 3'])
  })

  it('drops all of them at the end', () => {
    give({ type: 'linked', spare: 2 })
    expect(numbers(give({ type: 'stop' }))).toEqual(['drop 1', 'drop 2'])
    expect(give({ type: 'linked', spare: 2 })).toEqual([])
  })

  it('never has more than are wanted and being dialled, whatever happens in whatever order', () => {
    const socket = fc.integer({ min: 1, max: 40 })
    const input: fc.Arbitrary<RelayInput> = fc.oneof(
      fc.record({ type: fc.constant('linked' as const), spare: fc.integer({ min: 0, max: 16 }) }),
      fc.record({ type: fc.constant('unlinked' as const) }),
      fc.record({ type: fc.constant('call' as const), count: fc.integer({ min: 1, max: 1024 }) }),
      fc.record({ type: fc.constant('opened' as const), socket }),
      fc.record({ type: fc.constant('used' as const), socket }),
      fc.record({ type: fc.constant('closed' as const), socket, refused: fc.boolean() }),
      fc.record({ type: fc.constant('time' as const) }),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(input, fc.integer({ min: 0, max: 5000 })), { maxLength: 60 }), (steps) => {
        relay = new RelaySockets(() => Uint8Array.of(0))
        now = 0
        const dialled = new Set<number>()
        for (const [step, ms] of steps) {
          for (const effect of give(step, now + ms)) {
            expect(dialled.has(effect.socket)).toBe(false)
            dialled.add(effect.socket)
          }
          expect(relay.waiting).toBeLessThanOrEqual(16 + 64)
          const due = relay.deadline()
          if (due !== undefined) expect(due).toBeGreaterThan(now)
        }
      }),
    )
  })
})
