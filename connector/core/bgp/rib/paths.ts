/**
 * Attribute sets with their next hop, each kept once, however many prefixes have it (a full table of a million
 * prefixes has a fifth as many). What the decision process looks at stands beside it as numbers.
 */
import type { NextHop, PathAttributes } from '../wire/types.ts'
import type { NextHops } from './next-hops.ts'
import { AttributePacker, hashPacked, unpack } from './packed.ts'
import { grown } from './prefix-table.ts'

/** The path that stands for none. */
export const NO_PATH = 0

/** RFC 4271 section 9.1.1: where nobody said what a route is worth. */
export const DEFAULT_LOCAL_PREF = 100

/** Attribute sets kept as objects beside their packed form; a power of two. */
const UNPACKED = 256

export class Paths {
  /** By path. Replaced when the table grows. */
  localPref = new Uint32Array(64)
  /** RFC 4271 section 9.1.2.2 a: a set counts as one. */
  asPathLength = new Uint16Array(64)
  origin = new Uint8Array(64)
  /** Zero where it is missing: see `hasMed`. */
  med = new Uint32Array(64)
  hasMed = new Uint8Array(64)
  /** The AS that the route came in from; zero: our own (section 9.1.2.2 c). */
  neighbourAs = new Uint32Array(64)
  /** In `NextHops`. */
  hop = new Uint32Array(64)
  originatorId = new Uint32Array(64)
  clusterLength = new Uint8Array(64)
  /** Paths in use. */
  size = 0
  readonly #seed: number
  readonly #hops: NextHops
  readonly #packer = new AttributePacker()
  readonly #packed: (string | undefined)[] = [undefined]
  /** Sets that were asked for lately, in places by the low bits of their path. */
  readonly #unpacked: (PathAttributes | undefined)[] = new Array(UNPACKED).fill(undefined)
  readonly #unpackedPath = new Uint32Array(UNPACKED)
  readonly #free: number[] = []
  #uses = new Uint32Array(64)
  #hashes = new Uint32Array(64)
  #slots = new Uint32Array(128)

  /** `seed`: 32 random bits. */
  constructor(hops: NextHops, seed: number) {
    this.#hops = hops
    this.#seed = seed | 0
  }

  /** Takes one use of the path; `release` gives it back. The attributes must never change. */
  intern(attributes: PathAttributes, nextHop: NextHop): number {
    const hop = this.#hops.intern(nextHop)
    const packed = this.#packer.pack(attributes)
    const hash = hashPacked(this.#seed ^ hop, packed)
    const mask = this.#slots.length - 1
    let place = hash & mask
    for (; this.#slots[place] !== 0; place = (place + 1) & mask) {
      const path = this.#slots[place]!
      if (this.#hashes[path] !== hash || this.hop[path] !== hop || this.#packed[path] !== packed) continue
      this.#hops.release(hop)
      this.#uses[path]!++
      return path
    }
    return this.#add(attributes, packed, hop, hash)
  }

  retain(path: number): void {
    if (path !== NO_PATH) this.#uses[path]!++
  }

  release(path: number): void {
    if (path === NO_PATH || --this.#uses[path]! > 0) return
    this.#close(path)
    this.#hops.release(this.hop[path]!)
    this.#packed[path] = undefined
    if (this.#unpackedPath[path & (UNPACKED - 1)] === path) this.#keep(path, undefined)
    this.#free.push(path)
    this.size--
  }

  /** Equal objects for equal paths, not always the same one. */
  attributes(path: number): PathAttributes {
    const place = path & (UNPACKED - 1)
    const known = this.#unpackedPath[place] === path ? this.#unpacked[place] : undefined
    if (known !== undefined) return known
    const attributes = unpack(this.#packed[path]!)
    this.#keep(path, attributes)
    return attributes
  }

  nextHop(path: number): NextHop {
    return this.#hops.get(this.hop[path]!)
  }

  #keep(path: number, attributes: PathAttributes | undefined): void {
    this.#unpacked[path & (UNPACKED - 1)] = attributes
    this.#unpackedPath[path & (UNPACKED - 1)] = path
  }

  #add(attributes: PathAttributes, packed: string, hop: number, hash: number): number {
    if (this.#free.length === 0 && this.#packed.length === this.#uses.length) this.#grow()
    const path = this.#free.pop() ?? this.#packed.length
    this.#packed[path] = packed
    this.#keep(path, attributes)
    this.#uses[path] = 1
    this.#hashes[path] = hash
    this.hop[path] = hop
    this.#describe(path, attributes)
    this.#put(path)
    this.size++
    return path
  }

  #describe(path: number, attributes: PathAttributes): void {
    const first = attributes.asPath[0]
    this.localPref[path] = attributes.localPref ?? DEFAULT_LOCAL_PREF
    this.asPathLength[path] = asPathLength(attributes)
    this.origin[path] = attributes.origin
    this.med[path] = attributes.med ?? 0
    this.hasMed[path] = attributes.med === undefined ? 0 : 1
    this.neighbourAs[path] = first?.type === 'sequence' ? (first.asns[0] ?? 0) : 0
    this.originatorId[path] = attributes.originatorId ?? 0
    this.clusterLength[path] = Math.min(attributes.clusterList?.length ?? 0, 255)
  }

  #put(path: number): void {
    const mask = this.#slots.length - 1
    let place = this.#hashes[path]! & mask
    while (this.#slots[place] !== 0) place = (place + 1) & mask
    this.#slots[place] = path
  }

  #close(path: number): void {
    const mask = this.#slots.length - 1
    let hole = this.#hashes[path]! & mask
    while (this.#slots[hole] !== path) hole = (hole + 1) & mask
    let next = (hole + 1) & mask
    for (; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#hashes[this.#slots[next]!]! & mask
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      this.#slots[hole] = this.#slots[next]!
      hole = next
    }
    this.#slots[hole] = 0
  }

  #grow(): void {
    const length = 2 * this.#uses.length
    this.localPref = grown(this.localPref, length)
    this.asPathLength = grown(this.asPathLength, length)
    this.origin = grown(this.origin, length)
    this.med = grown(this.med, length)
    this.hasMed = grown(this.hasMed, length)
    this.neighbourAs = grown(this.neighbourAs, length)
    this.hop = grown(this.hop, length)
    this.originatorId = grown(this.originatorId, length)
    this.clusterLength = grown(this.clusterLength, length)
    this.#uses = grown(this.#uses, length)
    this.#hashes = grown(this.#hashes, length)
    this.#slots = new Uint32Array(2 * length)
    for (let path = 1; path < this.#packed.length; path++) {
      if (this.#packed[path] !== undefined) this.#put(path)
    }
  }
}

/** RFC 4271 section 9.1.2.2 a. */
export function asPathLength({ asPath }: PathAttributes): number {
  let length = 0
  for (const { type, asns } of asPath) length += type === 'set' ? 1 : asns.length
  return Math.min(length, 0xffff)
}
