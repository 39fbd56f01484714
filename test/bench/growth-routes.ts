/** The forwarding table as it grows: what a lookup, an insertion and a removal cost, and the memory they take. */
import { readFileSync } from 'node:fs'
import { MAX_ROUTES, MAX_SAS } from '../../wasm/abi.ts'
import { modulePath } from '../../wasm/build.ts'
import type { RawExports } from '../../wasm/engine-exports.ts'
import { median, residentBytes, shuffled } from './growth-measure.ts'

export interface RouteRow {
  readonly version: 4 | 6
  readonly prefixes: number
  /** Nanoseconds: one random address after the other; and 64 of them after other memory has filled the caches. */
  readonly lookup: number
  readonly coldLookup: number
  readonly insert: number
  readonly remove: number
  /** Resident memory for each prefix; null where pages are too coarse to tell. */
  readonly bytesPerPrefix: number | null
}

interface Prefixes {
  readonly version: 4 | 6
  readonly bits: Uint8Array
  /** The first 64 bits of each, high and low word. */
  readonly words: Uint32Array
}

const LOOKUPS = 1 << 16
const BURST = 64
const BURSTS = 81
/** More than the last level cache of a core's share. */
const EVICTION_BYTES = 96 << 20
const MIN_FOR_MEMORY = 10_000

/** `root` has the built modules. */
export function measureRoutes(root: string, version: 4 | 6, count: number): RouteRow {
  const table = new RawTable(root)
  const prefixes = makePrefixes(version, count)
  const order = shuffled(count)
  const targets = makeTargets(prefixes)
  const lookups = () => median(Array.from({ length: 7 }, () => table.lookups(version, targets, LOOKUPS)))
  const empty = lookups()
  const emptyCold = table.coldLookups(version, targets)
  const before = residentBytes()
  const insert = table.each(prefixes, order, (bits, i) => table.raw.setRoute(version, bits, i & 1023))
  const after = residentBytes()
  const known = table.raw.routeCount()
  const lookup = lookups() - empty
  const coldLookup = table.coldLookups(version, targets) - emptyCold
  const remove = table.each(prefixes, shuffled(count), (bits) => table.raw.removeRoute(version, bits))
  if (known !== count || table.raw.routeCount() !== 0) throw new Error(`${known} prefixes went in`)
  const bytesPerPrefix = count < MIN_FOR_MEMORY ? null : (after - before) / count
  return { version, prefixes: count, lookup, coldLookup, insert, remove, bytesPerPrefix }
}

/** The module without what surrounds it, so that no text is parsed while the clock runs. */
class RawTable {
  readonly raw: RawExports
  readonly #address: Uint32Array
  readonly #other = new Uint8Array(EVICTION_BYTES)

  constructor(root: string) {
    const module = new WebAssembly.Module(readFileSync(modulePath('relaxed', root)))
    this.raw = new WebAssembly.Instance(module, {}).exports as unknown as RawExports
    this.raw.configure(MAX_SAS, MAX_ROUTES, Math.random() * 2 ** 32, Math.random() * 2 ** 32)
    this.#address = new Uint32Array(this.raw.memory.buffer, this.raw.CONTROL_ADDRESSES.value, 4)
  }

  each(prefixes: Prefixes, order: Uint32Array, call: (bits: number, index: number) => number): number {
    const start = performance.now()
    for (const i of order) {
      this.#put(prefixes.words, i)
      call(prefixes.bits[i]!, i)
    }
    return ((performance.now() - start) * 1e6) / order.length
  }

  lookups(version: 4 | 6, targets: Uint32Array, count: number, first = 0): number {
    const mask = targets.length / 2 - 1
    const start = performance.now()
    for (let i = first; i < first + count; i++) {
      this.#put(targets, i & mask)
      this.raw.lookupRoute(version)
    }
    return ((performance.now() - start) * 1e6) / count
  }

  coldLookups(version: 4 | 6, targets: Uint32Array): number {
    const bursts = Array.from({ length: BURSTS }, (_, i) => {
      this.#other.fill(i)
      return this.lookups(version, targets, BURST, i * BURST)
    })
    return median(bursts)
  }

  #put(words: Uint32Array, i: number): void {
    this.#address[0] = words[i * 2]!
    this.#address[1] = words[i * 2 + 1]!
  }
}

/** All different, with the lengths that the tables of the Internet have: more than half /24, and /48. */
function makePrefixes(version: 4 | 6, count: number): Prefixes {
  const bits = new Uint8Array(count)
  const words = new Uint32Array(count * 2)
  const known = new Set<string>()
  while (known.size < count) {
    const i = known.size
    const length = someLength(version)
    const high = (version === 4 ? randomWord() : 0x2000_0000 + randomWord() / 8) >>> 0
    const low = version === 6 && length > 32 ? randomWord() : 0
    const masked = [maskWord(high, length), maskWord(low, length - 32)] as const
    const name = `${masked[0]} ${masked[1]} ${length}`
    if (known.has(name)) continue
    known.add(name)
    bits[i] = length
    words[i * 2] = swapped(masked[0])
    words[i * 2 + 1] = swapped(masked[1])
  }
  return { version, bits, words }
}

function someLength(version: 4 | 6): number {
  const lot = Math.random()
  if (version === 4)
    return lot < 0.6 ? 24 : lot < 0.8 ? 22 + (lot < 0.7 ? 0 : 1) : lot < 0.98 ? 16 + (((lot * 1000) % 6) | 0) : 32
  return lot < 0.5 ? 48 : lot < 0.7 ? 32 : lot < 0.95 ? 33 + (((lot * 1000) % 15) | 0) : 64
}

/** Addresses in random ones of the prefixes; a power of two of them. */
function makeTargets({ version, bits, words }: Prefixes): Uint32Array {
  const targets = new Uint32Array(LOOKUPS * 2)
  for (let i = 0; i < LOOKUPS; i++) {
    const of = Math.floor(Math.random() * bits.length)
    const high = swapped(words[of * 2]!)
    const low = swapped(words[of * 2 + 1]!)
    targets[i * 2] = swapped((high | (randomWord() & ~maskWord(0xffff_ffff, bits[of]!))) >>> 0)
    const rest = version === 4 ? 0 : randomWord() & ~maskWord(0xffff_ffff, bits[of]! - 32)
    targets[i * 2 + 1] = swapped((low | rest) >>> 0)
  }
  return targets
}

function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? word : (word & (0xffff_ffff << (32 - bits))) >>> 0
}

function randomWord(): number {
  return Math.floor(Math.random() * 2 ** 32)
}

/** From a number to what lies in memory in network byte order, and back. */
function swapped(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}
