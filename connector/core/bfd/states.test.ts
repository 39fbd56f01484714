import { describe, expect, test } from 'vitest'
import { type BfdEvent, TRANSITIONS } from './states.ts'
import { BFD_STATES, type BfdState } from './wire.ts'

/** Every pair, written down from the text of RFC 5880: [state, event, state afterwards, diagnostic set]. */
const TABLE: readonly [BfdState, BfdEvent, BfdState, number | undefined][] = [
  ['admin-down', 'admin-down', 'admin-down', undefined],
  ['admin-down', 'down', 'admin-down', undefined],
  ['admin-down', 'init', 'admin-down', undefined],
  ['admin-down', 'up', 'admin-down', undefined],
  ['admin-down', 'detection-time-expired', 'admin-down', undefined],
  ['down', 'admin-down', 'down', undefined],
  ['down', 'down', 'init', undefined],
  ['down', 'init', 'up', 0],
  ['down', 'up', 'down', undefined],
  ['down', 'detection-time-expired', 'down', undefined],
  ['init', 'admin-down', 'down', 3],
  ['init', 'down', 'init', undefined],
  ['init', 'init', 'up', 0],
  ['init', 'up', 'up', 0],
  ['init', 'detection-time-expired', 'down', 1],
  ['up', 'admin-down', 'down', 3],
  ['up', 'down', 'down', 3],
  ['up', 'init', 'up', undefined],
  ['up', 'up', 'up', undefined],
  ['up', 'detection-time-expired', 'down', 1],
]

describe('the state table', () => {
  test.each(TABLE)('%s, %s: %s', (state, event, to, code) => {
    expect(TRANSITIONS[state][event]?.to ?? state).toBe(to)
    expect(TRANSITIONS[state][event]?.diagnostic).toBe(code)
  })

  test('is tested whole', () => {
    const pairs = new Set(TABLE.map(([state, event]) => `${state} ${event}`))
    expect(pairs.size).toBe(BFD_STATES.length * (BFD_STATES.length + 1))
  })
})
