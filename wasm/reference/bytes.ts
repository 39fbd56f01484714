/** Big-endian fields and the Internet checksum (RFC 1071) over plain byte arrays. */

export function getU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value & 0xff
}

export function getU32(bytes: Uint8Array, at: number): number {
  return ((getU16(bytes, at) << 16) | getU16(bytes, at + 2)) >>> 0
}

export function setU32(bytes: Uint8Array, at: number, value: number): void {
  setU16(bytes, at, value >>> 16)
  setU16(bytes, at + 2, value & 0xffff)
}

export function setU64(bytes: Uint8Array, at: number, value: bigint): void {
  setU32(bytes, at, Number(value >> 32n))
  setU32(bytes, at + 4, Number(value & 0xffff_ffffn))
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i])
}

/** Numeric order of two byte strings of the same length. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i]! - right[i]!
  return 0
}

export function roundDown(value: number, multiple: number): number {
  return Math.floor(value / multiple) * multiple
}

/** The checksum of all parts laid end to end; each part but the last has an even length. Zero over a valid header. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0)
  }
  return ~fold(sum) & 0xffff
}

/** The checksum after one 16-bit word of the covered data changed (RFC 1624 equation 3). */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~fold((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff
}

function fold(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000)
  return folded
}
