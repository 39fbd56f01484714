/**
 * Sequence numbers of an inbound SA: the anti-replay window (RFC 4303 section 3.4.3) and the reconstruction of
 * the high 32 bits with ESN (RFC 4303 appendix A2).
 */
const HALF_SPACE = 0x8000_0000n
const TWO_32 = 0x1_0000_0000n

export type ReplayVerdict = 'new' | 'replayed' | 'too-old'

/** The 64-bit numbers seen; `size` is the window in packets, or 0 for no protection. */
export class ReplayWindow {
  readonly size: number
  /** The highest authenticated sequence number, 0 before the first. */
  highest: bigint
  readonly #seen = new Set<bigint>()
  /** Up to here everything counts as received. */
  readonly #base: bigint
  #taken = 0n

  constructor(size: number, initialHighest = 0n) {
    this.size = size
    this.highest = initialHighest
    this.#base = initialHighest
  }

  check(sequence: bigint): ReplayVerdict {
    if (this.size === 0 || sequence > this.highest) return 'new'
    if (this.highest - sequence >= BigInt(this.size)) return 'too-old'
    return sequence <= this.#base || this.#seen.has(sequence) ? 'replayed' : 'new'
  }

  /** Call only for a sequence number that `check` took and whose packet is authentic. True if it is the highest so far. */
  commit(sequence: bigint): boolean {
    this.#taken++
    this.#seen.add(sequence)
    if (sequence <= this.highest) return false
    this.highest = sequence
    this.#forget()
    return true
  }

  /** Numbers below the highest one that have not come; undefined without protection, where one may come twice. */
  get missing(): number | undefined {
    return this.size === 0 ? undefined : Number(this.highest - this.#base - this.#taken)
  }

  #forget(): void {
    const bottom = this.highest - BigInt(this.size)
    for (const sequence of this.#seen) if (sequence <= bottom) this.#seen.delete(sequence)
  }
}

/**
 * The 64-bit sequence number for the 32 bits on the wire, or undefined where it would lie before zero
 * (RFC 4303 appendix A2.2). The window's bottom decides which subspace is meant. Without replay protection
 * the nearest number is taken, as if the window spanned half of the space.
 */
export function inferSequence(highest: bigint, windowSize: number, low: number): bigint | undefined {
  const window = windowSize === 0 ? HALF_SPACE : BigInt(windowSize)
  const wire = BigInt(low)
  const highestHigh = highest / TWO_32
  const highestLow = highest % TWO_32
  const bottom = (highestLow - window + 1n + TWO_32) % TWO_32
  if (highestLow >= window - 1n) {
    return (wire >= bottom ? highestHigh : highestHigh + 1n) * TWO_32 + wire
  }
  if (wire < bottom) return highestHigh * TWO_32 + wire
  return highestHigh === 0n ? undefined : (highestHigh - 1n) * TWO_32 + wire
}
