/** What has happened to a path, in words. */
import type { ClassMove } from './class-steering.ts'
import type { LastFailover, PathCause, PathEvent, SteerReason } from './types.ts'

const CAUSES: Readonly<Record<PathCause, string>> = {
  sa: 'it has no Child SA any more',
  probe: 'probes are not answered',
  bfd: 'BFD has lost the peer',
}

const REMEDIES: Readonly<Record<PathCause, string>> = {
  sa: 'See isthmus status for why the tunnel is down.',
  probe: 'The path to the peer, or the peer, drops packets: see isthmus paths, and look at the way there (traceroute).',
  bfd: 'See that the peer is there and that UDP port 3784 passes inside the tunnel: isthmus paths, isthmus bgp.',
}

const REASONS: Readonly<Record<SteerReason, string>> = {
  loss: 'loses more than the class bears',
  rtt: 'has a longer round trip than the class bears',
  jitter: 'has more jitter than the class bears',
  down: 'does not pass',
  drain: 'is drained',
  'well-again': 'comes after it, which is well again',
  plan: 'is not the first any more in the configuration',
}

export function failoverEvent(connection: string, { to, cause, ms, lostPackets }: LastFailover): PathEvent {
  const lost = lostPackets === 0 ? '' : `, about ${lostPackets} packets lost`
  const text = `${connection} gives way to ${to.join(' and ')}, since ${CAUSES[cause]}: ${Math.round(ms)} ms without a path${lost}`
  const remedy = REMEDIES[cause]
  return { code: 'failover', level: 'warn', connection, to, cause, ms, lostPackets, text, remedy }
}

export function downEvent(connection: string, cause: PathCause, isLast: boolean): PathEvent {
  const then = isLast ? '; there is no other tunnel, so packets are still sent into it' : ''
  const text = `the path of ${connection} is down, since ${CAUSES[cause]}${then}`
  return { code: 'down', level: 'warn', connection, cause, isLast, text, remedy: REMEDIES[cause] }
}

export function backEvent(connection: string, downMs: number): PathEvent {
  const text = `the path of ${connection} is back after ${Math.round(downMs)} ms`
  return { code: 'back', level: 'info', connection, downMs, text }
}

export function steeredEvent(name: string, move: ClassMove): PathEvent {
  const { from, to, because } = move
  const isGood = because === 'well-again' || because === 'plan' || because === 'drain'
  const text = `class ${name} moves from ${from} to ${to}: ${from} ${REASONS[because]}`
  return { code: 'steered', level: isGood ? 'info' : 'warn', class: name, from, to, because, text }
}

export function drainingEvent(connection: string): PathEvent {
  return { code: 'draining', level: 'info', connection, text: `${connection} is drained: neighbours are told first` }
}

export function drainedEvent(connection: string, isLast: boolean): PathEvent {
  const text = isLast
    ? `${connection} is drained, but nothing else is there: what only it can carry still goes through it`
    : `${connection} is drained: no traffic of ours uses it while another tunnel is there`
  const remedy = isLast
    ? { remedy: `Have it back with isthmus undrain ${connection}, or bring up another tunnel first.` }
    : {}
  return { code: 'drained', level: isLast ? 'warn' : 'info', connection, isLast, text, ...remedy }
}

export function undrainedEvent(connection: string): PathEvent {
  return { code: 'undrained', level: 'info', connection, text: `${connection} is in use again` }
}

export function asymmetricEvent(connection: string, packets: number): PathEvent {
  const text = `${packets} packets came by ${connection} though answers to them leave by another tunnel`
  const remedy =
    'Prefer the same tunnel at both ends (order of peers, local_pref, steering); firewalls on the way may drop one half.'
  return { code: 'asymmetric', level: 'warn', connection, packets, text, remedy }
}
