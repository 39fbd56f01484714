/**
 * Connections and Child SAs as the engines know them: each connection is a tunnel; prefixes that lead to the same
 * connections share a next-hop group; a Child SA is an inbound and an outbound SA with an endpoint of their own. The
 * engine of each worker knows all tunnels, groups and routes, but only the Child SAs of its own.
 *
 * While a connection has no Child SA its routes stay, in the kernel and in the engine: packets are dropped and
 * counted as no_sa, and never leave the site in the clear by another route.
 */
import type { Address, Prefix, SocketAddress } from '../../protocol/net.ts'
import type { RouteChanges } from '../core/bgp/speaker-types.ts'
import type { ChildSaSpec } from '../core/ike/types.ts'
import type { ProbeSettings } from '../core/probe/machine.ts'
import type { Answer, ChildCounters, Command, Counters, TunnelCounts, WireSocket } from '../data/commands.ts'
import type { PlannedConnection } from '../plan.ts'
import { type Carried, NONE_CARRIED, plus } from './carried.ts'
import { type ClassOrder, Forwarding, type ForwardingPlan, type RouteEntry } from './forwarding.ts'
import { Handles } from './handles.ts'
import { childOf, type InstalledChild, installOf, type MutableChild, socketFor } from './installed-child.ts'
import { TunnelTeller } from './tunnel-teller.ts'

export type { InstalledChild } from './installed-child.ts'

/** Has a worker carry out a command. */
export type Call = (worker: number, command: Command, transfer?: readonly ArrayBuffer[]) => Promise<Answer>

/** What the engines know beside tunnels and routes, from the start. */
export interface TablesPlan extends ForwardingPlan {
  /** The first one of each family is the source of ICMP answers. */
  readonly ownAddresses?: readonly Address[]
  /** 0 to 2^32 - 1. */
  readonly flowSeed?: number
}

interface Connection {
  planned: PlannedConnection
  readonly tunnel: number
  /** The Child SAs that may be sent on, newest last. */
  promoted: readonly InstalledChild[]
  /** Whether packets get through as far as is known. */
  passing: boolean
  /** What probes have found the path MTU to be. */
  measuredMtu: number | undefined
  readonly teller: TunnelTeller
  /** Oldest first. */
  readonly installed: Set<MutableChild>
  /** No longer sent on; what they carried is not final. */
  readonly leaving: Set<MutableChild>
  /** Of children that are gone. */
  retired: Carried
  counts: Omit<TunnelCounts, 'tunnel'>
}

export class Children {
  readonly #connections = new Map<string, Connection>()
  readonly #tunnels = new Handles()
  readonly #forwarding: Forwarding
  #plan: TablesPlan
  readonly #sockets: readonly (readonly WireSocket[])[]
  readonly #call: Call
  readonly #installed = new Map<number, MutableChild>()
  /** What each worker carried in children that are gone. */
  readonly #retired: Carried[]

  /** The engines have what a connection may be sent on; it may be other Child SAs, more or fewer, or the same. */
  onSettled: ((connection: string) => void) | undefined

  /** @param sockets of each worker */
  constructor(
    planned: readonly PlannedConnection[],
    sockets: readonly (readonly WireSocket[])[],
    call: Call,
    plan: TablesPlan = {},
  ) {
    this.#plan = plan
    this.#sockets = sockets
    this.#call = call
    this.#retired = sockets.map(() => NONE_CARRIED)
    this.#forwarding = new Forwarding((command) => this.#callAll(command), this.#connections)
    for (const connection of planned) this.#enter(connection)
  }

  /** Tells the engines their tunnels, groups, routes and the rest of the plan. */
  async configure(): Promise<void> {
    const { ownAddresses = [], flowSeed = 0, classes = [] } = this.#plan
    const connections = [...this.#connections.values()]
    const routes = connections.map(({ planned }) => ({ connection: planned.ike.name, routes: planned.routes }))
    await Promise.all([
      ...connections.map((connection) => this.#setTunnel(connection)),
      ownAddresses.length === 0 ? undefined : this.#callAll({ type: 'own-addresses', addresses: ownAddresses }),
      flowSeed === 0 ? undefined : this.#callAll({ type: 'flow-seed', seed: flowSeed }),
      this.setForwarding(this.#plan),
      classes.length === 0 ? undefined : this.setClasses(classes),
      this.setRoutes(routes),
    ])
  }

  /** Of the gateway: these are all. Rejects with the first failure. */
  async setOwnAddresses(addresses: readonly Address[]): Promise<void> {
    if (addresses.join() === (this.#plan.ownAddresses ?? []).join()) return
    this.#plan = { ...this.#plan, ownAddresses: addresses }
    await this.#callAll({ type: 'own-addresses', addresses })
  }

  /** A connection more, to which no route leads yet. Rejects, and nothing is left of it, where an engine has no room. */
  async addConnection(planned: PlannedConnection): Promise<void> {
    const connection = this.#enter(planned)
    try {
      await this.#setTunnel(connection)
      await this.#forwarding.renumber()
    } catch (error) {
      await this.removeConnection(planned.ike.name)
      throw error
    }
  }

  /** What is said of the path to the peer, and the names of the children, change; Child SAs stay as they are. */
  async changeConnection(planned: PlannedConnection): Promise<void> {
    const connection = this.#connections.get(planned.ike.name)
    if (connection === undefined) return
    const before = pathMtuOf(connection)
    connection.planned = planned
    if (pathMtuOf(connection) !== before) forgetInnerMtu(connection)
    await this.#setTunnel(connection)
  }

  /**
   * What the path takes now, in bytes of outer packets, 576 to 9216; undefined: what is planned. TCP MSS and fragmentation
   * follow.
   */
  async setMeasuredMtu(name: string, pathMtu: number | undefined): Promise<void> {
    const connection = this.#connections.get(name)
    if (connection === undefined || connection.measuredMtu === pathMtu) return
    connection.measuredMtu = pathMtu
    forgetInnerMtu(connection)
    await this.#setTunnel(connection)
  }

  /** In use. Undefined where there is no such connection. */
  pathMtu(name: string): number | undefined {
    const connection = this.#connections.get(name)
    return connection && pathMtuOf(connection)
  }

  /** Asks about its path, or no more; see the command `probe`. */
  async setProbe(name: string, settings: ProbeSettings | undefined): Promise<void> {
    const connection = this.#connections.get(name)
    if (connection === undefined) return
    const home = connection.planned.ike.resource ?? 0
    const asked = settings === undefined ? {} : { settings }
    await this.#callAll({ type: 'probe', tunnel: connection.tunnel, home, ...asked })
  }

  /** More probes of its path than are set, or no longer. */
  async examine(name: string, on: boolean): Promise<void> {
    const connection = this.#connections.get(name)
    if (connection === undefined) return
    const home = connection.planned.ike.resource ?? 0
    await this.#call(home, { type: 'examine', tunnel: connection.tunnel, on })
  }

  /** The connection that the engines know by this number. */
  nameOf(tunnel: number): string | undefined {
    return this.#connections.values().find((connection) => connection.tunnel === tunnel)?.planned.ike.name
  }

  /**
   * The engines pass over a tunnel that does not while another one takes its packets. At first it is taken to pass.
   * Does nothing where there is no such connection.
   */
  async setPassing(name: string, passing: boolean): Promise<void> {
    const connection = this.#connections.get(name)
    if (connection === undefined || connection.passing === passing) return
    connection.passing = passing
    await this.#setTunnel(connection)
  }

  isPassing(name: string): boolean {
    return this.#connections.get(name)?.passing ?? false
  }

  /** To be called when no route leads to it any more, and its Child SAs are gone. */
  async removeConnection(name: string): Promise<void> {
    const connection = this.#connections.get(name)
    if (connection === undefined) return
    for (const { id } of [...connection.installed]) await this.remove(id)
    await connection.teller.settled()
    await this.#forwarding.forget(name)
    this.#connections.delete(name)
    await this.#forwarding.renumber()
    await this.#callAll({ type: 'remove-tunnel', handle: connection.tunnel })
    // Not before every engine has forgotten it.
    this.#tunnels.release(connection.tunnel)
  }

  /** These are all routes, each to the connections that have it, in this order. Rejects with the first failure. */
  setRoutes(routes: readonly { readonly connection: string; readonly routes: readonly Prefix[] }[]): Promise<void> {
    return this.#forwarding.setRoutes(routes)
  }

  /** Learned ones beside them, each by names of connections in order of preference. Rejects with the first failure. */
  learn(changes: RouteChanges): Promise<void> {
    return this.#forwarding.learn(changes)
  }

  /** What is spread, and what is refused. Rejects with the first failure. */
  setForwarding(plan: ForwardingPlan): Promise<void> {
    return this.#forwarding.setPlan(plan)
  }

  /** These are all classes, each with its tunnels in the order that counts now. Rejects with the first failure. */
  setClasses(classes: readonly ClassOrder[]): Promise<void> {
    return this.#forwarding.setClasses(classes)
  }

  /** Which connections prefixes lead to, and how many of them. */
  groups(): Generator<{ readonly tunnels: readonly string[]; readonly prefixes: number }> {
    return this.#forwarding.groups()
  }

  /** Every prefix that the engines have, with the connections that it leads to. */
  routes(): Generator<RouteEntry> {
    return this.#forwarding.routes()
  }

  /** What the engines have of exactly this prefix. */
  route(prefix: Prefix): RouteEntry | undefined {
    return this.#forwarding.find(prefix)
  }

  #enter(planned: PlannedConnection): Connection {
    const tunnel = this.#tunnels.take()
    const connection: Connection = {
      planned,
      tunnel,
      promoted: [],
      passing: true,
      measuredMtu: undefined,
      teller: new TunnelTeller(tunnel, this.#sockets.length, this.#call),
      installed: new Set(),
      leaving: new Set(),
      retired: NONE_CARRIED,
      counts: { transit: 0, asymmetric: 0 },
    }
    this.#connections.set(planned.ike.name, connection)
    return connection
  }

  /** Both directions; resolves when the engine has them. The key arrays are wiped. */
  async install(sa: ChildSaSpec): Promise<void> {
    const connection = this.#connections.get(sa.connection)
    if (connection === undefined) throw new Error(`no connection ${sa.connection}`)
    const socket = socketFor(this.#sockets[sa.resource] ?? [], sa.localAddress, sa.encapsulation)
    const { child: wanted, keys } = installOf(sa, connection.tunnel, socket)
    const answer = await this.#call(sa.resource, { type: 'install-child', child: wanted }, keys)
    const child = childOf(sa, answer.innerMtu ?? 0)
    this.#installed.set(sa.id, child)
    connection.installed.add(child)
  }

  async promote(id: number): Promise<void> {
    const child = this.#installed.get(id)
    const connection = child && this.#connections.get(child.connection)
    if (child === undefined || connection === undefined) return
    connection.promoted = [...connection.promoted.filter((other) => other !== child), child]
    await this.#setTunnel(connection)
  }

  /** Its resource sends nothing of this child any more; every SA goes on receiving. */
  async demote(id: number): Promise<void> {
    const child = this.#installed.get(id)
    const connection = child && this.#connections.get(child.connection)
    if (child === undefined || connection === undefined) return
    connection.promoted = connection.promoted.filter(
      (other) => other.child !== child.child || other.resource !== child.resource,
    )
    await this.#setTunnel(connection)
  }

  async remove(id: number): Promise<void> {
    const child = this.#installed.get(id)
    const connection = child && this.#connections.get(child.connection)
    if (child === undefined || connection === undefined) return
    const { resource } = child
    connection.promoted = connection.promoted.filter((other) => other !== child)
    this.#installed.delete(id)
    connection.installed.delete(child)
    connection.leaving.add(child)
    // First what takes its place, so that no packet falls between.
    await this.#setTunnel(connection)
    const answer = await this.#call(resource, { type: 'remove-child', id })
    const last = answer.counters ?? child.counters
    connection.leaving.delete(child)
    connection.retired = plus(connection.retired, last)
    const worker = this.#retired[resource]
    if (worker !== undefined) this.#retired[resource] = plus(worker, last)
  }

  async move(id: number, remote: SocketAddress): Promise<void> {
    const child = this.#installed.get(id)
    if (child === undefined) return
    const socket = socketFor(this.#sockets[child.resource] ?? [], child.localAddress, child.encapsulation)
    await this.#call(child.resource, { type: 'move-child', id, remote, socket })
  }

  /** Takes a report of the worker; returns the children on which something came in since the one before. */
  update({ children, tunnels = [] }: Counters): InstalledChild[] {
    for (const { tunnel, transit, asymmetric } of tunnels) {
      const connection = this.#connections.values().find((each) => each.tunnel === tunnel)
      if (connection === undefined) continue
      const { counts } = connection
      connection.counts = { transit: counts.transit + transit, asymmetric: counts.asymmetric + asymmetric }
    }
    return this.#take(children)
  }

  /** Packets since the start. Undefined where there is no such connection. */
  counts(connection: string): Omit<TunnelCounts, 'tunnel'> | undefined {
    return this.#connections.get(connection)?.counts
  }

  #take(reports: readonly ChildCounters[]): InstalledChild[] {
    const used: InstalledChild[] = []
    for (const report of reports) {
      const child = this.#installed.get(report.id)
      if (child === undefined) continue
      if (report.inbound.packets > child.counters.inbound.packets) used.push(child)
      child.counters = report
    }
    return used
  }

  get(id: number): InstalledChild | undefined {
    return this.#installed.get(id)
  }

  /** Whether there is a Child SA to send on. */
  isSendable(connection: string): boolean {
    return (this.#connections.get(connection)?.promoted.length ?? 0) > 0
  }

  /** The Child SAs of a connection, oldest first. */
  of(connection: string): InstalledChild[] {
    return [...(this.#connections.get(connection)?.installed ?? [])]
  }

  /**
   * What a connection has carried since the start, in Child SAs past and present. What is missing is not known, and
   * absent, as soon as one of them had no replay window.
   */
  total(connection: string): Carried {
    const retired = this.#connections.get(connection)?.retired ?? NONE_CARRIED
    const leaving = this.#connections.get(connection)?.leaving ?? []
    return [...this.of(connection), ...leaving].reduce((carried, { counters }) => plus(carried, counters), retired)
  }

  /**
   * Has the workers tell what the Child SAs of a connection have carried by now, between two reports; returns the
   * children on which something came in.
   */
  async refresh(connection: string): Promise<InstalledChild[]> {
    const installed = this.#connections.get(connection)?.installed ?? []
    const read = async ({ id, resource }: InstalledChild): Promise<InstalledChild[]> => {
      const { counters } = await this.#call(resource, { type: 'read-child', id })
      return counters === undefined ? [] : this.#take([counters])
    }
    return (await Promise.all([...installed].map(read))).flat()
  }

  /** What each worker has carried since the start. */
  totals(): Carried[] {
    const totals = [...this.#retired]
    for (const { resource, counters } of this.#installed.values()) {
      const carried = totals[resource]
      if (carried !== undefined) totals[resource] = plus(carried, counters)
    }
    return totals
  }

  async #setTunnel(connection: Connection): Promise<void> {
    await connection.teller.tell(connection)
    this.onSettled?.(connection.planned.ike.name)
  }

  async #callAll(command: Command): Promise<void> {
    await Promise.all(this.#sockets.map((_, worker) => this.#call(worker, command)))
  }
}

function pathMtuOf({ planned, measuredMtu }: Connection): number {
  return measuredMtu ?? planned.pathMtu
}

/** What fits a path of another length is not known before a new Child SA is installed. */
function forgetInnerMtu({ installed }: Connection): void {
  for (const child of installed) child.innerMtu = 0
}
