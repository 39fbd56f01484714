/**
 * The batch loop of the packet path. The kernel reads and writes packets where the engine has them; nothing is
 * copied and nothing allocated per packet here.
 */
import type { SocketAddress } from '../../protocol/net.ts'
import { BATCH, NAME_STRIDE, SLOT_BYTES, VERDICT_IKE } from '../../wasm/abi.ts'
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import type { HostDrop, WireSocket } from './commands.ts'
import { HostArea, MAX_POLL, POLLFD } from './host-area.ts'
import { WireSender } from './sender.ts'
import { readSockaddr } from './sockaddr.ts'
import { MSG_DONTWAIT, type PacketSyscalls, POLLERR, POLLIN, POLLNVAL } from './syscalls.ts'

const EBADF = 9
const EBADFD = 77
const ENOTSOCK = 88

export interface PumpParts {
  readonly engine: PacketEngine
  readonly syscalls: PacketSyscalls
  readonly addressOf: (buffer: ArrayBuffer) => number
  readonly tunFd: number
  readonly eventFd: number
  readonly sockets: readonly WireSocket[]
  /** An IKE datagram, marker removed; the array is the receiver's. */
  readonly onIke: (socket: number, remote: SocketAddress, bytes: Uint8Array) => void
}

/** The device or a socket is gone: the packet path cannot go on. */
export class PumpFailure extends Error {
  override readonly name = 'PumpFailure'
}

export class Pump {
  readonly drops: Record<HostDrop, number> = { send_full: 0, send_refused: 0, lan_write: 0, ike_backlog: 0 }
  readonly #parts: PumpParts
  readonly #area: HostArea
  readonly #memoryView: DataView
  readonly #sender: WireSender
  readonly #raw4: readonly boolean[]

  constructor(parts: PumpParts) {
    if (parts.sockets.length + 2 > MAX_POLL) throw new RangeError(`at most ${MAX_POLL - 2} sockets`)
    this.#parts = parts
    this.#area = new HostArea(parts.engine.memory, parts.engine.wireRx, parts.addressOf)
    this.#memoryView = new DataView(parts.engine.memory)
    this.#sender = new WireSender({
      area: this.#area,
      syscalls: parts.syscalls,
      sockets: parts.sockets,
      drops: this.drops,
      checkAlive: (errno) => checkAlive(errno, 'a socket is gone'),
    })
    this.#raw4 = parts.sockets.map((socket) => socket.kind === 'esp' && !socket.local.address.includes(':'))
    const fds = [parts.tunFd, parts.eventFd, ...parts.sockets.map((socket) => socket.fd)]
    for (const [i, fd] of fds.entries()) {
      this.#area.view.setInt32(this.#area.at.poll + i * POLLFD, fd, true)
      this.#area.view.setInt16(this.#area.at.poll + i * POLLFD + 4, POLLIN, true)
    }
    this.#area.resetReceive(false, BATCH)
    this.#area.resetReceive(true, BATCH)
  }

  /** Where packets for the engine's endpoint `handle` go. */
  setEndpoint(handle: number, socket: number, remote: SocketAddress): void {
    this.#sender.setEndpoint(handle, socket, remote)
  }

  /**
   * Waits until something can be read, at most `timeoutMs`, and moves one batch from everything that is ready.
   * Returns whether anything was moved. Throws PumpFailure when the device or a socket is gone.
   */
  turn(timeoutMs: number, clock: () => number): boolean {
    const { syscalls, sockets } = this.#parts
    const ready = syscalls.poll(this.#area.base + this.#area.at.poll, sockets.length + 2, timeoutMs)
    if (ready <= 0) return false
    if (this.#ready(1)) syscalls.read(this.#parts.eventFd, this.#area.base + this.#area.at.scratch, 8)
    let moved = 0
    if (this.#ready(0)) moved += this.#fromLan(clock())
    for (let i = 0; i < sockets.length; i++) if (this.#ready(2 + i)) moved += this.#fromWire(i, clock())
    return moved > 0
  }

  #ready(index: number): boolean {
    const events = this.#area.view.getInt16(this.#area.at.poll + index * POLLFD + 6, true)
    if ((events & POLLNVAL) !== 0) throw new PumpFailure('a file descriptor of the packet path was closed')
    return (events & (POLLIN | POLLERR)) !== 0
  }

  #fromLan(now: number): number {
    const { engine, syscalls, tunFd } = this.#parts
    const first = this.#area.memory + engine.lanRx.offset
    let count = 0
    while (count < BATCH) {
      const length = syscalls.read(tunFd, first + count * SLOT_BYTES, SLOT_BYTES)
      if (length <= 0) {
        if (length < 0) checkAlive(syscalls.errno(), 'the TUN device is gone')
        break
      }
      engine.lanRx.length[count++] = length
    }
    let done = 0
    while (done < count) {
      const consumed = engine.sealBatch(done, count - done, now)
      this.#sender.flush(engine.wireTx)
      this.#flushLan()
      if (consumed <= 0) break
      done += consumed
    }
    return count
  }

  #fromWire(index: number, now: number): number {
    const { engine, syscalls, sockets } = this.#parts
    const socket = sockets[index]!
    const raw4 = this.#raw4[index]!
    const headers = this.#area.base + (raw4 ? this.#area.at.rxRaw4 : this.#area.at.rx)
    const count = syscalls.recvmmsg(socket.fd, headers, BATCH, MSG_DONTWAIT, 0)
    if (count <= 0) {
      if (count < 0) checkAlive(syscalls.errno(), 'a socket is gone')
      return 0
    }
    const { length, tos, verdict } = engine.wireRx
    for (let i = 0; i < count; i++) {
      length[i] = this.#area.receivedLength(raw4, i)
      tos[i] = this.#area.receivedTos(raw4, i)
      if (raw4) this.#skipOptions(i)
    }
    this.#area.resetReceive(raw4, count)
    if (socket.kind === 'ike') {
      for (let i = 0; i < count; i++) this.#handIke(index, i, 0)
      return count
    }
    engine.openBatch(count, socket.kind, now)
    this.#flushLan()
    if (socket.kind === 'udp') {
      for (let i = 0; i < count; i++) if (verdict[i] === VERDICT_IKE) this.#handIke(index, i, 4)
    }
    return count
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

  #flushLan(): void {
    const { engine, syscalls, tunFd } = this.#parts
    const { count, offset, length } = engine.lanTx
    for (let i = 0; i < count; i++) {
      if (syscalls.write(tunFd, this.#area.memory + offset[i]!, length[i]!) < 0) this.drops.lan_write++
    }
  }
}

function checkAlive(errno: number, what: string): void {
  if (errno === EBADF || errno === EBADFD || errno === ENOTSOCK) throw new PumpFailure(`${what} (errno ${errno})`)
}
