/** The Adj-RIBs-In of all neighbours: for each prefix a chain of routes, at most one of each neighbour. */
import { grown } from './prefix-table.ts'

/** Ends a chain. */
export const NO_ROUTE = -1

/** Numbers by route, and by pid the chain's first route. */
export class Routes {
  /** By pid. */
  head = new Int32Array(1_024).fill(NO_ROUTE)
  /** By route. */
  next = new Int32Array(1_024)
  neighbour = new Uint16Array(1_024)
  /** Which of the neighbour's generations it belongs to: see `neighbour.ts`. */
  generation = new Uint8Array(1_024)
  /** Of `INELIGIBLE`. */
  ineligible = new Uint8Array(1_024)
  /** Held back by damping. */
  suppressed = new Uint8Array(1_024)
  /** As received; in `Paths`. */
  received = new Uint32Array(1_024)
  /** As the import policy left it; `NO_PATH` where the route is not eligible. */
  path = new Uint32Array(1_024)
  /** When it came, in seconds. */
  since = new Uint32Array(1_024)
  /** Routes there are. */
  size = 0
  #end = 0
  #free = NO_ROUTE

  /** To be called before a pid is used that may be new. */
  ensure(pids: number): void {
    if (pids <= this.head.length) return
    const before = this.head.length
    this.head = grown(this.head, Math.max(pids, 2 * before)).fill(NO_ROUTE, before)
  }

  find(pid: number, neighbour: number): number {
    let route = this.head[pid]!
    while (route !== NO_ROUTE && this.neighbour[route] !== neighbour) route = this.next[route]!
    return route
  }

  /** A route at the chain's front, its fields zero but for `neighbour`. The neighbour has none there yet. */
  add(pid: number, neighbour: number): number {
    const route = this.#take()
    this.next[route] = this.head[pid]!
    this.head[pid] = route
    this.neighbour[route] = neighbour
    this.generation[route] = 0
    this.ineligible[route] = 0
    this.suppressed[route] = 0
    this.received[route] = 0
    this.path[route] = 0
    this.since[route] = 0
    this.size++
    return route
  }

  /** The caller has given back the paths. */
  remove(pid: number, route: number): void {
    if (this.head[pid] === route) this.head[pid] = this.next[route]!
    else {
      let before = this.head[pid]!
      while (this.next[before] !== route) before = this.next[before]!
      this.next[before] = this.next[route]!
    }
    this.next[route] = this.#free
    this.#free = route
    this.size--
  }

  #take(): number {
    if (this.#free !== NO_ROUTE) {
      const route = this.#free
      this.#free = this.next[route]!
      return route
    }
    if (this.#end === this.next.length) this.#grow()
    return this.#end++
  }

  #grow(): void {
    // By half: in a table of millions the last doubling would cost the most, and be filled the least.
    const length = this.next.length + Math.max(1_024, this.next.length >> 1)
    this.next = grown(this.next, length)
    this.neighbour = grown(this.neighbour, length)
    this.generation = grown(this.generation, length)
    this.ineligible = grown(this.ineligible, length)
    this.suppressed = grown(this.suppressed, length)
    this.received = grown(this.received, length)
    this.path = grown(this.path, length)
    this.since = grown(this.since, length)
  }
}
