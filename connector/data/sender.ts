/**
 * Sends the engine's outbox. Neighbours of one length for one endpoint go to the kernel as one message that it cuts
 * itself (UDP_SEGMENT), which crosses its stack once; where a path does not take that, they go one by one.
 */
import type { SocketAddress } from '../../protocol/net.ts'
import { MAX_ENDPOINTS, NAME_STRIDE, OUTBOX } from '../../wasm/abi.ts'
import type { WireOutbox } from '../../wasm/packet-engine.ts'
import type { HostDrop, WireSocket } from './commands.ts'
import { type HostArea, MMSGHDR } from './host-area.ts'
import { AF_INET, AF_INET6, SOCKADDR_IN_BYTES, writeSockaddr } from './sockaddr.ts'
import { EAGAIN, EINTR, EMSGSIZE, ENOBUFS, MSG_DONTWAIT, type PacketSyscalls, POLLOUT } from './syscalls.ts'

/** How often and how long, in milliseconds, a full send buffer is waited for before packets are dropped. */
const SEND_TRIES = 3
const SEND_WAIT_MS = 5
/** UDP_MAX_SEGMENTS of the kernels that had it first, and what a UDP datagram can carry over either IP version. */
const MAX_SEGMENTS = 64
const MAX_MESSAGE_BYTES = 65_000

const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0x80000
const IP_MTU = 14
const IPV6_MTU = 24
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_MTU_DISCOVER = 10
const IPV6_MTU_DISCOVER = 23
/** As `sockets.ts` opens them; and DF set, with no regard to what the kernel has learned. */
const PMTUDISC_DONT = 0
const PMTUDISC_PROBE = 3

/** `too-large`: for the interface that it would leave by. */
export type SendResult = 'sent' | 'too-large' | 'refused'

export interface SenderParts {
  readonly area: HostArea
  readonly syscalls: PacketSyscalls
  readonly sockets: readonly WireSocket[]
  readonly drops: Record<HostDrop, number>
  /** Throws when the error means that the socket is gone. */
  readonly checkAlive: (errno: number) => void
}

export class WireSender {
  readonly #parts: SenderParts
  readonly #fd = new Int32Array(MAX_ENDPOINTS).fill(-1)
  readonly #nameLength = new Uint8Array(MAX_ENDPOINTS)
  /** 1 while the kernel cuts messages for this endpoint. */
  readonly #segments = new Uint8Array(MAX_ENDPOINTS)
  /** The first packet of each message of the run in hand, and behind the last the run's end. */
  readonly #first = new Uint32Array(OUTBOX + 1)

  /** Messages that the kernel would not cut. */
  refused = 0

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** Where packets for the engine's endpoint `handle` go. */
  setEndpoint(handle: number, socket: number, remote: SocketAddress): void {
    const { area, sockets } = this.#parts
    const { kind, fd, segments } = sockets[socket]!
    const to = kind === 'esp' ? { address: remote.address, port: 0 } : remote
    this.#nameLength[handle] = writeSockaddr(area.view, area.at.endpoints + handle * NAME_STRIDE, to)
    this.#fd[handle] = fd
    this.#segments[handle] = segments === true ? 1 : 0
  }

  flush(outbox: WireOutbox): void {
    const { count, endpoint } = outbox
    let at = 0
    while (at < count) {
      const fd = this.#fd[endpoint[at]!]!
      if (fd >= 0) at = this.#send(fd, this.#build(outbox, at, fd), endpoint)
      else {
        this.#parts.drops.send_refused++
        at++
      }
    }
  }

  /**
   * Sends the one packet of an outbox so that no host on its way cuts it, whatever is thought to be the path MTU. What does
   * not leave is dropped, and not counted.
   */
  sendWhole({ count, endpoint, offset, length, tos }: WireOutbox): SendResult {
    const to = endpoint[0]!
    const fd = count === 1 ? this.#fd[to]! : -1
    if (fd < 0) return 'refused'
    const { area, syscalls, checkAlive } = this.#parts
    area.segment(0, offset[0]!, length[0]!)
    area.message(0, 0, 1, to, this.#nameLength[to]!, tos[0]!, length[0]!)
    this.#discover(fd, to, PMTUDISC_PROBE)
    const sent = syscalls.sendmmsg(fd, area.base + area.at.tx, 1, MSG_DONTWAIT)
    const errno = sent > 0 ? 0 : syscalls.errno()
    this.#discover(fd, to, PMTUDISC_DONT)
    if (sent > 0) return 'sent'
    checkAlive(errno)
    return errno === EMSGSIZE ? 'too-large' : 'refused'
  }

  /** MTU in bytes of the kernel's route to where an endpoint's packets go; undefined where it has none. */
  routeMtu(endpoint: number): number | undefined {
    const length = this.#nameLength[endpoint]!
    if (length === 0) return undefined
    const { area, syscalls } = this.#parts
    const isV4 = length === SOCKADDR_IN_BYTES
    const fd = syscalls.socket(isV4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) return undefined
    try {
      const at = area.at.scratch + 24
      area.view.setInt32(at, 0, true)
      area.view.setInt32(at + 4, 4, true)
      if (syscalls.connect(fd, area.base + area.at.endpoints + endpoint * NAME_STRIDE, length) < 0) return undefined
      const [level, option] = isV4 ? [IPPROTO_IP, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU]
      if (syscalls.getsockopt(fd, level, option, area.base + at, area.base + at + 4) < 0) return undefined
      return area.view.getInt32(at, true)
    } finally {
      syscalls.close(fd)
    }
  }

  #discover(fd: number, endpoint: number, mode: number): void {
    const { area, syscalls } = this.#parts
    const at = area.at.scratch + 24
    area.view.setInt32(at, mode, true)
    if (this.#nameLength[endpoint] === SOCKADDR_IN_BYTES) {
      syscalls.setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, area.base + at, 4)
    } else syscalls.setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, area.base + at, 4)
  }

  /** Messages for the packets from `start` on that leave by `fd`; returns how many. */
  #build(outbox: WireOutbox, start: number, fd: number): number {
    const { count, endpoint, offset, length, tos } = outbox
    const { area } = this.#parts
    let messages = 0
    let at = start
    while (at < count && this.#fd[endpoint[at]!] === fd) {
      const to = endpoint[at]!
      const end = this.#segments[to] === 1 ? endOfMessage(outbox, at) : at + 1
      for (let i = at; i < end; i++) area.segment(i, offset[i]!, length[i]!)
      area.message(messages, at, end - at, to, this.#nameLength[to]!, tos[at]!, length[at]!)
      this.#first[messages++] = at
      at = end
    }
    this.#first[messages] = at
    return messages
  }

  /** Returns the packet to go on with. */
  #send(fd: number, messages: number, endpoint: Uint32Array): number {
    const { area, syscalls, drops, checkAlive } = this.#parts
    const headers = area.base + area.at.tx
    const end = this.#first[messages]!
    let at = 0
    let waits = 0
    while (at < messages) {
      const sent = syscalls.sendmmsg(fd, headers + at * MMSGHDR, messages - at, MSG_DONTWAIT)
      if (sent > 0) {
        at += sent
        continue
      }
      const errno = syscalls.errno()
      const first = this.#first[at]!
      if (errno === EAGAIN || errno === ENOBUFS || errno === EINTR) {
        if (waits++ < SEND_TRIES) {
          if (errno !== EINTR) this.#waitWritable(fd)
          continue
        }
        drops.send_full += end - first
        return end
      }
      checkAlive(errno)
      if (this.#first[at + 1]! > first + 1) {
        // An interface without checksums in hardware, a path narrower than the packets: these go one by one.
        this.#segments[endpoint[first]!] = 0
        this.refused++
        return first
      }
      drops.send_refused++
      at++
    }
    return end
  }

  #waitWritable(fd: number): void {
    const { area, syscalls } = this.#parts
    area.view.setInt32(area.at.scratch + 16, fd, true)
    area.view.setInt32(area.at.scratch + 20, POLLOUT, true)
    syscalls.poll(area.base + area.at.scratch + 16, 1, SEND_WAIT_MS)
  }
}

/** The packet behind the last that fits the message of packet `start`: all of one length, but for a shorter last. */
function endOfMessage({ count, endpoint, length, tos }: WireOutbox, start: number): number {
  const size = length[start]!
  let bytes = size
  let end = start + 1
  while (end < count && end - start < MAX_SEGMENTS) {
    const next = length[end]!
    if (next > size || endpoint[end] !== endpoint[start] || tos[end] !== tos[start]) break
    if (bytes + next > MAX_MESSAGE_BYTES) break
    bytes += next
    end++
    if (next < size) break
  }
  return end
}
