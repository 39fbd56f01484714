/**
 * AES-GCM with a 12-byte nonce (NIST SP 800-38D section 7) over the jobs of a batch.
 *
 * Runs of eight counter blocks go through the cipher where their packet lies. What is left of each packet, and the
 * block that masks its tag, goes into a row with that of others under the same key. A packet is hashed once none of its
 * blocks waits in the row.
 */
import { SUITE_AES_128_GCM, SUITE_CHACHA20_POLY1305 } from '../abi'
import { framedBlocks, framedTag, frameHead, frameTail, unframe } from './aead-frame'
import { AeadJob, JOB_WORK, jobAt, jobNonce, xorText } from './aead-jobs'
import { AES_128_ROUNDS, AES_256_ROUNDS, AES_SCHEDULE_BYTES, layKeys, layTables } from './aes'
import { counterBlock, prepareRun, ROW_BLOCKS, runPrepared, runRow, setRow } from './aes-ctr'
import { AES_GCM_TABLES, powersOf } from './aes-gcm'
import { equal16 } from './bytes'
import { ghashBlocks } from './ghash'
import { ghashByPowers } from './ghash-powers'
import { applyStream } from './key-stream'

const ZEROS: usize = memory.data(16, 16)
/** For keys without a context. */
const SPARSE: usize = memory.data(<i32>AES_SCHEDULE_BYTES, 64)
/** Key stream of a packet that has not been verified. */
const AHEAD: usize = memory.data(112, 16)
const RUN_BLOCKS: u32 = 8
/** Preparing costs as much as it saves in one run. */
const PREPARE_FROM: u32 = 2 * RUN_BLOCKS
/** Of the text; 1 belongs to the tag. */
const FIRST_COUNTER: u32 = 2
/** A run must not carry into the second last byte of the counter. */
const LAST_START: u32 = 248

/** Whose key the schedule is: a context, or keys without one. */
let holder: usize = 0
let hasTables: bool = false
/** The row under way: how many blocks, their key, and the job of the first. */
let used: u32 = 0
let schedule: usize = 0
let rounds: u32 = 0
let oldest: u32 = 0

export function gcmSealJobs(first: u32, end: u32): void {
  holder = 0
  let hashed = first
  for (let i = first; i < end; i++) {
    const job = jobAt(i)
    if (!isOurs(job)) continue
    if (job.stream != 0) applyStream(job)
    else {
      useKey(job)
      put(i, counterBlock(loadNonce(job), 1), ZEROS, maskOf(job))
      encryptText(job, i, 0)
    }
    const ready = used == 0 ? i + 1 : oldest
    for (; hashed < ready; hashed++) sealTag(jobAt(hashed))
  }
  flush()
  for (; hashed < end; hashed++) sealTag(jobAt(hashed))
}

export function gcmOpenJobs(first: u32, end: u32): void {
  holder = 0
  let ahead: u32 = 0
  for (let i = first; i < end; i++) {
    const job = jobAt(i)
    if (!isOurs(job) || job.stream != 0) continue
    useKey(job)
    put(i, counterBlock(loadNonce(job), 1), ZEROS, maskOf(job))
    if (end - first == 1) ahead = putAhead(job, i)
  }
  flush()
  for (let i = first; i < end; i++) {
    const job = jobAt(i)
    if (!isOurs(job)) continue
    verify(job)
    if (!job.verified) continue
    if (job.stream != 0) applyStream(job)
    else {
      useKey(job)
      if (ahead != 0) xorText(job, AHEAD, min(job.length, ahead << 4))
      encryptText(job, i, ahead)
    }
  }
  flush()
}

/** For a packet that comes alone: key stream of its first blocks beside the tag's mask. Returns how many. */
function putAhead(job: AeadJob, index: u32): u32 {
  const blocks = min((job.length + 15) >> 4, ROW_BLOCKS - 1)
  for (let block: u32 = 0; block < blocks; block++) {
    put(index, counterBlock(loadNonce(job), FIRST_COUNTER + block), ZEROS, AHEAD + (<usize>block << 4))
  }
  return blocks
}

/** Erases what the last batch left. */
export function gcmBatchWipe(): void {
  memory.fill(AHEAD, 0, 16 * (ROW_BLOCKS - 1))
  memory.fill(SPARSE, 0, AES_SCHEDULE_BYTES)
  hasTables = false
}

/** Whether it is AES-GCM and not done by the host. */
// @ts-ignore: decorator
@inline
function isOurs(job: AeadJob): bool {
  return job.suite != SUITE_CHACHA20_POLY1305 && job.hostPacket == 0
}

// @ts-ignore: decorator
@inline
function maskOf(job: AeadJob): usize {
  return job.stream != 0 ? job.stream : changetype<usize>(job) + JOB_WORK
}

// @ts-ignore: decorator
@inline
function loadNonce(job: AeadJob): v128 {
  return v128.load(jobNonce(job))
}

function useKey(job: AeadJob): void {
  const key = job.context != 0 ? job.context : job.keys
  if (key == holder) return
  flush()
  holder = key
  rounds = job.suite == SUITE_AES_128_GCM ? AES_128_ROUNDS : AES_256_ROUNDS
  schedule = key
  if (job.context == 0) {
    schedule = sparseSchedule()
    layKeys(schedule, key, rounds)
  }
}

/** A schedule with its tables, for the round keys of whoever needs it next. */
export function sparseSchedule(): usize {
  if (!hasTables) layTables(SPARSE)
  hasTables = true
  return SPARSE
}

function put(index: u32, block: v128, src: usize, dst: usize): void {
  if (used == 0) oldest = index
  setRow(used++, block, src, dst)
  if (used == ROW_BLOCKS) flush()
}

function flush(): void {
  if (used != 0) runRow(schedule, rounds, used)
  used = 0
}

/** XORs the key stream into the text from block `done` on, as far as it does not go into the row. */
function encryptText(job: AeadJob, index: u32, done: u32): void {
  const nonce = loadNonce(job)
  const blocks = (job.length + 15) >> 4
  if (blocks >= PREPARE_FROM + done) {
    prepareRun(schedule, counterBlock(nonce, FIRST_COUNTER + done))
    for (; done + RUN_BLOCKS <= blocks; done += RUN_BLOCKS) {
      const counter = FIRST_COUNTER + done
      if ((counter & 0xff) <= LAST_START) {
        runPrepared(schedule, rounds, counter, job.src + (<usize>done << 4), job.dst + (<usize>done << 4))
      } else {
        putText(job, index, nonce, done, done + RUN_BLOCKS)
        prepareRun(schedule, counterBlock(nonce, counter + RUN_BLOCKS))
      }
    }
  }
  putText(job, index, nonce, done, blocks)
}

/** Puts blocks `from` to `end - 1` of the text into the row. */
function putText(job: AeadJob, index: u32, nonce: v128, from: u32, end: u32): void {
  for (let block = from; block < end; block++) {
    const at = <usize>block << 4
    put(index, counterBlock(nonce, FIRST_COUNTER + block), job.src + at, job.dst + at)
  }
}

function frame(job: AeadJob, text: usize): void {
  frameHead(job, text)
  frameTail(job, text, bswap<u64>(<u64>job.aadLength << 3), bswap<u64>(<u64>job.length << 3))
}

function tagOf(job: AeadJob, text: usize): v128 {
  const blocks = framedBlocks(job)
  const hash =
    job.context != 0
      ? ghashBlocks(job.context + AES_GCM_TABLES, text - 16, blocks)
      : ghashByPowers(powersOf(job.keys), text - 16, blocks)
  return v128.xor(hash, v128.load(maskOf(job)))
}

function sealTag(job: AeadJob): void {
  if (!isOurs(job)) return
  const text = job.dst
  frame(job, text)
  const tag = tagOf(job, text)
  unframe(job, text)
  v128.store(text + job.length, tag)
}

function verify(job: AeadJob): void {
  const text = job.src
  frame(job, text)
  // Over the mask, which is used up by then.
  v128.store(maskOf(job), tagOf(job, text))
  job.verified = equal16(maskOf(job), framedTag(job))
  unframe(job, text)
}
