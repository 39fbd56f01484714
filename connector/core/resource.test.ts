import { expect, test } from 'vitest'
import { MAX_RESOURCES, resourceOf } from './resource.ts'

test('the low four bits of an SPI tell its worker', () => {
  expect([0x1234_5670, 0x1234_5671, 0xffff_ffff].map(resourceOf)).toEqual([0, 1, MAX_RESOURCES - 1])
})
