/**
 * The AEAD work of one batch call. ESP queues a job for each packet; when all packets of the batch are queued, they are
 * sealed or opened together, so that packets of any size fill the vectors. A queued job's text, and the 16 bytes in
 * front of it, must stay where they are until then.
 */
import { OUTBOX } from '../abi'

@unmanaged
export class AeadJob {
  /** The additional data, 8 or 12 bytes, with zeros behind it. */
  aadFirst: u64
  aadSecond: u64
  aadLength: u32
  /** The 12-byte nonce: salt and IV, as they are in memory. */
  salt: u32
  ivHigh: u32
  ivLow: u32
  /**
   * SUITE_ number, and the key context made for it; or 0 and the keys, for an SA of AES-GCM that is seldom used: see
   * contexts.ts.
   */
  suite: u32
  context: usize
  keys: usize
  /** The text; `src` and `dst` are the same or do not overlap. */
  src: usize
  dst: usize
  length: u32
  /** The key stream that the host has made, the tag's mask in front; 0 where there is none. See key-stream.ts. */
  stream: usize
  streamKey: u32
  /** 1 more than the number among the packets that the host does whole, or 0. See host-packets.ts. */
  hostPacket: u32
  /** What opening found. */
  verified: bool
  /** For whoever queued the job. */
  handle: u32
  sequence: u64
}

/** Bytes of a job with its working memory; see chacha20-batch.ts and gcm-batch.ts. */
export const JOB_BYTES: u32 = 256
/** Where a job's working memory starts. */
export const JOB_WORK: usize = 128
/** Two for each packet: one that moves the window may have another looked at again under another number. */
const JOBS: usize = memory.data(OUTBOX * 2 * 256, 64)

if (offsetof<AeadJob>() > JOB_WORK) ERROR('AEAD job too long')

let queued: u32 = 0

export function clearJobs(): void {
  queued = 0
}

export function jobCount(): u32 {
  return queued
}

// @ts-ignore: decorator
@inline
export function jobAt(index: u32): AeadJob {
  return changetype<AeadJob>(JOBS + index * JOB_BYTES)
}

/** The next job, for the caller to fill in; at most two for each of OUTBOX packets. */
export function queueJob(): AeadJob {
  const job = jobAt(queued++)
  job.stream = 0
  job.hostPacket = 0
  return job
}

/** XORs `bytes` of key stream into the start of a job's text; writes whole blocks of 16 bytes. */
export function xorText(job: AeadJob, stream: usize, bytes: u32): void {
  let src = job.src
  let dst = job.dst
  const end = src + ((bytes + 15) & ~15)
  for (; src + 64 <= end; src += 64, dst += 64, stream += 64) {
    v128.store(dst, v128.xor(v128.load(src), v128.load(stream)))
    v128.store(dst, v128.xor(v128.load(src, 16), v128.load(stream, 16)), 16)
    v128.store(dst, v128.xor(v128.load(src, 32), v128.load(stream, 32)), 32)
    v128.store(dst, v128.xor(v128.load(src, 48), v128.load(stream, 48)), 48)
  }
  for (; src < end; src += 16, dst += 16, stream += 16) v128.store(dst, v128.xor(v128.load(src), v128.load(stream)))
}

/** Erases what the jobs of the last batch left in their working memory. */
export function wipeJobs(): void {
  memory.fill(JOBS, 0, OUTBOX * 2 * JOB_BYTES)
}

// @ts-ignore: decorator
@inline
export function jobNonce(job: AeadJob): usize {
  return changetype<usize>(job) + offsetof<AeadJob>('salt')
}
