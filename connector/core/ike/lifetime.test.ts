import { expect, test } from 'vitest'
import { expiryOf } from './lifetime.ts'

const lifetime = { softMs: 1000, hardMs: 1500, jitterMs: 200 }

test('soft minus a random part of the jitter, hard as it is', () => {
  expect(expiryOf(lifetime, 50, 0)).toEqual({ rekeyAt: 1050, hardAt: 1550 })
  expect(expiryOf(lifetime, 50, 0.5)).toEqual({ rekeyAt: 950, hardAt: 1550 })
})

test('a jitter above the lifetime leaves a tenth of it', () => {
  expect(expiryOf({ ...lifetime, jitterMs: 5000 }, 0, 0.9).rekeyAt).toBe(100)
})

test('zero never ends', () => {
  expect(expiryOf({ softMs: 0, hardMs: 0, jitterMs: 100 }, 0, 0.5)).toEqual({ rekeyAt: Infinity, hardAt: Infinity })
})
