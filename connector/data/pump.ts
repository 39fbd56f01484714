/**
 * The batch loop of the packet path. The kernel reads and writes packets where the engine has them; nothing is
 * copied and nothing allocated per packet here.
 */
import type { SocketAddress } from '../../protocol/net.ts'
import { BATCH, LARGE_BYTES, LARGE_PACKET, NAME_STRIDE, SLOT_BYTES, VERDICT_IKE, VNET_HEADER } from '../../wasm/abi.ts'
import type { LanFormat, PacketEngine } from '../../wasm/packet-engine.ts'
import type { HostDrop, WireSocket, WorkerShare } from './commands.ts'
import { HandOver, type TakeProbe, VIA_BYTES } from './hand-over.ts'
import { HostArea, MAX_POLL, POLLFD, type Reception } from './host-area.ts'
import { type SendResult, WireSender } from './sender.ts'
import { readSockaddr } from './sockaddr.ts'
import { MSG_DONTWAIT, type PacketSyscalls, POLLERR, POLLIN, POLLNVAL } from './syscalls.ts'

/** Bytes taken from the device before they are sealed and sent. */
const LAN_BYTES = 131_072
/** Slots filled by one receive call while datagrams come laid end to end. */
const RUN_SLOTS = 8
/** The device and the way to be woken; the sockets; and the inboxes. */
const FIRST_SOCKET = 2
const MAX_SOCKETS = MAX_POLL - FIRST_SOCKET - 2
const EBADF = 9
const EBADFD = 77
const ENOTSOCK = 88

export interface PumpParts {
  readonly engine: PacketEngine
  readonly syscalls: PacketSyscalls
  readonly addressOf: (buffer: ArrayBuffer) => number
  readonly tunFd: number
  /** What the device takes and gives. */
  readonly lanFormat: LanFormat
  readonly eventFd: number
  readonly sockets: readonly WireSocket[]
  /** Absent where there is only one worker. */
  readonly share?: WorkerShare
  /** The engine lists probes; one that another worker has opened. */
  readonly onProbes?: (now: number) => void
  readonly onProbe?: TakeProbe
  /** An IKE datagram, marker removed; the array is the receiver's. */
  readonly onIke: (socket: number, remote: SocketAddress, bytes: Uint8Array) => void
}

/** The device or a socket is gone: the packet path cannot go on. */
export class PumpFailure extends Error {
  override readonly name = 'PumpFailure'
}

export class Pump {
  readonly drops: Record<HostDrop, number> = {
    send_full: 0,
    send_refused: 0,
    lan_write: 0,
    ike_backlog: 0,
    hand_over: 0,
  }
  readonly #parts: PumpParts
  readonly #area: HostArea
  readonly #memoryView: DataView
  readonly #sender: WireSender
  readonly #handOver: HandOver | undefined
  readonly #reception: readonly Reception[]
  readonly #polled: number
  /** Slots that the next receive call may fill, by socket. */
  readonly #slots: Uint8Array

  constructor(parts: PumpParts) {
    if (parts.sockets.length > MAX_SOCKETS) throw new RangeError(`at most ${MAX_SOCKETS} sockets`)
    this.#parts = parts
    this.#area = new HostArea(parts.engine.memory, parts.engine.wireRx, parts.engine.wireLarge, parts.addressOf)
    parts.engine.setLanFormat(parts.lanFormat)
    this.#memoryView = new DataView(parts.engine.memory)
    this.#sender = new WireSender({
      area: this.#area,
      syscalls: parts.syscalls,
      sockets: parts.sockets,
      drops: this.drops,
      checkAlive: (errno) => checkAlive(errno, 'a socket is gone'),
    })
    this.#handOver =
      parts.share &&
      new HandOver({
        share: parts.share,
        engine: parts.engine,
        header: parts.lanFormat.header,
        syscalls: parts.syscalls,
        addressOf: parts.addressOf,
        drops: this.drops,
        checkAlive: (errno) => checkAlive(errno, 'a queue between the packet workers is gone'),
        ...(parts.onProbe === undefined ? {} : { onProbe: parts.onProbe }),
      })
    this.#reception = parts.sockets.map(receptionOf)
    this.#slots = new Uint8Array(parts.sockets.length).fill(BATCH)
    const inboxes = parts.share === undefined ? [] : [parts.share.lanInbox, parts.share.wireInbox]
    const fds = [parts.tunFd, parts.eventFd, ...parts.sockets.map((socket) => socket.fd), ...inboxes]
    this.#polled = fds.length
    for (const [i, fd] of fds.entries()) {
      this.#area.view.setInt32(this.#area.at.poll + i * POLLFD, fd, true)
      this.#area.view.setInt16(this.#area.at.poll + i * POLLFD + 4, POLLIN, true)
    }
    for (const kind of ['rx', 'rxRaw4', 'rxRuns'] as const) this.#area.resetReceive(kind, BATCH)
  }

  /** Messages of several packets that the kernel would not cut. */
  get segmentsRefused(): number {
    return this.#sender.refused
  }

  /** Packets that went to other workers. */
  get handedOver(): number {
    return this.#handOver?.count ?? 0
  }

  /** Where packets for the engine's endpoint `handle` go. */
  setEndpoint(handle: number, socket: number, remote: SocketAddress): void {
    this.#sender.setEndpoint(handle, socket, remote)
  }

  /** Sends the probe that the engine has just sealed; `whole`: no host on its way is to cut it. */
  sendProbe(whole: boolean): SendResult {
    const { wireTx } = this.#parts.engine
    if (whole) return this.#sender.sendWhole(wireTx)
    this.#sender.flush(wireTx)
    return 'sent'
  }

  /** Of the kernel's route for the engine's endpoint `handle`, in bytes. */
  routeMtu(handle: number): number | undefined {
    return this.#sender.routeMtu(handle)
  }

  /** A probe for the worker that asks about the tunnel. */
  handOverProbe(worker: number, tunnel: number, bytes: Uint8Array, length: number): void {
    this.#handOver?.probe(worker, tunnel, bytes, length)
  }

  /**
   * Waits until something can be read, at most `timeoutMs`, and moves one batch from everything that is ready.
   * Returns whether anything was moved. Throws PumpFailure when the device or a socket is gone.
   */
  turn(timeoutMs: number, clock: () => number): boolean {
    const { syscalls, sockets, tunFd, share } = this.#parts
    const ready = syscalls.poll(this.#area.base + this.#area.at.poll, this.#polled, timeoutMs)
    if (ready <= 0) return false
    if (this.#ready(1)) syscalls.read(this.#parts.eventFd, this.#area.base + this.#area.at.scratch, 8)
    let moved = 0
    if (this.#ready(0)) moved += this.#takeLan(tunFd, false, clock())
    for (let i = 0; i < sockets.length; i++) if (this.#ready(FIRST_SOCKET + i)) moved += this.#fromWire(i, clock())
    if (share === undefined) return moved > 0
    if (this.#ready(FIRST_SOCKET + sockets.length)) moved += this.#takeLan(share.lanInbox, true, clock())
    if (this.#ready(FIRST_SOCKET + sockets.length + 1)) moved += this.#fromWireInbox(clock())
    return moved > 0
  }

  #ready(index: number): boolean {
    const events = this.#area.view.getInt16(this.#area.at.poll + index * POLLFD + 6, true)
    if ((events & POLLNVAL) !== 0) throw new PumpFailure('a file descriptor of the packet path was closed')
    return (events & (POLLIN | POLLERR)) !== 0
  }

  /** From the device's queue `fd`, or from the inbox with what others have read from theirs. */
  #takeLan(fd: number, fromInbox: boolean, now: number): number {
    return this.#parts.lanFormat.header ? this.#fromLanLarge(fd, fromInbox, now) : this.#fromLan(fd, fromInbox, now)
  }

  #fromLan(fd: number, fromInbox: boolean, now: number): number {
    const { engine, syscalls } = this.#parts
    const first = this.#area.memory + engine.lanRx.offset
    let count = 0
    while (count < BATCH) {
      const length = syscalls.read(fd, first + count * SLOT_BYTES, SLOT_BYTES)
      if (length <= 0) {
        if (length < 0) checkAlive(syscalls.errno(), 'the TUN device is gone')
        break
      }
      if (fromInbox) this.#handOver?.takeLan(engine.lanRx, SLOT_BYTES, count, length)
      else engine.lanRx.length[count] = length
      count++
    }
    let done = 0
    while (done < count) {
      const consumed = engine.sealBatch(done, count - done, now, fromInbox)
      this.#sender.flush(engine.wireTx)
      this.#flushLan()
      if (consumed <= 0) break
      this.#handOver?.lan(engine.lanRx, SLOT_BYTES, done, done + consumed)
      done += consumed
    }
    return count
  }

  /** As `#fromLan`, with super-packets; as much at once as the caches hold. */
  #fromLanLarge(fd: number, fromInbox: boolean, now: number): number {
    const { engine, syscalls } = this.#parts
    const first = this.#area.memory + engine.lanLarge.offset
    const most = VNET_HEADER + LARGE_PACKET + (fromInbox ? VIA_BYTES : 0)
    let count = 0
    for (let bytes = 0; count < BATCH && bytes < LAN_BYTES; count++) {
      const length = syscalls.read(fd, first + count * LARGE_BYTES, most)
      if (length <= 0) {
        if (length < 0) checkAlive(syscalls.errno(), 'the TUN device is gone')
        break
      }
      if (fromInbox) this.#handOver?.takeLan(engine.lanLarge, LARGE_BYTES, count, length)
      else engine.lanLarge.length[count] = length
      bytes += length
    }
    for (let done = 0; done < count; ) {
      const consumed = engine.sealLarge(done, count - done, now, fromInbox)
      this.#sender.flush(engine.wireTx)
      this.#flushLan()
      this.#handOver?.lan(engine.lanLarge, LARGE_BYTES, done, done + consumed)
      done += consumed
    }
    return count
  }

  #receive(index: number, slots: number): number {
    const { syscalls, sockets } = this.#parts
    const headers = this.#area.base + this.#area.at[this.#reception[index]!]
    const count = syscalls.recvmmsg(sockets[index]!.fd, headers, slots, MSG_DONTWAIT, 0)
    if (count < 0) checkAlive(syscalls.errno(), 'a socket is gone')
    return Math.max(0, count)
  }

  /** Runs of datagrams: few slots at a time while they are long, all of them while there is one datagram in each. */
  #runsFromWire(index: number, now: number): number {
    const { engine } = this.#parts
    const count = this.#receive(index, this.#slots[index]!)
    const { length, segment, tos } = engine.wireLarge
    let long = false
    for (let i = 0; i < count; i++) {
      length[i] = this.#area.receivedLength('rxRuns', i)
      tos[i] = this.#area.receivedTos('rxRuns', i)
      segment[i] = this.#area.receivedSegment(i)
      if (segment[i]! > 0) long = true
    }
    this.#slots[index] = long ? RUN_SLOTS : BATCH
    this.#area.resetReceive('rxRuns', count)
    for (let done = 0; done < count; ) {
      done += engine.openRuns(done, count - done, now)
      this.#opened(now)
      this.#handAllIke(index, engine.wireLarge.datagrams)
      this.#handOver?.wire(engine.wireLarge.datagrams)
    }
    return count
  }

  #fromWire(index: number, now: number): number {
    const { engine, sockets } = this.#parts
    const socket = sockets[index]!
    const kind = this.#reception[index]!
    if (kind === 'rxRuns') return this.#runsFromWire(index, now)
    const count = this.#receive(index, BATCH)
    if (count === 0) return 0
    const { length, tos } = engine.wireRx
    for (let i = 0; i < count; i++) {
      length[i] = this.#area.receivedLength(kind, i)
      tos[i] = this.#area.receivedTos(kind, i)
      if (kind === 'rxRaw4') this.#skipOptions(i)
    }
    this.#area.resetReceive(kind, count)
    if (socket.kind === 'ike') {
      for (let i = 0; i < count; i++) this.#handIke(index, i, 0)
      return count
    }
    engine.openBatch(count, socket.kind, now)
    this.#opened(now)
    if (socket.kind !== 'udp') return count
    this.#handAllIke(index, count)
    this.#handOver?.wire(count)
    return count
  }

  /** Datagrams that came to another worker's socket. */
  #fromWireInbox(now: number): number {
    const count = this.#handOver!.takeWire()
    if (count === 0) return 0
    this.#parts.engine.openBatch(count, 'udp', now)
    this.#opened(now)
    return count
  }

  #handAllIke(socket: number, count: number): void {
    const { verdict } = this.#parts.engine.wireRx
    for (let i = 0; i < count; i++) if (verdict[i] === VERDICT_IKE) this.#handIke(socket, i, 4)
  }

  /** The rare IPv4 header with options is longer than the part that the kernel was told to put aside. */
  #skipOptions(index: number): void {
    const options = this.#area.raw4Options(index)
    if (options <= 0) return
    const { length } = this.#parts.engine.wireRx
    const rest = Math.max(0, length[index]! - options)
    this.#parts.engine.wireRx.slot(index).copyWithin(0, options, options + rest)
    length[index] = rest
  }

  #handIke(socket: number, slot: number, skip: number): void {
    const { engine, onIke } = this.#parts
    const remote = readSockaddr(this.#memoryView, engine.wireRx.names + slot * NAME_STRIDE)
    const length = Math.min(engine.wireRx.length[slot]!, SLOT_BYTES)
    if (remote === undefined || length <= skip) return
    onIke(socket, remote, engine.wireRx.slot(slot, length).slice(skip))
  }

  #opened(now: number): void {
    this.#flushLan()
    if (this.#parts.engine.transit.count > 0) this.#sendOn(now)
    if (this.#parts.engine.probes.count > 0) this.#parts.onProbes?.(now)
  }

  /** From one tunnel to another. */
  #sendOn(now: number): void {
    const { engine } = this.#parts
    for (let done = 0; done < engine.transit.count; ) {
      const consumed = engine.sealTransit(now)
      this.#sender.flush(engine.wireTx)
      this.#flushLan()
      if (consumed <= 0) break
      this.#handOver?.transit(done, done + consumed)
      done += consumed
    }
  }

  #flushLan(): void {
    const { engine, syscalls, tunFd } = this.#parts
    const { count, offset, length } = engine.lanTx
    for (let i = 0; i < count; i++) {
      if (syscalls.write(tunFd, this.#area.memory + offset[i]!, length[i]!) < 0) this.drops.lan_write++
    }
  }
}

function receptionOf({ kind, local, runs }: WireSocket): Reception {
  if (kind === 'esp' && !local.address.includes(':')) return 'rxRaw4'
  return kind === 'udp' && runs === true ? 'rxRuns' : 'rx'
}

function checkAlive(errno: number, what: string): void {
  if (errno === EBADF || errno === EBADFD || errno === ENOTSOCK) throw new PumpFailure(`${what} (errno ${errno})`)
}
