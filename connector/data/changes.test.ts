import { describe, expect, it } from 'vitest'
import type { SaCounters } from '../../wasm/packet-engine.ts'
import { CHILDREN_PER_STEP, Changes } from './changes.ts'

/** Inbound SAs are even, outbound ones odd. */
class Bench {
  readonly sas = new Map<number, SaCounters>()
  reads = 0
  readonly changes = new Changes({
    counters: (sa) => {
      this.reads++
      const counters = this.sas.get(sa)
      if (counters === undefined) throw new Error(`no SA ${sa}`)
      return { ...counters, drops: { ...counters.drops } }
    },
  })

  add(id: number): void {
    for (const sa of [2 * id, 2 * id + 1]) this.sas.set(sa, { packets: 0, bytes: 0, lastAt: 0, drops: {} })
    this.changes.add({ id, inbound: 2 * id, outbound: 2 * id + 1 })
  }

  remove(id: number): void {
    this.sas.delete(2 * id)
    this.sas.delete(2 * id + 1)
    this.changes.remove(id)
  }

  carry(id: number, direction: 0 | 1): void {
    const counters = this.sas.get(2 * id + direction)!
    counters.packets++
    counters.bytes += 10
  }

  /** Ids of what the rest of the round tells, in order. */
  finish(): number[] {
    const ids: number[] = []
    while (this.changes.underWay) ids.push(...this.changes.step().map(({ id }) => id))
    return ids.sort((a, b) => a - b)
  }

  round(): number[] {
    this.changes.begin()
    return this.finish()
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

describe('changes of counters', () => {
  it('tells what changed in either direction, in packets or in drops, and tells it once', () => {
    const bench = new Bench()
    for (const id of range(0, 100)) bench.add(id)
    expect(bench.round()).toEqual([])
    bench.carry(3, 0)
    bench.carry(50, 1)
    bench.sas.get(2 * 99)!.drops.replayed = 2
    expect(bench.round()).toEqual([3, 50, 99])
    expect(bench.round()).toEqual([])
    bench.carry(3, 0)
    bench.changes.begin()
    const told = bench.changes.step().concat(bench.changes.step(), bench.changes.step(), bench.changes.step())
    expect(told).toEqual([
      { id: 3, inbound: { packets: 2, bytes: 20, drops: {} }, outbound: { packets: 0, bytes: 0, drops: {} } },
    ])
  })

  it('tells that more or fewer packets are missing, though nothing else changed', () => {
    const bench = new Bench()
    for (const id of [1, 2]) bench.add(id)
    const told = () => {
      bench.changes.begin()
      return bench.changes.step()
    }
    const inbound = bench.sas.get(2)!
    inbound.missing = 0
    expect(told()).toEqual([])
    for (const missing of [3, 2, 0]) {
      inbound.missing = missing
      const counters = { packets: 0, bytes: 0, drops: {} }
      expect(told()).toEqual([{ id: 1, inbound: { ...counters, missing }, outbound: counters }])
      expect(told()).toEqual([])
    }
  })

  it('looks at no more than so many in a step, and at each once in a round', () => {
    const bench = new Bench()
    const count = 3 * CHILDREN_PER_STEP + 1
    for (const id of range(0, count)) bench.add(id)
    bench.changes.begin()
    const reads: number[] = []
    for (let before = 0; bench.changes.underWay; before = bench.reads) {
      bench.changes.step()
      reads.push(bench.reads - before)
    }
    expect(reads).toEqual([64, 64, 64, 2])
    expect(bench.changes.step()).toEqual([])
  })

  it('skips nobody when Child SAs come and go while a round is under way', () => {
    // Whatever is removed after whichever step: all others are told in this round.
    for (const steps of [0, 1, 2]) {
      for (const gone of range(0, 80)) {
        const bench = new Bench()
        for (const id of range(0, 80)) bench.add(id)
        for (const id of range(0, 80)) bench.carry(id, 1)
        bench.changes.begin()
        const told = range(0, steps).flatMap(() => bench.changes.step().map(({ id }) => id))
        bench.remove(gone)
        bench.add(200)
        told.push(...bench.finish())
        expect(new Set([...told, gone])).toEqual(new Set(range(0, 80)))
        expect(new Set(told).size).toBe(told.length)
        bench.carry(200, 0)
        expect(bench.round()).toEqual([200])
      }
    }
    const bench = new Bench()
    bench.changes.remove(7)
    expect(bench.round()).toEqual([])
  })
})
