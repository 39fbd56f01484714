import { describe, expect, test } from 'vitest'
import { MAX_RESOURCES, resourceOf } from '../resource.ts'
import { ChildSpis, MAX_SPI_TRIES } from './spis.ts'
import { seeded } from './testing/pair.ts'

const constant = (value: number) => () =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)

describe('SPIs of Child SAs', () => {
  test.each([2, 3, 16])('with %i resources the low four bits tell which', (resources) => {
    const spis = new ChildSpis(seeded(resources), resources)
    for (let i = 0; i < 200; i++) {
      const resource = i % resources
      expect(resourceOf(spis.take(resource))).toBe(resource)
    }
  })

  test('with one resource every bit is random', () => {
    const spis = new ChildSpis(seeded(1), 1)
    const low = new Set(Array.from({ length: 400 }, () => resourceOf(spis.take(0))))
    expect(low.size).toBe(MAX_RESOURCES)
  })

  test('none twice, none reserved, and again when released', () => {
    const spis = new ChildSpis(constant(0x100), 1)
    expect(spis.take(0)).toBe(0x100)
    expect(() => spis.take(0)).toThrow('no fresh SPI')
    spis.release(0x100)
    expect(spis.take(0)).toBe(0x100)
    let tries = 0
    const reserved = new ChildSpis(() => Uint8Array.of(0, 0, 0, tries++ % 256), 1)
    expect(() => reserved.take(0)).toThrow('no fresh SPI')
    expect(tries).toBe(MAX_SPI_TRIES)
  })

  test.each([0, 17, 1.5])('%d resources are refused', (resources) => {
    expect(() => new ChildSpis(seeded(1), resources)).toThrow(RangeError)
  })
})
