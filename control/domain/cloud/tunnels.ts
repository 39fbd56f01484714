/** Both tunnels as each end tells of them. */
import type { SeenTunnel, SeenVpnConnection } from './provider.ts'
import { vpnConnectionOf } from './resources.ts'
import type { Situation } from './situation.ts'
import type { CloudRecord } from './types.ts'

/** What AWS says of tunnels comes late; packets that pass are better evidence. */
export const TELEMETRY_MS = 2 * 60_000

/** AWS has its own order: the inside CIDR tells which is which, as long as nobody has changed it. */
export function tunnelsInOrder(record: CloudRecord, connection: SeenVpnConnection): (SeenTunnel | undefined)[] {
  const own = record.tunnels.map(({ insideCidr }) => connection.tunnels.find((each) => each.insideCidr === insideCidr))
  const rest = connection.tunnels.filter((each) => !own.includes(each))
  return own.map((each) => each ?? rest.shift())
}

export function seenTunnel({ record, seen }: Situation, tunnel: number): SeenTunnel | undefined {
  const connection = vpnConnectionOf(record, seen)
  return connection && tunnelsInOrder(record, connection)[tunnel]
}

/** As far as AWS says anything of it. */
export function isUpAtAws(situation: Situation, tunnel: number): boolean {
  return seenTunnel(situation, tunnel)?.status !== 'DOWN'
}

/** At the connector: up, with this key where one is named, probes and BGP well. */
export function isPassing({ record, sight }: Situation, tunnel: number, key?: string): boolean {
  const { external } = record.tunnels[tunnel]!
  const said = sight.externals.find((each) => each.external === external)
  if (said?.state !== 'up' || !said.passing) return false
  if (key !== undefined && said.key !== key) return false
  return record.routing === 'static' || said.bgp?.established === true
}
