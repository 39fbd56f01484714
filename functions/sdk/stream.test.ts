import { describe, expect, test } from 'vitest'
import { owned } from './stream.ts'

describe('bytes that go to whoever reads', () => {
  const message = (length: number) => crypto.getRandomValues(new Uint8Array(length))

  test('keep the buffer of their message where they are all that it holds', () => {
    for (const at of [5, 17]) {
      const data = message(100).subarray(at)
      expect(owned(data)).toBe(data)
    }
  })

  test('are copied where anything of another stream may be beside them', () => {
    for (const [from, to] of [
      [18, 100],
      [17, 99],
      [5, 50],
    ] as const) {
      const data = message(100).subarray(from, to)
      const copy = owned(data)
      expect(copy).toEqual(data)
      expect(copy.buffer).not.toBe(data.buffer)
    }
  })
})
