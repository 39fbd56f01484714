/** Runs the packet path in its thread: commands in, reports out, and the pump in between. */
import { MAX_ENDPOINTS } from '../../wasm/abi.ts'
import type { DropName } from '../../wasm/drop-reasons.ts'
import type { EngineEvent, PacketEngine, SaHandle } from '../../wasm/packet-engine.ts'
import { Changes, countersOf } from './changes.ts'
import {
  type Answer,
  type Command,
  HOST_DROPS,
  type HostDrop,
  type InstallChild,
  type Report,
  SIGNAL_COMMANDS,
  SIGNAL_STOP,
  type TunnelSetting,
  type WorkerPort,
} from './commands.ts'
import type { Probing } from './probing.ts'
import type { Pump } from './pump.ts'
import { TunnelGrowth } from './tunnel-counts.ts'

/** Milliseconds between the beginnings of two rounds of counter reports, and the longest sleep. */
export const REPORT_MS = 1000
/** Events taken from the engine in one turn; the rest wait for the next. */
const MAX_EVENTS_PER_TURN = 64

type SaEvent = Extract<EngineEvent, { readonly sa: SaHandle }>

interface InstalledChild {
  readonly id: number
  readonly inbound: SaHandle
  readonly outbound: SaHandle
  readonly endpoint: number
  readonly encapsulation: 'udp' | 'esp'
}

export interface RunnerParts {
  readonly engine: PacketEngine
  readonly pump: Pump
  /** Absent only in tests: no path is asked about, and no probe answered. */
  readonly probing?: Probing
  readonly port: WorkerPort
  readonly signals: Int32Array
  /** Monotonic milliseconds. */
  readonly clock: () => number
  /** Milliseconds that this thread has been on a processor; absent where Node cannot tell. */
  readonly cpu?: () => number
}

export class Runner {
  readonly #parts: RunnerParts
  readonly #children = new Map<number, InstalledChild>()
  /** Where probes of a tunnel go. */
  readonly #endpoints = new Map<number, number>()
  readonly #bySa = new Map<SaHandle, InstalledChild>()
  readonly #changes: Changes
  readonly #tunnels = new TunnelGrowth()
  readonly #freeEndpoints: number[] = []
  #nextEndpoint = 0
  #commandsSeen = 0
  #nextReport: number
  /** When the load was last told, and the thread's time on a processor then. */
  #loadAt: number
  #cpuAt: number
  /** As last told. */
  #handedOver = 0

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#changes = new Changes(parts.engine)
    this.#loadAt = parts.clock()
    this.#cpuAt = parts.cpu?.() ?? 0
    this.#nextReport = this.#loadAt + REPORT_MS
  }

  /** Blocks its thread until told to stop. Throws PumpFailure when the packet path breaks. */
  run(): void {
    let busy = false
    while (Atomics.load(this.#parts.signals, SIGNAL_STOP) === 0) busy = this.turn(busy)
    this.#wipe()
  }

  /** One turn, which does not sleep when `busy`. Returns whether the next one is: packets moved, or events wait. */
  turn(busy: boolean): boolean {
    const { signals, clock, pump, probing } = this.#parts
    const posted = Atomics.load(signals, SIGNAL_COMMANDS)
    if (posted !== this.#commandsSeen) {
      this.#commandsSeen = posted
      this.#takeCommands()
    }
    const wakeAt = Math.min(this.#nextReport, probing?.deadline ?? this.#nextReport)
    const sleep = busy || this.#changes.underWay ? 0 : Math.max(0, Math.ceil(wakeAt - clock()))
    const moved = pump.turn(sleep, clock)
    probing?.turn(clock())
    const more = this.#takeEvents()
    this.#reportCounters()
    this.#reportLoad()
    return moved || more
  }

  #takeCommands(): void {
    const { port } = this.#parts
    for (let next = port.take(); next !== undefined; next = port.take()) {
      const { seq, command } = next
      try {
        port.post({ type: 'done', seq, answer: this.#carryOut(command) })
      } catch (error) {
        port.post({ type: 'refused', seq, reason: error instanceof Error ? error.message : String(error) })
      }
    }
  }

  #carryOut(command: Command): Answer {
    const { engine, pump, probing, clock } = this.#parts
    switch (command.type) {
      case 'install-child':
        return this.#install(command.child)
      case 'remove-child':
        return this.#remove(command.id)
      case 'read-child': {
        const child = this.#children.get(command.id)
        return child === undefined ? {} : { counters: countersOf(engine, child) }
      }
      case 'move-child': {
        const child = this.#children.get(command.id)
        if (child === undefined) return {}
        engine.setEndpoint(child.endpoint, { remote: command.remote, encapsulation: child.encapsulation })
        pump.setEndpoint(child.endpoint, command.socket, command.remote)
        return {}
      }
      case 'tunnel':
        this.#setTunnel(command.tunnel)
        return {}
      case 'group':
        engine.setGroup(command.handle, command.tunnels, command.weights)
        return {}
      case 'refusal':
        engine.setRefusal(command.handle, command.answer)
        return {}
      case 'classes':
        engine.setClasses(command.classes)
        return {}
      case 'own-addresses':
        engine.setOwnAddresses(command.addresses)
        return {}
      case 'flow-seed':
        engine.setFlowSeed(command.seed)
        return {}
      case 'routes':
        engine.setRoutes(command.prefixes, command.group)
        return {}
      case 'remove-routes':
        engine.removeRoutes(command.prefixes)
        return {}
      case 'probe':
        probing?.set(command.tunnel, command.home, command.settings, clock())
        return {}
      case 'examine':
        probing?.examine(command.tunnel, command.on, clock())
        return {}
      case 'remove-tunnel':
        probing?.remove(command.handle)
        this.#endpoints.delete(command.handle)
        this.#tunnels.remove(command.handle)
        engine.removeTunnel(command.handle)
        return {}
    }
  }

  #install(wanted: InstallChild): Answer {
    const { engine, pump } = this.#parts
    const endpoint = this.#freeEndpoints.pop() ?? this.#nextEndpoint++
    let inbound: SaHandle | undefined
    try {
      if (endpoint >= MAX_ENDPOINTS) throw new RangeError(`more than ${MAX_ENDPOINTS} Child SAs at once`)
      engine.setEndpoint(endpoint, { remote: wanted.remote, encapsulation: wanted.encapsulation })
      pump.setEndpoint(endpoint, wanted.socket, wanted.remote)
      inbound = engine.installInbound(wanted.inbound)
      const outbound = engine.installOutbound({ ...wanted.outbound, endpoint })
      const child = { id: wanted.id, inbound, outbound, endpoint, encapsulation: wanted.encapsulation }
      this.#children.set(child.id, child)
      this.#bySa.set(inbound, child).set(outbound, child)
      this.#changes.add(child)
      return { innerMtu: engine.innerMtu(outbound) }
    } catch (error) {
      if (inbound !== undefined) engine.removeSa(inbound)
      if (endpoint < MAX_ENDPOINTS) this.#freeEndpoints.push(endpoint)
      throw error
    } finally {
      wanted.inbound.key.fill(0)
      wanted.outbound.key.fill(0)
    }
  }

  #remove(id: number): Answer {
    const { engine } = this.#parts
    const child = this.#children.get(id)
    if (child === undefined) return {}
    const counters = countersOf(engine, child)
    engine.removeSa(child.outbound)
    engine.removeSa(child.inbound)
    this.#children.delete(id)
    this.#bySa.delete(child.inbound)
    this.#bySa.delete(child.outbound)
    this.#changes.remove(id)
    this.#freeEndpoints.push(child.endpoint)
    return { counters }
  }

  #setTunnel(tunnel: TunnelSetting): void {
    const children = tunnel.children.flatMap((id) => this.#children.get(id) ?? [])
    const sas = children.map(({ outbound }) => outbound)
    const { handle, children: _, ...settings } = tunnel
    const [first] = children
    if (first === undefined) this.#endpoints.delete(handle)
    else this.#endpoints.set(handle, first.endpoint)
    this.#parts.engine.setTunnel(handle, { ...settings, sas })
    this.#tunnels.set(tunnel)
  }

  /** As `ProbingParts` has it. */
  routeMtu(tunnel: number): number | undefined {
    const endpoint = this.#endpoints.get(tunnel)
    return endpoint === undefined ? undefined : this.#parts.pump.routeMtu(endpoint)
  }

  /** Returns whether more may wait. */
  #takeEvents(): boolean {
    const { engine, port } = this.#parts
    for (let i = 0; i < MAX_EVENTS_PER_TURN; i++) {
      const event = engine.pollEvent()
      if (event === undefined) return false
      if (event.type === 'unknown-spi' || event.type === 'no-sa') continue
      const child = this.#bySa.get(event.sa)
      if (child === undefined) continue
      port.post(reportOf(event, child.id))
    }
    return true
  }

  /** A step of the round under way, or the first one of a new round when it is time; every round ends in a report. */
  #reportCounters(): void {
    const { engine, pump, port, clock } = this.#parts
    if (!this.#changes.underWay) {
      if (clock() < this.#nextReport) return
      this.#nextReport = clock() + REPORT_MS
      this.#changes.begin()
    }
    const children = this.#changes.step()
    if (children.length === 0 && this.#changes.underWay) return
    const drops: Partial<Record<DropName | HostDrop, number>> = nonZero(engine.drops())
    for (const name of HOST_DROPS) if (pump.drops[name] > 0) drops[name] = pump.drops[name]
    const tunnels = this.#tunnels.take(engine)
    const grown = tunnels.length === 0 ? {} : { tunnels }
    port.post({ type: 'counters', children, drops, segmentsRefused: pump.segmentsRefused, ...grown })
  }

  /** Once a second, if there is anything new to tell. */
  #reportLoad(): void {
    const { clock, cpu, pump, port } = this.#parts
    const now = clock()
    const passed = now - this.#loadAt
    if (passed < REPORT_MS) return
    this.#loadAt = now
    const used = (cpu?.() ?? 0) - this.#cpuAt
    this.#cpuAt += used
    const { handedOver } = pump
    if (handedOver === this.#handedOver && used === 0) return
    this.#handedOver = handedOver
    const busy = cpu === undefined ? {} : { busy: Math.min(1, Math.max(0, used / passed)) }
    port.post({ type: 'load', handedOver, ...busy })
  }

  #wipe(): void {
    for (const id of [...this.#children.keys()]) this.#remove(id)
  }
}

function reportOf(event: SaEvent, id: number): Report {
  switch (event.type) {
    case 'first-packet':
      // It proves that the peer has the SA (RFC 7296 section 2.8), and IKE may be waiting for that.
      return { type: 'child-used', id }
    case 'peer-moved':
      return { type: 'child-moved', id, remote: event.remote }
    default:
      return { type: 'child-limit', id, hard: event.type === 'hard-limit' }
  }
}

function nonZero<Name extends string>(counts: Partial<Record<Name, number>>): Partial<Record<Name, number>> {
  const out: Partial<Record<Name, number>> = {}
  for (const name in counts) if ((counts[name] ?? 0) > 0) out[name] = counts[name] as number
  return out
}
