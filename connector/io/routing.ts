/** What decides while the connector runs where traffic goes: BGP, BFD of static routes, and the probes of paths. */
import type { Address } from '../../protocol/net.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'
import { Bgp } from './bgp/bgp.ts'
import type { Children } from './children.ts'
import type { KernelRoutes } from './kernel-routes.ts'
import { Probes } from './probes.ts'
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
  readonly probes: Probes

  constructor({ bgp, tun }: ConnectorPlan, parts: RoutingParts) {
    this.bgp = bgp === undefined ? undefined : new Bgp({ ...parts, plan: bgp })
    this.bfd = new StaticBfdDriver({ emit: parts.emit, onPath: () => {} })
    this.probes = new Probes({ ...parts, addresses: tun.addresses, mtu: tun.mtu })
  }

  /** The device has its addresses. */
  start(connections: readonly PlannedConnection[]): void {
    this.bgp?.start()
    this.bfd.apply(connections)
    this.probes.apply(connections)
  }

  /** The connections of `plan` are there. */
  apply(plan: ConnectorPlan): void {
    this.bfd.apply(plan.connections)
    this.probes.apply(plan.connections)
  }

  /** Says goodbye through the tunnels. Idempotent; never rejects. */
  async stop(): Promise<void> {
    await this.bgp?.stop()
    await this.bfd.stop()
    await this.probes.stop()
  }
}
