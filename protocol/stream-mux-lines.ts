/** Queues whose every operation takes constant time, however long they are. */

/** First in, first out. What was taken is let go at once. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  get first(): T | undefined {
    return this.#items[this.#head]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.clear()
    } else if (this.#head >= 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  clear(): void {
    this.#items = []
    this.#head = 0
  }
}

/** The place of `owner` in a `TurnLine`. */
export class Turn<T> {
  readonly owner: T
  previous: Turn<T> | undefined
  next: Turn<T> | undefined
  waiting = false

  constructor(owner: T) {
    this.owner = owner
  }
}

/** Those who wait for their turn, each of them once; whoever is not done joins again at the end. */
export class TurnLine<T> {
  #first: Turn<T> | undefined
  #last: Turn<T> | undefined

  get isEmpty(): boolean {
    return this.#first === undefined
  }

  /** Joins at the end; whoever waits already keeps its place. */
  join(turn: Turn<T>): void {
    if (turn.waiting) return
    turn.waiting = true
    turn.previous = this.#last
    turn.next = undefined
    if (this.#last === undefined) this.#first = turn
    else this.#last.next = turn
    this.#last = turn
  }

  leave(turn: Turn<T>): void {
    if (!turn.waiting) return
    turn.waiting = false
    if (turn.previous === undefined) this.#first = turn.next
    else turn.previous.next = turn.next
    if (turn.next === undefined) this.#last = turn.previous
    else turn.next.previous = turn.previous
    turn.previous = undefined
    turn.next = undefined
  }

  shift(): T | undefined {
    const turn = this.#first
    if (turn === undefined) return undefined
    this.leave(turn)
    return turn.owner
  }
}
