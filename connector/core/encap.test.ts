import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { classify, withMarker, withoutMarker } from './encap.ts'

test.each([
  ['a keepalive', [0xff], 'keepalive'],
  ['one other byte', [0x00], 'malformed'],
  ['nothing', [], 'malformed'],
  ['two keepalive bytes', [0xff, 0xff], 'malformed'],
  ['a marker with nothing behind it', [0, 0, 0, 0], 'malformed'],
  ['a marker and a byte', [0, 0, 0, 0, 1], 'ike'],
  ['half an ESP header', [0, 0, 0, 1, 0, 0, 0], 'malformed'],
  ['an ESP header', [0, 0, 0, 1, 0, 0, 0, 1], 'esp'],
  ['an SPI whose first byte alone is set', [0x80, 0, 0, 0, 0, 0, 0, 1], 'esp'],
  ['a keepalive byte before more', [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 'esp'],
])('%s', (_name, bytes, expected) => {
  expect(classify(Uint8Array.from(bytes))).toBe(expected)
})

test('a marked message is IKE and comes back whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (message) => {
      const marked = withMarker(message)
      expect(classify(marked)).toBe('ike')
      expect(withoutMarker(marked)).toEqual(message)
    }),
  )
})
