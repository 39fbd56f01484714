/** What decides while the connector runs where traffic goes: BGP, and BFD of static routes. */
import type { Address } from '../../protocol/net.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'
import { Bgp } from './bgp/bgp.ts'
import type { Children } from './children.ts'
import type { KernelRoutes } from './kernel-routes.ts'
import { StaticBfdDriver } from './static-bfd.ts'

export interface RoutingParts {
  readonly children: Children
  readonly kernel: KernelRoutes
  /** The outer address of the other end of a tunnel, as far as it is known. */
  readonly remoteOf: (connection: string) => Address | undefined
  readonly emit: (event: ConnectorEvent) => void
}

export class Routing {
  readonly bgp: Bgp | undefined
  readonly bfd: StaticBfdDriver

  constructor({ bgp }: ConnectorPlan, parts: RoutingParts) {
    this.bgp = bgp === undefined ? undefined : new Bgp({ ...parts, plan: bgp })
    this.bfd = new StaticBfdDriver({ emit: parts.emit, onPath: () => {} })
  }

  /** The device has its addresses. */
  start(connections: readonly PlannedConnection[]): void {
    this.bgp?.start()
    this.bfd.apply(connections)
  }

  /** The connections of `plan` are there. */
  apply(plan: ConnectorPlan): void {
    this.bfd.apply(plan.connections)
  }

  /** Says goodbye through the tunnels. Idempotent; never rejects. */
  async stop(): Promise<void> {
    await this.bgp?.stop()
    await this.bfd.stop()
  }
}
