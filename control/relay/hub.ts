/** What the services tell both links and relay. */
import type { Hub } from '../link/hub.ts'

export interface Revocations {
  revoked(network: string, connector: string): void
  /** `at`: tokens of later are good, milliseconds since 1970. */
  functionRevoked(network: string, id: string, at: number): void
}

/** `links` with a relay beside them. */
export function withRelay(links: Hub, relay: Revocations, clock: () => number): Hub {
  return {
    changed: (network, connectors) => links.changed(network, connectors),
    asked: (network, connectors) => links.asked(network, connectors),
    linked: (network, connector) => links.linked(network, connector),
    revoked(network, connector) {
      links.revoked(network, connector)
      relay.revoked(network, connector)
    },
    functionRevoked: (network, id) => relay.functionRevoked(network, id, clock()),
  }
}
