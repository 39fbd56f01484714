/** Integers of variable length (RFC 9000 section 16). */

/** Bytes of the integer that begins with this byte: 1, 2, 4 or 8. */
export function varintLength(first: number): number {
  return 1 << (first >> 6)
}

/** The integer that fills `bytes`; undefined beyond 2^53 - 1, which no length of ours reaches. */
export function decodeVarint(bytes: Uint8Array): number | undefined {
  let value = bytes[0]! & 0x3f
  for (let index = 1; index < bytes.length; index++) value = value * 256 + bytes[index]!
  return Number.isSafeInteger(value) ? value : undefined
}

/** Bytes that `value` takes, a safe integer from 0. */
export function varintSize(value: number): number {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000_0000 ? 4 : 8
}

/** Writes `value` at `at` in as few bytes as can be, and returns the offset behind it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  const size = varintSize(value)
  let left = value
  for (let index = at + size - 1; index >= at; index--) {
    bytes[index] = left % 256
    left = Math.floor(left / 256)
  }
  bytes[at]! |= Math.log2(size) << 6
  return at + size
}
