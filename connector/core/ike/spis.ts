/** Inbound SPIs of our Child SAs: random, each once, and telling the resource where there are several. */
import type { RandomBytes } from '../../../protocol/machine.ts'
import { MAX_RESOURCES } from '../resource.ts'
import { spiNumber } from './messages.ts'

/** A random source that yields only SPIs in use so often is broken. */
export const MAX_SPI_TRIES = 1000
/** SPIs up to here are reserved (RFC 4303 section 2.1). */
const LAST_RESERVED = 255

export class ChildSpis {
  readonly #random: RandomBytes
  readonly #resources: number
  readonly #used = new Set<number>()

  /** `resources`: 1 to 16. */
  constructor(random: RandomBytes, resources: number) {
    if (!Number.isInteger(resources) || resources < 1 || resources > MAX_RESOURCES)
      throw new RangeError(`${resources} resources, not 1 to ${MAX_RESOURCES}`)
    this.#random = random
    this.#resources = resources
  }

  /** An SPI that nobody has, until `release`. */
  take(resource: number): number {
    for (let tries = 0; tries < MAX_SPI_TRIES; tries++) {
      const random = spiNumber(this.#random(4))!
      const spi = this.#resources === 1 ? random : random - (random % MAX_RESOURCES) + resource
      if (spi <= LAST_RESERVED || this.#used.has(spi)) continue
      this.#used.add(spi)
      return spi
    }
    throw new RangeError('the random source yields no fresh SPI')
  }

  release(spi: number): void {
    this.#used.delete(spi)
  }
}
