import { describe, expect, it } from 'vitest'
import { changesOf, sharesOf } from './tunnel-shares.ts'

const promoted = (...list: [id: number, child: string, resource: number][]) =>
  list.map(([id, child, resource]) => ({ id, child, resource }))

describe('the shares of workers in a tunnel', () => {
  it('are their own newest Child SAs, in the order of the configuration', () => {
    const shares = sharesOf(
      ['one', 'two'],
      promoted([1, 'two', 0], [2, 'one', 0], [3, 'one', 1], [4, 'two', 1], [5, 'one', 0]),
      2,
      0,
    )
    expect(shares).toEqual([{ children: [5, 1] }, { children: [3, 4] }])
  })

  it('go to the home of the connection where a worker has none', () => {
    expect(sharesOf(['net'], promoted([1, 'net', 2], [2, 'net', 1]), 4, 2)).toEqual([
      { children: [], handOver: 2 },
      { children: [2] },
      { children: [1] },
      { children: [], handOver: 2 },
    ])
  })

  it('go to the newest where the home has none', () => {
    expect(sharesOf(['net'], promoted([1, 'net', 1], [2, 'net', 2]), 3, 0)[0]).toEqual({ children: [], handOver: 2 })
  })

  it('go to the one that has most of what is lacking', () => {
    const shares = sharesOf(['a', 'b', 'c'], promoted([1, 'a', 0], [2, 'b', 1], [3, 'c', 1], [4, 'a', 2]), 3, 0)
    expect(shares).toEqual([
      { children: [1], handOver: 1 },
      { children: [2, 3], handOver: 0 },
      { children: [4], handOver: 1 },
    ])
  })

  it('go to nobody where nobody has any, or with one worker', () => {
    expect(sharesOf(['net'], [], 2, 0)).toEqual([{ children: [] }, { children: [] }])
    expect(sharesOf(['one', 'two'], promoted([1, 'one', 0]), 1, 0)).toEqual([{ children: [1] }])
  })
})

describe('the change from shares to others', () => {
  const workers = (steps: ReturnType<typeof changesOf>): number[][] =>
    steps.map((step) => step.map(({ worker }) => worker))

  it('tells everybody in the beginning, and nobody where nothing changed', () => {
    const shares = sharesOf(['net'], promoted([1, 'net', 1]), 3, 0)
    expect(workers(changesOf(undefined, shares))).toEqual([[0, 1, 2]])
    expect(changesOf(shares, sharesOf(['net'], promoted([1, 'net', 1]), 3, 0))).toEqual([])
  })

  it('tells only the worker whose Child SA was rekeyed', () => {
    const before = sharesOf(['net'], promoted([1, 'net', 0], [2, 'net', 1]), 3, 0)
    expect(changesOf(before, sharesOf(['net'], promoted([1, 'net', 0], [2, 'net', 1], [3, 'net', 0]), 3, 0))).toEqual([
      [{ worker: 0, share: { children: [3] } }],
    ])
  })

  it('has the gainer first, then those that hand over, the loser last', () => {
    const before = sharesOf(['net'], promoted([1, 'net', 0]), 3, 0)
    expect(changesOf(before, sharesOf(['net'], promoted([2, 'net', 1]), 3, 0))).toEqual([
      [{ worker: 1, share: { children: [2] } }],
      [{ worker: 2, share: { children: [], handOver: 1 } }],
      [{ worker: 0, share: { children: [], handOver: 1 } }],
    ])
  })

  it('notices another order', () => {
    const before = [{ children: [1, 2] }]
    expect(changesOf(before, [{ children: [2, 1] }])).toEqual([[{ worker: 0, share: { children: [2, 1] } }]])
  })
})
