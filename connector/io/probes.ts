/**
 * Paths that are asked about: by probes within ESP, which the packet workers send, or of targets behind a peer. What they
 * measure the path MTU to be is followed here; what else comes of it is for whoever listens.
 */
import { type Address, familyOf } from '../../protocol/net.ts'
import type { ProbeSettings } from '../core/probe/machine.ts'
import type { PathReport } from '../core/probe/report.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { ConnectorPlan, PlannedConnection, ProbePlan } from '../plan.ts'
import type { Children } from './children.ts'
import { IcmpEcho } from './icmp-echo.ts'
import { Target } from './targets.ts'

type TargetPlan = Extract<ProbePlan, { kind: 'icmp' | 'tcp' }>

export interface ProbesParts {
  readonly children: Pick<Children, 'setProbe' | 'setMeasuredMtu' | 'nameOf'>
  readonly emit: (event: ConnectorEvent) => void
}

/** RFC 791 and RFC 8200: what every path takes. */
const LEAST_MTU = { 4: 576, 6: 1280 } as const
/** Largest outer packet that is looked for, and how much longer than what the device takes it may be. */
const MOST_MTU = 9000
const AROUND = 128

interface Watched {
  /** What it follows from, as text. */
  readonly wish: string
  readonly target?: Target
  report?: PathReport
}

export class Probes {
  onReport: (connection: string, report: PathReport) => void = () => {}
  readonly #parts: ProbesParts
  readonly #watched = new Map<string, Watched>()
  #echo: IcmpEcho | undefined
  /** What leaves from its addresses takes the tunnels, and no packet within is longer than its MTU. */
  #device: Pick<ConnectorPlan['tun'], 'addresses' | 'mtu'> = { addresses: [], mtu: 0 }
  #isStopped = false

  constructor(parts: ProbesParts) {
    this.#parts = parts
  }

  /** These are all connections. Those that stay as they are keep what is known of them. */
  apply({ connections, tun }: Pick<ConnectorPlan, 'connections' | 'tun'>): void {
    this.#device = tun
    const names = new Set(connections.map(({ ike }) => ike.name))
    for (const [name, { target }] of this.#watched) {
      if (names.has(name)) continue
      target?.stop()
      this.#watched.delete(name)
    }
    for (const connection of connections) this.#watch(connection)
  }

  /** What a packet worker tells. */
  take(tunnel: number, report: PathReport): void {
    const name = this.#parts.children.nameOf(tunnel)
    const watched = name === undefined ? undefined : this.#watched.get(name)
    if (watched !== undefined) this.#told(name!, watched, report)
  }

  /** As last told. */
  of(connection: string): PathReport | undefined {
    return this.#watched.get(connection)?.report
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const { target } of this.#watched.values()) target?.stop()
    this.#watched.clear()
    await this.#echo?.stop()
  }

  #watch(connection: PlannedConnection): void {
    const { probe, pathMtu, ike } = connection
    const { name, resource } = ike
    const before = this.#watched.get(name)
    const { mtu } = this.#device
    const isTarget = probe !== undefined && hasTarget(probe)
    const around = isTarget ? this.#sourceOf(probe) : mtu
    const wish = JSON.stringify([probe, pathMtu, resource, floorOf(connection), around])
    if (before?.wish === wish) return
    before?.target?.stop()
    const target = isTarget ? this.#startTarget(name, probe) : undefined
    this.#watched.set(name, target === undefined ? { wish } : { wish, target })
    const { children } = this.#parts
    this.#try(children.setProbe(name, settingsOf(connection, mtu)))
    this.#try(children.setMeasuredMtu(name, undefined))
  }

  #startTarget(name: string, plan: TargetPlan): Target {
    const source = this.#sourceOf(plan)
    const onError = (error: unknown): void => this.#warn(error)
    if (plan.kind === 'icmp') this.#echo ??= new IcmpEcho(onError)
    const onReport = (report: PathReport): void => {
      const watched = this.#watched.get(name)
      if (watched?.target === target) this.#told(name, watched, report)
    }
    const target: Target = new Target({ plan, source, echo: this.#echo, onReport, onError })
    target.start()
    return target
  }

  #sourceOf({ target, source }: TargetPlan): Address | undefined {
    const family = familyOf(target)
    return source ?? this.#device.addresses.find((each) => familyOf(each) === family)
  }

  #told(name: string, watched: Watched, report: PathReport): void {
    const isOtherMtu = report.mtu?.pathMtu !== watched.report?.mtu?.pathMtu
    watched.report = report
    if (isOtherMtu) this.#try(this.#parts.children.setMeasuredMtu(name, report.mtu?.pathMtu))
    this.onReport(name, report)
  }

  #try(work: Promise<void>): void {
    work.catch((error: unknown) => this.#warn(error))
  }

  /** The tunnels go on all the same. */
  #warn(error: unknown): void {
    if (this.#isStopped) return
    const message = error instanceof Error ? error.message : String(error)
    this.#parts.emit({ type: 'warning', code: 'probes', message })
  }
}

function hasTarget(probe: ProbePlan): probe is TargetPlan {
  return probe.kind === 'icmp' || probe.kind === 'tcp'
}

function floorOf({ ike, pathMtu }: PlannedConnection): number {
  return Math.min(pathMtu, LEAST_MTU[familyOf(ike.remoteAddress ?? ike.localAddress)])
}

/** Undefined where no probes are to be sent within ESP. */
function settingsOf(connection: PlannedConnection, deviceMtu: number): ProbeSettings | undefined {
  const { probe, pathMtu: start } = connection
  if (probe === undefined || hasTarget(probe)) return undefined
  const { intervalMs, multiplier, kind } = probe
  const ceiling = Math.max(start, Math.min(MOST_MTU, deviceMtu + AROUND))
  const mtu = { start, floor: floorOf(connection), ceiling }
  return { intervalMs, multiplier, patient: kind === 'auto', ...(probe.mtu ? { mtu } : {}) }
}
