/**
 * The system calls of the packet path on queues in memory, for tests: buffers get made-up addresses beyond 2^32, and
 * every pointer that the pump hands over is followed as the kernel would.
 */
import type { SocketAddress } from '../../../protocol/net.ts'
import { readSockaddr, writeSockaddr } from '../sockaddr.ts'
import { EAGAIN, type PacketSyscalls, POLLIN } from '../syscalls.ts'

export interface Received {
  readonly from: SocketAddress
  readonly bytes: Uint8Array
  /** Put into a control message, or, with `ipHeader`, expected in that. */
  readonly tos?: number
  /** Put into a control message of UDP_GRO: the bytes are datagrams of this length, laid end to end. */
  readonly segment?: number
  /** Put before the bytes, as a raw IPv4 socket does. */
  readonly ipHeader?: Uint8Array
}

export interface Sent {
  readonly fd: number
  readonly to: SocketAddress
  readonly bytes: Uint8Array
  readonly tos: number
}

const MMSGHDR = 64
const THROW_AWAY = 999

export class FakeKernel implements PacketSyscalls {
  readonly lanIn: Uint8Array[] = []
  readonly lanOut: Uint8Array[] = []
  readonly wireIn = new Map<number, Received[]>()
  readonly sent: Sent[] = []
  /** Messages in the queues from other workers, by descriptor. */
  readonly inboxes = new Map<number, Uint8Array[]>()
  /** What was written to anything but the device, and what was sent without an address. */
  readonly written: { readonly fd: number; readonly bytes: Uint8Array }[] = []
  /** Sizes of the `sendmmsg` calls that were tried. */
  readonly sendCalls: { fd: number; count: number }[] = []
  /** Taken one by `sendmmsg` call: an errno, or how many messages it takes. */
  readonly sendScript: ({ errno: number } | { take: number })[] = []
  readonly options: { fd: number; level: number; option: number; value: number }[] = []
  /** Of every route. */
  routeMtu = 65_535
  lanReadErrno = EAGAIN
  lanWriteErrno = 0
  polls: number[] = []
  /** Returned for each descriptor that has nothing to read. */
  extraEvents = 0
  readonly #tunFd: number
  readonly #regions: { base: number; buffer: ArrayBuffer }[] = []
  #errno = 0

  constructor(tunFd: number) {
    this.#tunFd = tunFd
  }

  readonly addressOf = (buffer: ArrayBuffer): number => {
    const base = 0x7f00_0000_0000 + this.#regions.length * 0x1_0000_0000 + 0x40
    this.#regions.push({ base, buffer })
    return base
  }

  push(fd: number, ...received: Received[]): void {
    this.wireIn.set(fd, [...(this.wireIn.get(fd) ?? []), ...received])
  }

  errno(): number {
    return this.#errno
  }

  read(fd: number, address: number, length: number): number {
    const inbox = this.inboxes.get(fd)
    if (fd !== this.#tunFd && inbox === undefined) return 8
    const packet = (inbox ?? this.lanIn).shift()
    if (packet === undefined) return this.#fail(this.lanReadErrno)
    this.#bytes(address, Math.min(length, packet.length)).set(packet.subarray(0, length))
    return Math.min(length, packet.length)
  }

  write(fd: number, address: number, length: number): number {
    if (this.lanWriteErrno !== 0) return this.#fail(this.lanWriteErrno)
    if (fd !== this.#tunFd) this.written.push({ fd, bytes: this.#bytes(address, length).slice() })
    else this.lanOut.push(this.#bytes(address, length).slice())
    return length
  }

  poll(pollfds: number, count: number, timeoutMs: number): number {
    this.polls.push(timeoutMs)
    let ready = 0
    for (let i = 0; i < count; i++) {
      const view = this.#view(pollfds + i * 8, 8)
      const fd = view.getInt32(0, true)
      const queue = fd === this.#tunFd ? this.lanIn : (this.inboxes.get(fd) ?? this.wireIn.get(fd) ?? [])
      const waiting = queue.length > 0
      const events = (waiting ? POLLIN : 0) | this.extraEvents
      view.setInt16(6, events, true)
      if (events !== 0) ready++
    }
    return ready
  }

  recvmmsg(fd: number, headers: number, count: number): number {
    const inbox = this.inboxes.get(fd)
    if (inbox !== undefined) return this.#receiveMessages(inbox, headers, count)
    const queue = this.wireIn.get(fd) ?? []
    if (queue.length === 0) return this.#fail(EAGAIN)
    let done = 0
    for (; done < count && queue.length > 0; done++) this.#receive(headers + done * MMSGHDR, queue.shift()!)
    return done
  }

  sendmmsg(fd: number, headers: number, count: number): number {
    this.sendCalls.push({ fd, count })
    const step = this.sendScript.shift()
    if (step !== undefined && 'errno' in step) return this.#fail(step.errno)
    const take = Math.min(count, step?.take ?? count)
    for (let i = 0; i < take; i++) this.#send(fd, headers + i * MMSGHDR)
    return take
  }

  setsockopt(fd: number, level: number, option: number, value: number, length: number): number {
    this.options.push({ fd, level, option, value: this.#view(value, length).getInt32(0, true) })
    return 0
  }

  socket(): number {
    return THROW_AWAY
  }

  connect(): number {
    return 0
  }

  getsockopt(_fd: number, _level: number, _option: number, value: number): number {
    this.#view(value, 4).setInt32(0, this.routeMtu, true)
    return 0
  }

  close(): number {
    return 0
  }

  #send(fd: number, header: number): void {
    const view = this.#view(header, MMSGHDR)
    if (pointer(view, 0) === 0) this.written.push({ fd, bytes: this.#gather(view) })
    else this.sent.push(...this.#transmit(fd, header))
  }

  #receiveMessages(queue: Uint8Array[], headers: number, count: number): number {
    if (queue.length === 0) return this.#fail(EAGAIN)
    const done = Math.min(count, queue.length)
    for (let i = 0; i < done; i++) {
      const view = this.#view(headers + i * MMSGHDR, MMSGHDR)
      view.setUint32(56, this.#scatter(view, queue.shift()!), true)
    }
    return done
  }

  /** Spreads the bytes over a message's vectors; returns how many fitted. */
  #scatter(header: DataView, all: Uint8Array): number {
    let at = 0
    for (let i = 0; i < pointer(header, 24); i++) {
      const iov = this.#view(pointer(header, 16) + i * 16, 16)
      const part = all.subarray(at, at + pointer(iov, 8))
      this.#bytes(pointer(iov, 0), part.length).set(part)
      at += part.length
    }
    return at
  }

  #gather(header: DataView): Uint8Array {
    const parts: number[] = []
    for (let i = 0; i < pointer(header, 24); i++) {
      const iov = this.#view(pointer(header, 16) + i * 16, 16)
      parts.push(...this.#bytes(pointer(iov, 0), pointer(iov, 8)))
    }
    return Uint8Array.from(parts)
  }

  #receive(header: number, { from, bytes, tos, segment, ipHeader }: Received): void {
    const view = this.#view(header, MMSGHDR)
    if (view.getUint32(8, true) < 28) throw new Error('no room for the name')
    const name = this.#view(pointer(view, 0), 32)
    view.setUint32(8, writeSockaddr(name, 0, from), true)
    const at = this.#scatter(view, Uint8Array.from([...(ipHeader ?? []), ...bytes]))
    view.setUint32(56, at, true)
    const room = pointer(view, 40)
    let end = 0
    const put = (length: number, level: number, type: number, value: number): void => {
      if (room < end + 24) throw new Error('no room for the control message')
      const control = this.#view(pointer(view, 32) + end, 24)
      control.setBigUint64(0, BigInt(length), true)
      control.setInt32(8, level, true)
      control.setInt32(12, type, true)
      // Only as much as the message has is the kernel's to write.
      if (length === 17) control.setUint8(16, value)
      else control.setInt32(16, value, true)
      end += 24
    }
    if (segment !== undefined) put(20, 17, 104, segment)
    if (tos !== undefined) put(17, 0, 1, tos)
    view.setBigUint64(40, BigInt(end), true)
  }

  /** The packets of one message, cut where a control message says so. */
  #transmit(fd: number, header: number): Sent[] {
    const view = this.#view(header, MMSGHDR)
    const to = readSockaddr(this.#view(pointer(view, 0), view.getUint32(8, true)), 0)!
    const { tos, size } = this.#controls(pointer(view, 32), pointer(view, 40))
    const all = this.#gather(view)
    const out: Sent[] = []
    for (let at = 0; at < all.length; at += size) out.push({ fd, to, bytes: all.slice(at, at + size), tos })
    return out
  }

  #controls(address: number, length: number): { tos: number; size: number } {
    let tos = 0
    let size = 0xffff
    for (let at = 0; at < length; at += 24) {
      const control = this.#view(address + at, 24)
      const kind = `${control.getBigUint64(0, true)} ${control.getInt32(8, true)} ${control.getInt32(12, true)}`
      if (kind === '20 0 1' || kind === '20 41 67') tos = control.getInt32(16, true)
      else if (kind === '18 17 103') size = control.getUint16(16, true)
      else throw new Error(`control message ${kind}`)
    }
    return { tos, size }
  }

  #fail(errno: number): number {
    this.#errno = errno
    return -1
  }

  #view(address: number, length: number): DataView {
    for (const { base, buffer } of this.#regions) {
      if (address >= base && address + length <= base + buffer.byteLength) {
        return new DataView(buffer, address - base, length)
      }
    }
    throw new Error(`bad address ${address.toString(16)} + ${length}`)
  }

  #bytes(address: number, length: number): Uint8Array {
    const view = this.#view(address, length)
    return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, length)
  }
}

function pointer(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true))
}
