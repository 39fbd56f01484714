import { expect, test } from 'vitest'
import { Traffic } from './traffic.ts'

test('nothing measured, nothing said', () => {
  expect(new Traffic().rtt).toBeUndefined()
})

test('last, median and count; only the last sixteen weigh', () => {
  const traffic = new Traffic()
  for (let i = 0; i < 20; i++) traffic.roundTrip(1000)
  for (const ms of [5, 1, 9, 3, 7, 2, 8, 4, 6, 10, 12, 11, 14, 13, 16, 15]) traffic.roundTrip(ms)
  expect(traffic.rtt).toEqual({ lastMs: 15, medianMs: 9, samples: 36 })
})
