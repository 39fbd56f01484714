/**
 * Connections and Child SAs as the engines know them: connection i is tunnel i; prefixes that lead to the same
 * connections share a next-hop group; a Child SA is an inbound and an outbound SA with an endpoint of their own. The
 * engine of each worker knows all tunnels, groups and routes, but only the Child SAs of its own.
 *
 * While a connection has no Child SA its routes stay, in the kernel and in the engine: packets are dropped and
 * counted as no_sa, and never leave the site in the clear by another route.
 */
import type { Prefix, SocketAddress } from '../../protocol/net.ts'
import type { ChildSaSpec } from '../core/ike/types.ts'
import {
  type Answer,
  type ChildCounters,
  type Command,
  type Counters,
  type DirectionCounters,
  ROUTES_PER_COMMAND,
  type WireSocket,
} from '../data/commands.ts'
import type { PlannedConnection } from '../plan.ts'
import { changesOf, sharesOf, type TunnelShares } from './tunnel-shares.ts'

/** Has a worker carry out a command. */
export type Call = (worker: number, command: Command, transfer?: readonly ArrayBuffer[]) => Promise<Answer>

export interface InstalledChild {
  readonly id: number
  readonly connection: string
  readonly child: string
  /** The packet worker that has it. */
  readonly resource: number
  readonly inboundSpi: number
  readonly outboundSpi: number
  readonly encapsulation: 'udp' | 'esp'
  readonly innerMtu: number
  /** As last reported by the worker. */
  readonly counters: ChildCounters
}

interface MutableChild extends InstalledChild {
  localAddress: SocketAddress
  innerMtu: number
  counters: ChildCounters
}

interface Connection {
  readonly planned: PlannedConnection
  readonly tunnel: number
  /** The Child SAs that may be sent on, newest last. */
  promoted: readonly InstalledChild[]
  /** What the workers were told last. */
  shares: TunnelShares | undefined
  /** Oldest first. */
  readonly installed: Set<MutableChild>
  /** Of children that are gone. */
  retired: Carried
}

/** Of one Child SA or of many. */
export type Carried = Omit<ChildCounters, 'id'>

const NOTHING: DirectionCounters = { packets: 0, bytes: 0, drops: {} }

export class Children {
  readonly #connections = new Map<string, Connection>()
  readonly #sockets: readonly (readonly WireSocket[])[]
  readonly #call: Call
  readonly #installed = new Map<number, MutableChild>()
  /** What each worker carried in children that are gone. */
  readonly #retired: Carried[]

  /** @param sockets of each worker */
  constructor(planned: readonly PlannedConnection[], sockets: readonly (readonly WireSocket[])[], call: Call) {
    this.#sockets = sockets
    this.#call = call
    this.#retired = sockets.map(() => ({ inbound: NOTHING, outbound: NOTHING }))
    for (const [tunnel, connection] of planned.entries()) {
      this.#connections.set(connection.ike.name, {
        planned: connection,
        tunnel,
        promoted: [],
        shares: undefined,
        installed: new Set(),
        retired: { inbound: NOTHING, outbound: NOTHING },
      })
    }
  }

  /** Tells the engines their tunnels, groups and routes. */
  async configure(): Promise<void> {
    const connections = [...this.#connections.values()]
    const pending: Promise<unknown>[] = connections.map((connection) => this.#setTunnel(connection))
    for (const [handle, { tunnels, prefixes }] of groupsOf(connections).entries()) {
      pending.push(this.#callAll({ type: 'group', handle, tunnels }))
      for (let first = 0; first < prefixes.length; first += ROUTES_PER_COMMAND) {
        const some = prefixes.slice(first, first + ROUTES_PER_COMMAND)
        pending.push(this.#callAll({ type: 'routes', prefixes: some, group: handle }))
      }
    }
    await Promise.all(pending)
  }

  /** Both directions; resolves when the engine has them. The key arrays are wiped. */
  async install(sa: ChildSaSpec): Promise<void> {
    const connection = this.#connections.get(sa.connection)
    if (connection === undefined) throw new Error(`no connection ${sa.connection}`)
    const { suite, esn, local, remote, encapsulation, resource } = sa
    const tunnel = connection.tunnel
    const inbound = { ...moved(sa.inbound), suite, esn, replayWindow: sa.replayWindow, tunnel, local, remote }
    const outbound = { ...moved(sa.outbound), suite, esn, tunnel, endpoint: 0, local, remote, ...sa.limits }
    const socket = this.#socketFor(resource, sa.localAddress, encapsulation)
    const answer = await this.#call(
      resource,
      {
        type: 'install-child',
        child: { id: sa.id, inbound, outbound, remote: sa.remoteAddress, encapsulation, socket },
      },
      [inbound.key.buffer, outbound.key.buffer],
    )
    const child: MutableChild = {
      id: sa.id,
      connection: sa.connection,
      child: sa.child,
      resource,
      inboundSpi: sa.inbound.spi,
      outboundSpi: sa.outbound.spi,
      encapsulation,
      localAddress: sa.localAddress,
      innerMtu: answer.innerMtu ?? 0,
      counters: { id: sa.id, inbound: NOTHING, outbound: NOTHING },
    }
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
    // First what takes its place, so that no packet falls between.
    await this.#setTunnel(connection)
    const answer = await this.#call(resource, { type: 'remove-child', id })
    const last = answer.counters ?? child.counters
    connection.retired = plus(connection.retired, last)
    const worker = this.#retired[resource]
    if (worker !== undefined) this.#retired[resource] = plus(worker, last)
  }

  async move(id: number, remote: SocketAddress): Promise<void> {
    const child = this.#installed.get(id)
    if (child === undefined) return
    const socket = this.#socketFor(child.resource, child.localAddress, child.encapsulation)
    await this.#call(child.resource, { type: 'move-child', id, remote, socket })
  }

  /** Takes a report of the worker; returns the children on which something came in since the one before. */
  update(counters: Counters): InstalledChild[] {
    const used: InstalledChild[] = []
    for (const report of counters.children) {
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

  /** The Child SAs of a connection, oldest first. */
  of(connection: string): InstalledChild[] {
    return [...(this.#connections.get(connection)?.installed ?? [])]
  }

  /** What a connection has carried since the start, in Child SAs past and present. */
  total(connection: string): Carried {
    const retired = this.#connections.get(connection)?.retired ?? { inbound: NOTHING, outbound: NOTHING }
    return this.of(connection).reduce((carried, { counters }) => plus(carried, counters), retired)
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

  /** Tells the workers what has changed, step by step. */
  async #setTunnel(connection: Connection): Promise<void> {
    const { planned, tunnel: handle, promoted, shares } = connection
    const { pathMtu, clampMss, copyDscp, ike } = planned
    const names = ike.children.map(({ name }) => name)
    const wanted = sharesOf(names, promoted, this.#sockets.length, ike.resource ?? 0)
    for (const step of changesOf(shares, wanted)) {
      const settings = { handle, pathMtu, clampMss, copyDscp }
      const told = step.map(({ worker, share }) =>
        this.#call(worker, { type: 'tunnel', tunnel: { ...settings, ...share } }),
      )
      await Promise.all(told)
    }
    connection.shares = wanted
  }

  async #callAll(command: Command): Promise<void> {
    await Promise.all(this.#sockets.map((_, worker) => this.#call(worker, command)))
  }

  #socketFor(worker: number, local: SocketAddress, encapsulation: 'udp' | 'esp'): number {
    const sockets = this.#sockets[worker] ?? []
    const matches = (socket: WireSocket): boolean => socket.kind === encapsulation
    const exact = sockets.findIndex((socket) => matches(socket) && socket.local.address === local.address)
    const index = exact >= 0 ? exact : sockets.findIndex(matches)
    if (index < 0) throw new Error(`no socket for ${encapsulation} on ${local.address}`)
    return index
  }
}

/** Every prefix once, with the tunnels that it may take; prefixes with the same tunnels share a group. */
function groupsOf(connections: readonly Connection[]): { tunnels: number[]; prefixes: Prefix[] }[] {
  const byPrefix = new Map<Prefix, number[]>()
  for (const { planned, tunnel } of connections) {
    for (const route of planned.routes) byPrefix.set(route, [...(byPrefix.get(route) ?? []), tunnel])
  }
  const groups = new Map<string, { tunnels: number[]; prefixes: Prefix[] }>()
  for (const [prefix, tunnels] of byPrefix) {
    const key = tunnels.join(' ')
    const group = groups.get(key) ?? { tunnels, prefixes: [] }
    group.prefixes.push(prefix)
    groups.set(key, group)
  }
  return [...groups.values()]
}

/** The keys in buffers of their own, to hand over; the originals are wiped. */
function moved(keys: { spi: number; key: Uint8Array; salt: Uint8Array }) {
  const copy = { spi: keys.spi, key: new Uint8Array(keys.key), salt: new Uint8Array(keys.salt) }
  keys.key.fill(0)
  keys.salt.fill(0)
  return copy
}

function plus(left: Carried, right: Carried): Carried {
  return { inbound: sum(left.inbound, right.inbound), outbound: sum(left.outbound, right.outbound) }
}

function sum(left: DirectionCounters, right: DirectionCounters): DirectionCounters {
  const drops = { ...left.drops }
  for (const [name, count] of Object.entries(right.drops) as [keyof typeof drops, number][]) {
    drops[name] = (drops[name] ?? 0) + count
  }
  return { packets: left.packets + right.packets, bytes: left.bytes + right.bytes, drops }
}
