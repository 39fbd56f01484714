import { describe, expect, it } from 'vitest'
import { Reassembly } from './reassembly.ts'

const a = Uint8Array.of(1)
const b = Uint8Array.of(2, 3)

describe('Reassembly', () => {
  it('joins fragments in any order; the first one names the payload', () => {
    const reassembly = new Reassembly()
    expect(reassembly.add('m', 2, 2, 0, b)).toBeUndefined()
    expect(reassembly.add('m', 2, 2, 0, b)).toBeUndefined()
    expect(reassembly.add('other', 1, 2, 40, a)).toBeUndefined()
    expect(reassembly.add('m', 1, 2, 35, a)).toEqual({ firstPayload: 35, bytes: Uint8Array.of(1, 2, 3) })
    expect(reassembly.add('m', 1, 2, 35, a)).toBeUndefined()
  })

  it('a larger total starts anew, a smaller one is left out (RFC 7383 section 2.6)', () => {
    const reassembly = new Reassembly()
    reassembly.add('m', 1, 2, 35, a)
    expect(reassembly.add('m', 2, 3, 0, b)).toBeUndefined()
    expect(reassembly.add('m', 2, 2, 0, b)).toBeUndefined()
    expect(reassembly.add('m', 1, 3, 35, a)).toBeUndefined()
    expect(reassembly.add('m', 3, 3, 0, a)?.bytes).toEqual(Uint8Array.of(1, 2, 3, 1))
  })

  it('forgets the oldest of 256 messages, and refuses one that grows beyond bounds', () => {
    const reassembly = new Reassembly()
    for (let index = 0; index <= 256; index++) reassembly.add(`m${index}`, 1, 2, 35, a)
    expect(reassembly.add('m0', 2, 2, 0, b)).toBeUndefined()
    expect(reassembly.add('m256', 2, 2, 0, b)).toBeDefined()
    const big = new Uint8Array(60_000)
    const results = Array.from({ length: 6 }, (_, index) => reassembly.add('big', index + 1, 6, 35, big))
    expect(results.every((result) => result === undefined)).toBe(true)
  })
})
