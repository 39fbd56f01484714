/** ICMP and ICMPv6 echo with precise timing, in a thread of its own so that nothing else delays it. */
import { Worker } from 'node:worker_threads'
import { type Address, familyOf } from '../../protocol/net.ts'
import { EXIT, StartFailure } from '../handle.ts'
import type { PingReport, PingRequest } from './ping-thread.ts'

export interface PingOptions {
  /** Requests to send, 1 to 2^31; default 4. */
  readonly count?: number
  /** Milliseconds from one request to the next, 0.1 or more; default 1000. */
  readonly intervalMs?: number
  /** Milliseconds that the last reply is waited for; default 1000. */
  readonly timeoutMs?: number
  /** Address to send from; by default the kernel chooses. */
  readonly source?: Address
  /** Bytes after the ICMP header, 16 to 9000; default 56. */
  readonly payloadBytes?: number
  readonly onReply?: (reply: PingReply) => void
  /** Ends it early; the summary then counts what was sent. */
  readonly signal?: AbortSignal
}

export interface PingReply {
  /** From 0. */
  readonly sequence: number
  readonly rttMs: number
}

export interface PingSummary {
  readonly sent: number
  /** Requests answered, each counted once. */
  readonly received: number
  readonly duplicates: number
  /** 0 to 1; 0 when nothing was sent. */
  readonly lossRatio: number
  /** Absent when nothing came back. */
  readonly rttMs?: { readonly min: number; readonly p50: number; readonly p99: number; readonly max: number }
  /** Requests without an answer, the first 100. */
  readonly missing: readonly number[]
}

const DEFAULTS = { count: 4, intervalMs: 1000, timeoutMs: 1000, payloadBytes: 56 }

/**
 * Sends echo requests and collects the replies. Requests that are due while the thread was held up are sent at once,
 * so the rate holds on average. Rejects with a StartFailure when no socket can be had; a host that does not answer,
 * or cannot be reached, is loss.
 */
export async function pingHost(address: Address, options: PingOptions = {}): Promise<PingSummary> {
  const stop = new SharedArrayBuffer(4)
  const { count, intervalMs, timeoutMs, payloadBytes } = { ...DEFAULTS, ...withoutUndefined(options) }
  const request: PingRequest = {
    address,
    source: options.source,
    count: Math.min(2 ** 31, Math.max(1, Math.floor(count))),
    intervalMs: Math.max(0.1, intervalMs),
    timeoutMs: Math.max(0, timeoutMs),
    payloadBytes: Math.min(9000, Math.max(16, Math.floor(payloadBytes))),
    replies: options.onReply !== undefined,
    stop,
  }
  const worker = new Worker(new URL('./ping-thread.ts', import.meta.url), { workerData: request })
  const abort = (): void => {
    Atomics.store(new Int32Array(stop), 0, 1)
  }
  if (options.signal?.aborted) abort()
  options.signal?.addEventListener('abort', abort)
  try {
    return await new Promise<PingSummary>((resolve, reject) => {
      worker.on('message', (report: PingReport) => {
        if (report.type === 'reply') options.onReply?.({ sequence: report.sequence, rttMs: report.rttMs })
        else if (report.type === 'summary') resolve(report.summary)
        else reject(pingFailure(address, report.reason))
      })
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('the ping thread ended early')))
    })
  } finally {
    options.signal?.removeEventListener('abort', abort)
    abort()
  }
}

function pingFailure(address: Address, reason: string): StartFailure {
  const family = familyOf(address)
  if (reason === 'EACCES' || reason === 'EPERM') {
    return new StartFailure(
      'ping-permission',
      `No ICMP socket may be opened for IPv${family} (${reason}).`,
      'Run it as root or with CAP_NET_RAW, or allow it to everybody: sysctl net.ipv4.ping_group_range="0 2147483647"',
      EXIT.permission,
    )
  }
  return new StartFailure(
    'ping-failed',
    `${address} cannot be pinged (${reason}).`,
    'See whether the source address is one of this machine, and that it speaks this IP version (ip address).',
    EXIT.failed,
  )
}

function withoutUndefined(options: PingOptions): Partial<typeof DEFAULTS> {
  const out: Partial<typeof DEFAULTS> = {}
  for (const key of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    const value = options[key]
    if (value !== undefined) out[key] = value
  }
  return out
}
