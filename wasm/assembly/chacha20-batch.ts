/**
 * AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8) over the jobs of a batch.
 *
 * The blocks of all packets, block 0 with the one-time key first, form one long row, which goes through the kernel
 * eight at a time, wherever one packet ends and the next begins. Poly1305 runs inside the kernel, over text that is
 * ready: when sealing, what the kernel calls before have encrypted; when opening, packets further on, as only those
 * are decrypted whose tag has been verified.
 *
 * For Poly1305 a packet becomes one piece: AAD, text and lengths. The AAD lies in the 16 bytes in front of the text,
 * zeros and lengths behind it, for as long as that takes.
 */
import { SUITE_CHACHA20_POLY1305 } from '../abi'
import { framedBlocks, framedTag, frameHead, frameTail, unframe } from './aead-frame'
import { AeadJob, JOB_WORK, jobAt, jobNonce } from './aead-jobs'
import { equal16 } from './bytes'
import { forgetKeys, LANES, runLanes, setLane, ZEROS } from './chacha20-lanes'
import { POLY1305_STATE, poly1305Blocks, poly1305Finish, poly1305Init } from './poly1305'

/** So many blocks at the end of a packet, or fewer, are not worth another kernel call. */
const FEW: u32 = 8

/** End of the jobs at hand, and what is done to them. */
let end: u32 = 0
let opening: bool = false
/** The job whose blocks go into the lanes next, and which of them; block 0 is the one-time key. */
let current: u32 = 0
let block: u32 = 0
/** The job being hashed: whether that has begun, whether the end is framed, where it is, and what is left of it in blocks of 16 bytes. */
let hashed: u32 = 0
let begun: bool = false
let framed: bool = false
let hashAt: usize = 0
let hashLeft: u32 = 0

export function chacha20SealJobs(first: u32, last: u32): void {
  start(first, last, false)
  while (current < end) {
    const done = current
    const ready = block
    let used: u32 = 0
    while (used < LANES && current < end) used = fillLanes(used)
    hashSealed(done)
    runAndHash(used, hashed < done ? hashLeft : blocksReady(ready))
  }
  hashSealed(end)
  if (hashed < end) finishSealed()
}

export function chacha20OpenJobs(first: u32, last: u32): void {
  start(first, last, true)
  while (current < end) {
    const keyed = current
    let used: u32 = 0
    for (; used < LANES && current < end; used++, current = nextJob(current + 1)) setKeyLane(used, jobAt(current))
    runAndHash(used, hashNext(keyed))
  }
  current = nextJob(first)
  block = 1
  while (current < end) {
    let used: u32 = 0
    while (used < LANES && current < end) {
      while (current >= hashed) finishOpened()
      if (jobAt(current).verified) used = fillLanes(used)
      else toNextJob()
    }
    if (used > 0) runAndHash(used, hashNext(end))
  }
}

function start(first: u32, last: u32, open: bool): void {
  forgetKeys()
  end = last
  opening = open
  current = nextJob(first)
  block = 0
  hashed = current
  begun = false
  framed = false
}

/** The first job of this suite from `from` on, or `end`. */
function nextJob(from: u32): u32 {
  while (from < end && jobAt(from).suite != SUITE_CHACHA20_POLY1305) from++
  return from
}

// @ts-ignore: decorator
@inline
function oneTimeKey(job: AeadJob): usize {
  return changetype<usize>(job) + JOB_WORK
}

// @ts-ignore: decorator
@inline
function setKeyLane(lane: u32, job: AeadJob): void {
  setLane(lane, job.context, jobNonce(job), 0, ZEROS, oneTimeKey(job))
}

/** Puts blocks of the current job into the lanes from `lane` on, and moves on. Returns how many lanes are in use. */
function fillLanes(lane: u32): u32 {
  const job = jobAt(current)
  const blocks = (job.length + 63) >> 6
  if (block == 0) {
    setKeyLane(lane++, job)
    block = 1
  }
  const key = job.context
  const nonce = jobNonce(job)
  let at = <usize>(block - 1) << 6
  for (; lane < LANES && block <= blocks; lane++, block++, at += 64) {
    setLane(lane, key, nonce, block, job.src + at, job.dst + at)
  }
  if (block > blocks) toNextJob()
  return lane
}

function toNextJob(): void {
  current = nextJob(current + 1)
  // When opening, the one-time keys have been made before.
  block = opening ? 1 : 0
}

/** Runs the kernel over `used` lanes, and `ready` blocks of the job being hashed with it as far as they fit. */
function runAndHash(used: u32, ready: u32): void {
  const absorbed = runLanes(used, POLY1305_STATE, hashAt, ready)
  hashAt += <usize>absorbed << 4
  hashLeft -= absorbed
}

function beginHash(job: AeadJob, text: usize): void {
  poly1305Init(oneTimeKey(job))
  frameHead(job, text)
  hashAt = text - 16
  hashLeft = framedBlocks(job)
  begun = true
}

/** Brings sealed packets to their end that are complete, all before job `done`; leaves the last to the kernel if it is long. */
function hashSealed(done: u32): void {
  while (hashed < done) {
    const job = jobAt(hashed)
    if (!begun) beginHash(job, job.dst)
    if (!framed) {
      frameTail(job, job.dst, job.aadLength, job.length)
      framed = true
    }
    if (hashLeft > FEW && nextJob(hashed + 1) >= done) return
    finishSealed()
  }
}

function finishSealed(): void {
  const job = jobAt(hashed)
  poly1305Blocks(hashAt, hashLeft)
  unframe(job, job.dst)
  poly1305Finish(job.dst + job.length)
  toNextHash()
}

/** Blocks that can be hashed of the job that is being sealed, of which `block` is next to be encrypted. */
function blocksReady(next: u32): u32 {
  if (next < 2) return 0
  const job = jobAt(hashed)
  if (!begun) beginHash(job, job.dst)
  return <u32>((job.dst + (<usize>(next - 1) << 6) - hashAt) >> 4)
}

/** Blocks to be hashed of the next job, all of which have their one-time keys before job `keyed`. */
function hashNext(keyed: u32): u32 {
  while (hashed < keyed) {
    if (!begun) beginOpened()
    if (hashLeft > FEW) return hashLeft
    finishOpened()
  }
  return 0
}

function beginOpened(): void {
  const job = jobAt(hashed)
  beginHash(job, job.src)
  frameTail(job, job.src, job.aadLength, job.length)
}

function finishOpened(): void {
  if (!begun) beginOpened()
  const job = jobAt(hashed)
  poly1305Blocks(hashAt, hashLeft)
  // Over the one-time key, which is in the Poly1305 state by now.
  poly1305Finish(oneTimeKey(job))
  job.verified = equal16(oneTimeKey(job), framedTag(job))
  unframe(job, job.src)
  toNextHash()
}

function toNextHash(): void {
  hashed = nextJob(hashed + 1)
  begun = false
  framed = false
}
