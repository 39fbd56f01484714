import { expect, test } from 'vitest'
import { Scopes } from './scopes.ts'

interface Value {
  readonly number: number
  activeAt: number
}

test('those that are over are ended, those that hear something are kept', () => {
  let present = 0
  const made: Value[] = []
  const ended: number[] = []
  const scopes = new Scopes<Value>({
    mark: () => {
      const mine = present
      return {
        get present() {
          return present === mine
        },
      }
    },
    make: () => {
      const value = { number: present, activeAt: 0 }
      made.push(value)
      return value
    },
    activeAt: ({ activeAt }) => activeAt,
    end: ({ number }) => ended.push(number),
  })
  for (present = 0; present < 32; present++) scopes.current(present)
  made[3]!.activeAt = 90_000
  expect(ended).toEqual([])
  present = 5
  expect(scopes.current(50_000)).toBe(made[5])
  present = 32
  scopes.current(100_000)
  expect(ended).toEqual([...Array(32).keys()].filter((number) => number !== 3 && number !== 5))
  present = 3
  expect(scopes.current(100_000)).toBe(made[3])
})

test('without marks there is one', () => {
  const scopes = new Scopes({ mark: undefined, make: () => ({}), activeAt: () => 0, end: () => undefined })
  expect(scopes.current(0)).toBe(scopes.current(1_000_000))
})
