/** Makes a running connector out of a plan, and takes it down again, also from half-way. */
import type { Instant, Machine } from '../../protocol/machine.ts'
import type { Prefix } from '../../protocol/net.ts'
import type { PathsStatus } from '../../protocol/paths.ts'
import type { RouteExplanation, RoutesAnswer } from '../../protocol/routes.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { ConnectionStatus, IkeCounters, IkeEffect, IkeInput } from '../core/ike/types.ts'
import type { EngineChoice } from '../data/commands.ts'
import { type ConnectorEvent, type ConnectorHandle, PlanRefused, type StartFailure } from '../handle.ts'
import type { ConnectorPlan, PlannedConnection } from '../plan.ts'
import { openState, type StateStore } from '../store/state.ts'
import type { InstalledChild } from './children.ts'
import { type Driver, drive } from './driver.ts'
import { engineChoice } from './engine-choice.ts'
import { libc, returnLargeBlocks } from './ffi.ts'
import { KernelRoutes } from './kernel-routes.ts'
import { KeyLog } from './key-log.ts'
import { loopWarnings } from './loops.ts'
import { makeIke } from './make-ike.ts'
import { offloadChoice } from './offloads.ts'
import { openPacketPath, type PacketPath } from './packet-path.ts'
import type { WorkersReport } from './packet-workers.ts'
import { fixedFaults } from './plan-changes.ts'
import { Reconciler } from './reconciler.ts'
import { cleanLeftovers, setUpNetwork } from './routes-linux.ts'
import { explainRoute, routesOf } from './routes-view.ts'
import { Routing } from './routing.ts'
import { lackingSockets } from './sockets.ts'
import { buildStatus } from './status.ts'

/** How long `stop` waits for the peers to answer our deletes. */
const SHUTDOWN_MS = 2000

export interface ConnectorOptions {
  readonly onEvent?: (event: ConnectorEvent) => void
  /** Default: ISTHMUS_ENGINE, else `wasm`. */
  readonly engine?: EngineChoice
  /** For tests of the packet path: another machine in IKE's place. */
  readonly makeIke?: (plan: ConnectorPlan, now: Instant) => IkeMachine | Promise<IkeMachine>
}

/** The IKE endpoint as the connector uses it. */
export interface IkeMachine extends Machine<IkeInput, IkeEffect> {
  status(now: number): readonly ConnectionStatus[]
  counters(): IkeCounters
}

/** Rejects with a StartFailure, everything undone, when the plan cannot be carried out. */
export async function startConnector(plan: ConnectorPlan, options: ConnectorOptions = {}): Promise<ConnectorHandle> {
  const connector = new Connector(plan, options)
  try {
    await connector.start()
    return connector
  } catch (error) {
    await connector.undo()
    throw error
  }
}

class Connector implements ConnectorHandle {
  readonly ended: Promise<StartFailure | undefined>
  /** All but its connections stays; those are the reconciler's as soon as there is one. */
  #plan: ConnectorPlan
  /** What it was when the sockets were opened. */
  readonly #firstPlan: ConnectorPlan
  readonly #options: ConnectorOptions
  readonly #startedAt = performance.now()
  /** What `undo` has to take back, last first. */
  readonly #undo: (() => unknown)[] = []
  #settleEnded: (failure: StartFailure | undefined) => void = () => {}
  #failure: StartFailure | undefined
  #stopping: Promise<void> | undefined
  #keyLog: KeyLog | undefined
  // From here on: there once `start` has succeeded, which alone hands this object out.
  #path!: PacketPath
  #machine!: IkeMachine
  #driver: Driver<IkeInput> | undefined
  #reconciler: Reconciler | undefined
  #applying: Promise<void> = Promise.resolve()
  #routing: Routing | undefined
  #onStopped: () => void = () => {}

  constructor(plan: ConnectorPlan, options: ConnectorOptions) {
    this.#plan = plan
    this.#firstPlan = plan
    this.#options = options
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve
    })
  }

  async start(): Promise<void> {
    const plan = this.#plan
    const { tun } = plan
    const refused = (plan.refusals ?? []).map(({ prefix }) => prefix)
    const routes = [...new Set([...plan.connections.flatMap((connection) => connection.routes), ...refused])]
    const engine = this.#options.engine ?? engineChoice(process.env.ISTHMUS_ENGINE)
    for (const warning of loopWarnings(plan.connections)) this.#emit(warning)
    libc()
    returnLargeBlocks()
    const state = openState(plan.stateDirectory)
    this.#undo.push(() => state.close())
    await this.#cleanLeftovers(state)
    if (plan.keyLog !== undefined) {
      const keyLog = new KeyLog(plan.keyLog)
      this.#keyLog = keyLog
      this.#undo.push(() => keyLog.close())
    }
    const path = await openPacketPath(plan, {
      engine,
      offloads: offloadChoice(process.env.ISTHMUS_OFFLOADS),
      onReport: (report) => this.#takeReport(report),
      onFailure: (failure) => this.#fail(failure),
    })
    this.#path = path
    this.#undo.push(() => path.close())
    const note = (routes: readonly Prefix[]) => {
      state.write({ device: tun.name, routes, ...(this.#plan.bgp === undefined ? {} : { learned: true }) })
    }
    note(routes)
    this.#undo.push(() => state.clear())
    const kernel = new KernelRoutes(tun.name, tun.addresses, routes)
    this.#undo.push(() => kernel.tearDown())
    await setUpNetwork({ device: tun.name, mtu: tun.mtu, addresses: tun.addresses, routes })
    await this.#startIke()
    this.#reconciler = new Reconciler(
      plan.connections,
      {
        children: path.children,
        kernel,
        post: (input) => this.#driver?.post(input),
        note,
        emit: (event) => this.#emit(event),
      },
      plan,
    )
    this.#startRouting(plan, kernel)
    this.#emit({ type: 'started', site: plan.site })
  }

  status(): ConnectorStatus {
    const now = performance.now()
    const { engines, workers, children, ikeSocket } = this.#path
    return buildStatus({
      plan: { ...this.#plan, connections: this.#connections },
      engines,
      loads: workers.loads,
      offloads: this.#path.offloads(),
      children,
      connections: this.#machine.status(now),
      ike: this.#machine.counters(),
      sendFailures: ikeSocket.failures,
      drops: workers.drops,
      failure: this.#failure,
      now,
      wallClock: Date.now(),
      startedAt: this.#startedAt,
      routing: this.#routing,
    })
  }

  routes(within: Prefix | undefined, limit: number): RoutesAnswer {
    return routesOf(this.#path.children, within, limit)
  }

  explainRoute(prefix: Prefix): RouteExplanation {
    return explainRoute(this.#path.children, this.#routing?.bgp, prefix)
  }

  resetNeighbour(neighbour: string): boolean {
    return this.#routing?.bgp?.reset(neighbour) ?? false
  }

  paths(): PathsStatus | undefined {
    return this.#routing?.paths.status()
  }

  drain(connection: string, on: boolean): boolean {
    return this.#routing?.paths.drain(connection, on) ?? false
  }

  initiate(connection: string): boolean {
    return this.#command(connection, { type: 'initiate', connection })
  }

  terminate(connection: string): boolean {
    return this.#command(connection, { type: 'terminate', connection })
  }

  rekey(connection: string, what: string): boolean {
    if (what === 'ike') return this.#command(connection, { type: 'rekey-ike', connection })
    const planned = this.#connections.find(({ ike }) => ike.name === connection)
    if (planned?.ike.children.some(({ name }) => name === what) !== true) return false
    return this.#command(connection, { type: 'rekey-child', connection, child: what })
  }

  apply(plan: ConnectorPlan): Promise<void> {
    const done = this.#applying.then(() => this.#apply(plan))
    this.#applying = done.catch(() => {})
    return done
  }

  async #apply(plan: ConnectorPlan): Promise<void> {
    const lacking = lackingSockets(this.#firstPlan, plan)
    const faults = [...fixedFaults(this.#plan, plan), ...lacking.map((socket) => `no socket is open for ${socket}`)]
    if (faults.length > 0) throw new PlanRefused(faults)
    const known = new Set(this.#connections.map(({ ike }) => ike.name))
    const fresh = plan.connections.filter(({ ike }) => !known.has(ike.name))
    for (const warning of loopWarnings(fresh)) this.#emit(warning)
    const routing = this.#routing!
    await routing.makeWay(plan)
    // What it learns is noted as soon as there is BGP, and until there is none.
    if (plan.bgp !== undefined) this.#plan = { ...this.#plan, bgp: plan.bgp }
    await this.#reconciler!.reconcile(plan.connections, plan)
    await routing.apply(plan)
    await routing.clearAway(plan)
    this.#plan = plan
  }

  async refresh(connection: string): Promise<void> {
    this.#postTraffic(await this.#path.children.refresh(connection))
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Takes back what `start` has done so far. Never rejects. */
  async undo(): Promise<void> {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      try {
        await step()
      } catch (error) {
        this.#warn('undo', error)
      }
    }
  }

  async #cleanLeftovers(state: StateStore): Promise<void> {
    const left = state.read()
    if (left === undefined) return
    const count = await cleanLeftovers(left.device, left.routes, undefined, left.learned)
    this.#emit({ type: 'routes-cleaned', count })
  }

  get #connections(): readonly PlannedConnection[] {
    return this.#reconciler?.connections ?? this.#plan.connections
  }

  async #startIke(): Promise<void> {
    const machine = await (this.#options.makeIke ?? makeIke)(this.#plan, performance.now())
    const driver = drive<IkeInput, IkeEffect>(machine, {
      perform: (effect) => this.#perform(effect),
      onError: (error, effect) => this.#effectFailed(error, effect),
      onFault: (error) => this.#warn('ike-fault', error),
    })
    this.#machine = machine
    this.#driver = driver
    this.#undo.push(() => driver.stop())
    driver.post({ type: 'time' })
  }

  #startRouting(plan: ConnectorPlan, kernel: KernelRoutes): void {
    const routing = new Routing(plan, {
      children: this.#path.children,
      kernel,
      remoteOf: (name) => {
        const status = this.#machine.status(performance.now()).find(({ connection }) => connection === name)
        return status?.remote?.address
      },
      emit: (event) => this.#emit(event),
    })
    this.#routing = routing
    this.#undo.push(() => routing.stop())
    routing.start(plan)
  }

  #perform(effect: IkeEffect): Promise<void> | undefined {
    const { children, ikeSocket } = this.#path
    switch (effect.type) {
      case 'send':
        ikeSocket.send(effect.local, effect.remote, effect.bytes)
        return undefined
      case 'keepalive':
        ikeSocket.keepalive(effect.local, effect.remote)
        return undefined
      case 'install-child':
        return children.install(effect.sa)
      case 'promote-child':
        return children.promote(effect.id)
      case 'demote-child':
        return children.demote(effect.id)
      case 'remove-child':
        return children.remove(effect.id)
      case 'move-child':
        return children.move(effect.id, effect.remoteAddress)
      case 'report':
        this.#emit({ type: 'ike', connection: effect.connection, event: effect.event })
        return undefined
      case 'key-log':
        this.#keyLog?.write(effect.entry)
        return undefined
      case 'connection-removed':
        this.#reconciler?.connectionRemoved(effect.connection)
        return undefined
      case 'stopped':
        this.#onStopped()
        return undefined
    }
  }

  #takeReport(report: WorkersReport): void {
    const driver = this.#driver
    // What comes before IKE runs has no one to hear it.
    if (driver === undefined) return
    const { children } = this.#path
    switch (report.type) {
      case 'ike':
        driver.post({ type: 'datagram', local: report.local, remote: report.remote, bytes: report.bytes })
        return
      case 'path':
        this.#routing?.probes.take(report.tunnel, report.report)
        return
      case 'counters':
        this.#postTraffic(children.update(report))
        this.#routing?.paths.counted()
        return
      default: {
        const child = children.get(report.id)
        if (child === undefined) return
        const { connection, inboundSpi, outboundSpi: spi } = child
        if (report.type === 'child-used') driver.post({ type: 'child-traffic', connection, inboundSpi })
        else if (report.type === 'child-limit') driver.post({ type: 'child-limit', connection, spi, hard: report.hard })
        else driver.post({ type: 'peer-moved', connection, inboundSpi, remote: report.remote })
      }
    }
  }

  #postTraffic(children: readonly InstalledChild[]): void {
    for (const { connection, inboundSpi } of children) {
      this.#driver?.post({ type: 'child-traffic', connection, inboundSpi })
    }
  }

  #command(connection: string, input: IkeInput): boolean {
    if (!this.#connections.some(({ ike }) => ike.name === connection)) return false
    this.#driver?.post(input)
    return true
  }

  async #stop(): Promise<void> {
    this.#emit({ type: 'stopping' })
    // No step of `apply` may follow behind what is taken down here.
    await this.#reconciler?.stop()
    // Its neighbours are told through the tunnels.
    await this.#routing?.stop()
    await this.#sayGoodbye()
    await this.undo()
    this.#settleEnded(this.#failure)
  }

  /** Deletes the SAs at the peers; a peer that does not answer is not waited for long. */
  async #sayGoodbye(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onStopped = resolve
      timer = setTimeout(resolve, SHUTDOWN_MS)
      this.#driver?.post({ type: 'shutdown' })
    })
    clearTimeout(timer)
  }

  /** The packet path broke. Before IKE runs, `start` finds out by itself and undoes. */
  #fail(failure: StartFailure): void {
    this.#failure ??= failure
    if (this.#driver !== undefined) void this.stop()
  }

  #effectFailed(error: unknown, effect: IkeEffect): void {
    this.#warn(effect.type, error)
    if (effect.type !== 'install-child') return
    const { connection, id } = effect.sa
    const reason = error instanceof Error ? error.message : String(error)
    this.#driver?.post({ type: 'child-refused', connection, id, reason })
  }

  #emit(event: ConnectorEvent): void {
    this.#options.onEvent?.(event)
  }

  #warn(code: string, error: unknown): void {
    this.#emit({ type: 'warning', code, message: error instanceof Error ? error.message : String(error) })
  }
}
