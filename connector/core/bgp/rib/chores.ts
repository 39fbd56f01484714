/**
 * Passes over whole tables in small steps: cleaning away what ended, judging anew after a change of settings, deciding
 * anew after a change of next hops. What is asked for during a pass is done by the next one.
 */
import type { Family } from '../../../../protocol/net.ts'
import type { AdjIn } from './adj-in.ts'
import { isLive, type RibContext } from './context.ts'
import type { FamilyRib } from './family.ts'
import { FAMILIES } from './neighbour.ts'
import { NO_PATH } from './paths.ts'
import { NO_ROUTE } from './routes.ts'

class Tasks {
  clean = false
  /** Neighbours to judge anew. */
  readonly neighbours = new Set<number>()
  /** Next hops that cost another thing than before. */
  readonly hops = new Set<number>()

  get isEmpty(): boolean {
    return !this.clean && this.neighbours.size === 0 && this.hops.size === 0
  }
}

interface Pass {
  cursor: number
  tasks: Tasks
  next: Tasks
}

/** A generation number comes round after 256; long before that its routes must be gone. */
const MOST_UNCLEANED = 200

export class Chores {
  readonly #context: RibContext
  readonly #adjIn: AdjIn
  readonly #passes: Readonly<Record<Family, Pass>> = {
    4: { cursor: 0, tasks: new Tasks(), next: new Tasks() },
    6: { cursor: 0, tasks: new Tasks(), next: new Tasks() },
  }

  constructor(context: RibContext, adjIn: AdjIn) {
    this.#context = context
    this.#adjIn = adjIn
  }

  /** A generation of some neighbour ended. */
  clean(family: Family): void {
    this.#passes[family].next.clean = true
    const isFull = this.#context.neighbours.some(
      (neighbour) => neighbour.of[family].generations.sinceCleaned >= MOST_UNCLEANED,
    )
    if (isFull) this.#finish(family)
  }

  rejudge(neighbour: number): void {
    for (const family of FAMILIES) this.#passes[family].next.neighbours.add(neighbour)
  }

  redecide(hops: ReadonlySet<number>): void {
    for (const family of FAMILIES) for (const hop of hops) this.#passes[family].next.hops.add(hop)
  }

  get hasWork(): boolean {
    return FAMILIES.some((family) => {
      const { tasks, next } = this.#passes[family]
      return !tasks.isEmpty || !next.isEmpty
    })
  }

  /** Looks at up to `count` prefixes. */
  step(count: number): void {
    for (const family of FAMILIES) {
      const pass = this.#passes[family]
      if (pass.tasks.isEmpty && pass.next.isEmpty) continue
      this.#step(this.#context.ribs[family], pass, count)
      return
    }
  }

  #step(rib: FamilyRib, pass: Pass, count: number): void {
    if (pass.tasks.isEmpty) this.#start(rib.family, pass)
    const end = Math.min(pass.cursor + count, rib.table.end)
    for (; pass.cursor < end; pass.cursor++) {
      if (rib.table.has(pass.cursor)) this.#visit(rib, pass.cursor, pass.tasks)
    }
    this.#context.importer.finish()
    if (pass.cursor >= rib.table.end) this.#end(rib.family, pass)
  }

  #start(family: Family, pass: Pass): void {
    pass.tasks = pass.next
    pass.next = new Tasks()
    pass.cursor = 0
    for (const neighbour of this.#context.neighbours) neighbour.of[family].generations.sinceCleaning = 0
  }

  #end(family: Family, pass: Pass): void {
    if (pass.tasks.clean) {
      for (const neighbour of this.#context.neighbours) {
        const { generations } = neighbour.of[family]
        generations.sinceCleaned = generations.sinceCleaning
      }
    }
    pass.tasks = new Tasks()
  }

  /** All at once, which takes long, and happens only to who restarts hundreds of times within seconds. */
  #finish(family: Family): void {
    const pass = this.#passes[family]
    while (!pass.tasks.isEmpty || !pass.next.isEmpty) this.#step(this.#context.ribs[family], pass, 0x7fffffff)
  }

  #visit(rib: FamilyRib, pid: number, tasks: Tasks): void {
    const { routes } = rib
    let route = routes.head[pid]!
    while (route !== NO_ROUTE) {
      const next = routes.next[route]!
      if (!isLive(this.#context, rib, route)) this.#adjIn.remove(rib, pid, route)
      else if (tasks.neighbours.has(routes.neighbour[route]!)) this.#adjIn.rejudge(rib, pid, route)
      else if (tasks.hops.size > 0 && this.#isConcerned(rib, route, tasks)) rib.touch(pid)
      route = next
    }
  }

  #isConcerned({ routes }: FamilyRib, route: number, { hops }: Tasks): boolean {
    const path = routes.path[route]!
    return path !== NO_PATH && hops.has(this.#context.paths.hop[path]!)
  }
}
