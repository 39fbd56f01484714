/** Tunnels that would carry their own packets. */
import { prefixContains } from '../../protocol/net.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { PlannedConnection } from '../plan.ts'

export function loopWarnings(connections: readonly PlannedConnection[]): readonly ConnectorEvent[] {
  return connections.flatMap(({ ike, routes }) => {
    const { name, remoteAddress } = ike
    const loop = remoteAddress && routes.find((route) => prefixContains(route, remoteAddress))
    if (!loop) return []
    const message =
      `the peer ${remoteAddress} of ${name} lies in its own network ${loop}: ` +
      'without a more specific route to it, the tunnel would be sent into itself'
    return [{ type: 'warning', code: 'route-loop', message }]
  })
}
