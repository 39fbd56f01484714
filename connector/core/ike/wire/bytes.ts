/** Big-endian reads and writes. Callers have checked the range: an index outside it is a programming error. */

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  if (!(value >= 0 && value <= 0xffff)) throw new RangeError(`${value} does not fit into 16 bits`)
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  if (!(value >= 0 && value <= 0xffffffff)) throw new RangeError(`${value} does not fit into 32 bits`)
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function putU8(bytes: Uint8Array, at: number, value: number): void {
  if (!(value >= 0 && value <= 0xff)) throw new RangeError(`${value} does not fit into 8 bits`)
  bytes[at] = value
}

/**
 * The same bytes as a plain Uint8Array. A subclass may redefine `slice` to share memory, as Node's Buffer does,
 * and then a parsed message would change with the datagram's buffer.
 */
export function plainView(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
