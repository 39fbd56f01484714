/** Thread entry of `ping.ts`: sends at its instants, and sleeps in the kernel in between. */
import { randomBytes } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { type Address, familyOf } from '../../protocol/net.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { libc, Scratch } from './ffi.ts'
import { openEchoSocket } from './icmp-socket.ts'
import type { PingSummary } from './ping.ts'
import { buildEcho, parseEcho, Tally } from './ping-echo.ts'

export interface PingRequest {
  readonly address: Address
  readonly source: Address | undefined
  readonly count: number
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly payloadBytes: number
  /** Whether each reply is to be told. */
  readonly replies: boolean
  /** An Int32: not 0 ends it. */
  readonly stop: SharedArrayBuffer
}

export type PingReport =
  | { readonly type: 'reply'; readonly sequence: number; readonly rttMs: number }
  | { readonly type: 'summary'; readonly summary: PingSummary }
  | { readonly type: 'failed'; readonly reason: string }

const POLLIN = 1
const MSG_DONTWAIT = 0x40
/** Longest sleep in milliseconds, so that `stop` is seen. */
const MAX_SLEEP_MS = 100
/** Replies taken before the next request's turn. */
const RECEIVE_BURST = 256
const BUFFER = 128
const BUFFER_BYTES = 10_240

const request = workerData as PingRequest
const post = (report: PingReport): void => parentPort!.postMessage(report)

const opened = openEchoSocket(familyOf(request.address), request.source)
if (typeof opened === 'string') post({ type: 'failed', reason: opened })
else {
  post({ type: 'summary', summary: exchange(opened.fd, opened.raw) })
  libc().close(opened.fd)
}

function exchange(fd: number, raw: boolean): PingSummary {
  const c = libc()
  const { count, intervalMs, timeoutMs } = request
  const stop = new Int32Array(request.stop)
  const family = familyOf(request.address)
  const cookie = new Uint8Array(randomBytes(8))
  const identifier = process.pid & 0xffff
  const scratch = new Scratch(BUFFER + BUFFER_BYTES)
  const nameLength = writeSockaddr(scratch.view, 0, { address: request.address, port: 0 })
  const tally = new Tally(count)
  const start = performance.now()
  let end = start + (count - 1) * intervalMs + timeoutMs
  while (tally.received < count && Atomics.load(stop, 0) === 0) {
    const now = performance.now()
    if (tally.sent < count && now >= start + tally.sent * intervalMs) {
      const echo = buildEcho({ family, identifier, sequence: tally.sent, cookie, payloadBytes: request.payloadBytes })
      scratch.bytes.set(echo, BUFFER)
      tally.send(performance.now())
      c.sendto(fd, scratch.address + BUFFER, echo.length, MSG_DONTWAIT, scratch.address, nameLength)
      if (tally.sent === count) end = Math.max(end, performance.now() + timeoutMs)
    } else if (now >= end) break
    else sleepUntil(fd, scratch, tally.sent < count ? start + tally.sent * intervalMs : end)
    receive(fd, raw, family, cookie, scratch, tally)
  }
  return tally.summary()
}

function receive(fd: number, raw: boolean, family: 4 | 6, cookie: Uint8Array, scratch: Scratch, tally: Tally): void {
  for (let i = 0; i < RECEIVE_BURST; i++) {
    const length = libc().recvfrom(fd, scratch.address + BUFFER, BUFFER_BYTES, MSG_DONTWAIT, 0, 0)
    if (length <= 0) return
    const now = performance.now()
    const packet = scratch.bytes.subarray(BUFFER, BUFFER + length)
    const sequence = parseEcho(packet, family, raw && family === 4, cookie)
    const rttMs = sequence === undefined ? undefined : tally.receive(sequence, now)
    if (rttMs !== undefined && request.replies) post({ type: 'reply', sequence: sequence!, rttMs })
  }
}

/** Until something can be read or the instant is there: `ppoll`, for a millisecond is too coarse for `poll`. */
function sleepUntil(fd: number, scratch: Scratch, instant: number): void {
  const left = Math.min(MAX_SLEEP_MS, Math.max(0, instant - performance.now()))
  const { view, address } = scratch
  view.setInt32(64, fd, true)
  view.setInt32(68, POLLIN, true)
  view.setBigInt64(80, 0n, true)
  view.setBigInt64(88, BigInt(Math.ceil(left * 1e6)), true)
  libc().ppoll(address + 64, 1, address + 80, 0)
}
