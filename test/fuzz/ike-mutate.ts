/** Seeded mutations of real messages and files, of the kinds that have broken parsers before. */

/** Mulberry32: small, fast, and the same on every machine. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Random = (below: number) => number
export type Mutation = (bytes: Uint8Array, next: Random, pool: readonly Uint8Array[]) => Uint8Array

const bitFlips: Mutation = (bytes, next) => {
  const copy = bytes.slice()
  for (let count = 1 + next(8); count > 0 && copy.length > 0; count--) copy[next(copy.length)]! ^= 1 << next(8)
  return copy
}

const truncation: Mutation = (bytes, next) => bytes.slice(0, next(bytes.length + 1))

const extension: Mutation = (bytes, next) => {
  const tail = Uint8Array.from({ length: next(64) }, () => next(256))
  return Uint8Array.from(Buffer.concat([bytes, tail]))
}

const EXTREMES = [0, 1, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff]

/** A 16-bit or 32-bit field gets a value at an edge: a lying length or count wherever one is. */
const lyingField: Mutation = (bytes, next) => {
  const copy = bytes.slice()
  if (copy.length < 4) return copy
  const view = new DataView(copy.buffer)
  const value = EXTREMES[next(EXTREMES.length)]!
  if (next(4) === 0) view.setUint32(next(copy.length - 3), next(2) === 0 ? value : 0xffff0000 + value)
  else view.setUint16(next(copy.length - 1), value)
  return copy
}

const splice: Mutation = (bytes, next, pool) => {
  const other = pool[next(pool.length)]!
  const from = next(other.length + 1)
  const part = other.subarray(from, from + next(other.length - from + 1))
  const at = next(bytes.length + 1)
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + next(bytes.length - at + 1))]))
}

/** A stretch over and over: long chains of payloads, proposals, transforms, blocks. */
const repetition: Mutation = (bytes, next) => {
  const from = next(bytes.length + 1)
  const part = bytes.subarray(from, from + 1 + next(64))
  const copies = Array.from({ length: 1 + next(200) }, () => part)
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, from), ...copies, bytes.subarray(from)]))
}

const zeroes: Mutation = (bytes, next) => {
  const copy = bytes.slice()
  const from = next(copy.length + 1)
  return copy.fill(next(2) === 0 ? 0 : 0xff, from, from + next(32))
}

const MUTATIONS = [bitFlips, truncation, extension, lyingField, lyingField, splice, repetition, zeroes]

/** One to three mutations of a member of the pool. */
export function mutate(pool: readonly Uint8Array[], next: Random): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(pool[next(pool.length)]!)
  for (let count = 1 + next(3); count > 0; count--) bytes = MUTATIONS[next(MUTATIONS.length)]!(bytes, next, pool)
  return bytes
}
