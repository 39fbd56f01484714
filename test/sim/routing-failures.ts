/** What goes wrong, by chance: each failure begins, lasts, and is over. */
import type { SeededRandom } from './random.ts'
import { SITES } from './routing-plan.ts'
import type { Path, RoutingWorld } from './routing-world.ts'

export const FAILURES = ['cut', 'cut-one-way', 'sa-lost', 'lossy', 'reset', 'power'] as const
export type Failure = (typeof FAILURES)[number]

/** Begins one. Nothing that is already broken is broken again. Returns its kind, or undefined where it met such a thing. */
export function breakSomething(world: RoutingWorld): Failure | undefined {
  const { random } = world
  const kind = FAILURES[random.u32() % FAILURES.length]!
  const lasts = 1_000 + random.fraction() * 9_000
  if (kind === 'power') return losePower(world, random.u32() % SITES, lasts) ? kind : undefined
  const path = world.paths[random.u32() % world.paths.length]!
  if (path.goodSince === undefined || !path.plan.ends.every((site) => world.isAlive(site))) return undefined
  if (kind === 'reset') {
    world.reset(path, random.chance(0.5) ? 0 : 1)
    path.goodSince = world.now
    return kind
  }
  path.goodSince = undefined
  hurt(world, path, kind, random)
  world.timeline.after(lasts, () => heal(world, path))
  return kind
}

function hurt(world: RoutingWorld, path: Path, kind: Failure, random: SeededRandom): void {
  if (kind === 'cut') path.passes[0] = path.passes[1] = false
  else if (kind === 'cut-one-way') path.passes[random.chance(0.5) ? 0 : 1] = false
  else if (kind === 'sa-lost') world.setSendable(path, false)
  else path.loss = 0.1 + random.fraction() * 0.6
}

function heal(world: RoutingWorld, path: Path): void {
  path.passes[0] = path.passes[1] = true
  path.loss = 0
  if (!path.sendable) world.setSendable(path, true)
  world.healed(path)
  if (path.plan.ends.every((site) => world.isAlive(site))) path.goodSince = world.now
}

function losePower(world: RoutingWorld, site: number, lasts: number): boolean {
  if (!world.isAlive(site) || world.pathsOf(site).some(({ goodSince }) => goodSince === undefined)) return false
  world.killSite(site)
  for (const path of world.pathsOf(site)) path.goodSince = undefined
  world.timeline.after(lasts, () => {
    world.startSite(site)
    for (const path of world.pathsOf(site)) {
      if (path.passes[0] && path.passes[1] && path.sendable && path.plan.ends.every((end) => world.isAlive(end))) {
        path.goodSince = world.now
      }
    }
  })
  return true
}
