import { expect, it } from 'vitest'
import { Calm } from './calm.ts'

it('of each kind 20 a minute are told; the first of the next minute says how many were not', () => {
  const calm = new Calm()
  const answers = Array.from({ length: 50 }, (_, i) => calm.ask('rejected', i * 100))
  expect(answers.filter((held) => held === 0).length).toBe(20)
  expect(answers.filter((held) => held === undefined).length).toBe(30)
  expect(calm.ask('fault', 5_000)).toBe(0)
  expect(calm.ask('rejected', 59_999)).toBeUndefined()
  expect(calm.ask('rejected', 60_000)).toBe(31)
  expect(calm.ask('rejected', 60_001)).toBe(0)
})
