/** Whether packets come by the tunnel that leads to their source (RFC 3704 section 2). */
import type { IpPacket } from './ip.ts'
import type { EngineState } from './state.ts'
import type { InboundState } from './tables.ts'

/** Whether the packet may have come by the SA's tunnel; counts it where its source leads by others alone. */
export function comesBack({ tables, routes }: EngineState, { sa }: InboundState, packet: IpPacket): boolean {
  const check = tables.tunnel(sa.tunnel)?.reversePath ?? 'off'
  if (check === 'off') return true
  const group = routes.lookup(packet.source)
  const members = group === undefined ? [] : tables.members(group)
  if (members.includes(sa.tunnel)) return true
  if (check === 'strict' || members.length === 0) return false
  tables.tunnelTally(sa.tunnel).asymmetric++
  return true
}
