/**
 * The structures that `recvmmsg`, `sendmmsg` and `poll` take, at addresses that never change. They are built once;
 * per batch only lengths and pointers are written.
 *
 * `struct mmsghdr` (64 bytes, x64 and arm64): name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40,
 * flags 48, msg_len 56. `struct iovec`: base 0, length 8. `struct cmsghdr`: length 0, level 8, type 12, data 16.
 */
import { BATCH, LARGE_BYTES, LARGE_PACKET, MAX_ENDPOINTS, NAME_STRIDE, OUTBOX, SLOT_BYTES } from '../../wasm/abi.ts'

export const MMSGHDR = 64
const IOVEC = 16
export const POLLFD = 8
export const MAX_POLL = 64
/** The IPv4 header without options that a raw socket puts before its payload. */
export const RAW4_HEADER = 20
const RAW4_STRIDE = 32
const CMSG_HEADER = 16
/** A control message with an int or less, aligned; and room for two of them. */
const CMSG_SPACE = 24
const RX_CONTROL = 64
/** What the kernel is told of that: one for the TOS, one for the length of datagrams laid end to end. */
const RX_CONTROL_BYTES = 2 * CMSG_SPACE
const TX_CONTROL = 64

const IPPROTO_IP = 0
const IP_TOS = 1
const IPPROTO_IPV6 = 41
const IPV6_TCLASS = 67
const IPPROTO_UDP = 17
const UDP_SEGMENT = 103
const UDP_GRO = 104

/** The receive structures: for UDP, for raw IPv4 with its header put aside, for UDP with datagrams laid end to end. */
export type Reception = 'rx' | 'rxRaw4' | 'rxRuns'

interface Layout {
  readonly rx: number
  readonly rxRaw4: number
  readonly rxRuns: number
  readonly runsIov: number
  readonly rxIov: number
  readonly rxControl: number
  readonly raw4Headers: number
  readonly tx: number
  readonly txIov: number
  readonly txControl: number
  readonly endpoints: number
  readonly poll: number
  readonly scratch: number
  readonly bytes: number
}

function layout(): Layout {
  let next = 0
  const take = (bytes: number): number => {
    const at = next
    next = (next + bytes + 63) & ~63
    return at
  }
  return {
    rx: take(BATCH * MMSGHDR),
    rxRaw4: take(BATCH * MMSGHDR),
    rxRuns: take(BATCH * MMSGHDR),
    runsIov: take(BATCH * IOVEC),
    rxIov: take(BATCH * 2 * IOVEC),
    rxControl: take(BATCH * RX_CONTROL),
    raw4Headers: take(BATCH * RAW4_STRIDE),
    tx: take(OUTBOX * MMSGHDR),
    txIov: take(OUTBOX * IOVEC),
    txControl: take(OUTBOX * TX_CONTROL),
    endpoints: take(MAX_ENDPOINTS * NAME_STRIDE),
    poll: take(MAX_POLL * POLLFD),
    scratch: take(64),
    bytes: next,
  }
}

interface Slots {
  readonly offset: number
  readonly names: number
}

/** Owned by one worker; not shared. */
export class HostArea {
  readonly buffer: ArrayBuffer
  readonly view: DataView
  readonly at = layout()
  /** Absolute addresses of `buffer` and of the engine's memory. */
  readonly base: number
  readonly memory: number
  readonly #words: Uint32Array
  readonly #bytes: Uint8Array

  constructor(memory: ArrayBuffer, wireRx: Slots, wireLarge: Slots, addressOf: (buffer: ArrayBuffer) => number) {
    this.buffer = new ArrayBuffer(this.at.bytes)
    this.view = new DataView(this.buffer)
    this.#words = new Uint32Array(this.buffer)
    this.#bytes = new Uint8Array(this.buffer)
    this.base = addressOf(this.buffer)
    this.memory = addressOf(memory)
    for (let i = 0; i < BATCH; i++) this.#buildReceive(i, wireRx, wireLarge)
    for (let i = 0; i < OUTBOX; i++) {
      this.#pointer(this.at.tx + i * MMSGHDR + 32, this.base + this.at.txControl + i * TX_CONTROL)
    }
  }

  /** Makes the first `count` receive headers ready again. */
  resetReceive(kind: Reception, count: number): void {
    const words = this.#words
    for (let i = 0; i < count; i++) {
      const header = (this.at[kind] + i * MMSGHDR) >> 2
      words[header + 2] = NAME_STRIDE
      words[header + 10] = RX_CONTROL_BYTES
      words[header + 12] = 0
    }
  }

  /** Bytes received, without the IP header of a raw IPv4 socket. */
  receivedLength(kind: Reception, index: number): number {
    const length = this.#words[(this.at[kind] + index * MMSGHDR + 56) >> 2]!
    return kind === 'rxRaw4' ? Math.max(0, length - RAW4_HEADER) : length
  }

  /** TOS or traffic class of the outer header; 0 if the kernel did not tell. */
  receivedTos(kind: Reception, index: number): number {
    if (kind === 'rxRaw4') return this.#bytes[this.at.raw4Headers + index * RAW4_STRIDE + 1]!
    const at = this.#received(kind, index, false)
    return at < 0 ? 0 : this.#bytes[at]!
  }

  /** Bytes of each datagram but the last of those laid end to end; 0 if there is only one. */
  receivedSegment(index: number): number {
    const at = this.#received('rxRuns', index, true)
    return at < 0 ? 0 : this.#words[at >> 2]!
  }

  /** Offset of the value of a received control message, the segment length or the other one; -1 if there is none. */
  #received(kind: Reception, index: number, segment: boolean): number {
    const words = this.#words
    const start = this.at.rxControl + index * RX_CONTROL
    const end = start + words[(this.at[kind] + index * MMSGHDR + 40) >> 2]!
    for (let at = start; at + CMSG_HEADER < end; at += CMSG_SPACE) {
      const isSegment = words[(at + 8) >> 2] === IPPROTO_UDP && words[(at + 12) >> 2] === UDP_GRO
      if (isSegment === segment) return at + CMSG_HEADER
    }
    return -1
  }

  /** Bytes of options in the IPv4 header that a raw socket received; they stand at the start of the slot. */
  raw4Options(index: number): number {
    return ((this.#bytes[this.at.raw4Headers + index * RAW4_STRIDE]! & 15) << 2) - RAW4_HEADER
  }

  /** Fills transmit vector `index`: a packet in the engine's memory. */
  segment(index: number, offset: number, length: number): void {
    this.#pointer(this.at.txIov + index * IOVEC, this.memory + offset)
    this.#words[(this.at.txIov + index * IOVEC + 8) >> 2] = length
  }

  /**
   * Fills transmit header `index` for `count` transmit vectors from `first` on. With more than one, the kernel is
   * told to cut the message every `size` bytes.
   */
  message(
    index: number,
    first: number,
    count: number,
    endpoint: number,
    nameLength: number,
    tos: number,
    size: number,
  ): void {
    const header = this.at.tx + index * MMSGHDR
    const words = this.#words
    this.#pointer(header, this.base + this.at.endpoints + endpoint * NAME_STRIDE)
    words[(header + 8) >> 2] = nameLength
    this.#pointer(header + 16, this.base + this.at.txIov + first * IOVEC)
    words[(header + 24) >> 2] = count
    let control = this.at.txControl + index * TX_CONTROL
    if (tos !== 0) {
      const six = nameLength > IOVEC
      control = this.#control(control, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS, 4, tos)
    }
    if (count > 1) control = this.#control(control, IPPROTO_UDP, UDP_SEGMENT, 2, size)
    words[(header + 40) >> 2] = control - this.at.txControl - index * TX_CONTROL
  }

  /** Writes a control message with `bytes` bytes of `value` and returns where the next one goes. */
  #control(at: number, level: number, type: number, bytes: number, value: number): number {
    const words = this.#words
    words[at >> 2] = CMSG_HEADER + bytes
    words[(at >> 2) + 2] = level
    words[(at >> 2) + 3] = type
    words[(at >> 2) + 4] = value
    return at + CMSG_SPACE
  }

  #buildReceive(i: number, wireRx: Slots, wireLarge: Slots): void {
    const iov = this.at.rxIov + i * 2 * IOVEC
    this.#pointer(iov, this.base + this.at.raw4Headers + i * RAW4_STRIDE)
    this.#pointer(iov + 8, RAW4_HEADER)
    this.#pointer(iov + 16, this.memory + wireRx.offset + i * SLOT_BYTES)
    this.#pointer(iov + 24, SLOT_BYTES)
    const runsIov = this.at.runsIov + i * IOVEC
    this.#pointer(runsIov, this.memory + wireLarge.offset + i * LARGE_BYTES)
    this.#pointer(runsIov + 8, LARGE_PACKET)
    this.#receiveHeader('rx', i, wireRx, iov + IOVEC, 1)
    this.#receiveHeader('rxRaw4', i, wireRx, iov, 2)
    this.#receiveHeader('rxRuns', i, wireLarge, runsIov, 1)
  }

  #receiveHeader(kind: Reception, i: number, { names }: Slots, vector: number, vectors: number): void {
    const header = this.at[kind] + i * MMSGHDR
    this.#pointer(header, this.memory + names + i * NAME_STRIDE)
    this.#pointer(header + 16, this.base + vector)
    this.#pointer(header + 24, vectors)
    this.#pointer(header + 32, this.base + this.at.rxControl + i * RX_CONTROL)
  }

  /** A 64-bit value without a BigInt; exact below 2^53. */
  #pointer(offset: number, value: number): void {
    this.#words[offset >> 2] = value >>> 0
    this.#words[(offset >> 2) + 1] = Math.floor(value / 0x1_0000_0000)
  }
}
