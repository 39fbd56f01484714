/** Tunnels to gateways of other makes of a managed connector: what it carries out of its document, and how they are. */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { ExternalStatus, ExternalsReport } from '../../../protocol/control/external.ts'
import type { Address, Prefix } from '../../../protocol/net.ts'
import type { BgpNeighbourStatus, ConnectorStatus, TunnelStatus } from '../../../protocol/status.ts'
import { EXTERNAL_PROBE, type ManagedExternalsPlan } from '../../config/external-plan.ts'
import { type AcceptedExternals, acceptExternals } from '../../core/managed/external-acceptance.ts'
import { type ExternalPlan, parseIkeKeyId, prefixesBehind } from '../../core/managed/externals.ts'
import { IdleWatch } from '../../core/managed/idle-watch.ts'
import { neighbourName } from '../../core/managed/routing.ts'
import { bgpOf, boundedProblem, NO_TRAFFIC, trafficOf } from './report.ts'
import type { Unsealer } from './sealing.ts'

/** Between two looks at the counters of a drained tunnel. */
const COUNT_MS = 1_000

const NONE: AcceptedExternals = { plans: [], refusals: new Map(), refused: [] }

export class ManagedExternals {
  readonly #unsealer: Unsealer
  readonly #address: Address
  readonly #owns: readonly Prefix[]
  #document: ConnectorDocument | undefined
  #accepted = NONE
  /** What was accepted and is carried out: reports tell no more than that. */
  #applied = NONE
  #appliedIds: readonly string[] = []
  /** BGP identifier where there is no other; kept, for another one would end all sessions. */
  #routerId: Address | undefined
  readonly #watches = new Map<string, IdleWatch>()
  #countedAt = Number.NEGATIVE_INFINITY

  constructor(unsealer: Unsealer, address: Address, owns: readonly Prefix[]) {
    this.#unsealer = unsealer
    this.#address = address
    this.#owns = owns
  }

  /** What of it is carried out; to be called with every document. */
  async take(document: ConnectorDocument): Promise<void> {
    const externals = document.externals ?? []
    const keys = await this.#unsealer.open(externals)
    const running = new Map(this.#accepted.plans.map((plan) => [plan.external.id, plan]))
    this.#document = document
    this.#accepted = acceptExternals(document, { address: this.#address, owns: this.#owns, keys, running })
    this.#routerId ??= this.#accepted.plans.find(({ routing }) => routing?.kind === 'bgp')?.external.inside
      .local as Address
  }

  get plan(): ManagedExternalsPlan | undefined {
    const externals = this.#document?.externals ?? []
    if (externals.length === 0) return undefined
    return {
      plans: this.#accepted.plans,
      owns: this.#owns,
      guarded: externals.flatMap(prefixesBehind),
      routerId: this.#routerId ?? ('0.0.0.1' as Address),
    }
  }

  get refused(): readonly string[] {
    return this.#accepted.refused
  }

  get isUsed(): boolean {
    return this.#appliedIds.length > 0
  }

  /** The plan is carried out. */
  applied(): void {
    this.#applied = this.#accepted
    this.#appliedIds = (this.#document?.externals ?? []).map(({ id }) => id)
    const drained = new Set(this.#applied.plans.filter(({ external }) => external.drained).map(nameOf))
    for (const name of this.#watches.keys()) if (!drained.has(name)) this.#watches.delete(name)
    for (const plan of this.#applied.plans) {
      if (plan.external.drained && !this.#watches.has(nameOf(plan))) this.#watches.set(nameOf(plan), watchOf(plan))
    }
  }

  /** Connections whose counters are to be read for `counted`. `now`: of a clock that only grows. */
  toCount(now: number): readonly string[] {
    if (this.#watches.size === 0 || now - this.#countedAt < COUNT_MS) return []
    this.#countedAt = now
    return [...this.#watches.keys()]
  }

  counted({ tunnels }: ConnectorStatus, now: number): void {
    for (const { name, traffic } of tunnels) {
      this.#watches.get(name)?.look({ out: traffic.outPackets, in: traffic.inPackets }, now)
    }
  }

  report(status: ConnectorStatus): ExternalsReport {
    const tunnels = new Map(status.tunnels.map((tunnel) => [tunnel.name, tunnel]))
    const neighbours = new Map(status.bgp?.neighbours.map((neighbour) => [neighbour.name, neighbour]))
    // Whether traffic is given to it: one that has just come back is not trusted at once.
    const stopped = new Set(status.paths?.paths.filter(({ passing }) => !passing).map(({ peer }) => peer))
    const plans = new Map(this.#applied.plans.map((plan) => [plan.external.id, plan]))
    return {
      sealingKey: this.#unsealer.published,
      externals: this.#appliedIds.map((id) => {
        const plan = plans.get(id)
        if (plan === undefined) return this.#refusedOne(id)
        const name = nameOf(plan)
        const said = this.#statusOf(plan, tunnels.get(name), neighbours.get(neighbourName(name)))
        return stopped.has(name) ? { ...said, passing: false } : said
      }),
      refused: [...this.#applied.refused],
    }
  }

  #refusedOne(external: string): ExternalStatus {
    return {
      external,
      state: 'refused',
      generation: 0,
      drained: false,
      passing: false,
      traffic: NO_TRAFFIC,
      ...boundedProblem(this.#applied.refusals.get(external)),
    }
  }

  #statusOf(
    { external, routing }: ExternalPlan,
    tunnel: TunnelStatus | undefined,
    neighbour: BgpNeighbourStatus | undefined,
  ): ExternalStatus {
    const { id, name, drained, generation } = external
    const used = tunnel?.keyId === undefined ? undefined : parseIkeKeyId(tunnel.keyId)
    const idleMs = this.#watches.get(name)?.idleMs
    const problem = this.#applied.refusals.get(id) ?? (tunnel?.state === 'up' ? undefined : tunnel?.lastError)
    return {
      external: id,
      state: tunnel?.state ?? 'idle',
      ...(used === undefined ? {} : { key: used.key }),
      generation: used?.generation ?? generation,
      drained,
      passing: tunnel?.state === 'up' && tunnel.path?.state !== 'down',
      ...(routing?.kind === 'bgp' && neighbour !== undefined ? { bgp: bgpOf(neighbour) } : {}),
      traffic: tunnel === undefined ? NO_TRAFFIC : trafficOf(tunnel),
      ...(idleMs === undefined ? {} : { idleMs: Math.round(idleMs) }),
      ...boundedProblem(problem),
    }
  }
}

function watchOf({ routing }: ExternalPlan): IdleWatch {
  const holdTimeS = routing?.kind === 'bgp' ? { holdTimeS: routing.holdTimeS } : {}
  return new IdleWatch({ probeMs: EXTERNAL_PROBE.intervalMs, ...holdTimeS })
}

function nameOf({ external }: ExternalPlan): string {
  return external.name
}
