/** Random groups and traffic classes for what `differential-random.ts` makes. */
import { prefix } from '../../protocol/net.ts'
import type { ClassMatch, TrafficClass } from '../packet-engine.ts'
import type { EnginePair } from './differential-pair.ts'
import type { Random } from './differential-random.ts'

const PREFIXES = {
  4: { source: ['10.1.0.0/16', '10.1.7.0/24'], destination: ['10.2.0.0/18', '10.0.0.0/8', '10.2.0.9/32'] },
  6: { source: ['fd01::/32', 'fd01:ffff::1/128'], destination: ['fd02::/16', 'fd02:0:0:1::/64', '::/0'] },
} as const
const PORTS = [
  { start: 0, end: 4000 },
  { start: 53, end: 53 },
  { start: 4000, end: 65535 },
]

/** Any of tunnels 0 to 2, in order or by weight, or a refusal. */
export function randomGroup(random: Random, pair: EnginePair, handle: number): void {
  if (random.chance(12)) {
    pair.setRefusal(handle, random.pick(['unreachable', 'prohibited', 'blackhole']))
    return
  }
  const tunnels = random.shuffle([0, 1, 2]).slice(0, random.between(0, 3))
  const weights = tunnels.map(() => random.pick([1, 1, 2, 10, 255]))
  pair.setGroup(handle, tunnels, random.chance(40) ? weights : undefined)
}

export function randomClasses(random: Random): TrafficClass[] {
  return Array.from({ length: random.pick([0, 1, 2, 5]) }, () => ({
    matches: Array.from({ length: random.between(0, 3) }, () => randomMatch(random)),
    prefer: random.shuffle([0, 1, 2, 7]).slice(0, random.between(0, 4)),
  }))
}

function randomMatch(random: Random): ClassMatch {
  const { source, destination } = PREFIXES[random.chance(60) ? 4 : 6]
  return {
    ...(random.chance(30) && { source: prefix(random.pick(source)) }),
    ...(random.chance(30) && { destination: prefix(random.pick(destination)) }),
    ...(random.chance(30) && { protocol: random.pick([0, 1, 6, 17, 17, 58, 132]) }),
    ...(random.chance(20) && { sourcePorts: random.pick(PORTS) }),
    ...(random.chance(20) && { destinationPorts: random.pick(PORTS) }),
    ...(random.chance(10) && { dscp: random.below(64) }),
  }
}
