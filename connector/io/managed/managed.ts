/**
 * A connector that the control plane steers: the keeper's plan goes to the connector, the connector's state goes back
 * as reports. Without the control plane it runs on what it has on disk.
 */
import { type ConnectorDocument, DOCUMENT_FORMAT } from '../../../protocol/control/document.ts'
import type { ConnectorReport } from '../../../protocol/control/link.ts'
import { type Prefix, parseAddress } from '../../../protocol/net.ts'
import type { PathsStatus } from '../../../protocol/paths.ts'
import type { RouteExplanation, RoutesAnswer } from '../../../protocol/routes.ts'
import type { ConnectorStatus } from '../../../protocol/status.ts'
import { type LocalSettings, managedPlan } from '../../config/managed-plan.ts'
import type { FlowRecord } from '../../core/functions/records.ts'
import { Keeper, type KeeperEffect, type KeeperInput } from '../../core/managed/keeper.ts'
import type { LinkState } from '../../core/managed/link.ts'
import { type ConnectorEvent, type ConnectorHandle, PlanRefused, type StartFailure } from '../../handle.ts'
import type { ConnectorPlan } from '../../plan.ts'
import {
  type Enrollment,
  type Identity,
  openIdentity,
  readManagedState,
  writeManagedState,
} from '../../store/enrollment.ts'
import type { FunctionHost } from '../functions/host.ts'
import { noDocument, ownedHere } from './beginnings.ts'
import { ControlClient } from './control-client.ts'
import { epochCrypto } from './epoch-crypto.ts'
import { ManagedExternals } from './externals.ts'
import { startFunctions } from './functions.ts'
import { Link } from './link-socket.ts'
import { buildReport, newsOf, type ReportedTunnel } from './report.ts'
import { ManagedRoutes, ROUTED_REPORT_MS } from './routing.ts'
import { Unsealer } from './sealing.ts'
import { makeHalf, verifiedHalves } from './signatures.ts'

/** Between looks at the connector for news, and between reports without any. */
const LOOK_MS = 500
const REPORT_MS = 30_000
/** Between tries to save: a full disk may be emptied. */
const SAVE_RETRY_MS = 5000

export interface ManagedOptions {
  readonly enrollment: Enrollment
  readonly settings: LocalSettings
  readonly software: string
  readonly onEvent: (event: ConnectorEvent) => void
  /** Where `services.yaml` is looked for; `named`: by a person, so that it should be there. Absent: no functions. */
  readonly services?: { readonly path: string; readonly named: boolean }
  /** TCP ports on which this process listens besides: no function reaches them. */
  readonly ownPorts?: readonly number[]
  readonly start: (
    plan: ConnectorPlan,
    options: { onEvent: (event: ConnectorEvent) => void },
  ) => Promise<ConnectorHandle>
}

/** Rejects with a StartFailure, everything undone. The state must hold a document: `join` has put one there. */
export async function startManaged(options: ManagedOptions): Promise<ConnectorHandle> {
  const managed = new Managed(options)
  await managed.start()
  return managed
}

type Settle = Extract<KeeperEffect, { type: 'settle' }>

class Managed implements ConnectorHandle {
  readonly #options: ManagedOptions
  readonly #directory: string
  readonly #identity: Identity
  readonly #keeper: Keeper
  readonly #client: ControlClient
  readonly #link: Link
  #functions: FunctionHost | undefined
  readonly #owns: readonly Prefix[]
  readonly #routes: ManagedRoutes
  #externals!: ManagedExternals
  /** What was settled last. */
  #settled: Settle | undefined
  #isLearning = false
  readonly #startedAt = Date.now()
  #handle!: ConnectorHandle
  /** What is saved and carried out; reports tell no more than that. */
  #applied: { readonly version: number; readonly tunnels: readonly ReportedTunnel[] } = { version: 0, tunnels: [] }
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined
  #news = ''
  #willLook = false
  #reportedAt = 0
  #linkState: { state: LinkState; detail: string; since: number } = { state: 'waiting', detail: '', since: Date.now() }

  constructor(options: ManagedOptions) {
    const { enrollment, settings } = options
    this.#options = options
    this.#directory = settings.stateDirectory
    this.#identity = openIdentity(this.#directory)
    this.#keeper = new Keeper(enrollment, readManagedState(this.#directory), epochCrypto)
    this.#owns = ownedHere(this.#directory, enrollment, this.#keeper.document)
    this.#routes = new ManagedRoutes(this.#owns)
    this.#client = new ControlClient(enrollment, this.#identity)
    this.#link = new Link(enrollment.url, this.#client, {
      document: () => this.#keeper.document,
      onDocument: (document) => this.#queue(() => this.#takeDocument(document)),
      onWelcome: (spare) => this.#functions?.linked(spare),
      onCall: (count) => this.#functions?.called(count),
      onAsk: () => this.#answer(),
      onChange: (state, detail) => this.#linkChanged(state, detail),
    })
  }

  get ended(): Promise<StartFailure | undefined> {
    return this.#handle.ended
  }

  async start(): Promise<void> {
    const { document } = this.#keeper
    if (document === undefined) throw noDocument(this.#directory)
    const { enrollment, settings } = this.#options
    const unsealer = await Unsealer.open(this.#directory, enrollment, this.#identity)
    this.#externals = new ManagedExternals(unsealer, parseAddress(settings.address)!, this.#owns)
    // As if it came now: a join, or a crash, may have left undone what it asks for, and nobody sends it again.
    await this.#takeDocument(document)
    await this.#serveFunctions()
    this.#callPeers()
    this.#link.start(this.#report())
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  status(): ConnectorStatus {
    const { state, detail, since } = this.#linkState
    const { url, network, connector } = this.#options.enrollment
    const { publicKey: identityKey } = this.#identity
    const at = new Date(since).toISOString()
    const refused = [...this.#routes.refused, ...this.#externals.refused]
    const told = { version: this.#applied.version, ...(refused.length === 0 ? {} : { refused }) }
    const control = { url, network, connector, identityKey, state, detail, since: at, ...told }
    const functions = this.#functions?.status()
    return { ...this.#handle.status(), control, ...(functions === undefined ? {} : { functions }) }
  }

  initiate(connection: string): boolean {
    return this.#handle.initiate(connection)
  }

  terminate(connection: string): boolean {
    return this.#handle.terminate(connection)
  }

  rekey(connection: string, what: string): boolean {
    return this.#handle.rekey(connection, what)
  }

  routes(within: Prefix | undefined, limit: number): RoutesAnswer {
    return this.#handle.routes?.(within, limit) ?? { total: 0, matching: 0, routes: [] }
  }

  explainRoute(prefix: Prefix): RouteExplanation {
    return this.#handle.explainRoute?.(prefix) ?? { prefix, candidates: [], advertised: [] }
  }

  resetNeighbour(neighbour: string): boolean {
    return this.#handle.resetNeighbour?.(neighbour) ?? false
  }

  paths(): PathsStatus | undefined {
    return this.#handle.paths?.()
  }

  drain(connection: string, on: boolean): boolean {
    return this.#handle.drain?.(connection, on) ?? false
  }

  apply(plan: ConnectorPlan): Promise<void> {
    return this.#handle.apply(plan)
  }

  refresh(connection: string): Promise<void> {
    return this.#handle.refresh(connection)
  }

  streams(): readonly FlowRecord[] {
    return this.#functions?.streams() ?? []
  }

  trust(connector: string, identityKey: string): Promise<void> {
    return this.#queue(() => this.#give({ type: 'trust', connector, identityKey }))
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#link.stop()
    await this.#functions?.stop()
    await this.#work
    await this.#handle.stop()
  }

  async #serveFunctions(): Promise<void> {
    const { enrollment, services, ownPorts, onEvent } = this.#options
    if (services === undefined) return
    this.#functions = await startFunctions({
      enrollment,
      services,
      identity: this.#identity,
      client: this.#client,
      directory: this.#directory,
      document: () => this.#keeper.document,
      ...(ownPorts === undefined ? {} : { ownPorts }),
      onEvent,
      onReport: () => this.#look(),
    })
  }

  /**
   * Also those that are to call us: where we have crashed, they would find out only when they need us, or when their
   * requests have gone unanswered for long. Our call tells them at once (INITIAL_CONTACT, RFC 7296 section 2.4).
   */
  #callPeers(): void {
    for (const { name, state } of this.#handle.status().tunnels) if (state === 'idle') this.#handle.initiate(name)
  }

  /** One after the other: a document is carried out whole before the next is looked at. */
  #queue(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      if (error instanceof PlanRefused) this.#warn('plan-refused', error.message, error.remedy)
      else this.#warn('managed', String(error))
    })
    return this.#work
  }

  async #takeDocument(document: ConnectorDocument): Promise<void> {
    if (this.#stopping !== undefined) return
    if (document.format !== DOCUMENT_FORMAT) return
    await this.#give({ type: 'document', document, halves: await verifiedHalves(document) })
  }

  async #give(input: KeeperInput): Promise<void> {
    this.#keeper.handle(input)
    await this.#drain()
  }

  async #drain(): Promise<void> {
    for (let effect = this.#keeper.poll(); effect !== undefined; effect = this.#keeper.poll()) {
      if (effect.type === 'settle') await this.#settle(effect)
      else if (effect.type === 'make-half') await this.#makeHalf(effect)
      else this.#tell(effect)
    }
  }

  async #makeHalf({ tunnel, epoch, peer }: Extract<KeeperEffect, { type: 'make-half' }>): Promise<void> {
    const made = await makeHalf(this.#identity, this.#options.enrollment, { tunnel, epoch, peer })
    this.#keeper.handle({ type: 'half-made', tunnel, epoch, peer, ...made })
  }

  /** Saved before it is carried out, carried out before it is told. */
  async #settle({ state, tunnels }: Settle): Promise<void> {
    await this.#save(state)
    const document = state.document
    if (document === undefined) return
    const refused = [...this.#routes.refused, ...this.#externals.refused]
    const isNews = (words: string): boolean => !refused.includes(words)
    this.#routes.take(document, Date.now())
    for (const words of this.#routes.refused.filter(isNews)) this.#warn('routing-refused', words)
    await this.#externals.take(document)
    for (const words of this.#externals.refused.filter(isNews)) this.#warn('external-refused', words)
    this.#settled = { type: 'settle', state, tunnels }
    await this.#carryOut()
    const reported = document.tunnels.map(({ id, name }) => {
      return { id, name, epochs: this.#keeper.epochs(id), refusal: this.#keeper.refusal(id) }
    })
    await this.#refresh(reported)
    this.#applied = { version: document.version, tunnels: reported }
    this.#externals.applied()
    this.#look()
  }

  async #carryOut(): Promise<void> {
    const document = this.#settled?.state.document
    if (document === undefined || this.#settled === undefined) return
    const { enrollment, settings, start } = this.#options
    const { tunnels } = this.#settled
    const [routes, externals] = [this.#routes.plan, this.#externals.plan]
    const plan = managedPlan(document.site, enrollment.connector, tunnels, settings, routes, externals)
    if (this.#handle === undefined) this.#handle = await start(plan, { onEvent: (event) => this.#heard(event) })
    else await this.#handle.apply(plan)
  }

  /** Sessions of BGP that have come up take over from static routes. */
  #lookAtRoutes(): void {
    if (this.#isLearning || !this.#routes.look(this.#handle.status(), this.#applied.tunnels, Date.now())) return
    this.#isLearning = true
    void this.#queue(() => this.#carryOut()).finally(() => {
      this.#isLearning = false
    })
  }

  /** What is told of a change of keys counts up to that change: it becomes the evidence of a rotation. */
  async #refresh(tunnels: readonly ReportedTunnel[]): Promise<void> {
    const told = new Map(this.#applied.tunnels.map(({ id, epochs }) => [id, epochsText(epochs)]))
    const changed = tunnels.filter(({ id, epochs }) => told.get(id) !== epochsText(epochs))
    await Promise.all(changed.map(({ name }) => this.#handle.refresh(name)))
  }

  async #save(state: Settle['state']): Promise<void> {
    for (;;) {
      try {
        writeManagedState(this.#directory, state)
        return
      } catch (error) {
        const reason = (error as NodeJS.ErrnoException).code ?? String(error)
        this.#warn('state-directory', `what the control plane asks for waits: it cannot be saved (${reason})`)
        if (this.#stopping !== undefined) throw error
        await new Promise((resolve) => setTimeout(resolve, SAVE_RETRY_MS))
      }
    }
  }

  #report(): ConnectorReport {
    const status = this.#handle.status()
    return buildReport({
      version: this.#applied.version,
      startedAt: this.#startedAt,
      now: Date.now(),
      software: this.#options.software,
      addresses: [this.#options.settings.address],
      status,
      tunnels: this.#applied.tunnels,
      functions: this.#functions?.report(),
      routing: this.#routes.report(status, this.#applied.tunnels),
      externals: this.#externals.report(status),
    })
  }

  /** Somebody waits for a report, news or not. */
  #answer(): void {
    this.#reportedAt = 0
    this.#look()
  }

  /** Sends a report when there is news, or none was sent for long. */
  #look(): void {
    if (this.#stopping !== undefined || this.#handle === undefined) return
    this.#lookAtRoutes()
    this.#countDrained()
    const report = this.#report()
    const news = newsOf(report)
    const everyMs = this.#routes.isRouted || this.#externals.isUsed ? ROUTED_REPORT_MS : REPORT_MS
    if (news === this.#news && Date.now() - this.#reportedAt < everyMs) return
    this.#news = news
    this.#reportedAt = Date.now()
    this.#link.report(report)
  }

  /** What a drained tunnel has carried by now, exactly: whoever changes it waits until that is nothing more. */
  #countDrained(): void {
    const names = this.#externals.toCount(performance.now())
    if (names.length === 0) return
    void Promise.all(names.map((name) => this.#handle.refresh(name))).then(
      () => this.#externals.counted(this.#handle.status(), performance.now()),
      () => {},
    )
  }

  #heard(event: ConnectorEvent): void {
    this.#options.onEvent(event)
    const isSoon = event.type === 'ike' || (this.#externals.isUsed && (event.type === 'path' || event.type === 'bgp'))
    if (!isSoon || this.#willLook) return
    this.#willLook = true
    setImmediate(() => {
      this.#willLook = false
      this.#look()
    })
  }

  #tell({ code, message, tunnel }: Extract<KeeperEffect, { type: 'event' }>): void {
    const grave = code === 'identity-changed' || code === 'half-refused' || code === 'document-refused'
    if (grave) this.#warn(code, message)
    else this.#options.onEvent({ type: 'control', code, message })
    this.#link.event({ at: Date.now(), code, message, ...(tunnel === undefined ? {} : { tunnel }) })
  }

  #linkChanged(state: LinkState, detail: string): void {
    if (state !== 'open') this.#functions?.unlinked()
    if (state === this.#linkState.state && detail === this.#linkState.detail) return
    this.#linkState = { state, detail, since: Date.now() }
    if (state !== 'connecting') this.#options.onEvent({ type: 'control', code: `link-${state}`, message: detail })
  }

  #warn(code: string, message: string, remedy?: string): void {
    this.#options.onEvent({ type: 'warning', code, message, ...(remedy === undefined ? {} : { remedy }) })
  }
}

function epochsText(epochs: ReportedTunnel['epochs']): string {
  return epochs.map(({ epoch }) => epoch).join()
}
