import { expect, test } from 'vitest'
import type { Outcome } from './simulate.ts'
import { DIRECT_WAY, NO_WAY, WayTable, waysOf } from './ways.ts'

test('sets of ways are numbers that compare, whatever their order', () => {
  const table = new WayTable()
  const [byOne, byTwo] = [table.by(1, DIRECT_WAY), table.by(2, DIRECT_WAY)]
  const both = table.union([byTwo, byOne])
  expect(table.union([byOne, byTwo, byOne])).toBe(both)
  expect(table.ways(both)).toEqual([[1], [2]])
  const far = table.by(3, both)
  expect(table.ways(far)).toEqual([
    [3, 1],
    [3, 2],
  ])
  expect(table.ways(table.reversed(far))).toEqual([
    [1, 3],
    [2, 3],
  ])
  expect(table.reversed(table.reversed(far))).toBe(far)
  expect(table.reversed(DIRECT_WAY)).toBe(DIRECT_WAY)
  expect([table.shares(both, byOne), table.shares(byTwo, byOne), table.shares(byOne, byOne)]).toEqual([
    true,
    false,
    true,
  ])
})

test('tables that point at each other are a loop, and no end of it', () => {
  // Three sites: 0 owns the class; 1 and 2 send packets to each other; 3 has no route.
  const next = [[], [2], [1], []]
  const outcome = {
    nodes: 4,
    nodeOf: Int32Array.of(0, 1, 2, 3),
    nextOfNode: (node: number) => next[node]!,
    fabric: { classes: { all: [{ owner: 0 }] } },
  } as unknown as Outcome
  const table = new WayTable()
  const [own, one, other, none] = waysOf(outcome, table)
  expect([own, none]).toEqual([NO_WAY, NO_WAY])
  expect([table.isLoop(one!), table.isLoop(other!)]).toEqual([true, true])
})
