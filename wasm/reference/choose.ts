/** Which SA carries a LAN packet: route, group, tunnels, SAs (RFC 4301 section 5.1). */
import { DROP_HARD_LIMIT, DROP_NO_ROUTE, DROP_NO_SA, DROP_SELECTOR_OUT, DROP_TRANSIT_LOOP, MAX_INNER } from '../abi.ts'
import type { Encapsulation, Tunnel, TunnelHandle } from '../packet-engine.ts'
import { innerCapacity } from './esp.ts'
import type { ForwardingTable } from './fib.ts'
import type { IpPacket } from './ip.ts'
import { matchPacket } from './selectors.ts'
import { inTurn } from './steering.ts'
import type { OutboundState, Tables } from './tables.ts'

export type Choice =
  | {
      readonly type: 'carry' | 'reassemble'
      readonly state: OutboundState
      readonly tunnel: Tunnel
      readonly mtu: number
    }
  | {
      readonly type: 'drop'
      readonly reason: number
      readonly state?: OutboundState
      /** The tunnel that has no SA. */
      readonly wants?: TunnelHandle
    }

/** The packet is for another worker to send. */
export interface HandOver {
  readonly type: 'hand-over'
  readonly worker: number
}

interface Candidate {
  readonly state: OutboundState
  readonly tunnel: Tunnel
  readonly mtu: number
}

/**
 * The first SA in the packet's order of tunnels that takes it and is not at its hard limit, unless a tunnel before its
 * own is another worker's. What came by tunnel `via` takes others only, which are for transit.
 */
export function chooseSa(
  tables: Tables,
  routes: ForwardingTable,
  packet: IpPacket,
  mayHandOver: boolean,
  via?: TunnelHandle,
): Choice | HandOver {
  const group = routes.lookup(packet.destination)
  if (group === undefined) return { type: 'drop', reason: DROP_NO_ROUTE }
  const target = tables.group(group)
  if ('refuses' in target) return { type: 'drop', reason: target.refuses }
  const ordered = inTurn(packet, target.members, tables)
  const members = via === undefined ? ordered : ordered.filter((member) => leadsOn(tables, via, member))
  let anySa = false
  let stopped: OutboundState | undefined
  for (const member of members) {
    for (const candidate of candidatesOf(tables, member)) {
      anySa = true
      const match = matchPacket(candidate.state.selectors, packet)
      if (match === 'no') continue
      if (!candidate.state.stopped) return { type: match === 'yes' ? 'carry' : 'reassemble', ...candidate }
      stopped ??= candidate.state
    }
    const worker = mayHandOver ? tables.tunnel(member)?.handOver : undefined
    if (worker !== undefined) return { type: 'hand-over', worker }
  }
  const turnsBack = via !== undefined && ordered.includes(via) && tables.tunnel(via) !== undefined
  if (turnsBack) return { type: 'drop', reason: DROP_TRANSIT_LOOP }
  if (stopped !== undefined) return { type: 'drop', reason: DROP_HARD_LIMIT, state: stopped }
  if (anySa) return { type: 'drop', reason: DROP_SELECTOR_OUT }
  const wants = members.find((member) => tables.tunnel(member) !== undefined)
  return { type: 'drop', reason: DROP_NO_SA, ...(wants !== undefined && { wants }) }
}

/** Whether what came by tunnel `via` may leave by this one. */
export function leadsOn(tables: Tables, via: TunnelHandle, member: TunnelHandle): boolean {
  return member !== via && tables.tunnel(member)?.transit === true
}

function candidatesOf(tables: Tables, handle: TunnelHandle): Candidate[] {
  const tunnel = tables.tunnel(handle)
  if (tunnel === undefined) return []
  return tunnel.sas.flatMap((sa) => {
    const state = tables.outbound(sa)
    const mtu = innerMtu(tables, state, tunnel)
    return mtu === 0 ? [] : [{ state, tunnel, mtu }]
  })
}

/** Largest inner packet for an SA, in bytes; 0 while its tunnel or endpoint is not set. */
export function innerMtu(tables: Tables, state: OutboundState, tunnel: Tunnel | undefined): number {
  const endpoint = tables.endpoint(state.sa.endpoint)
  if (tunnel === undefined || endpoint === undefined) return 0
  return mtuInside(tunnel.pathMtu, endpoint.remote.address.includes(':') ? 6 : 4, endpoint.encapsulation)
}

export function mtuInside(pathMtu: number, outer: 4 | 6, encapsulation: Encapsulation): number {
  const headers = (outer === 4 ? 20 : 40) + (encapsulation === 'udp' ? 8 : 0)
  return Math.min(innerCapacity(pathMtu - headers), MAX_INNER)
}
