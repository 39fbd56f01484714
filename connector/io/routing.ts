/**
 * What decides while the connector runs where traffic goes: BGP, BFD of static routes, and the probes of paths.
 *
 * Another plan is taken up around the change of connections: `makeWay` before it, `apply` and `clearAway` behind it.
 */
import type { Address } from '../../protocol/net.ts'
import type { ConnectorEvent, StartFailure } from '../handle.ts'
import type { BgpPlan, ConnectorPlan } from '../plan.ts'
import { Bgp, type BgpParts } from './bgp/bgp.ts'
import type { Children } from './children.ts'
import type { KernelRoutes } from './kernel-routes.ts'
import { Paths } from './paths/paths.ts'
import { Probes } from './probes.ts'
import { StaticBfdDriver } from './static-bfd.ts'

export interface RoutingParts {
  readonly children: Children
  readonly kernel: KernelRoutes
  /** The outer address of the other end of a tunnel, as far as it is known. */
  readonly remoteOf: (connection: string) => Address | undefined
  readonly emit: (event: ConnectorEvent) => void
}

/** How long a tunnel that goes waits for the routes over it to be gone. The engines see to the rest. */
const LEAVING_MS = 2_000

export class Routing {
  readonly #parts: RoutingParts
  #bgp: Bgp | undefined
  #bgpPlan: BgpPlan | undefined
  #isStopped = false
  readonly bfd: StaticBfdDriver
  readonly probes: Probes
  readonly paths: Paths

  constructor(plan: ConnectorPlan, parts: RoutingParts) {
    const { bgp } = plan
    const { emit } = parts
    this.#parts = parts
    this.#bgpPlan = bgp
    this.#bgp = bgp === undefined ? undefined : new Bgp(this.#bgpParts(bgp))
    this.bfd = new StaticBfdDriver({ emit, onPath: (name, up, silentMs) => this.paths.bfd(name, '', up, silentMs) })
    this.probes = new Probes(parts)
    this.paths = new Paths(plan, {
      children: parts.children,
      onReach: (connection) => this.#bgp?.look(connection),
      onLeaving: (connection, on) => this.#bgp?.setLeaving(connection, on, true),
      emit,
    })
    this.probes.onReport = (connection, report) => this.paths.report(connection, report)
  }

  get bgp(): Bgp | undefined {
    return this.#bgp
  }

  /** The device has its addresses. */
  start(plan: ConnectorPlan): void {
    this.#parts.children.onSettled = (connection) => {
      this.paths.look(connection)
      this.#bgp?.look(connection)
    }
    this.paths.apply(plan)
    this.#bgp?.start()
    this.bfd.apply(plan.connections)
    this.probes.apply(plan)
  }

  /** The addresses of `plan` are there from here on; sessions over tunnels that are to go say goodbye through them. */
  async makeWay({ tun, connections }: ConnectorPlan): Promise<void> {
    const { kernel, children } = this.#parts
    this.#warn(await kernel.addAddresses(tun.addresses))
    await children.setOwnAddresses(tun.addresses)
    const before = this.#bgpPlan
    if (this.#bgp === undefined || before === undefined || this.#isStopped) return
    const staying = onlyOver(before, new Set(connections.map(({ ike }) => ike.name)))
    if (staying === undefined) return
    this.#bgp.reconfigure(staying)
    this.#bgpPlan = staying
    await this.#bgp.settled(LEAVING_MS)
  }

  /** The connections of `plan` are there, and its configured routes, which come before learned ones. */
  async apply(plan: ConnectorPlan): Promise<void> {
    if (this.#isStopped) return
    this.paths.apply(plan)
    await this.#applyBgp(plan.bgp)
    this.bfd.apply(plan.connections)
    this.probes.apply(plan)
  }

  async #applyBgp(plan: BgpPlan | undefined): Promise<void> {
    const [bgp, before] = [this.#bgp, this.#bgpPlan]
    this.#bgpPlan = plan
    if (plan !== undefined && bgp !== undefined) bgp.reconfigure(plan)
    else if (plan !== undefined) {
      this.#bgp = new Bgp(this.#bgpParts(plan))
      this.#bgp.start()
      for (const connection of this.paths.leaving) this.#bgp.setLeaving(connection, true, true)
    } else if (bgp !== undefined && before !== undefined) {
      this.#bgp = undefined
      // What was learned goes, which a speaker that only stops would leave.
      bgp.reconfigure({ ...before, networks: [], tunnels: [], neighbours: [] })
      await bgp.settled(LEAVING_MS)
      await bgp.stop()
    }
  }

  /** No route names an address any more that `plan` does not have. */
  async clearAway({ tun }: ConnectorPlan): Promise<void> {
    this.#warn(await this.#parts.kernel.keepAddresses(tun.addresses))
  }

  /** Says goodbye through the tunnels. Idempotent; never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#bgp?.stop()
    await this.bfd.stop()
    await this.probes.stop()
    this.paths.stop()
    this.#parts.children.onSettled = undefined
  }

  #bgpParts(plan: BgpPlan): BgpParts {
    const { children } = this.#parts
    return {
      ...this.#parts,
      plan,
      isUp: (connection) => children.isSendable(connection) && this.paths.isReachable(connection),
      onPath: (tunnel, neighbour, up, silentMs) => this.paths.bfd(tunnel, neighbour, up, silentMs),
    }
  }

  #warn(failures: readonly StartFailure[]): void {
    for (const { code, message, remedy } of failures) this.#parts.emit({ type: 'warning', code, message, remedy })
  }
}

/** What goes over these tunnels; undefined where that is all of it. */
function onlyOver(plan: BgpPlan, names: ReadonlySet<string>): BgpPlan | undefined {
  const tunnels = plan.tunnels.filter(({ name }) => names.has(name))
  const neighbours = plan.neighbours.filter(({ tunnel }) => names.has(tunnel))
  const isAll = tunnels.length === plan.tunnels.length && neighbours.length === plan.neighbours.length
  return isAll ? undefined : { ...plan, tunnels, neighbours }
}
