/** One buffer with the slots that the host fills and the outboxes that it empties. */
import { BATCH, NAME_STRIDE, OUTBOX, SLOT_BYTES } from '../abi.ts'
import type { LanOutbox, ReceiveArea, WireOutbox, WireReceiveArea } from '../packet-engine.ts'

/** Room for one reassembled datagram; a batch completes at most one with each packet. */
const LARGE_BYTES = 65536

export interface EngineMemory {
  readonly buffer: ArrayBuffer
  readonly lanRx: ReceiveArea
  readonly wireRx: WireReceiveArea
  readonly lanTx: LanQueue
  readonly wireTx: WireQueue
}

export function createMemory(): EngineMemory {
  const layout = new Layout()
  const lanRx = layout.area(BATCH * SLOT_BYTES)
  const lanRxLength = layout.area(BATCH * 4)
  const wireRx = layout.area(BATCH * SLOT_BYTES)
  const wireRxLength = layout.area(BATCH * 4)
  const names = layout.area(BATCH * NAME_STRIDE)
  const tos = layout.area(BATCH)
  const verdict = layout.area(BATCH)
  const lanTx = layout.area(OUTBOX * SLOT_BYTES)
  const wireTx = layout.area(OUTBOX * SLOT_BYTES)
  const large = layout.area(BATCH * LARGE_BYTES)
  const buffer = new ArrayBuffer(layout.size)
  return {
    buffer,
    lanRx: receiveArea(buffer, lanRx, lanRxLength),
    wireRx: {
      ...receiveArea(buffer, wireRx, wireRxLength),
      names,
      tos: new Uint8Array(buffer, tos, BATCH),
      verdict: new Uint8Array(buffer, verdict, BATCH),
    },
    lanTx: new LanQueue(buffer, lanTx, large),
    wireTx: new WireQueue(buffer, wireTx),
  }
}

class Layout {
  size = 0

  area(bytes: number): number {
    const offset = this.size
    this.size += Math.ceil(bytes / 64) * 64
    return offset
  }
}

function receiveArea(buffer: ArrayBuffer, offset: number, lengthOffset: number): ReceiveArea {
  return {
    offset,
    length: new Uint32Array(buffer, lengthOffset, BATCH),
    slot: (index, length = SLOT_BYTES) => new Uint8Array(buffer, offset + index * SLOT_BYTES, length),
  }
}

/** Packets for the TUN device, each copied into its slot; one that no slot holds goes to the area for large ones. */
export class LanQueue implements LanOutbox {
  count = 0
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

  /** The caller has made sure of room. Returns the entry's index. */
  push(bytes: Uint8Array): number {
    const index = this.count++
    const large = bytes.length > SLOT_BYTES
    this.offset[index] = large ? this.#largeArea + this.#largeCount++ * LARGE_BYTES : this.#slots + index * SLOT_BYTES
    this.length[index] = bytes.length
    this.packet(index).set(bytes)
    return index
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
