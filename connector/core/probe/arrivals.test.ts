import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Arrivals, LossWindow, WINDOW } from './arrivals.ts'
import { REORDERING } from './wire.ts'

function taken(...numbers: number[]): { highest: number; lost: number } {
  const arrivals = new Arrivals()
  for (const number of numbers) arrivals.take(number)
  return { highest: arrivals.highest, lost: arrivals.lost }
}

describe('numbered messages that came', () => {
  it('are whole when none is missing, in any order within what may be overtaken', () => {
    expect(taken(1, 2, 3, 4, 5, 6)).toEqual({ highest: 6, lost: 0 })
    expect(taken(4, 3, 2, 1, 8, 7, 6, 5, 9)).toEqual({ highest: 9, lost: 0 })
  })

  it('lack one as soon as enough later ones have overtaken it, and not before', () => {
    expect(taken(1, 3, 4, 5)).toEqual({ highest: 5, lost: 0 })
    expect(taken(1, 3, 4, 5, 6)).toEqual({ highest: 6, lost: 1 })
    expect(taken(1, 3, 4, 5, 6, 2)).toEqual({ highest: 6, lost: 1 })
  })

  it('lack all that a great step passes over', () => {
    expect(taken(1, 1_000_000)).toEqual({ highest: 1_000_000, lost: 1_000_000 - REORDERING - 1 })
  })

  it('count as a set of the numbers would, whatever comes twice, late or never', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 80 }), (numbers) => {
        const arrivals = new Arrivals()
        const came = new Set<number>()
        let highest = 0
        for (const number of numbers) {
          const isNew = number > highest - REORDERING && !came.has(number)
          expect(arrivals.take(number)).toBe(isNew)
          if (isNew) came.add(number)
          highest = Math.max(highest, number)
        }
        let lost = 0
        for (let number = 1; number <= highest - REORDERING; number++) if (!came.has(number)) lost++
        expect(arrivals).toMatchObject({ highest, lost })
      }),
    )
  })
})

describe('the share of what was lost', () => {
  it('is not told of few, and is of the last hundred or so', () => {
    const loss = new LossWindow()
    for (let sent = 1; sent < 50; sent++) loss.update(sent, 0)
    expect(loss.share).toBeUndefined()
    loss.update(50, 5)
    expect(loss.share).toBe(0.1)
    for (let sent = 51; sent <= 51 + 2 * WINDOW; sent++) loss.update(sent, 5)
    expect(loss.share).toBe(0)
    expect(loss.counts).toEqual({ sent: 51 + 2 * WINDOW, lost: 5 })
  })

  it('never becomes less than nothing, whatever the other end says', () => {
    const loss = new LossWindow()
    loss.update(100, 50)
    loss.update(200, 10)
    loss.update(90, 60)
    expect(loss.counts).toEqual({ sent: 100, lost: 50 })
    expect(loss.share).toBe(0.5)
  })
})
