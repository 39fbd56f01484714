/** Views on the packet slots of engine memory. Made once; the batch calls allocate nothing. */
import { BATCH, LARGE_BYTES, MAX_PROBES, OUTBOX, SLOT_BYTES } from './abi.ts'
import type { RawExports, RawGlobal } from './engine-exports.ts'
import type {
  LanOutbox,
  LanReceiveArea,
  ProbeList,
  ReceiveArea,
  RunReceiveArea,
  TransitList,
  WireOutbox,
  WireReceiveArea,
} from './packet-engine.ts'

class Slots implements ReceiveArea {
  readonly offset: number
  readonly length: Uint32Array
  readonly #memory: ArrayBuffer
  readonly #stride: number

  constructor(memory: ArrayBuffer, offset: number, lengths: number, count = BATCH, stride = SLOT_BYTES) {
    this.#memory = memory
    this.#stride = stride
    this.offset = offset
    this.length = new Uint32Array(memory, lengths, count)
  }

  slot(index: number, length = this.#stride): Uint8Array {
    if (!(index >= 0 && index < this.length.length && length <= this.#stride))
      throw new RangeError(`no slot ${index} of ${length} bytes`)
    return new Uint8Array(this.#memory, this.offset + index * this.#stride, length)
  }
}

class LanSlots extends Slots implements LanReceiveArea {
  readonly handOver: Uint8Array
  readonly via: Uint32Array

  constructor(memory: ArrayBuffer, offset: number, lengths: number, handOver: number, via: number, stride: number) {
    super(memory, offset, lengths, BATCH, stride)
    this.handOver = new Uint8Array(memory, handOver, BATCH)
    this.via = new Uint32Array(memory, via, BATCH)
  }
}

class WireSlots extends Slots implements WireReceiveArea {
  readonly names: number
  readonly tos: Uint8Array
  readonly verdict: Uint8Array
  readonly elsewhere: Uint8Array

  constructor(raw: RawExports) {
    super(raw.memory.buffer, raw.WIRE_RX.value, raw.WIRE_RX_LENGTH.value, OUTBOX)
    this.names = raw.WIRE_RX_NAMES.value
    this.tos = new Uint8Array(raw.memory.buffer, raw.WIRE_RX_TOS.value, OUTBOX)
    this.verdict = new Uint8Array(raw.memory.buffer, raw.WIRE_RX_VERDICT.value, OUTBOX)
    this.elsewhere = new Uint8Array(raw.memory.buffer, raw.WIRE_RX_ELSEWHERE.value, OUTBOX)
  }
}

class RunSlots extends Slots implements RunReceiveArea {
  readonly names: number
  readonly tos: Uint8Array
  readonly segment: Uint32Array
  readonly #datagrams: RawGlobal

  constructor(raw: RawExports) {
    const memory = raw.memory.buffer
    super(memory, raw.LARGE_WIRE_RX.value, raw.LARGE_WIRE_RX_LENGTH.value, BATCH, LARGE_BYTES)
    this.names = raw.LARGE_WIRE_RX_NAMES.value
    this.tos = new Uint8Array(memory, raw.LARGE_WIRE_RX_TOS.value, BATCH)
    this.segment = new Uint32Array(memory, raw.LARGE_WIRE_RX_SEGMENT.value, BATCH)
    this.#datagrams = raw.runDatagrams
  }

  get datagrams(): number {
    return this.#datagrams.value
  }
}

class Outbox implements LanOutbox {
  readonly offset: Uint32Array
  readonly length: Uint32Array
  readonly #memory: ArrayBuffer
  readonly #count: Uint32Array

  constructor(memory: ArrayBuffer, count: number, offsets: number, lengths: number, most = OUTBOX) {
    this.#memory = memory
    this.#count = new Uint32Array(memory, count, 1)
    this.offset = new Uint32Array(memory, offsets, most)
    this.length = new Uint32Array(memory, lengths, most)
  }

  get count(): number {
    return this.#count[0]!
  }

  packet(index: number): Uint8Array {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no packet ${index} of ${this.count}`)
    return new Uint8Array(this.#memory, this.offset[index]!, this.length[index]!)
  }
}

class WireQueue extends Outbox implements WireOutbox {
  readonly endpoint: Uint32Array
  readonly tos: Uint8Array

  constructor(raw: RawExports) {
    super(raw.memory.buffer, raw.WIRE_TX_COUNT.value, raw.WIRE_TX_OFFSET.value, raw.WIRE_TX_LENGTH.value)
    this.endpoint = new Uint32Array(raw.memory.buffer, raw.WIRE_TX_ENDPOINT.value, OUTBOX)
    this.tos = new Uint8Array(raw.memory.buffer, raw.WIRE_TX_TOS.value, OUTBOX)
  }
}

class Probes extends Outbox implements ProbeList {
  readonly tunnel: Uint32Array
  readonly tos: Uint8Array

  constructor(raw: RawExports) {
    const memory = raw.memory.buffer
    super(memory, raw.PROBES_COUNT.value, raw.PROBES_OFFSET.value, raw.PROBES_LENGTH.value, MAX_PROBES)
    this.tunnel = new Uint32Array(memory, raw.PROBES_TUNNEL.value, MAX_PROBES)
    this.tos = new Uint8Array(memory, raw.PROBES_TOS.value, MAX_PROBES)
  }
}

class Transit extends Outbox implements TransitList {
  readonly via: Uint32Array
  readonly handOver: Uint8Array

  constructor(raw: RawExports) {
    const memory = raw.memory.buffer
    super(memory, raw.TRANSIT_COUNT.value, raw.TRANSIT_OFFSET.value, raw.TRANSIT_LENGTH.value)
    this.via = new Uint32Array(memory, raw.TRANSIT_VIA.value, OUTBOX)
    this.handOver = new Uint8Array(memory, raw.TRANSIT_HAND_OVER.value, OUTBOX)
  }
}

export function lanReceiveArea(raw: RawExports): LanReceiveArea {
  const { LAN_RX: start, LAN_RX_LENGTH: lengths, LAN_RX_HAND_OVER: handOver, LAN_RX_VIA: via } = raw
  return new LanSlots(raw.memory.buffer, start.value, lengths.value, handOver.value, via.value, SLOT_BYTES)
}

export function wireReceiveArea(raw: RawExports): WireReceiveArea {
  return new WireSlots(raw)
}

export function largeLanArea(raw: RawExports): LanReceiveArea {
  const { LARGE_LAN_START: start, LARGE_LAN_RX_LENGTH: lengths, LARGE_LAN_RX_HAND_OVER: handOver } = raw
  const via = raw.LARGE_LAN_RX_VIA.value
  return new LanSlots(raw.memory.buffer, start.value, lengths.value, handOver.value, via, LARGE_BYTES)
}

export function runReceiveArea(raw: RawExports): RunReceiveArea {
  return new RunSlots(raw)
}

export function lanOutbox(raw: RawExports): LanOutbox {
  return new Outbox(raw.memory.buffer, raw.LAN_TX_COUNT.value, raw.LAN_TX_OFFSET.value, raw.LAN_TX_LENGTH.value)
}

export function wireOutbox(raw: RawExports): WireOutbox {
  return new WireQueue(raw)
}

export function probeList(raw: RawExports): ProbeList {
  return new Probes(raw)
}

export function transitList(raw: RawExports): TransitList {
  return new Transit(raw)
}
