/** Small numbers from 0 on that stand for something in the engines, given out again when they are free. */
export class Handles {
  readonly #free: number[] = []
  #next = 0

  take(): number {
    return this.#free.pop() ?? this.#next++
  }

  release(handle: number): void {
    this.#free.push(handle)
  }
}
