import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeProbe, encodeProbe, MESSAGE_BYTES, type ProbeMessage, setSize } from './wire.ts'

const MESSAGE: ProbeMessage = {
  type: 'request',
  size: 64,
  large: false,
  session: 0x0102030405060708n,
  peerSession: 0x1112131415161718n,
  number: 0x21222324,
  sequence: 0x31323334,
  clock: 0x41424344,
  echo: { clock: 0x51525354, held: 0x61626364 },
  heard: 0x71727374,
  lost: 0x11121314,
  interval: 50,
}

/** As docs/probes.md shows it. */
const OCTETS =
  '49735072 01010040 0102030405060708 1112131415161718 21222324 31323334 41424344 51525354 61626364 71727374 11121314 ' +
  '00000032 02000000 00000000'

const uint32 = fc.integer({ min: 0, max: 0xffffffff })
const messages: fc.Arbitrary<ProbeMessage> = fc
  .record({
    isAnswer: fc.boolean(),
    large: fc.boolean(),
    session: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    peerSession: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    number: fc.integer({ min: 1, max: 0xffffffff }),
    sequence: uint32,
    clock: uint32,
    echo: fc.option(fc.record({ clock: uint32, held: uint32 }), { nil: undefined }),
    counts: fc.tuple(uint32, uint32),
    interval: uint32,
  })
  .map(({ isAnswer, large, echo, counts, ...rest }) => ({
    ...rest,
    type: isAnswer ? 'answer' : 'request',
    size: MESSAGE_BYTES,
    large: large && !isAnswer,
    heard: Math.max(...counts),
    lost: Math.min(...counts),
    ...(echo === undefined ? {} : { echo }),
  }))

describe('the message of a probe', () => {
  it('has the octets that are documented', () => {
    expect(Buffer.from(encodeProbe(MESSAGE)).toString('hex')).toBe(OCTETS.replaceAll(' ', ''))
    expect(decodeProbe(encodeProbe(MESSAGE))).toEqual(MESSAGE)
  })

  it('comes back as it was, with padding behind it', () => {
    fc.assert(
      fc.property(messages, fc.integer({ min: 0, max: 9000 }), (message, padding) => {
        const bytes = new Uint8Array(MESSAGE_BYTES + padding)
        bytes.set(encodeProbe(message))
        setSize(bytes, bytes.length)
        expect(decodeProbe(bytes)).toEqual({ ...message, size: bytes.length })
      }),
    )
  })

  it('is refused when it is cut, of another length than it says, of another version, or contradicts itself', () => {
    const changed = (at: number, ...values: number[]): Uint8Array => {
      const bytes = encodeProbe(MESSAGE)
      bytes.set(values, at)
      return bytes
    }
    for (let length = 0; length < MESSAGE_BYTES; length++) {
      expect(decodeProbe(encodeProbe(MESSAGE).subarray(0, length))).toBeUndefined()
    }
    expect(decodeProbe(changed(0, 0x48))).toBeUndefined()
    expect(decodeProbe(changed(4, 2))).toBeUndefined()
    expect(decodeProbe(changed(5, 3))).toBeUndefined()
    expect(decodeProbe(changed(6, 0, 65))).toBeUndefined()
    // No session; an answer that is large; no number; more lost than sent.
    expect(decodeProbe(changed(8, 0, 0, 0, 0, 0, 0, 0, 0))).toBeUndefined()
    expect(decodeProbe(encodeProbe({ ...MESSAGE, type: 'answer', large: true }))).toBeUndefined()
    expect(decodeProbe(encodeProbe({ ...MESSAGE, number: 0 }))).toBeUndefined()
    expect(decodeProbe(encodeProbe({ ...MESSAGE, heard: 1, lost: 2 }))).toBeUndefined()
  })

  it('is read from any bytes without a fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        bytes.set([0x49, 0x73, 0x50, 0x72, 1, 1, 0, bytes.length].slice(0, bytes.length))
        const read = decodeProbe(bytes)
        if (read !== undefined) expect(read.lost).toBeLessThanOrEqual(read.heard)
      }),
      { numRuns: 2000 },
    )
  })
})
