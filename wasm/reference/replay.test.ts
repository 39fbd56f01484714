import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inferSequence, ReplayWindow } from './replay.ts'

const TWO_32 = 0x1_0000_0000n

function windowAfter(size: number, ...received: bigint[]): ReplayWindow {
  const window = new ReplayWindow(size)
  for (const sequence of received) window.commit(sequence)
  return window
}

describe('the window', () => {
  it('starts at 1: number 0 is never new', () => {
    expect(windowAfter(64).check(0n)).toBe('replayed')
    expect(windowAfter(64).check(1n)).toBe('new')
  })

  it('refuses the second of a kind', () => {
    expect(windowAfter(64, 5n).check(5n)).toBe('replayed')
  })

  it.each([64, 128, 1024, 4096])('of %i packets ends exactly there', (size) => {
    const window = windowAfter(size, 10_000n)
    expect(window.check(10_000n - BigInt(size) + 1n)).toBe('new')
    expect(window.check(10_000n - BigInt(size))).toBe('too-old')
  })

  it('takes late packets inside it once each', () => {
    const window = windowAfter(64, 100n)
    expect(window.commit(50n)).toBe(false)
    expect(window.check(50n)).toBe('replayed')
    expect(window.check(51n)).toBe('new')
  })

  it('remembers across a jump what is still inside', () => {
    const window = windowAfter(64, 100n, 130n)
    expect(window.check(100n)).toBe('replayed')
    expect(window.check(99n)).toBe('new')
    window.commit(10_000n)
    expect(window.check(130n)).toBe('too-old')
    expect(window.check(9_999n)).toBe('new')
  })

  it('of size 0 takes everything and still knows the highest', () => {
    const window = windowAfter(0, 7n, 3n)
    expect(window.check(7n)).toBe('new')
    expect(window.highest).toBe(7n)
  })

  it('takes all up to the initial highest as received', () => {
    const window = new ReplayWindow(64, 1000n)
    expect(window.check(1000n)).toBe('replayed')
    expect(window.check(960n)).toBe('replayed')
    expect(window.check(900n)).toBe('too-old')
    expect(window.check(1001n)).toBe('new')
  })

  it('tells how many numbers below the highest have not come', () => {
    expect(windowAfter(64).missing).toBe(0)
    expect(windowAfter(64, 3n, 1n, 7n).missing).toBe(4)
    expect(windowAfter(64, 10_000n, 10_001n, 9_999n).missing).toBe(9998)
    expect(windowAfter(0, 7n, 7n).missing).toBeUndefined()
    const far = new ReplayWindow(64, 5n * TWO_32 - 1n)
    far.commit(5n * TWO_32 + 2n)
    expect(far.missing).toBe(2)
  })

  it('never takes a number twice, in any order', () => {
    const number = fc.bigInt({ min: 1n, max: 300n })
    fc.assert(
      fc.property(fc.array(number, { maxLength: 400 }), (numbers) => {
        const window = new ReplayWindow(64)
        const taken = new Set<bigint>()
        for (const sequence of numbers) {
          if (window.check(sequence) !== 'new') continue
          expect(taken.has(sequence)).toBe(false)
          taken.add(sequence)
          window.commit(sequence)
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** RFC 4303 appendix A2.2, case by case, at the wrap of the low 32 bits. */
describe('the high 32 bits', () => {
  const high = 5n * TWO_32

  it('case A: inside and right of the window stay in the subspace', () => {
    const highest = high + 1000n
    expect(inferSequence(highest, 64, 1000 - 63)).toBe(high + 1000n - 63n)
    expect(inferSequence(highest, 64, 1001)).toBe(high + 1001n)
    expect(inferSequence(highest, 64, 0xffff_ffff)).toBe(high + TWO_32 - 1n)
  })

  it('case A: left of the window means the next subspace', () => {
    expect(inferSequence(high + 1000n, 64, 1000 - 64)).toBe(high + TWO_32 + 936n)
    expect(inferSequence(high + TWO_32 - 1n, 64, 0)).toBe(high + TWO_32)
    expect(inferSequence(high + TWO_32 - 1n, 64, 5)).toBe(high + TWO_32 + 5n)
  })

  it('case B: the window reaches back over the wrap', () => {
    const highest = high + 10n
    expect(inferSequence(highest, 64, 0xffff_ffff)).toBe(high - 1n)
    expect(inferSequence(highest, 64, 0xffff_ffff - 52)).toBe(high - 53n)
    expect(inferSequence(highest, 64, 0xffff_ffff - 53)).toBe(high + TWO_32 - 54n)
    expect(inferSequence(highest, 64, 0)).toBe(high)
    expect(inferSequence(highest, 64, 11)).toBe(high + 11n)
  })

  it('the cases meet where the window just fits', () => {
    expect(inferSequence(high + 63n, 64, 0)).toBe(high)
    expect(inferSequence(high + 63n, 64, 0xffff_ffff)).toBe(high + TWO_32 - 1n)
    expect(inferSequence(high + 62n, 64, 0xffff_ffff)).toBe(high - 1n)
  })

  it('has nothing before the first subspace', () => {
    expect(inferSequence(10n, 64, 0xffff_ffff)).toBeUndefined()
    expect(inferSequence(10n, 64, 11)).toBe(11n)
  })

  it('without a window is that of the nearest number', () => {
    expect(inferSequence(high + 10n, 0, 0xffff_ffff)).toBe(high - 1n)
    expect(inferSequence(high + TWO_32 - 1n, 0, 3)).toBe(high + TWO_32 + 3n)
  })

  it('comes back for every number in and ahead of the window', () => {
    const highest = fc.bigInt({ min: 4096n, max: 1n << 60n })
    const size = fc.constantFrom(64, 128, 4096)
    fc.assert(
      fc.property(highest, size, fc.double({ min: 0, max: 1, noNaN: true }), (top, window, share) => {
        const ahead = BigInt(Math.floor(share * (2 ** 32 - 1))) - BigInt(window) + 1n
        const sequence = top + ahead
        expect(inferSequence(top, window, Number(sequence % TWO_32))).toBe(sequence)
      }),
    )
  })
})
