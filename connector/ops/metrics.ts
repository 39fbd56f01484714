/**
 * Prometheus metrics of one connector, from its status document and its events. The names, with type and labels, are
 * in docs/metrics.md; labels take their values from the configuration and from closed lists, never from the wire.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ClassRow, PathRow } from '../../protocol/paths.ts'
import type { BgpStatus, ConnectorStatus, FunctionsStatus, TunnelStatus, WorkerStatus } from '../../protocol/status.ts'
import { DROP_NAMES } from '../../wasm/drop-reasons.ts'
import { HANDSHAKE_RESULTS } from '../core/functions/handshakes.ts'
import { NO_SERVICE } from '../core/functions/records.ts'
import type { IkeEvent } from '../core/ike/types.ts'
import { HOST_DROPS } from '../data/commands.ts'
import type { ConnectorEvent } from '../handle.ts'
import { METRICS, type MetricName, TUNNEL_STATES } from './metric-names.ts'

export interface Metrics {
  /** The exposition in text format; reads the status once. */
  text(): Promise<string>
  readonly contentType: string
  observe(event: ConnectorEvent): void
}

export interface MetricsOptions {
  readonly status: () => ConnectorStatus
  /** Monotonic milliseconds: measures how long peers take to answer. */
  readonly now: () => number
  /** Also `process_*` and `nodejs_*`. */
  readonly processMetrics: boolean
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  const events = new EventMetrics(registry, options.now)
  const snapshot = new SnapshotMetrics(registry)
  return {
    contentType: registry.contentType,
    observe: (event) => events.observe(event),
    text: () => {
      snapshot.take(options.status())
      return registry.metrics()
    },
  }
}

function gauge(registry: Registry, name: MetricName): Gauge<string> {
  return new Gauge({ name, help: METRICS[name].help, labelNames: [...METRICS[name].labels], registers: [registry] })
}

function counter(registry: Registry, name: MetricName): Counter<string> {
  return new Counter({ name, help: METRICS[name].help, labelNames: [...METRICS[name].labels], registers: [registry] })
}

/** Counted as things happen. */
class EventMetrics {
  readonly #established: Counter<string>
  readonly #ikeRekeys: Counter<string>
  readonly #childRekeys: Counter<string>
  readonly #failures: Counter<string>
  readonly #moves: Counter<string>
  readonly #bgpEvents: Counter<string>
  readonly #pathEvents: Counter<string>
  readonly #warnings: Counter<string>
  readonly #establishTime: Histogram<string>
  readonly #callingSince = new Map<string, number>()
  readonly #now: () => number

  constructor(registry: Registry, now: () => number) {
    this.#now = now
    this.#established = counter(registry, 'isthmus_ike_sas_established_total')
    this.#ikeRekeys = counter(registry, 'isthmus_ike_sa_rekeys_total')
    this.#childRekeys = counter(registry, 'isthmus_child_sa_rekeys_total')
    this.#failures = counter(registry, 'isthmus_tunnel_failures_total')
    this.#moves = counter(registry, 'isthmus_peer_moves_total')
    this.#bgpEvents = counter(registry, 'isthmus_bgp_events_total')
    this.#pathEvents = counter(registry, 'isthmus_path_events_total')
    this.#warnings = counter(registry, 'isthmus_warnings_total')
    const name = 'isthmus_tunnel_establish_seconds' satisfies MetricName
    this.#establishTime = new Histogram({
      name,
      help: METRICS[name].help,
      labelNames: [...METRICS[name].labels],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [registry],
    })
  }

  observe(event: ConnectorEvent): void {
    if (event.type === 'warning') this.#warnings.inc()
    if (event.type === 'bgp') this.#bgpEvents.inc({ neighbour: event.neighbour, code: event.event.code })
    if (event.type === 'path') this.#pathEvents.inc({ code: event.event.code })
    if (event.type === 'ike') this.#observeIke(event.connection, event.event)
  }

  #observeIke(peer: string, event: IkeEvent): void {
    switch (event.type) {
      case 'initiating':
        this.#callingSince.set(peer, this.#now())
        return
      case 'ike-established': {
        const since = this.#callingSince.get(peer)
        if (since !== undefined) this.#establishTime.observe({ peer }, (this.#now() - since) / 1000)
        this.#callingSince.delete(peer)
        this.#established.inc({ peer })
        return
      }
      case 'ike-rekeyed':
        this.#ikeRekeys.inc({ peer })
        return
      case 'child-rekeyed':
        this.#childRekeys.inc({ peer, child: event.child })
        return
      case 'peer-moved':
        this.#moves.inc({ peer })
        return
      case 'failed':
        this.#failures.inc({ peer, code: event.code })
        return
      case 'ike-closed':
      case 'child-established':
      case 'child-closed':
        return
    }
  }
}

/** Read from the status at each scrape. */
class SnapshotMetrics {
  readonly #gauges = new Map<MetricName, Gauge<string> | Counter<string>>()

  constructor(registry: Registry) {
    for (const [name, facts] of Object.entries(METRICS) as [MetricName, (typeof METRICS)[MetricName]][]) {
      if (facts.from !== 'status') continue
      this.#gauges.set(name, facts.type === 'counter' ? counter(registry, name) : gauge(registry, name))
    }
  }

  take(status: ConnectorStatus): void {
    for (const metric of this.#gauges.values()) metric.reset()
    const { kind, build } = status.engine
    this.#put('isthmus_info', { site: status.site, engine: kind, build }, 1)
    this.#put('isthmus_start_time_seconds', {}, Date.parse(status.startedAt) / 1000)
    this.#put('isthmus_tun_up', {}, status.tun.state === 'up' ? 1 : 0)
    for (const reason of [...DROP_NAMES, ...HOST_DROPS]) {
      this.#put('isthmus_dropped_packets_total', { reason }, status.drops[reason] ?? 0)
    }
    for (const worker of status.workers ?? []) this.#takeWorker(worker)
    for (const [reason, count] of Object.entries(status.ike)) {
      this.#put('isthmus_ike_datagrams_total', { reason: snake(reason) }, count)
    }
    for (const tunnel of status.tunnels) this.#takeTunnel(tunnel)
    if (status.functions !== undefined) this.#takeFunctions(status.functions)
    if (status.bgp !== undefined) this.#takeBgp(status.bgp, Date.parse(status.now))
    for (const path of status.paths?.paths ?? []) this.#takePath(path)
    for (const each of status.paths?.classes ?? []) this.#takeClass(each)
  }

  #takePath(path: PathRow): void {
    const { peer, state, passing, rttMs, jitterMs, lossOut, lossIn, pathMtu, failovers, lastFailover, asymmetric } =
      path
    this.#put('isthmus_path_passing', { peer }, passing ? 1 : 0)
    this.#put('isthmus_path_drained', { peer }, state === 'draining' || state === 'drained' ? 1 : 0)
    if (rttMs !== undefined) this.#put('isthmus_path_rtt_seconds', { peer }, rttMs / 1000)
    if (jitterMs !== undefined) this.#put('isthmus_path_jitter_seconds', { peer }, jitterMs / 1000)
    if (lossOut !== undefined) this.#put('isthmus_path_loss_ratio', { peer, direction: 'out' }, lossOut)
    if (lossIn !== undefined) this.#put('isthmus_path_loss_ratio', { peer, direction: 'in' }, lossIn)
    if (pathMtu !== undefined) this.#put('isthmus_path_mtu_bytes', { peer }, pathMtu)
    for (const [cause, count] of Object.entries(failovers)) {
      this.#put('isthmus_path_failovers_total', { peer, cause }, count)
    }
    this.#put('isthmus_path_asymmetric_packets_total', { peer }, asymmetric)
    if (lastFailover === undefined) return
    this.#put('isthmus_path_last_failover_seconds', { peer }, lastFailover.ms / 1000)
    this.#put('isthmus_path_last_failover_lost_packets', { peer }, lastFailover.lostPackets)
  }

  #takeClass({ name, peer: preferred, moves, tunnels }: ClassRow): void {
    for (const { peer } of tunnels) this.#put('isthmus_class_tunnel', { class: name, peer }, peer === preferred ? 1 : 0)
    this.#put('isthmus_class_moves_total', { class: name }, moves)
  }

  #takeBgp({ prefixes, pendingRoutes, routeChanges, neighbours }: BgpStatus, now: number): void {
    for (const [family, count] of Object.entries(prefixes)) this.#put('isthmus_bgp_routes', { family }, count)
    this.#put('isthmus_bgp_pending_routes', {}, pendingRoutes)
    if (routeChanges !== undefined) this.#put('isthmus_bgp_route_changes_total', {}, routeChanges)
    for (const { name: neighbour, state, since, flaps, bfd, ipv4, ipv6 } of neighbours) {
      this.#put('isthmus_bgp_up', { neighbour }, state === 'established' ? 1 : 0)
      this.#put('isthmus_bgp_state_seconds', { neighbour }, (now - Date.parse(since)) / 1000)
      this.#put('isthmus_bgp_flaps_total', { neighbour }, flaps)
      for (const [family, counts] of Object.entries({ ipv4, ipv6 })) {
        for (const [kind, count] of Object.entries(counts)) {
          this.#put('isthmus_bgp_prefixes', { neighbour, family, kind }, count)
        }
      }
      if (bfd === undefined) continue
      this.#put('isthmus_bfd_up', { neighbour }, bfd.state === 'up' ? 1 : 0)
      this.#put('isthmus_bfd_flaps_total', { neighbour }, bfd.flaps)
    }
  }

  #takeFunctions(functions: FunctionsStatus): void {
    const { sessions, halfOpen, relaySockets, heldBytes, handshakes, shed, services, other } = functions
    this.#put('isthmus_function_sessions', { via: 'direct' }, sessions.direct)
    this.#put('isthmus_function_sessions', { via: 'relay' }, sessions.relay)
    this.#put('isthmus_function_half_open', {}, halfOpen)
    this.#put('isthmus_function_relay_sockets', {}, relaySockets)
    this.#put('isthmus_function_held_bytes', {}, heldBytes)
    for (const result of HANDSHAKE_RESULTS) {
      this.#put('isthmus_function_handshakes_total', { result }, handshakes[result] ?? 0)
    }
    for (const [reason, count] of Object.entries(shed)) this.#put('isthmus_function_shed_total', { reason }, count)
    for (const { name: service, open, warm, bytesIn, bytesOut, outcomes } of services) {
      this.#put('isthmus_function_streams', { service }, open)
      this.#put('isthmus_function_warm_connections', { service }, warm)
      this.#put('isthmus_function_bytes_total', { service, direction: 'in' }, bytesIn)
      this.#put('isthmus_function_bytes_total', { service, direction: 'out' }, bytesOut)
      this.#takeOutcomes(service, outcomes)
    }
    this.#takeOutcomes(NO_SERVICE, other)
  }

  #takeOutcomes(service: string, outcomes: Readonly<Record<string, number>>): void {
    for (const [outcome, count] of Object.entries(outcomes)) {
      this.#put('isthmus_function_streams_total', { service, outcome }, count)
    }
  }

  #takeWorker({ index, inPackets, inBytes, outPackets, outBytes, handedOver, busy }: WorkerStatus): void {
    const worker = String(index)
    this.#put('isthmus_worker_packets_total', { worker, direction: 'in' }, inPackets)
    this.#put('isthmus_worker_packets_total', { worker, direction: 'out' }, outPackets)
    this.#put('isthmus_worker_bytes_total', { worker, direction: 'in' }, inBytes)
    this.#put('isthmus_worker_bytes_total', { worker, direction: 'out' }, outBytes)
    this.#put('isthmus_worker_handed_over_packets_total', { worker }, handedOver)
    if (busy !== undefined) this.#put('isthmus_worker_busy_ratio', { worker }, busy)
  }

  #takeTunnel(tunnel: TunnelStatus): void {
    const peer = tunnel.name
    const { traffic } = tunnel
    this.#put('isthmus_tunnel_up', { peer }, tunnel.state === 'up' ? 1 : 0)
    for (const state of TUNNEL_STATES)
      this.#put('isthmus_tunnel_state', { peer, state }, tunnel.state === state ? 1 : 0)
    this.#put('isthmus_tunnel_packets_total', { peer, direction: 'in' }, traffic.inPackets)
    this.#put('isthmus_tunnel_packets_total', { peer, direction: 'out' }, traffic.outPackets)
    this.#put('isthmus_tunnel_bytes_total', { peer, direction: 'in' }, traffic.inBytes)
    this.#put('isthmus_tunnel_bytes_total', { peer, direction: 'out' }, traffic.outBytes)
    if (traffic.inMissing !== undefined) this.#put('isthmus_tunnel_missing_packets', { peer }, traffic.inMissing)
    for (const [reason, count] of Object.entries(traffic.drops)) {
      this.#put('isthmus_tunnel_dropped_packets_total', { peer, reason }, count)
    }
    this.#put('isthmus_child_sas', { peer }, tunnel.children.length)
    this.#put('isthmus_tunnel_mtu_bytes', { peer, kind: 'path' }, tunnel.mtu.path)
    this.#put('isthmus_tunnel_mtu_bytes', { peer, kind: 'inner' }, tunnel.mtu.inner)
    if (tunnel.ageMs !== undefined) this.#put('isthmus_ike_sa_age_seconds', { peer }, tunnel.ageMs / 1000)
    if (tunnel.rtt !== undefined) this.#put('isthmus_tunnel_rtt_seconds', { peer }, tunnel.rtt.medianMs / 1000)
    if (tunnel.loss !== undefined) this.#put('isthmus_tunnel_loss_ratio', { peer }, tunnel.loss.ratio)
    for (const child of tunnel.children) {
      if (!child.active) continue
      const labels = { peer, child: child.name, worker: String(child.worker ?? 0) }
      this.#put('isthmus_child_sa_age_seconds', labels, child.ageMs / 1000)
      this.#put('isthmus_child_sa_rekey_in_seconds', labels, child.rekeyInMs / 1000)
    }
  }

  /** A counter was reset for this scrape, so that `inc` states its value. */
  #put(name: MetricName, labels: Record<string, string>, value: number): void {
    const metric = this.#gauges.get(name)
    if (!Number.isFinite(value)) return
    if (metric instanceof Counter) metric.inc(labels, Math.max(0, value))
    else metric?.set(labels, value)
  }
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
