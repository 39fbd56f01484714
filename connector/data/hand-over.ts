/**
 * What one packet worker hands to another: LAN packets whose Child SA lives there, and datagrams that the kernel gave to
 * the wrong one. The queues are sockets with message boundaries; a full one costs the packet, never a wait.
 *
 * A LAN message is what the TUN device gave, or a packet that goes on from a tunnel, with a virtio_net_hdr where the
 * device has one; behind it in VIA_BYTES 1 more than that tunnel, or 0. A wire message is the sender's socket address
 * (NAME_STRIDE bytes), the outer TOS (TOS_BYTES, the first counts), and the datagram.
 */
import { BATCH, NAME_STRIDE, OUTBOX, SLOT_BYTES, VERDICT_ELSEWHERE, VNET_HEADER } from '../../wasm/abi.ts'
import type { LanReceiveArea, PacketEngine } from '../../wasm/packet-engine.ts'
import type { HostDrop, WorkerShare } from './commands.ts'
import { MMSGHDR } from './host-area.ts'
import { MSG_DONTWAIT, type PacketSyscalls } from './syscalls.ts'

const TOS_BYTES = 4
export const VIA_BYTES = 4
const IOVEC = 16
/** Address, TOS, datagram. */
const PARTS = 3

/** The address family of a wire message that is no datagram but a probe that was opened elsewhere: no kernel writes it. */
const FAMILY_PROBE = 0xffff
/** Octets of a probe that are handed over; behind them is padding. */
const PROBE_BYTES = 64

/** A probe of a tunnel that another worker asks about. `length`: with the padding, which is not in `bytes`. */
export type TakeProbe = (tunnel: number, bytes: Uint8Array, length: number) => void

export interface HandOverParts {
  readonly share: WorkerShare
  readonly engine: PacketEngine
  /** Packets of the device have a virtio_net_hdr. */
  readonly header: boolean
  readonly syscalls: PacketSyscalls
  readonly addressOf: (buffer: ArrayBuffer) => number
  readonly drops: Record<HostDrop, number>
  /** Throws when the error means that the queue is gone. */
  readonly checkAlive: (errno: number) => void
  readonly onProbe?: TakeProbe
}

export class HandOver {
  /** Packets that others have taken over. */
  count = 0
  readonly #parts: HandOverParts
  readonly #memory: number
  readonly #bytes: DataView
  readonly #outgoing: Messages
  readonly #incoming: Messages
  readonly #probe: { readonly view: DataView; readonly bytes: Uint8Array; readonly address: number }

  constructor(parts: HandOverParts) {
    this.#parts = parts
    this.#memory = parts.addressOf(parts.engine.memory)
    this.#bytes = new DataView(parts.engine.memory)
    this.#outgoing = new Messages(OUTBOX, parts.engine, this.#memory, parts.addressOf)
    this.#incoming = new Messages(BATCH, parts.engine, this.#memory, parts.addressOf)
    const buffer = new ArrayBuffer(NAME_STRIDE + TOS_BYTES + PROBE_BYTES)
    this.#probe = { view: new DataView(buffer), bytes: new Uint8Array(buffer), address: parts.addressOf(buffer) }
    parts.engine.setShare(parts.share.worker, parts.share.lan.length)
  }

  /** Of the slots from `first` to before `end`, `stride` bytes apart, those that the engine left to others. */
  lan({ handOver, length, offset }: LanReceiveArea, stride: number, first: number, end: number): void {
    for (let i = first; i < end; i++) {
      const code = handOver[i]!
      if (code !== 0) this.#sendLan(code - 1, offset + i * stride, length[i]!, 0)
    }
  }

  /** The same of what goes on from one tunnel to another. */
  transit(first: number, end: number): void {
    const { handOver, offset, length, via } = this.#parts.engine.transit
    const header = this.#parts.header ? VNET_HEADER : 0
    for (let i = first; i < end; i++) {
      const code = handOver[i]!
      if (code === 0) continue
      const start = offset[i]! - header
      for (let at = 0; at < header; at++) this.#bytes.setUint8(start + at, 0)
      this.#sendLan(code - 1, start, length[i]! + header, via[i]!)
    }
  }

  /** Takes what is behind a LAN message of `received` bytes, in slot `index` of `area`, from its length. */
  takeLan(area: LanReceiveArea, stride: number, index: number, received: number): void {
    const length = Math.max(0, received - VIA_BYTES)
    area.length[index] = length
    area.via[index] = received < VIA_BYTES ? 0 : this.#bytes.getUint32(area.offset + index * stride + length, true)
  }

  /** There is room behind every packet that is handed over. */
  #sendLan(worker: number, start: number, length: number, via: number): void {
    const { share, syscalls } = this.#parts
    this.#bytes.setUint32(start + length, via, true)
    const written = syscalls.write(share.lan[worker] ?? -1, this.#memory + start, length + VIA_BYTES)
    if (written >= 0) this.count++
    else this.#refused(1)
  }

  /** Of the first `count` slots of `wireRx`, those whose SPI is another worker's. */
  wire(count: number): void {
    const { verdict, elsewhere, length, tos } = this.#parts.engine.wireRx
    for (let i = 0; i < count; ) {
      if (verdict[i] !== VERDICT_ELSEWHERE) {
        i++
        continue
      }
      const first = i
      for (; i < count && verdict[i] === VERDICT_ELSEWHERE && elsewhere[i] === elsewhere[first]; i++) {
        this.#outgoing.set(i, length[i]!, tos[i]!)
      }
      this.#send(elsewhere[first]!, first, i)
    }
  }

  /** To the worker that asks about the tunnel. `bytes` without padding: the first PROBE_BYTES count. */
  probe(worker: number, tunnel: number, bytes: Uint8Array, length: number): void {
    const { view, bytes: message, address } = this.#probe
    message.fill(0)
    view.setUint16(0, FAMILY_PROBE, true)
    view.setUint32(4, tunnel, true)
    view.setUint32(8, length, true)
    message.set(bytes.subarray(0, PROBE_BYTES), NAME_STRIDE + TOS_BYTES)
    const { share, syscalls } = this.#parts
    const written = syscalls.write(share.wire[worker] ?? -1, address, message.length)
    if (written >= 0) this.count++
    else this.#refused(1)
  }

  /** Fills `wireRx` with what others handed over; returns how many. */
  takeWire(): number {
    const { syscalls, share, engine, checkAlive } = this.#parts
    const { length, tos } = engine.wireRx
    const bytes = this.#bytes
    const incoming = this.#incoming
    const count = syscalls.recvmmsg(share.wireInbox, incoming.at(0), BATCH, MSG_DONTWAIT, 0)
    if (count < 0) checkAlive(syscalls.errno())
    for (let i = 0; i < count; i++) {
      length[i] = incoming.receivedLength(i)
      tos[i] = incoming.tos(i)
      if (bytes.getUint16(engine.wireRx.names + i * NAME_STRIDE, true) === FAMILY_PROBE) this.#takeProbe(i)
    }
    return Math.max(0, count)
  }

  /** What is left for the engine in its place is a keepalive: that has no meaning. */
  #takeProbe(index: number): void {
    const { engine, onProbe } = this.#parts
    const name = engine.wireRx.names + index * NAME_STRIDE
    const slot = engine.wireRx.slot(index, PROBE_BYTES)
    onProbe?.(this.#bytes.getUint32(name + 4, true), slot, this.#bytes.getUint32(name + 8, true))
    slot[0] = 0xff
    engine.wireRx.length[index] = 1
  }

  /** Sends the messages from `first` to before `end`. */
  #send(worker: number, first: number, end: number): void {
    const { share, syscalls } = this.#parts
    for (let at = first; at < end; ) {
      const sent = syscalls.sendmmsg(share.wire[worker] ?? -1, this.#outgoing.at(at), end - at, MSG_DONTWAIT)
      if (sent <= 0) {
        this.#refused(end - at)
        return
      }
      this.count += sent
      at += sent
    }
  }

  #refused(packets: number): void {
    this.#parts.drops.hand_over += packets
    this.#parts.checkAlive(this.#parts.syscalls.errno())
  }
}

/** `struct mmsghdr`s, one for each slot of `wireRx` with that slot's address and bytes. Built once. */
class Messages {
  readonly #words: Uint32Array
  readonly #base: number
  readonly #iovecs: number
  readonly #tos: number

  constructor(count: number, engine: PacketEngine, memory: number, addressOf: (buffer: ArrayBuffer) => number) {
    this.#iovecs = count * MMSGHDR
    this.#tos = this.#iovecs + count * PARTS * IOVEC
    const buffer = new ArrayBuffer(this.#tos + count * TOS_BYTES)
    this.#words = new Uint32Array(buffer)
    this.#base = addressOf(buffer)
    const { names, offset } = engine.wireRx
    for (let i = 0; i < count; i++) {
      const iovecs = this.#iovecs + i * PARTS * IOVEC
      this.#pointer(i * MMSGHDR + 16, this.#base + iovecs)
      this.#pointer(i * MMSGHDR + 24, PARTS)
      this.#part(iovecs, memory + names + i * NAME_STRIDE, NAME_STRIDE)
      this.#part(iovecs + IOVEC, this.#base + this.#tos + i * TOS_BYTES, TOS_BYTES)
      this.#part(iovecs + 2 * IOVEC, memory + offset + i * SLOT_BYTES, SLOT_BYTES)
    }
  }

  /** Address of header `index`. */
  at(index: number): number {
    return this.#base + index * MMSGHDR
  }

  /** Says how long the datagram in slot `index` is and which TOS it came with. */
  set(index: number, length: number, tos: number): void {
    this.#words[(this.#iovecs + (index * PARTS + 2) * IOVEC + 8) >> 2] = Math.min(length, SLOT_BYTES)
    this.#words[(this.#tos + index * TOS_BYTES) >> 2] = tos
  }

  receivedLength(index: number): number {
    return Math.max(0, this.#words[(index * MMSGHDR + 56) >> 2]! - NAME_STRIDE - TOS_BYTES)
  }

  tos(index: number): number {
    return this.#words[(this.#tos + index * TOS_BYTES) >> 2]! & 255
  }

  #part(at: number, address: number, length: number): void {
    this.#pointer(at, address)
    this.#pointer(at + 8, length)
  }

  /** A 64-bit value without a BigInt; exact below 2^53. */
  #pointer(offset: number, value: number): void {
    this.#words[offset >> 2] = value >>> 0
    this.#words[(offset >> 2) + 1] = Math.floor(value / 0x1_0000_0000)
  }
}
