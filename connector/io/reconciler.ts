/**
 * Changes the connections of a running connector. What is new is made before what is old is broken:
 *
 *     tunnel and routes of new connections, in the engines and then in the kernel
 *     ──> keys, new IKE ──> end of old IKE ──> routes of old connections, in the kernel and then in the engines
 *
 * So no packet for a connected network is ever without a route to the device, and none leaves in the clear.
 */
import type { Prefix } from '../../protocol/net.ts'
import type { IkeInput } from '../core/ike/types.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { PlannedConnection, RefusalPlan } from '../plan.ts'
import type { Children } from './children.ts'
import type { ForwardingPlan } from './forwarding.ts'
import type { KernelRoutes } from './kernel-routes.ts'
import { changesBetween, type PlanChanges } from './plan-changes.ts'

/** IKE gives a peer that does not answer a DELETE much less; beyond that the connection is taken to be gone. */
const REMOVAL_LIMIT_MS = 15_000

export interface ReconcilerParts {
  readonly children: Pick<
    Children,
    'addConnection' | 'changeConnection' | 'removeConnection' | 'setRoutes' | 'setForwarding'
  >
  readonly kernel: Pick<KernelRoutes, 'add' | 'keep' | 'standing'>
  /** An input for the IKE machine. */
  readonly post: (input: IkeInput) => void
  /** Notes the routes that a crash would leave behind. May throw. */
  readonly note: (routes: readonly Prefix[]) => void
  readonly emit: (event: ConnectorEvent) => void
  /** Default: REMOVAL_LIMIT_MS. */
  readonly removalLimitMs?: number
}

export class Reconciler {
  readonly #parts: ReconcilerParts
  /** All that are there, those on their way out last. */
  #connections: readonly PlannedConnection[]
  #forwarding: ForwardingPlan
  readonly #leaving = new Map<string, () => void>()
  /** What is noted, as text. */
  #noted: string
  #work: Promise<void> = Promise.resolve()
  #isStopping = false

  constructor(running: readonly PlannedConnection[], parts: ReconcilerParts, forwarding: ForwardingPlan = {}) {
    this.#connections = running
    this.#forwarding = forwarding
    this.#parts = parts
    this.#noted = noteOf(parts.kernel.standing).join(' ')
  }

  get connections(): readonly PlannedConnection[] {
    return this.#connections
  }

  /** One call after the other. What cannot be done is told, and does not hold up the rest. Rejects when stopped. */
  reconcile(wanted: readonly PlannedConnection[], forwarding: ForwardingPlan = {}): Promise<void> {
    const done = this.#work.then(() => this.#reconcile(wanted, forwarding))
    this.#work = done.catch(() => {})
    return done
  }

  /** IKE has forgotten the connection, and its Child SAs are removed. */
  connectionRemoved(name: string): void {
    this.#leaving.get(name)?.()
  }

  /** Goes no step further. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const settle of [...this.#leaving.values()]) settle()
    await this.#work
  }

  async #reconcile(wanted: readonly PlannedConnection[], forwarding: ForwardingPlan): Promise<void> {
    this.#goOn()
    const before = this.#connections
    const changes = changesBetween(before, wanted)
    const added = await this.#makeWay(before, changes, forwarding)
    this.#forwarding = forwarding
    this.#goOn()
    const refused = changes.added.filter((connection) => !added.includes(connection))
    const staying = changes.connections.filter((connection) => !refused.includes(connection))
    const leaving = before.filter(({ ike }) => changes.removed.includes(ike.name))
    this.#connections = [...staying, ...leaving]
    const { post } = this.#parts
    for (const { connection, keys } of changes.rekeyed) post({ type: 'set-keys', connection, keys })
    for (const { ike } of changes.reselected) {
      post({ type: 'set-children', connection: ike.name, children: ike.children })
    }
    for (const connection of changes.woken) post({ type: 'initiate', connection })
    for (const { ike } of added) post({ type: 'add-connection', config: ike })
    await Promise.all([
      ...leaving.map(({ ike }) => this.#end(ike.name)),
      ...changes.replaced.map((it) => this.#replace(it)),
    ])
    this.#goOn()
    this.#connections = staying
    await this.#clearAway(staying, leaving)
  }

  /** Tunnels and routes of all that will be, beside those of what still is. Returns the new ones that have a tunnel. */
  async #makeWay(
    before: readonly PlannedConnection[],
    changes: PlanChanges,
    forwarding: ForwardingPlan,
  ): Promise<readonly PlannedConnection[]> {
    const { children, kernel } = this.#parts
    const outcomes = await Promise.all(
      changes.added.map((connection) => this.#try(nameOf(connection), () => children.addConnection(connection))),
    )
    const added = changes.added.filter((_, i) => outcomes[i])
    const old = new Map(before.map((connection) => [nameOf(connection), connection.routes]))
    const kept = changes.connections.filter((connection) => old.has(nameOf(connection)) || added.includes(connection))
    const gone = before.filter((connection) => changes.removed.includes(nameOf(connection)))
    const both = [
      ...kept.map((connection) => ({
        connection: nameOf(connection),
        routes: [...new Set([...connection.routes, ...(old.get(nameOf(connection)) ?? [])])],
      })),
      ...gone.map((connection) => ({ connection: nameOf(connection), routes: connection.routes })),
    ]
    const refusals = [
      ...(forwarding.refusals ?? []),
      ...withoutNamesakes(this.#forwarding.refusals, forwarding.refusals),
    ]
    await this.#try('refusals', () => children.setForwarding({ ...forwarding, refusals }))
    await this.#try('routes', () => children.setRoutes(both))
    const refused = prefixesOf(forwarding.refusals)
    this.#note([...kernel.standing, ...both.flatMap(({ routes }) => routes), ...refused])
    await this.#addKernelRoutes([...kept.flatMap(({ routes }) => routes), ...refused])
    for (const connection of changes.adjusted) {
      await this.#try(nameOf(connection), () => children.changeConnection(connection))
    }
    return added
  }

  async #addKernelRoutes(routes: readonly Prefix[]): Promise<void> {
    for (const { failure } of await this.#parts.kernel.add(routes)) {
      const { code, message, remedy } = failure
      this.#parts.emit({ type: 'warning', code, message, remedy })
    }
  }

  async #replace(connection: PlannedConnection): Promise<void> {
    await this.#end(nameOf(connection))
    if (this.#isStopping) return
    await this.#try(nameOf(connection), () => this.#parts.children.changeConnection(connection))
    if (!this.#isStopping) this.#parts.post({ type: 'add-connection', config: connection.ike })
  }

  /** Resolves when IKE has forgotten the connection. */
  async #end(name: string): Promise<void> {
    const { post, removalLimitMs = REMOVAL_LIMIT_MS } = this.#parts
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((settle) => {
      this.#leaving.set(name, settle)
      timer = setTimeout(() => {
        const message = `${name} should be gone, but IKE holds on to it`
        const remedy = 'See isthmus status; starting the connector again ends it.'
        this.#parts.emit({ type: 'warning', code: 'connection-stuck', message, remedy })
        settle()
      }, removalLimitMs)
      post({ type: 'remove-connection', connection: name })
    })
    clearTimeout(timer)
    this.#leaving.delete(name)
  }

  async #clearAway(staying: readonly PlannedConnection[], gone: readonly PlannedConnection[]): Promise<void> {
    const { children, kernel } = this.#parts
    await kernel.keep([...staying.flatMap(({ routes }) => routes), ...prefixesOf(this.#forwarding.refusals)])
    const routes = staying.map((connection) => ({ connection: nameOf(connection), routes: connection.routes }))
    await this.#try('routes', () => children.setRoutes(routes))
    await this.#try('refusals', () => children.setForwarding(this.#forwarding))
    for (const connection of gone) {
      await this.#try(nameOf(connection), () => children.removeConnection(nameOf(connection)))
    }
    this.#note(kernel.standing)
  }

  /** Returns whether it went well. */
  async #try(what: string, step: () => Promise<void>): Promise<boolean> {
    try {
      await step()
      return true
    } catch (error) {
      const message = `${what}: the engine refuses a change: ${textOf(error)}`
      const remedy =
        'The other connections go on. Fewer networks or tunnels leave it room; it is tried again with the next change.'
      this.#parts.emit({ type: 'warning', code: 'apply-failed', message, remedy })
      return false
    }
  }

  /** The device takes its routes along when the process ends: without the note, only a device made by hand could keep them. */
  #note(routes: readonly Prefix[]): void {
    const note = noteOf(routes)
    if (note.join(' ') === this.#noted) return
    try {
      this.#parts.note(note)
      this.#noted = note.join(' ')
    } catch (error) {
      const message = `the routes could not be noted: ${textOf(error)}`
      const remedy = 'Make room in the state directory; the tunnels go on without.'
      this.#parts.emit({ type: 'warning', code: 'state-directory', message, remedy })
    }
  }

  #goOn(): void {
    if (this.#isStopping) throw new Error('the connector is stopping')
  }
}

/** Each once, always in the same order. */
function noteOf(routes: readonly Prefix[]): Prefix[] {
  return [...new Set(routes)].sort()
}

function prefixesOf(refusals: readonly RefusalPlan[] = []): Prefix[] {
  return refusals.map(({ prefix }) => prefix)
}

function withoutNamesakes(old: readonly RefusalPlan[] = [], wanted: readonly RefusalPlan[] = []): RefusalPlan[] {
  const named = new Set(prefixesOf(wanted))
  return old.filter(({ prefix }) => !named.has(prefix))
}

function nameOf({ ike }: PlannedConnection): string {
  return ike.name
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
