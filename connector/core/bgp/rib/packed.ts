/**
 * Attribute sets as strings of 16-bit units: equal sets are equal strings, and one takes some 80 bytes instead of the
 * 600 of objects and arrays. The layout is our own and never leaves the program.
 */
import type { Aggregator, AsPathSegment, LargeCommunity, PathAttributes, UnknownAttribute } from '../wire/types.ts'
import { finish, mix } from './prefix-table.ts'

/** In the first unit: what is there, in the order in which it follows. */
const FIELDS = [
  'med',
  'localPref',
  'atomicAggregate',
  'aggregator',
  'communities',
  'extendedCommunities',
  'largeCommunities',
  'originatorId',
  'clusterList',
  'onlyToCustomer',
  'unknown',
] as const

/** What one call of `String.fromCharCode` takes. */
const CHUNK = 4_096

export class AttributePacker {
  /** Plain numbers: of these a string is made fastest. */
  readonly #units: number[] = []
  #end = 0

  /** Throws a RangeError for a set that no message could carry. */
  pack(attributes: PathAttributes): string {
    this.#end = 0
    let present = 0
    for (const [bit, field] of FIELDS.entries()) if (attributes[field] !== undefined) present |= 1 << bit
    this.#u16(present)
    this.#u16(attributes.origin)
    this.#u16(attributes.asPath.length)
    for (const { type, asns } of attributes.asPath) {
      this.#u16(type === 'set' ? 1 : 2)
      this.#numbers(asns)
    }
    this.#optional(attributes)
    let text = ''
    for (let from = 0; from < this.#end; from += CHUNK) {
      text += String.fromCharCode.apply(null, this.#units.slice(from, Math.min(from + CHUNK, this.#end)))
    }
    return text
  }

  #optional(attributes: PathAttributes): void {
    const { med, localPref, aggregator, communities, originatorId, clusterList, onlyToCustomer } = attributes
    if (med !== undefined) this.#u32(med)
    if (localPref !== undefined) this.#u32(localPref)
    if (aggregator !== undefined) {
      this.#u32(aggregator.asn)
      this.#u32(aggregator.routerId)
    }
    if (communities !== undefined) this.#numbers(communities)
    if (attributes.extendedCommunities !== undefined) {
      this.#u16(attributes.extendedCommunities.length)
      for (const bytes of attributes.extendedCommunities) this.#bytes(bytes)
    }
    if (attributes.largeCommunities !== undefined) {
      this.#u16(attributes.largeCommunities.length)
      for (const parts of attributes.largeCommunities) for (const part of parts) this.#u32(part)
    }
    if (originatorId !== undefined) this.#u32(originatorId)
    if (clusterList !== undefined) this.#numbers(clusterList)
    if (onlyToCustomer !== undefined) this.#u32(onlyToCustomer)
    if (attributes.unknown === undefined) return
    this.#u16(attributes.unknown.length)
    for (const { flags, type, value } of attributes.unknown) {
      this.#u16(flags)
      this.#u16(type)
      this.#bytes(value)
    }
  }

  #numbers(numbers: readonly number[]): void {
    this.#u16(numbers.length)
    for (const number of numbers) this.#u32(number)
  }

  #bytes(bytes: Uint8Array): void {
    this.#u16(bytes.length)
    for (const byte of bytes) this.#u16(byte)
  }

  #u16(value: number): void {
    if (value > 0xffff) throw new RangeError('more of one attribute than a message holds')
    this.#units[this.#end++] = value
  }

  #u32(value: number): void {
    this.#units[this.#end++] = value >>> 16
    this.#units[this.#end++] = value & 0xffff
  }
}

/** The set again, as new objects. `packed` must be of `AttributePacker`. */
export function unpack(packed: string): PathAttributes {
  const reader = new Reader(packed)
  const present = reader.u16()
  const has = (field: (typeof FIELDS)[number]) => (present & (1 << FIELDS.indexOf(field))) !== 0
  return {
    origin: reader.u16(),
    asPath: reader.list(
      (): AsPathSegment => ({ type: reader.u16() === 1 ? 'set' : 'sequence', asns: reader.numbers() }),
    ),
    ...(has('med') ? { med: reader.u32() } : {}),
    ...(has('localPref') ? { localPref: reader.u32() } : {}),
    ...(has('atomicAggregate') ? { atomicAggregate: true as const } : {}),
    ...(has('aggregator') ? { aggregator: { asn: reader.u32(), routerId: reader.u32() } satisfies Aggregator } : {}),
    ...(has('communities') ? { communities: reader.numbers() } : {}),
    ...(has('extendedCommunities') ? { extendedCommunities: reader.list(() => reader.bytes()) } : {}),
    ...(has('largeCommunities') ? { largeCommunities: reader.list(() => reader.large()) } : {}),
    ...(has('originatorId') ? { originatorId: reader.u32() } : {}),
    ...(has('clusterList') ? { clusterList: reader.numbers() } : {}),
    ...(has('onlyToCustomer') ? { onlyToCustomer: reader.u32() } : {}),
    ...(has('unknown') ? { unknown: reader.list(() => reader.unknown()) } : {}),
  }
}

class Reader {
  readonly #packed: string
  #at = 0

  constructor(packed: string) {
    this.#packed = packed
  }

  u16(): number {
    return this.#packed.charCodeAt(this.#at++)
  }

  u32(): number {
    return ((this.u16() << 16) | this.u16()) >>> 0
  }

  list<T>(item: () => T): T[] {
    const items: T[] = []
    for (let left = this.u16(); left > 0; left--) items.push(item())
    return items
  }

  numbers(): number[] {
    const numbers: number[] = []
    for (let left = this.u16(); left > 0; left--) numbers.push(this.u32())
    return numbers
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.u16())
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.u16()
    return bytes
  }

  large(): LargeCommunity {
    return [this.u32(), this.u32(), this.u32()]
  }

  unknown(): UnknownAttribute {
    return { flags: this.u16(), type: this.u16(), value: this.bytes() }
  }
}

/** 32 bits, unsigned. */
export function hashPacked(seed: number, packed: string): number {
  let hash = seed
  let word = 0
  for (let i = 0; i < packed.length; i++) {
    word = (word << 16) | packed.charCodeAt(i)
    if ((i & 1) === 1) hash = mix(hash, word)
  }
  return finish(mix(hash, word) ^ packed.length)
}
