/**
 * AES-GCM whose block cipher runs in the host. Before the AES work of a batch, the counter blocks of its packets are
 * written down, those under one key together; the host encrypts them where they lie, one native call for each key; what
 * is there then is the key stream, with the tag's mask in front of each packet's.
 */
import { MAX_OUTER, OUTBOX, SUITE_AES_128_GCM, SUITE_AES_256_GCM } from '../abi'
import { AeadJob, jobAt, jobNonce, xorText } from './aead-jobs'
import { counterBlock } from './aes-ctr'
import { layOutPackets } from './host-packets'

const STREAM_BYTES: u32 = OUTBOX * (MAX_OUTER + 16)
export const STREAM: usize = memory.data(OUTBOX * (MAX_OUTER + 16), 64)
/** How many keys the host has to work for, then for each of them: SA handle, offset of its blocks, bytes. */
export const STREAM_KEYS: usize = memory.data(16 + OUTBOX * 12, 64)
const ENTRY: usize = 12

/** Suites that the host encrypts for: bit SUITE_ is set. */
let suites: u32 = 0
/** Fewer blocks than this under one key are not worth a native call. */
let leastBlocks: u32 = 0
/** Of STREAM, the bytes that have been written since it was erased. */
let written: u32 = 0

export function setOffload(aes128: bool, aes256: bool, least: u32): void {
  suites = (aes128 ? 1 << SUITE_AES_128_GCM : 0) | (aes256 ? 1 << SUITE_AES_256_GCM : 0)
  leastBlocks = least
}

/** Writes down what of jobs 0 to `end - 1` is for the host. Returns whether there is anything. */
export function layOutStream(end: u32): bool {
  store<u32>(STREAM_KEYS, 0)
  const packets = layOutPackets(end)
  return (suites != 0 && layOutBlocks(end)) || packets
}

/** The counter blocks of those that the host does not do whole. */
function layOutBlocks(end: u32): bool {
  for (let i: u32 = 0; i < end; i++) {
    const job = jobAt(i)
    job.stream = 0
    if (isStreamed(job)) countBlocks(job)
  }
  if (!placeKeys()) {
    store<u32>(STREAM_KEYS, 0)
    return false
  }
  for (let i: u32 = 0; i < end; i++) {
    const job = jobAt(i)
    if (isStreamed(job)) writeBlocks(job)
  }
  return true
}

// @ts-ignore: decorator
@inline
function isStreamed(job: AeadJob): bool {
  return job.hostPacket == 0 && ((suites >> job.suite) & 1) != 0
}

// @ts-ignore: decorator
@inline
function entryAt(index: u32): usize {
  return STREAM_KEYS + 16 + <usize>index * ENTRY
}

// @ts-ignore: decorator
@inline
function streamBytes(job: AeadJob): u32 {
  return 16 + ((job.length + 15) & ~15)
}

/** Adds a job to its key's bytes; neighbours mostly have the same key. */
function countBlocks(job: AeadJob): void {
  const count = load<u32>(STREAM_KEYS)
  let index = count
  while (index > 0 && load<u32>(entryAt(index - 1)) != job.handle) index--
  if (index == 0) {
    store<u32>(STREAM_KEYS, count + 1)
    store<u32>(entryAt(count), job.handle)
    store<u32>(entryAt(count), 0, 8)
    index = count + 1
  }
  const entry = entryAt(index - 1)
  job.streamKey = index - 1
  store<u32>(entry, load<u32>(entry, 8) + streamBytes(job), 8)
}

/** Gives each key its place, or none where it has too few blocks. Returns whether any has. */
function placeKeys(): bool {
  const count = load<u32>(STREAM_KEYS)
  let next: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(i)
    const bytes = load<u32>(entry, 8)
    const placed = bytes >= leastBlocks << 4 && next + bytes <= STREAM_BYTES
    store<u32>(entry, placed ? <u32>STREAM + next : 0, 4)
    if (placed) next += bytes
    // Counted again as blocks are written.
    store<u32>(entry, 0, 8)
  }
  written = max(written, next)
  return next != 0
}

function writeBlocks(job: AeadJob): void {
  const entry = entryAt(job.streamKey)
  const start = load<u32>(entry, 4)
  if (start == 0) return
  const bytes = streamBytes(job)
  const done = load<u32>(entry, 8)
  store<u32>(entry, done + bytes, 8)
  job.stream = start + done
  const nonce = v128.load(jobNonce(job))
  const one = i8x16.replace_lane(i64x2.splat(0), 15, 1)
  const last = job.stream + bytes
  let counter: u32 = 1
  // The counter's last byte counts by itself until it carries.
  for (let at = job.stream; at < last; counter = (counter | 0xff) + 1) {
    let block = counterBlock(nonce, counter)
    const carries = min(last, at + (<usize>(256 - (counter & 0xff)) << 4))
    for (; at < carries; at += 16, block = i8x16.add(block, one)) v128.store(at, block)
  }
}

/** The host could not: the engine does these jobs by itself. */
export function forgetStream(end: u32): void {
  for (let i: u32 = 0; i < end; i++) jobAt(i).stream = 0
}

/** XORs the key stream of a job into its text. */
export function applyStream(job: AeadJob): void {
  xorText(job, job.stream + 16, job.length)
}

/** Erases what the last batches left. */
export function wipeStream(): void {
  memory.fill(STREAM, 0, written)
  memory.fill(STREAM_KEYS, 0, 16 + OUTBOX * 12)
  written = 0
}
