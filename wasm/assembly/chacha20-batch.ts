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
import { AeadJob, JOB_WORK, jobAt, jobNonce, xorText } from './aead-jobs'
import { equal16 } from './bytes'
import {
  forgetKeys,
  LANES,
  MAX_STEPS,
  moveLane,
  runLanes,
  setAllLanes,
  setLane,
  stepBlocks,
  ZEROS,
} from './chacha20-lanes'
import { POLY1305_STATE_BYTES, poly1305Blocks, poly1305Finish, poly1305Init } from './poly1305'

/** A packet on its way through Poly1305. */
@unmanaged
class Hash {
  /** Which job, and whether the hash of that has begun and the end of its text is framed. */
  job: u32
  begun: bool
  framed: bool
  /** The piece from AAD to lengths, and how many of its blocks are absorbed. */
  piece: usize
  done: u32
}

/** Where the Poly1305 state lies in a Hash. */
const POLY: usize = 32
const HASHES: usize = memory.data(2 * (32 + POLY1305_STATE_BYTES), 16)
/** The packet being hashed, and the one behind it. */
let hash: Hash = changetype<Hash>(HASHES)
let following: Hash = changetype<Hash>(HASHES + POLY + POLY1305_STATE_BYTES)

/** Key stream of a packet that has not been verified. */
const AHEAD: usize = memory.data(448, 16)

/** End of the jobs at hand, and what is done to them. */
let end: u32 = 0
let opening: bool = false
/** The job whose blocks go into the lanes next, and which of them; block 0 is the one-time key. */
let current: u32 = 0
let block: u32 = 0
/** How far Poly1305 may go: all of the jobs before `readyJob`, and of that one what lies before block `readyBlock`. */
let readyJob: u32 = 0
let readyBlock: u32 = 0

export function chacha20SealJobs(first: u32, last: u32): void {
  start(first, last, false)
  while (current < end) {
    readyJob = current
    readyBlock = block
    let used: u32 = 0
    while (used < LANES && current < end) used = fillLanes(used)
    while (waitsTooLong()) finishHash()
    runAndHash(used)
  }
  readyJob = end
  while (hash.job < end) finishHash()
}

export function chacha20OpenJobs(first: u32, last: u32): void {
  start(first, last, true)
  while (current < end) {
    readyJob = current
    let used: u32 = 0
    for (; used < LANES && current < end; used++, current = nextJob(current + 1)) setKeyLane(used, jobAt(current))
    if (last - first == 1) used += setAhead(jobAt(first))
    runAndHash(used)
  }
  readyJob = end
  current = nextJob(first)
  block = 1
  if (last - first == 1 && current < end) {
    finishHash()
    block += useAhead(jobAt(first))
  }
  while (current < end) {
    let used: u32 = 0
    while (used < LANES && current < end) {
      while (current >= hash.job) finishHash()
      if (jobAt(current).verified) used = fillLanes(used)
      else toNextJob()
    }
    if (used > 0) runAndHash(used)
  }
}

/** For a packet that comes alone: key stream of its first blocks in the lanes beside the one-time key. Returns how many. */
function setAhead(job: AeadJob): u32 {
  const blocks = min((job.length + 63) >> 6, LANES - 1)
  for (let lane: u32 = 1; lane <= blocks; lane++) {
    setLane(lane, job.context, jobNonce(job), lane, ZEROS, AHEAD + (<usize>(lane - 1) << 6))
  }
  return blocks
}

/** Decrypts those blocks if the tag has been verified. Returns how many. */
function useAhead(job: AeadJob): u32 {
  const bytes = min(job.length, (LANES - 1) << 6)
  if (job.verified) xorText(job, AHEAD, bytes)
  return (bytes + 63) >> 6
}

/** Erases what the last batch left. */
export function chacha20BatchWipe(): void {
  memory.fill(AHEAD, 0, 64 * (LANES - 1))
  memory.fill(HASHES, 0, 2 * (POLY + POLY1305_STATE_BYTES))
}

function start(first: u32, last: u32, open: bool): void {
  forgetKeys()
  end = last
  opening = open
  current = nextJob(first)
  block = 0
  readyBlock = 0
  expect(hash, current)
  expect(following, current == end ? end : nextJob(current + 1))
}

function expect(hash: Hash, job: u32): void {
  hash.job = job
  hash.begun = false
  hash.framed = false
  hash.done = 0
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
  if (lane == 0 && block + LANES - 1 <= blocks) {
    fillAllLanes(job)
    if (block > blocks) toNextJob()
    return LANES
  }
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

/** Eight blocks of one job. */
function fillAllLanes(job: AeadJob): void {
  const at = (<usize>block << 6) - 64
  setAllLanes(job.context, jobNonce(job), block, job.src + at, job.dst + at)
  if (block == 0) moveLane(0, ZEROS, oneTimeKey(job))
  block += LANES
}

function toNextJob(): void {
  current = nextJob(current + 1)
  // When opening, the one-time keys have been made before.
  block = opening ? 1 : 0
}

/** When sealing: more complete packets wait for Poly1305 than the kernel can take. */
function waitsTooLong(): bool {
  return following.job < readyJob && nextJob(following.job + 1) < readyJob
}

/**
 * Runs the kernel over `used` lanes, and Poly1305 within: what is ready of the packet at hand and, where that comes to
 * its end, of the one behind it.
 */
function runAndHash(used: u32): void {
  const perStep = stepBlocks(used)
  const steps = min((readyBlocks(hash) - hash.done) / perStep, MAX_STEPS)
  const all = hash.framed && steps < MAX_STEPS
  const nextSteps = all ? min((readyBlocks(following) - following.done) / perStep, MAX_STEPS - steps) : 0
  runLanes(
    used, polyOf(hash), hash.piece + (<usize>hash.done << 4), steps,
    polyOf(following), following.piece + (<usize>following.done << 4), nextSteps,
  )
  hash.done += steps * perStep
  following.done += nextSteps * perStep
  if (all) finishHash()
}

// @ts-ignore: decorator
@inline
function polyOf(hash: Hash): usize {
  return changetype<usize>(hash) + POLY
}

/** How many blocks of the packet can be hashed, from AAD to lengths; begins its hash where there are any. */
function readyBlocks(hash: Hash): u32 {
  if (hash.job > readyJob || hash.job == end || (hash.job == readyJob && readyBlock < 2)) return 0
  const job = jobAt(hash.job)
  const text = opening ? job.src : job.dst
  if (!hash.begun) {
    poly1305Init(polyOf(hash), oneTimeKey(job))
    frameHead(job, text)
    hash.piece = text - 16
    hash.begun = true
  }
  if (hash.job == readyJob) return 1 + ((readyBlock - 1) << 2)
  if (!hash.framed) frameTail(job, text, job.aadLength, job.length)
  hash.framed = true
  return framedBlocks(job)
}

/** Brings the packet at hand to its end, and turns to the one behind it. */
function finishHash(): void {
  const ready = readyBlocks(hash)
  poly1305Blocks(polyOf(hash), hash.piece + (<usize>hash.done << 4), ready - hash.done)
  const job = jobAt(hash.job)
  if (opening) {
    // Over the one-time key, which is in the Poly1305 state by now.
    poly1305Finish(polyOf(hash), oneTimeKey(job))
    job.verified = equal16(oneTimeKey(job), framedTag(job))
    unframe(job, job.src)
  } else {
    unframe(job, job.dst)
    poly1305Finish(polyOf(hash), job.dst + job.length)
  }
  const finished = hash
  hash = following
  following = finished
  expect(following, hash.job == end ? end : nextJob(hash.job + 1))
}
