/** A session whose path comes up again and again: it is tried then, and no more often than that and its timers say. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SessionEffect } from './session-types.ts'
import { Driven, words } from './testing/driven.ts'
import { encodeNotification } from './wire/codec.ts'

const REFUSAL = encodeNotification({ code: 6, subcode: 5, data: new Uint8Array(0) })
/** The first wait after a failure; all others are longer. */
const LEAST_WAIT_MS = 1_000

type Answer = 'none' | 'closed' | 'refused'

/** Attempts that come of the effects, each answered by the neighbour at once. */
function attempts(driven: Driven, effects: readonly SessionEffect[], answer: Answer): number {
  let count = 0
  for (let made = effects; made.some(({ type }) => type === 'connect'); ) {
    count++
    // A neighbour that is asked without end would be here for ever.
    if (count > 1_000) return count
    const { connection } = driven
    if (answer === 'none') break
    made =
      answer === 'closed'
        ? driven.give({ type: 'closed', connection })
        : [...driven.give({ type: 'connected', connection }), ...driven.bytes(REFUSAL)]
  }
  return count
}

it('after a failure it is idle no longer, and the next failure still costs a longer wait', () => {
  const driven = new Driven().reach('open-sent')
  driven.bytes(REFUSAL)
  expect(driven.session.state).toBe('idle')
  expect(words(driven.give({ type: 'path-up' }))).toBe('listen, connect')
  driven.give({ type: 'connected', connection: driven.connection })
  driven.bytes(REFUSAL)
  expect(driven.session.deadline()).toBe(driven.now + 2 * LEAST_WAIT_MS)
})

it('one that is passive only welcomes the neighbour, and one that was stopped does nothing', () => {
  const passive = new Driven({ passive: true })
  passive.give({ type: 'start' })
  expect(words(passive.give({ type: 'path-up' }))).toBe('')
  passive.give({ type: 'reset', subcode: 4 })
  expect(words(passive.give({ type: 'path-up' }))).toBe('listen')
  const stopped = new Driven().reach('established')
  stopped.give({ type: 'stop', subcode: 2 })
  expect(words(stopped.give({ type: 'path-up' }))).toBe('')
})

it('attempts are one for each time that the path comes up, beside those of its timers', () => {
  const answer = fc.constantFrom<Answer>('none', 'closed', 'refused')
  const step = fc.oneof(
    fc.record({ up: fc.constant(true), answer }),
    fc.record({ waitMs: fc.integer({ min: 0, max: 40_000 }), answer }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const driven = new Driven()
      const begun = driven.now
      let made = attempts(driven, driven.give({ type: 'start' }), 'closed')
      let ups = 0
      for (const each of steps) {
        const before = made
        if ('up' in each) {
          ups++
          made += attempts(driven, driven.give({ type: 'path-up' }), each.answer)
          // Nothing stands here unless a connection has opened.
          expect(made).toBe(before + 1)
        } else made += attempts(driven, driven.wait(each.waitMs), each.answer)
      }
      expect(made).toBeLessThanOrEqual(1 + ups + Math.floor((driven.now - begun) / LEAST_WAIT_MS))
    }),
  )
})
