import { describe, expect, it } from 'vitest'
import { Admission } from './admission.ts'
import { LIMITS } from './testing.ts'

describe('admission', () => {
  it('refuses handshakes beyond the limit, and takes them again when one has ended', () => {
    const admission = new Admission({ ...LIMITS, handshakes: 2 })
    expect([1, 2, 3].map(() => admission.beginHandshake())).toEqual([true, true, false])
    admission.endHandshake()
    expect(admission.beginHandshake()).toBe(true)
    expect(admission.shed).toEqual({ handshakes: 1 })
  })

  it('keeps room for other functions', () => {
    const admission = new Admission({ ...LIMITS, sessions: 3, sessionsPerFunction: 2 })
    const begin = (id: string) => admission.beginSession(id)?.code
    expect([begin('a'), begin('a'), begin('a'), begin('b'), begin('b')]).toEqual([
      undefined,
      undefined,
      'overloaded',
      undefined,
      'overloaded',
    ])
    admission.endSession('a')
    expect([begin('a'), admission.sessions]).toEqual([undefined, 3])
  })

  it('counts a refused stream until it is gone', () => {
    const admission = new Admission({ ...LIMITS, streams: 1 })
    expect(admission.beginStream('a', 0)).toBeUndefined()
    expect(admission.beginStream('a', 0)).toMatchObject({ code: 'overloaded', retry: 'elsewhere' })
    admission.endStream()
    admission.endStream()
    expect(admission.streams).toBe(0)
    expect(admission.beginStream('a', 0)).toBeUndefined()
  })

  it('lets each function open so many streams a second', () => {
    const admission = new Admission({ ...LIMITS, streamsPerSecond: 10 })
    const burst = (id: string, now: number) => {
      let taken = 0
      for (let i = 0; i < 30; i++) if (admission.beginStream(id, now) === undefined) taken++
      return taken
    }
    expect([burst('a', 0), burst('b', 0), burst('a', 500), burst('a', 5000), burst('a', 4000)]).toEqual([
      10, 10, 5, 10, 0,
    ])
    expect(admission.shed).toEqual({ rate: 20 + 20 + 25 + 20 + 30 })
  })

  it('remembers the rates of a bounded number of functions', () => {
    const admission = new Admission({ ...LIMITS, streams: 1e9, streamsPerSecond: 1 })
    for (let i = 0; i < 10_000; i++) admission.beginStream(`f${i}`, 0)
    expect(admission.beginStream('f9999', 0)).toMatchObject({ code: 'overloaded' })
    expect(admission.beginStream('f0', 0)).toBeUndefined()
  })

  it('refuses what is new before the memory is full, and says when it is', () => {
    const admission = new Admission({ ...LIMITS, memory: 1000 })
    admission.hold(800)
    expect(admission.beginStream('a', 0)).toBeUndefined()
    admission.hold(1)
    expect([admission.beginStream('a', 0)?.code, admission.beginSession('a')?.code]).toEqual([
      'overloaded',
      'overloaded',
    ])
    expect(admission.overfull).toBe(false)
    admission.hold(200)
    expect(admission.overfull).toBe(true)
    admission.hold(-1001)
    expect(admission.held).toBe(0)
    expect(admission.shed).toEqual({ memory: 2 })
  })
})
