import type { Instant } from '../../protocol/machine.ts'

interface Entry {
  readonly at: Instant
  readonly order: number
  readonly run: () => void
}

/** Virtual time: a heap of what is to happen, run in order of time and, at equal times, of scheduling. */
export class Timeline {
  now: Instant = 0
  /** Things that happened, to bound a run. */
  steps = 0
  readonly #heap: Entry[] = []
  #order = 0

  at(when: Instant, run: () => void): void {
    const entry = { at: Math.max(when, this.now), order: this.#order++, run }
    const heap = this.#heap
    let child = heap.length
    heap.push(entry)
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!before(entry, heap[parent]!)) break
      heap[child] = heap[parent]!
      child = parent
    }
    heap[child] = entry
  }

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run)
  }

  /** Runs everything up to and including `end`, which time has reached afterwards. */
  runUntil(end: Instant): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const next = this.#take()
      this.now = next.at
      this.steps++
      next.run()
    }
    this.now = end
  }

  #take(): Entry {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    const size = heap.length
    if (size === 0) return first
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= size) break
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[parent] = heap[child]!
      parent = child
    }
    heap[parent] = last
    return first
  }
}

function before(left: Entry, right: Entry): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}
