/** Thread entry of `icmp-echo.ts`: sends what it is told to, and sleeps in the kernel in between. */
import { randomBytes } from 'node:crypto'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Address, familyOf } from '../../protocol/net.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { MSG_DONTWAIT, POLLIN } from '../data/syscalls.ts'
import { libc, Scratch } from './ffi.ts'
import { type EchoSocket, openEchoSocket } from './icmp-socket.ts'
import { buildEcho, parseEcho } from './ping-echo.ts'

export interface EchoStart {
  /** Written after each request, and to have `stop` seen. */
  readonly eventFd: number
  /** An Int32: not 0 ends it. */
  readonly stop: ArrayBufferLike
}

export interface EchoRequest {
  readonly id: number
  readonly address: Address
  readonly source: Address | undefined
}

export type EchoReport =
  | { readonly type: 'answer'; readonly id: number; readonly rttMs: number }
  | { readonly type: 'failed'; readonly reason: string }

/** Longest sleep in milliseconds; sockets at once, of addresses of our own; instants of requests that are kept. */
const MAX_SLEEP_MS = 1000
const MAX_SOCKETS = 32
const MAX_SENT = 4096
/** Answers taken from one socket before the others' turn. */
const BURST = 64
const PAYLOAD_BYTES = 24
const POLL = 64
const POLLFD = 8
const BUFFER = POLL + (MAX_SOCKETS + 1) * POLLFD
const BUFFER_BYTES = 2048

const { eventFd, stop } = workerData as EchoStart
const main = parentPort!
const signal = new Int32Array(stop)
const scratch = new Scratch(BUFFER + BUFFER_BYTES)
const cookie = new Uint8Array(randomBytes(8))
const sockets = new Map<string, EchoSocket>()
/** By the 32 bits of sequence number that the request carries. */
const sentAt = new Map<number, number>()
const failed = new Set<string>()

while (Atomics.load(signal, 0) === 0) {
  sleep()
  for (let next = receiveMessageOnPort(main); next !== undefined; next = receiveMessageOnPort(main)) {
    send(next.message as EchoRequest)
  }
  for (const socket of sockets.values()) receive(socket)
}
for (const { fd } of sockets.values()) libc().close(fd)
main.close()

function send({ id, address, source }: EchoRequest): void {
  const socket = socketFor(familyOf(address), source)
  if (socket === undefined) return
  const sequence = id >>> 0
  const { family } = socket
  const echo = buildEcho({ family, identifier: process.pid & 0xffff, sequence, cookie, payloadBytes: PAYLOAD_BYTES })
  const nameLength = writeSockaddr(scratch.view, 0, { address, port: 0 })
  scratch.bytes.set(echo, BUFFER)
  sentAt.set(sequence, performance.now())
  for (const oldest of sentAt.keys()) {
    if (sentAt.size <= MAX_SENT) break
    sentAt.delete(oldest)
  }
  libc().sendto(socket.fd, scratch.address + BUFFER, echo.length, MSG_DONTWAIT, scratch.address, nameLength)
}

function receive({ fd, raw, family }: EchoSocket): void {
  for (let i = 0; i < BURST; i++) {
    const length = libc().recvfrom(fd, scratch.address + BUFFER, BUFFER_BYTES, MSG_DONTWAIT, 0, 0)
    if (length <= 0) return
    const now = performance.now()
    const packet = scratch.bytes.subarray(BUFFER, BUFFER + length)
    const id = parseEcho(packet, family, raw && family === 4, cookie)
    const at = id === undefined ? undefined : sentAt.get(id)
    if (at === undefined) continue
    sentAt.delete(id!)
    main.postMessage({ type: 'answer', id: id!, rttMs: now - at } satisfies EchoReport)
  }
}

/** Undefined where there can be none, which is told once. */
function socketFor(family: 4 | 6, source: Address | undefined): EchoSocket | undefined {
  const key = `${family} ${source}`
  const known = sockets.get(key)
  if (known !== undefined || failed.has(key) || sockets.size >= MAX_SOCKETS) return known
  const opened = openEchoSocket(family, source)
  if (typeof opened === 'string') {
    failed.add(key)
    main.postMessage({ type: 'failed', reason: opened } satisfies EchoReport)
    return undefined
  }
  sockets.set(key, opened)
  return opened
}

function sleep(): void {
  const { view, address } = scratch
  const fds = [eventFd, ...[...sockets.values()].map(({ fd }) => fd)]
  for (const [i, fd] of fds.entries()) {
    view.setInt32(POLL + i * POLLFD, fd, true)
    view.setInt32(POLL + i * POLLFD + 4, POLLIN, true)
  }
  libc().poll(address + POLL, fds.length, MAX_SLEEP_MS)
  libc().read(eventFd, address + BUFFER, 8)
}
