import { expect, test } from 'vitest'
import { Asking } from './asking.ts'

test('each is asked once in a while, whoever else is', () => {
  const asking = new Asking()
  expect(asking.isDue('a', 10_000)).toBe(true)
  asking.note('a', 10_000)
  expect([asking.isDue('a', 10_899), asking.isDue('b', 10_899), asking.isDue('a', 10_900)]).toEqual([false, true, true])
})

test('forgetting to stay small forgets nobody who was just asked', () => {
  const asking = new Asking()
  for (let one = 0; one < 4096; one++) asking.note(`old-${one}`, 10_000)
  asking.note('recent', 10_800)
  asking.note('now', 11_000)
  expect([asking.isDue('recent', 11_000), asking.isDue('now', 11_000)]).toEqual([false, false])
})
