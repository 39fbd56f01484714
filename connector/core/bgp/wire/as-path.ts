/** AS_PATH and AS4_PATH (RFC 4271 section 4.3, RFC 6793). */
import { concat, putU16, putU32, u16, u32 } from '../../ike/wire/bytes.ts'
import { AS_TRANS } from './constants.ts'
import type { AsPath, AsPathSegment } from './types.ts'

const SEGMENT = { set: 1, sequence: 2, confederationSequence: 3, confederationSet: 4 } as const
const MAX_SEGMENT = 255

/**
 * Reads the value of an attribute whose AS numbers have `size` octets, or says what is wrong with it (RFC 7606
 * section 7.2). Neighbouring sequences become one. Confederation segments are refused in AS_PATH, since no peer is in
 * a confederation with us (RFC 5065 section 5). In AS4_PATH a sequence of them is left out (RFC 6793 section 3), and a
 * set of them is a set, for it is refused like one (RFC 9774 section 3).
 */
export function decodeAsPath(value: Uint8Array, size: 2 | 4, confederations: 'refuse' | 'omit'): AsPath | string {
  const path: AsPathSegment[] = []
  let at = 0
  while (at < value.length) {
    if (value.length - at < 2) return 'one octet is left behind the last segment'
    const type = value[at]!
    const count = value[at + 1]!
    const end = at + 2 + count * size
    const confederation = type === SEGMENT.confederationSequence || type === SEGMENT.confederationSet
    if (type !== SEGMENT.set && type !== SEGMENT.sequence && !(confederation && confederations === 'omit')) {
      return confederation ? 'a confederation segment from outside' : `segment type ${type} does not exist`
    }
    if (count === 0) return 'a segment is empty'
    if (end > value.length) return 'a segment ends behind the attribute'
    const asns: number[] = []
    for (let offset = at + 2; offset < end; offset += size) {
      asns.push(size === 2 ? u16(value, offset) : u32(value, offset))
    }
    if (type !== SEGMENT.confederationSequence)
      path.push({ type: type === SEGMENT.sequence ? 'sequence' : 'set', asns })
    at = end
  }
  return joined(path)
}

/** Neighbouring sequences as one: they mean the same, and equal paths are then equal values. */
export function joined(path: AsPath): AsPath {
  const out: AsPathSegment[] = []
  for (const segment of path) {
    const last = out.at(-1)
    if (segment.asns.length === 0) continue
    if (last?.type === 'sequence' && segment.type === 'sequence') {
      out[out.length - 1] = { type: 'sequence', asns: [...last.asns, ...segment.asns] }
    } else out.push(segment)
  }
  return out
}

/** AS numbers in it; a set counts as one (RFC 4271 section 9.1.2.2). */
export function asPathLength(path: AsPath): number {
  return path.reduce((sum, { type, asns }) => sum + (type === 'set' ? 1 : asns.length), 0)
}

/** RFC 9774: what cannot be said of its origin is not to be used. */
export function hasSet(path: AsPath): boolean {
  return path.some(({ type }) => type === 'set')
}

export function asPathHas(path: AsPath, matches: (asn: number) => boolean): boolean {
  return path.some(({ asns }) => asns.some(matches))
}

/**
 * RFC 6793 section 4.2.3: the path that an old speaker cut down to two octets, with what it carried along in AS4_PATH.
 * The leading part, which is longer by what old speakers prepended, stays.
 */
export function mergeAs4Path(asPath: AsPath, as4Path: AsPath): AsPath {
  let keep = asPathLength(asPath) - asPathLength(as4Path)
  if (keep < 0) return asPath
  const leading: AsPathSegment[] = []
  for (const segment of asPath) {
    if (keep === 0) break
    const taken = segment.type === 'set' ? segment : { ...segment, asns: segment.asns.slice(0, keep) }
    leading.push(taken)
    keep -= segment.type === 'set' ? 1 : taken.asns.length
  }
  return joined([...leading, ...as4Path])
}

/** The attribute's value. Throws a RangeError for a set of more than 255: the caller's mistake. */
export function encodeAsPath(path: AsPath, size: 2 | 4): Uint8Array {
  const parts: Uint8Array[] = []
  for (const { type, asns } of path) {
    if (type === 'set' && asns.length > MAX_SEGMENT) throw new RangeError('an AS_SET has at most 255 numbers')
    for (let from = 0; from < asns.length; from += MAX_SEGMENT) {
      parts.push(encodeSegment(type, asns.slice(from, from + MAX_SEGMENT), size))
    }
  }
  return concat(parts)
}

function encodeSegment(type: 'sequence' | 'set', asns: readonly number[], size: 2 | 4): Uint8Array {
  const bytes = new Uint8Array(2 + asns.length * size)
  bytes[0] = SEGMENT[type]
  bytes[1] = asns.length
  for (const [index, asn] of asns.entries()) {
    if (size === 4) putU32(bytes, 2 + 4 * index, asn)
    else putU16(bytes, 2 + 2 * index, twoOctets(asn))
  }
  return bytes
}

/** The number as an old speaker sees it. */
export function twoOctets(asn: number): number {
  return asn > 0xffff ? AS_TRANS : asn
}
