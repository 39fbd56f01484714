/** A queue of pids in a ring that grows: four bytes each, and no object. */
export class PidQueue {
  size = 0
  #ring = new Int32Array(64)
  #first = 0

  push(pid: number): void {
    if (this.size === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.size++) & (this.#ring.length - 1)] = pid
  }

  /** The queue must not be empty. */
  shift(): number {
    const pid = this.#ring[this.#first]!
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    if (--this.size === 0) this.#shrink()
    return pid
  }

  clear(): void {
    this.size = 0
    this.#shrink()
  }

  #grow(): void {
    const ring = new Int32Array(2 * this.#ring.length)
    for (let i = 0; i < this.size; i++) ring[i] = this.#ring[(this.#first + i) & (this.#ring.length - 1)]!
    this.#ring = ring
    this.#first = 0
  }

  #shrink(): void {
    this.#first = 0
    if (this.#ring.length > 1_024) this.#ring = new Int32Array(64)
  }
}
