/** The part of the plan that is about which tunnel traffic takes, of a valid configuration. */
import { familyOf, prefixContains } from '../../protocol/net.ts'
import type { ClassPlan, ConnectorPlan, PlannedConnection, ProbePlan } from '../plan.ts'
import { otherEnd } from './other-end.ts'
import type { Config, PeerConfig } from './schema.ts'
import type { ProbeConfig } from './schema-paths.ts'

export function forwardingOf(config: Config): Pick<ConnectorPlan, 'spreads' | 'classes' | 'refusals'> {
  const spreads = Object.entries(config.groups ?? {}).flatMap(([name, { weights }]) => {
    return weights === undefined ? [] : [{ name, weights: new Map(Object.entries(weights)) }]
  })
  const classes = Object.entries(config.steering ?? {}).map(([name, steering]) => classOf(name, steering))
  return {
    ...(spreads.length === 0 ? {} : { spreads }),
    ...(classes.length === 0 ? {} : { classes }),
    ...(config.refuse === undefined ? {} : { refusals: config.refuse }),
  }
}

/** Of one prefix the tunnel of the connection that comes first is preferred: members of a group stand in its order. */
export function inOrder<T extends Pick<PlannedConnection, 'ike'>>(connections: readonly T[], config: Config): T[] {
  const arranged = [...connections]
  for (const { order } of Object.values(config.groups ?? {})) {
    if (order === undefined) continue
    const places = arranged.flatMap(({ ike }, place) => (order.includes(ike.name) ? [place] : []))
    const members = order.map((name) => arranged.find(({ ike }) => ike.name === name)!)
    for (const [i, place] of places.entries()) arranged[place] = members[i]!
  }
  return arranged
}

/** What is said of the path to one peer. */
export function pathOf(peer: PeerConfig): Pick<PlannedConnection, 'probe' | 'transit' | 'reversePath' | 'bfd'> {
  const probe = probeOf(peer)
  const reversePath = peer.reverse_path ?? (peer.routes === 'bgp' ? 'loose' : 'off')
  const bfd = bfdOf(peer)
  return {
    ...(probe === undefined ? {} : { probe }),
    ...(peer.transit ? { transit: true } : {}),
    ...(reversePath === 'off' ? {} : { reversePath }),
    ...(bfd === undefined ? {} : { bfd }),
  }
}

function probeOf({ probe, inside = [] }: PeerConfig): ProbePlan | undefined {
  const { kind, interval: intervalMs, multiplier, target, port, mtu }: ProbeConfig = probe
  const timing = { intervalMs, multiplier }
  const own = inside.find(({ network }) => target !== undefined && prefixContains(network, target))
  const ends = { target: target!, ...(own === undefined ? {} : { source: own.address }) }
  switch (kind) {
    case 'off':
      return undefined
    case 'icmp':
      return { kind, ...ends, ...timing }
    case 'tcp':
      return { kind, ...ends, port: port!, ...timing }
    default:
      return { kind, ...timing, mtu: mtu ?? true }
  }
}

function bfdOf({ bfd, inside = [] }: PeerConfig): PlannedConnection['bfd'] {
  if (bfd === undefined) return undefined
  const { address, interval, multiplier, adapt_max } = bfd
  const ends = inside.flatMap((each) => {
    const remote = address ?? otherEnd(each)
    const fits = remote !== undefined && familyOf(remote) === familyOf(each.address)
    return fits && prefixContains(each.network, remote) ? [{ local: each.address, remote }] : []
  })
  const timers = {
    desiredMinTxMs: interval,
    requiredMinRxMs: interval,
    detectMult: multiplier,
    adaptMaxMs: Math.max(interval, adapt_max),
  }
  return { ...ends[0]!, timers }
}

function classOf(name: string, { match, prefer, limits, hold }: NonNullable<Config['steering']>[string]): ClassPlan {
  return {
    name,
    matches: match.map(({ from, to, protocol, from_ports, to_ports, dscp }) => ({
      ...(from === undefined ? {} : { source: from }),
      ...(to === undefined ? {} : { destination: to }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(from_ports === undefined ? {} : { sourcePorts: from_ports }),
      ...(to_ports === undefined ? {} : { destinationPorts: to_ports }),
      ...(dscp === undefined ? {} : { dscp }),
    })),
    prefer,
    limits: {
      ...(limits.loss === undefined ? {} : { loss: limits.loss }),
      ...(limits.rtt === undefined ? {} : { rttMs: limits.rtt }),
      ...(limits.jitter === undefined ? {} : { jitterMs: limits.jitter }),
    },
    holdMs: hold,
  }
}
