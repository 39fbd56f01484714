/** Two engines driven as one: every call goes to both, and whatever can be seen of them must be the same. */
import { type Address, addressBytes, type Prefix, type SocketAddress } from '../../protocol/net.ts'
import { BATCH, NAME_STRIDE, SLOT_BYTES, VERDICT_ELSEWHERE } from '../abi.ts'
import type {
  Encapsulation,
  Endpoint,
  EngineEvent,
  InboundSa,
  LanFormat,
  LanOutbox,
  LanReceiveArea,
  OutboundSa,
  PacketEngine,
  RefusalAnswer,
  TrafficClass,
  Tunnel,
} from '../packet-engine.ts'

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

/** `elsewhere`: for each datagram the worker that it is for, or undefined. */
export interface Opened {
  readonly verdicts: number[]
  readonly lan: Uint8Array[]
  readonly probes: { readonly content: Uint8Array; readonly tunnel: number; readonly tos: number }[]
  readonly elsewhere: (number | undefined)[]
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

  /** Seals all packets, in as many calls as it takes, at most one for each packet. */
  seal(packets: readonly Uint8Array[], now: number, fromInbox?: boolean): Sealed {
    const wire: WirePacket[] = []
    const lan: Uint8Array[] = []
    const handOver: number[] = []
    for (let first = 0; first < packets.length; first += BATCH) {
      const batch = packets.slice(first, first + BATCH)
      this.#fillLan(batch)
      for (let from = 0; from < batch.length; ) {
        const consumed = this.#both((engine) => engine.sealBatch(from, batch.length - from, now, fromInbox))
        handOver.push(...this.#handedOver((engine) => engine.lanRx, batch, from, consumed))
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
  sealLarge(packets: readonly Uint8Array[], now: number, fromInbox?: boolean): Sealed & { calls: number } {
    const wire: WirePacket[] = []
    const lan: Uint8Array[] = []
    const handOver: number[] = []
    let calls = 0
    for (let first = 0; first < packets.length; first += BATCH) {
      const batch = packets.slice(first, first + BATCH)
      for (const { lanLarge } of this.#engines) {
        batch.forEach((packet, slot) => {
          lanLarge.length[slot] = packet.length
          lanLarge.slot(slot, packet.length).set(packet)
        })
      }
      for (let from = 0; from < batch.length; calls++) {
        const consumed = this.#both((engine) => engine.sealLarge(from, batch.length - from, now, fromInbox))
        handOver.push(...this.#handedOver((engine) => engine.lanLarge, batch, from, consumed))
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
      }
    }
    return { verdicts, lan, probes, elsewhere }
  }

  /** Opens all datagrams. Returns the verdicts and what goes to the LAN. */
  open(datagrams: readonly Datagram[], encapsulation: Encapsulation, now: number): Opened {
    const verdicts: number[] = []
    const lan: Uint8Array[] = []
    const probes: Opened['probes'] = []
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
    }
    return { verdicts, lan, probes, elsewhere }
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
    from: number,
    count: number,
  ): number[] {
    const handOver = this.#both((engine) => [...areaOf(engine).handOver.subarray(from, from + count)])
    for (const [i, worker] of handOver.entries()) {
      const packet = batch[from + i]!
      if (worker === 0) continue
      const difference = differenceOf(
        this.#both((engine) => areaOf(engine).slot(from + i, packet.length)),
        packet,
        '',
      )
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

function fillWire(engine: PacketEngine, batch: readonly Datagram[]): void {
  const { wireRx, memory } = engine
  batch.forEach(({ bytes, remote, tos, length }, slot) => {
    wireRx.slot(slot).set(bytes.subarray(0, SLOT_BYTES))
    wireRx.length[slot] = length ?? bytes.length
    wireRx.tos[slot] = tos
    new Uint8Array(memory, wireRx.names + slot * NAME_STRIDE, NAME_STRIDE).set(socketName(remote))
  })
}

/** As Linux lays out sockaddr_in and sockaddr_in6. */
export function socketName({ address, port }: SocketAddress): Uint8Array {
  const name = new Uint8Array(NAME_STRIDE)
  const bytes = addressBytes(address)
  name[0] = bytes.length === 4 ? 2 : 10
  name[2] = port >> 8
  name[3] = port & 0xff
  name.set(bytes, bytes.length === 4 ? 4 : 8)
  return name
}

function elsewhereOf({ wireRx }: PacketEngine, count: number): (number | undefined)[] {
  return Array.from({ length: count }, (_, i) =>
    wireRx.verdict[i] === VERDICT_ELSEWHERE ? wireRx.elsewhere[i]! : undefined,
  )
}

function contents(outbox: LanOutbox): Uint8Array[] {
  return Array.from({ length: outbox.count }, (_, i) => outbox.packet(i).slice())
}

function probesOf({ probes }: PacketEngine): Opened['probes'] {
  return contents(probes).map((content, i) => ({ content, tunnel: probes.tunnel[i]!, tos: probes.tos[i]! }))
}

function wireContents({ wireTx }: PacketEngine): WirePacket[] {
  return contents(wireTx).map((bytes, i) => ({ bytes, endpoint: wireTx.endpoint[i]!, tos: wireTx.tos[i]! }))
}

/** Where two plain values first differ, and how; undefined where they don't. */
export function differenceOf(left: unknown, right: unknown, path: string): string | undefined {
  if (Object.is(left, right)) return undefined
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    return `${path} is ${String(left)} (${typeof left}) and ${String(right)} (${typeof right})`
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array && left.length === right.length) {
    const at = left.findIndex((byte, i) => byte !== right[i])
    return at < 0 ? undefined : `${path} at byte ${at} of ${left.length}: ${hexOf(left)} and ${hexOf(right)}`
  }
  const one = left as Record<string, unknown>
  const other = right as Record<string, unknown>
  for (const key of new Set(['length', ...Object.keys(one), ...Object.keys(other)])) {
    const difference = differenceOf(one[key], other[key], `${path}.${key}`)
    if (difference !== undefined) return difference
  }
  return undefined
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 80), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
