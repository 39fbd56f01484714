/** One buffer with the slots that the host fills and the outboxes that it empties. */
import { BATCH, LARGE_BYTES, MAX_PROBES, NAME_STRIDE, OUTBOX, SLOT_BYTES } from '../abi.ts'
import type {
  LanOutbox,
  LanReceiveArea,
  ProbeList,
  ReceiveArea,
  RunReceiveArea,
  TransitList,
  WireOutbox,
  WireReceiveArea,
} from '../packet-engine.ts'
import { concat } from './bytes.ts'

/** Room in front of each packet of transit, for a virtio_net_hdr. */
const TRANSIT_HEADROOM = 16

export interface EngineMemory {
  readonly buffer: ArrayBuffer
  readonly lanRx: LanReceiveArea
  readonly wireRx: WireReceiveArea
  readonly lanLarge: LanReceiveArea
  readonly wireLarge: RunReceiveArea & { datagrams: number }
  readonly lanTx: LanQueue
  readonly wireTx: WireQueue
  readonly probes: ProbeQueue
  readonly transit: TransitQueue
}

export function createMemory(): EngineMemory {
  const layout = new Layout()
  const lanRx = layout.area(BATCH * SLOT_BYTES)
  const lanRxLength = layout.area(BATCH * 4)
  const wireRx = layout.area(OUTBOX * SLOT_BYTES)
  const wireRxLength = layout.area(OUTBOX * 4)
  const names = layout.area(OUTBOX * NAME_STRIDE)
  const tos = layout.area(OUTBOX)
  const verdict = layout.area(OUTBOX)
  const lanLarge = layout.area(BATCH * LARGE_BYTES)
  const lanLargeLength = layout.area(BATCH * 4)
  const wireLarge = layout.area(BATCH * LARGE_BYTES)
  const wireLargeLength = layout.area(BATCH * 4)
  const largeNames = layout.area(BATCH * NAME_STRIDE)
  const largeTos = layout.area(BATCH)
  const segment = layout.area(BATCH * 4)
  const lanTx = layout.area(OUTBOX * SLOT_BYTES)
  const wireTx = layout.area(OUTBOX * SLOT_BYTES)
  const probes = layout.area(MAX_PROBES * SLOT_BYTES)
  const transit = layout.area(OUTBOX * SLOT_BYTES + TRANSIT_HEADROOM) + TRANSIT_HEADROOM
  const large = layout.area(OUTBOX * LARGE_BYTES)
  const buffer = new ArrayBuffer(layout.size)
  return {
    buffer,
    lanRx: { ...receiveArea(buffer, lanRx, lanRxLength, BATCH, SLOT_BYTES), ...handOvers() },
    wireRx: {
      ...receiveArea(buffer, wireRx, wireRxLength, OUTBOX, SLOT_BYTES),
      names,
      tos: new Uint8Array(buffer, tos, OUTBOX),
      verdict: new Uint8Array(buffer, verdict, OUTBOX),
      elsewhere: new Uint8Array(OUTBOX),
    },
    lanLarge: {
      ...receiveArea(buffer, lanLarge, lanLargeLength, BATCH, LARGE_BYTES),
      ...handOvers(),
    },
    wireLarge: {
      ...receiveArea(buffer, wireLarge, wireLargeLength, BATCH, LARGE_BYTES),
      names: largeNames,
      tos: new Uint8Array(buffer, largeTos, BATCH),
      segment: new Uint32Array(buffer, segment, BATCH),
      datagrams: 0,
    },
    lanTx: new LanQueue(buffer, lanTx, large),
    wireTx: new WireQueue(buffer, wireTx),
    probes: new ProbeQueue(buffer, probes),
    transit: new TransitQueue(buffer, transit),
  }
}

function handOvers(): { handOver: Uint8Array; via: Uint32Array } {
  return { handOver: new Uint8Array(BATCH), via: new Uint32Array(BATCH) }
}

class Layout {
  size = 0

  area(bytes: number): number {
    const offset = this.size
    this.size += Math.ceil(bytes / 64) * 64
    return offset
  }
}

function receiveArea(
  buffer: ArrayBuffer,
  offset: number,
  lengthOffset: number,
  slots: number,
  stride: number,
): ReceiveArea {
  return {
    offset,
    length: new Uint32Array(buffer, lengthOffset, slots),
    slot: (index, length = stride) => new Uint8Array(buffer, offset + index * stride, length),
  }
}

/** Packets for the TUN device, each copied into its slot; one that no slot holds goes to the area for large ones. */
export class LanQueue implements LanOutbox {
  count = 0
  /** Put in front of every packet that is pushed. */
  header = new Uint8Array(0)
  readonly offset = new Uint32Array(OUTBOX)
  readonly length = new Uint32Array(OUTBOX)
  readonly #buffer: ArrayBuffer
  readonly #slots: number
  readonly #largeArea: number
  #largeCount = 0

  constructor(buffer: ArrayBuffer, slots: number, largeArea = 0) {
    this.#buffer = buffer
    this.#slots = slots
    this.#largeArea = largeArea
  }

  get room(): number {
    return OUTBOX - this.count
  }

  packet(index: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.offset[index]!, this.length[index]!)
  }

  clear(): void {
    this.count = 0
    this.#largeCount = 0
  }

  /** Takes the last packet out again; there is one. */
  takeBack(): Uint8Array {
    return this.packet(--this.count).slice(this.header.length)
  }

  /** The caller has made sure of room. Returns the entry's index. */
  push(bytes: Uint8Array): number {
    const index = this.count++
    this.replace(index, concat(this.header, bytes))
    return index
  }

  /** Puts something else, with its header in front, in the place of an entry. */
  replace(index: number, bytes: Uint8Array): void {
    const large = bytes.length > SLOT_BYTES
    this.offset[index] = large ? this.#largeArea + this.#largeCount++ * LARGE_BYTES : this.#slots + index * SLOT_BYTES
    this.length[index] = bytes.length
    this.packet(index).set(bytes)
  }
}

/** ESP packets for the wire, with where they go. */
export class WireQueue extends LanQueue implements WireOutbox {
  readonly endpoint = new Uint32Array(OUTBOX)
  readonly tos = new Uint8Array(OUTBOX)

  send(bytes: Uint8Array, endpoint: number, tos: number): void {
    const index = this.push(bytes)
    this.endpoint[index] = endpoint
    this.tos[index] = tos
  }
}

export class ProbeQueue extends LanQueue implements ProbeList {
  readonly tunnel = new Uint32Array(MAX_PROBES)
  readonly tos = new Uint8Array(MAX_PROBES)

  /** Returns false when the list is full. */
  list(bytes: Uint8Array, tunnel: number, tos: number): boolean {
    if (this.count === MAX_PROBES) return false
    const index = this.push(bytes)
    this.tunnel[index] = tunnel
    this.tos[index] = tos
    return true
  }
}

export class TransitQueue extends LanQueue implements TransitList {
  readonly via = new Uint32Array(OUTBOX)
  readonly handOver = new Uint8Array(OUTBOX)
  /** Packets to be answered instead of sent. */
  readonly expired = new Uint8Array(OUTBOX)
  /** The first that has not been sealed. */
  next = 0

  override clear(): void {
    super.clear()
    this.next = 0
  }

  pass(bytes: Uint8Array, from: number, expired: boolean): void {
    const index = this.push(bytes)
    this.via[index] = from + 1
    this.expired[index] = Number(expired)
  }
}
