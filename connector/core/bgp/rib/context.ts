/** What the parts of the RIB share. */
import type { Family } from '../../../../protocol/net.ts'
import type { Damping } from './damping.ts'
import type { FamilyRib } from './family.ts'
import type { Importer } from './importer.ts'
import { LOCAL, type Neighbour } from './neighbour.ts'
import { type NextHops, UNREACHABLE } from './next-hops.ts'
import { NO_PATH, type Paths } from './paths.ts'
import type { RibConfig, RibEffect } from './types.ts'

export interface RibContext {
  readonly config: RibConfig
  readonly hops: NextHops
  readonly paths: Paths
  readonly importer: Importer
  readonly damping: Damping
  readonly ribs: Readonly<Record<Family, FamilyRib>>
  /** By index; the first is what we originate ourselves. None is taken out, but another one may take a place. */
  readonly neighbours: Neighbour[]
  emit(effect: RibEffect): void
}

/** Whether the route is one that is there at all: of a generation that has not ended. */
export function isLive({ neighbours }: RibContext, rib: FamilyRib, route: number): boolean {
  const { generations } = neighbours[rib.routes.neighbour[route]!]!.of[rib.family]
  return generations.isLive(rib.routes.generation[route]!)
}

/** RFC 4271 section 9.1.2.1: whether it may take part in the decision. */
export function isEligible(context: RibContext, rib: FamilyRib, route: number): boolean {
  const { routes } = rib
  const path = routes.path[route]!
  if (path === NO_PATH || routes.suppressed[route] === 1 || !isLive(context, rib, route)) return false
  return routes.neighbour[route] === LOCAL || context.hops.cost(context.paths.hop[path]!) !== UNREACHABLE
}

/** Of a route in `Damping`. */
export function dampingKey(neighbour: number, family: Family, pid: number): number {
  return (neighbour * 2 + (family === 6 ? 1 : 0)) * KEY_PIDS + pid
}

export function readDampingKey(key: number): { neighbour: number; family: Family; pid: number } {
  const rest = Math.floor(key / KEY_PIDS)
  return { neighbour: rest >> 1, family: (rest & 1) === 1 ? 6 : 4, pid: key % KEY_PIDS }
}

const KEY_PIDS = 2 ** 27
