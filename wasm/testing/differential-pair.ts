/** Two engines driven as one: every call goes to both, and whatever can be seen of them must be the same. */
import type { Address, Prefix, SocketAddress } from '../../protocol/net.ts'
import { BATCH, NAME_STRIDE, SLOT_BYTES } from '../abi.ts'
import type {
  Encapsulation,
  Endpoint,
  EngineEvent,
  InboundSa,
  LanFormat,
  LanReceiveArea,
  OutboundSa,
  PacketEngine,
  RefusalAnswer,
  TrafficClass,
  Tunnel,
  TunnelCounters,
} from '../packet-engine.ts'
import {
  contents,
  differenceOf,
  elsewhereOf,
  fillWire,
  leftOf,
  probesOf,
  socketName,
  wireContents,
} from './differential-compare.ts'

export interface WirePacket {
  readonly bytes: Uint8Array
  readonly endpoint: number
  readonly tos: number
}

export interface Datagram {
  readonly bytes: Uint8Array
  readonly remote: SocketAddress
  readonly tos: number
  /** What the host claims to have received, where that is more or less than `bytes`. */
  readonly length?: number
}

/** Datagrams of one length, but for a shorter last, laid end to end. */
export interface Run extends Omit<Datagram, 'length'> {
  readonly segment: number
}

/** `handOver`: for each packet 1 more than the worker that it is for, or 0. */
export interface Sealed {
  readonly wire: WirePacket[]
  readonly lan: Uint8Array[]
  readonly handOver: number[]
}

/** What of a call that opened went on by other tunnels: `left` is for other workers. */
export interface Onward {
  readonly wire: WirePacket[]
  /** Answers to sources that no tunnel leads to. */
  readonly lan: Uint8Array[]
  readonly left: { readonly packet: Uint8Array; readonly worker: number; readonly via: number }[]
}

/** `elsewhere`: for each datagram the worker that it is for, or undefined. */
export interface Opened {
  readonly verdicts: number[]
  readonly lan: Uint8Array[]
  readonly probes: { readonly content: Uint8Array; readonly tunnel: number; readonly tos: number }[]
  readonly elsewhere: (number | undefined)[]
  readonly onward: Onward
}

/** An SA's name in the pair: each engine has a handle of its own. */
export type SaName = number

export class EnginePair {
  readonly #engines: readonly [PacketEngine, PacketEngine]
  readonly #handles = new Map<SaName, readonly [number, number]>()
  readonly events: EngineEvent[] = []
  /** False leaves the events with the engines. */
  takesEvents = true
  #names = 0

  constructor(left: PacketEngine, right: PacketEngine) {
    this.#engines = [left, right]
  }

  installInbound(sa: InboundSa): SaName {
    return this.#name((engine) => engine.installInbound(sa))
  }

  installOutbound(sa: OutboundSa): SaName {
    return this.#name((engine) => engine.installOutbound(sa))
  }

  removeSa(name: SaName): void {
    const handles = this.#handles.get(name)!
    this.#engines.forEach((engine, i) => {
      engine.removeSa(handles[i]!)
    })
    this.#handles.delete(name)
  }

  setEndpoint(handle: number, endpoint: Endpoint): void {
    this.#both((engine) => engine.setEndpoint(handle, endpoint))
  }

  setTunnel(handle: number, tunnel: Tunnel): void {
    this.#both((engine, i) => {
      const sas = tunnel.sas.map((name) => this.#handles.get(name)![i]!)
      return engine.setTunnel(handle, { ...tunnel, sas })
    })
  }

  removeTunnel(handle: number): void {
    this.#both((engine) => engine.removeTunnel(handle))
  }

  setGroup(handle: number, tunnels: readonly number[], weights?: readonly number[]): void {
    this.#both((engine) => engine.setGroup(handle, tunnels, weights))
  }

  setRefusal(handle: number, answer: RefusalAnswer): void {
    this.#both((engine) => engine.setRefusal(handle, answer))
  }

  setClasses(classes: readonly TrafficClass[]): void {
    this.#both((engine) => engine.setClasses(classes))
  }

  setFlowSeed(seed: number): void {
    this.#both((engine) => engine.setFlowSeed(seed))
  }

  setOwnAddresses(addresses: readonly Address[]): void {
    this.#both((engine) => engine.setOwnAddresses(addresses))
  }

  setShare(worker: number, workers: number): void {
    this.#both((engine) => engine.setShare(worker, workers))
  }

  setRoute(prefix: Prefix, group: number): void {
    this.#both((engine) => engine.setRoute(prefix, group))
  }

  removeRoute(prefix: Prefix): void {
    this.#both((engine) => engine.removeRoute(prefix))
  }

  lookupRoute(destination: Address): number | undefined {
    return this.#both((engine) => engine.lookupRoute(destination))
  }

  innerMtu(name: SaName): number {
    return this.#both((engine, i) => engine.innerMtu(this.#handles.get(name)![i]!))
  }

  /** Seals all packets, in as many calls as it takes, at most one for each packet; `via` is that of each. */
  seal(packets: readonly Uint8Array[], now: number, fromInbox?: boolean, via: readonly number[] = []): Sealed {
    const wire: WirePacket[] = []
    const lan: Uint8Array[] = []
    const handOver: number[] = []
    for (let first = 0; first < packets.length; first += BATCH) {
      const batch = packets.slice(first, first + BATCH)
      this.#fillLan(batch)
      const came = batch.map((_, i) => via[first + i] ?? 0)
      for (const { lanRx } of this.#engines) lanRx.via.set(came)
      for (let from = 0; from < batch.length; ) {
        const consumed = this.#both((engine) => engine.sealBatch(from, batch.length - from, now, fromInbox))
        handOver.push(...this.#handedOver((engine) => engine.lanRx, batch, came, from, consumed))
        wire.push(...this.#both((engine) => wireContents(engine)))
        lan.push(...this.#both((engine) => contents(engine.lanTx)))
        this.compareState()
        if (consumed === 0) throw new Error('a packet that never fits was not consumed')
        from += consumed
      }
    }
    return { wire, lan, handOver }
  }

  setLanFormat(format: LanFormat): void {
    this.#both((engine) => engine.setLanFormat(format))
  }

  /** As `seal`, from large slots. */
  sealLarge(
    packets: readonly Uint8Array[],
    now: number,
    fromInbox?: boolean,
    via: readonly number[] = [],
  ): Sealed & { calls: number } {
    const wire: WirePacket[] = []
    const lan: Uint8Array[] = []
    const handOver: number[] = []
    let calls = 0
    for (let first = 0; first < packets.length; first += BATCH) {
      const batch = packets.slice(first, first + BATCH)
      const came = batch.map((_, i) => via[first + i] ?? 0)
      for (const { lanLarge } of this.#engines) {
        lanLarge.via.set(came)
        batch.forEach((packet, slot) => {
          lanLarge.length[slot] = packet.length
          lanLarge.slot(slot, packet.length).set(packet)
        })
      }
      for (let from = 0; from < batch.length; calls++) {
        const consumed = this.#both((engine) => engine.sealLarge(from, batch.length - from, now, fromInbox))
        handOver.push(...this.#handedOver((engine) => engine.lanLarge, batch, came, from, consumed))
        from += consumed
        const sent = this.#both((engine) => wireContents(engine))
        wire.push(...sent)
        lan.push(...this.#both((engine) => contents(engine.lanTx)))
        this.compareState()
        if (consumed === 0 && sent.length === 0 && lan.length === 0) throw new Error('it does not go on')
      }
    }
    return { wire, lan, handOver, calls }
  }

  /** As `open`, from slots that hold several datagrams each. */
  openRuns(runs: readonly Run[], now: number): Opened {
    const verdicts: number[] = []
    const lan: Uint8Array[] = []
    const probes: Opened['probes'] = []
    const onward: Onward = { wire: [], lan: [], left: [] }
    const elsewhere: (number | undefined)[] = []
    for (let first = 0; first < runs.length; first += BATCH) {
      const batch = runs.slice(first, first + BATCH)
      for (const { wireLarge, memory } of this.#engines) {
        batch.forEach(({ bytes, segment, remote, tos }, slot) => {
          wireLarge.slot(slot).set(bytes)
          wireLarge.length[slot] = bytes.length
          wireLarge.segment[slot] = segment
          wireLarge.tos[slot] = tos
          new Uint8Array(memory, wireLarge.names + slot * NAME_STRIDE, NAME_STRIDE).set(socketName(remote))
        })
      }
      for (let from = 0; from < batch.length; ) {
        from += this.#both((engine) => engine.openRuns(from, batch.length - from, now))
        const datagrams = this.#both((engine) => engine.wireLarge.datagrams)
        verdicts.push(...this.#both((engine) => [...engine.wireRx.verdict.subarray(0, datagrams)]))
        elsewhere.push(...this.#both((engine) => elsewhereOf(engine, datagrams)))
        lan.push(...this.#both((engine) => contents(engine.lanTx)))
        probes.push(...this.#both(probesOf))
        this.compareState()
        this.#sealTransit(now, onward)
      }
    }
    return { verdicts, lan, probes, elsewhere, onward }
  }

  /** Opens all datagrams. Returns the verdicts and what goes to the LAN. */
  open(datagrams: readonly Datagram[], encapsulation: Encapsulation, now: number): Opened {
    const verdicts: number[] = []
    const lan: Uint8Array[] = []
    const probes: Opened['probes'] = []
    const onward: Onward = { wire: [], lan: [], left: [] }
    const elsewhere: (number | undefined)[] = []
    for (let first = 0; first < datagrams.length; first += BATCH) {
      const batch = datagrams.slice(first, first + BATCH)
      for (const engine of this.#engines) fillWire(engine, batch)
      this.#both((engine) => engine.openBatch(batch.length, encapsulation, now))
      verdicts.push(...this.#both((engine) => [...engine.wireRx.verdict.subarray(0, batch.length)]))
      elsewhere.push(...this.#both((engine) => elsewhereOf(engine, batch.length)))
      lan.push(...this.#both((engine) => contents(engine.lanTx)))
      probes.push(...this.#both(probesOf))
      this.compareState()
      this.#sealTransit(now, onward)
    }
    return { verdicts, lan, probes, elsewhere, onward }
  }

  /** What the last call that opened left in `transit`, in as many calls as it takes. */
  #sealTransit(now: number, { wire, lan, left }: Onward): void {
    const count = this.#both(({ transit }) => transit.count)
    for (let done = 0; done < count; ) {
      const consumed = this.#both((engine) => engine.sealTransit(now))
      wire.push(...this.#both((engine) => wireContents(engine)))
      lan.push(...this.#both((engine) => contents(engine.lanTx)))
      left.push(...this.#both(({ transit }) => leftOf(transit, done, done + consumed)))
      this.compareState()
      if (consumed === 0) throw new Error('a packet of transit that never fits was not consumed')
      done += consumed
    }
  }

  tunnelCounters(tunnel: number): TunnelCounters {
    return this.#both((engine) => engine.tunnelCounters(tunnel))
  }

  /** One packet, or undefined where no SA of the tunnel carries it. */
  sealProbe(tunnel: number, payload: Uint8Array, size: number, now: number): WirePacket | undefined {
    this.#both((engine) => engine.probeOverhead(tunnel))
    const outer = this.#both((engine) => engine.outerLength(tunnel, size))
    const sealed = this.#both((engine) => engine.sealProbe(tunnel, payload, size, now))
    const wire = this.#both((engine) => wireContents(engine))
    this.compareState()
    if (wire.length !== (sealed ? 1 : 0) || (sealed && outer === undefined)) throw new Error('a probe is one packet')
    return wire[0]
  }

  outerLength(tunnel: number, size: number): number | undefined {
    return this.#both((engine) => engine.outerLength(tunnel, size))
  }

  /** Drops, counters of every SA, and events, which are collected. */
  compareState(): void {
    this.#both((engine) => engine.drops())
    for (const handles of this.#handles.values()) this.#both((engine, i) => engine.counters(handles[i]!))
    while (this.takesEvents) {
      const event = this.#both((engine, i) => this.#named(engine.pollEvent(), i))
      if (event === undefined) return
      this.events.push(event)
    }
  }

  counters(name: SaName) {
    return this.#both((engine, i) => engine.counters(this.#handles.get(name)![i]!))
  }

  drops() {
    return this.#both((engine) => engine.drops())
  }

  #name(install: (engine: PacketEngine) => number): SaName {
    const name = this.#names++
    this.#handles.set(name, [install(this.#engines[0]), install(this.#engines[1])])
    return name
  }

  #named(event: EngineEvent | undefined, side: number): EngineEvent | undefined {
    if (event === undefined || !('sa' in event)) return event
    for (const [name, handles] of this.#handles) if (handles[side] === event.sa) return { ...event, sa: name }
    return { ...event, sa: -1 }
  }

  #both<Result>(ask: (engine: PacketEngine, side: 0 | 1) => Result): Result {
    const left = ask(this.#engines[0], 0)
    const right = ask(this.#engines[1], 1)
    const difference = differenceOf(left, right, '')
    if (difference !== undefined) throw new Error(`the engines differ: ${difference}`)
    return left
  }

  /** Of `count` packets that were consumed. Those that are handed over lie in their slots as they came. */
  #handedOver(
    areaOf: (engine: PacketEngine) => LanReceiveArea,
    batch: readonly Uint8Array[],
    via: readonly number[],
    from: number,
    count: number,
  ): number[] {
    const handOver = this.#both((engine) => [...areaOf(engine).handOver.subarray(from, from + count)])
    for (const [i, worker] of handOver.entries()) {
      const packet = batch[from + i]!
      if (worker === 0) continue
      const length = this.#both((engine) => areaOf(engine).length[from + i]!)
      const bytes = this.#both((engine) => areaOf(engine).slot(from + i, length))
      // An answer takes the place of what came by a tunnel.
      if (via[from + i] !== this.#both((engine) => areaOf(engine).via[from + i]!)) continue
      const difference = differenceOf(bytes, packet, '')
      if (difference !== undefined) throw new Error(`a packet for another worker was changed: ${difference}`)
    }
    return handOver
  }

  #fillLan(batch: readonly Uint8Array[]): void {
    for (const { lanRx } of this.#engines) {
      batch.forEach((packet, slot) => {
        lanRx.length[slot] = packet.length
        lanRx.slot(slot).set(packet.subarray(0, SLOT_BYTES))
      })
    }
  }
}
