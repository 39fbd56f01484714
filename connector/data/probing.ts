/**
 * The probes of tunnels, in the thread of the packet path: a main thread that is busy takes no path down. Each tunnel's
 * machine runs in the one worker that is its home; the others hand over what comes to them.
 */
import type { RandomBytes } from '../../protocol/machine.ts'
import { BATCH, MAX_INNER } from '../../wasm/abi.ts'
import type { PacketEngine, TunnelHandle } from '../../wasm/packet-engine.ts'
import { type ProbeEffect, ProbeMachine, type ProbeSettings } from '../core/probe/machine.ts'
import { MESSAGE_BYTES, setSize } from '../core/probe/wire.ts'
import type { Report } from './commands.ts'
import type { SendResult } from './sender.ts'

export interface ProbingParts {
  readonly engine: Pick<PacketEngine, 'probes' | 'sealProbe' | 'outerLength'>
  /** Sends what was just sealed; `whole`: not to be cut on its way. */
  readonly send: (whole: boolean) => SendResult
  /** Bytes that leave this machine whole on the way of a tunnel, as far as its kernel can tell. */
  readonly routeMtu: (tunnel: TunnelHandle) => number | undefined
  /** To the worker that is another tunnel's home. */
  readonly handOver: (worker: number, tunnel: TunnelHandle, bytes: Uint8Array, length: number) => void
  readonly post: (report: Report) => void
  readonly random: RandomBytes
  /** This one, from 0. */
  readonly worker: number
}

interface Home {
  readonly worker: number
  /** Here, if this is that worker. */
  readonly machine?: ProbeMachine
  wakeAt: number
}

/** Effects of one machine in one turn: what it asks for has an end, and this is beyond it. */
const MAX_EFFECTS = 4 * BATCH

export class Probing {
  readonly #parts: ProbingParts
  readonly #homes = new Map<TunnelHandle, Home>()
  /** Tunnels whose machine has something to carry out. */
  readonly #touched = new Set<TunnelHandle>()
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(parts: ProbingParts) {
    this.#parts = parts
  }

  /** When `turn` wants to be called at the latest. */
  get deadline(): number {
    return this.#touched.size > 0 ? 0 : this.#wakeAt
  }

  /** Without settings, the peer's probes are answered all the same. */
  set(tunnel: TunnelHandle, worker: number, settings: ProbeSettings | undefined, now: number): void {
    const before = this.#homes.get(tunnel)
    if (worker !== this.#parts.worker) {
      this.#homes.set(tunnel, { worker, wakeAt: Number.POSITIVE_INFINITY })
      return
    }
    const machine = before?.machine ?? new ProbeMachine(this.#parts.random)
    this.#homes.set(tunnel, { worker, machine, wakeAt: 0 })
    machine.handle({ type: 'settings', settings }, now)
    this.#touched.add(tunnel)
  }

  /** More probes than are set, where this is its home, or no longer. */
  examine(tunnel: TunnelHandle, on: boolean, now: number): void {
    const machine = this.#homes.get(tunnel)?.machine
    if (machine === undefined) return
    machine.handle({ type: 'examine', on }, now)
    this.#touched.add(tunnel)
  }

  remove(tunnel: TunnelHandle): void {
    this.#homes.delete(tunnel)
    this.#touched.delete(tunnel)
  }

  /** Takes what the engine has listed in its last call that opens. */
  collect(now: number): void {
    const { probes } = this.#parts.engine
    for (let i = 0; i < probes.count; i++) {
      this.take(probes.tunnel[i]!, probes.packet(i).subarray(0, MESSAGE_BYTES), probes.length[i]!, now)
    }
  }

  /** Authentic, and without padding; not kept. */
  take(tunnel: TunnelHandle, bytes: Uint8Array, length: number, now: number): void {
    const home = this.#homes.get(tunnel)
    if (home === undefined) return
    const { worker, machine } = home
    if (machine !== undefined) {
      machine.handle({ type: 'message', bytes, length }, now)
      this.#touched.add(tunnel)
    } else if (worker !== this.#parts.worker) this.#parts.handOver(worker, tunnel, bytes, length)
  }

  /** Sends and tells what is due. Empties the engine's outboxes. */
  turn(now: number): void {
    if (now >= this.#wakeAt) this.#wake(now)
    for (const tunnel of this.#touched) {
      const home = this.#homes.get(tunnel)
      if (home?.machine !== undefined) this.#drain(tunnel, home, home.machine, now)
    }
    this.#touched.clear()
  }

  #wake(now: number): void {
    this.#wakeAt = Number.POSITIVE_INFINITY
    for (const [tunnel, { machine, wakeAt }] of this.#homes) {
      if (wakeAt > now) this.#wakeAt = Math.min(this.#wakeAt, wakeAt)
      else if (machine !== undefined) {
        machine.handle({ type: 'time' }, now)
        this.#touched.add(tunnel)
      }
    }
  }

  #drain(tunnel: TunnelHandle, home: Home, machine: ProbeMachine, now: number): void {
    for (let i = 0; i < MAX_EFFECTS; i++) {
      const effect = machine.poll()
      if (effect === undefined) break
      if (effect.type === 'report') this.#parts.post({ type: 'path', tunnel, report: effect.report })
      else {
        const result = this.#send(tunnel, effect, now)
        if (result !== 'sent') machine.handle({ type: 'unsent', token: effect.token, why: result }, now)
      }
    }
    home.wakeAt = machine.deadline() ?? Number.POSITIVE_INFINITY
    this.#wakeAt = Math.min(this.#wakeAt, home.wakeAt)
  }

  #send(
    tunnel: TunnelHandle,
    { payload, outer }: Extract<ProbeEffect, { type: 'send' }>,
    now: number,
  ): SendResult | 'no-sa' {
    const { engine, send } = this.#parts
    const size = outer === undefined ? payload.length : this.#innerLength(tunnel, outer)
    if (size === undefined) return 'no-sa'
    if (size > MAX_INNER) return 'too-large'
    // Asked beforehand: a packet that was sealed and never leaves would count at the peer as one that was lost.
    if (outer !== undefined && outer > (this.#parts.routeMtu(tunnel) ?? outer)) return 'too-large'
    setSize(payload, size)
    return engine.sealProbe(tunnel, payload, size, now) ? send(outer !== undefined) : 'no-sa'
  }

  /** The longest inner packet whose outer one has no more than `outer` bytes; undefined without an SA. */
  #innerLength(tunnel: TunnelHandle, outer: number): number | undefined {
    const { engine } = this.#parts
    const least = engine.outerLength(tunnel, MESSAGE_BYTES)
    if (least === undefined) return undefined
    // Both grow alike, but for the alignment.
    let size = Math.min(MAX_INNER, MESSAGE_BYTES + Math.max(0, outer - least) + 3)
    while (size > MESSAGE_BYTES && engine.outerLength(tunnel, size)! > outer) size--
    return size
  }
}
