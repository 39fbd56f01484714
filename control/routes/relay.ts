import type { Context as Hono } from 'hono'
import { refusal } from '../service/refusals.ts'
import { type OpenRelay, type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy } from './shapes.ts'

export const relayRoutes: readonly Operation[] = [
  operation(
    {
      id: 'relay.serve',
      tag: 'For connectors',
      description:
        'The socket waits until a function comes; then the relay says `{"type":"call"}`, and all that follows is binary and between the two.',
      params: inNetwork,
      answer: { status: 101, description: 'The socket waits for a function.' },
      refusals: ['websocket-required'],
    },
    async ({ call, http, openRelay }): Promise<Response> =>
      upgradeOf(http, openRelay).serve(http, { network: call.network, connector: call.actor.connector! }),
  ),
  operation(
    {
      id: 'relay.call',
      tag: 'For functions',
      description:
        'Subprotocols: `isthmus.stream.1`, `t.<session token>`, and `f.<first flight>` where there is one. A refusal comes as a close code: 4400, 4401, 4404 or 4429.',
      params: inNetworkBy('connector', 'connector'),
      answer: { status: 101, description: 'The socket is open; it is joined with one of the connector.' },
      refusals: ['websocket-required'],
    },
    async ({ call, http, openRelay }, { params }): Promise<Response> =>
      upgradeOf(http, openRelay).call(http, { network: call.network, connector: params.connector }),
  ),
]

function upgradeOf(http: Hono, openRelay: OpenRelay | undefined): OpenRelay {
  const upgrade = http.req.header('upgrade')?.toLowerCase() === 'websocket'
  if (upgrade && openRelay !== undefined) return openRelay
  throw refusal('websocket-required', upgrade ? 'there is no relay here' : 'the request does not upgrade')
}
