/**
 * Makes one piece of what an AEAD authenticates, in place: AAD in the 16 bytes in front of the text, zeros up to a
 * whole block and a block of lengths behind it. What was there before is put aside in the job and comes back later.
 */
import { AeadJob, JOB_WORK } from './aead-jobs'

const HEAD: usize = JOB_WORK + 64
const TAIL: usize = JOB_WORK + 80
/** Bytes of the blocks of AAD and of lengths. */
export const FRAME_BLOCKS: u32 = 2

/** Blocks of 16 bytes in the whole piece. */
// @ts-ignore: decorator
@inline
export function framedBlocks(job: AeadJob): u32 {
  return FRAME_BLOCKS + ((job.length + 15) >> 4)
}

// @ts-ignore: decorator
@inline
export function frameHead(job: AeadJob, text: usize): void {
  v128.store(changetype<usize>(job) + HEAD, v128.load(text - 16))
  store<u64>(text - 16, job.aadFirst)
  store<u64>(text - 16, job.aadSecond, 8)
}

/** `first` and `second` are the block of lengths as it is in memory. */
// @ts-ignore: decorator
@inline
export function frameTail(job: AeadJob, text: usize, first: u64, second: u64): void {
  const behind = text + job.length
  v128.store(changetype<usize>(job) + TAIL, v128.load(behind))
  v128.store(changetype<usize>(job) + TAIL, v128.load(behind, 16), 16)
  v128.store(behind, i64x2.splat(0))
  const lengths = text + ((job.length + 15) & ~15)
  store<u64>(lengths, first)
  store<u64>(lengths, second, 8)
}

/** Where the 16 bytes are that `frameTail` put aside: of a packet to be opened, the tag. */
// @ts-ignore: decorator
@inline
export function framedTag(job: AeadJob): usize {
  return changetype<usize>(job) + TAIL
}

// @ts-ignore: decorator
@inline
export function unframe(job: AeadJob, text: usize): void {
  const behind = text + job.length
  v128.store(text - 16, v128.load(changetype<usize>(job) + HEAD))
  v128.store(behind, v128.load(changetype<usize>(job) + TAIL))
  v128.store(behind, v128.load(changetype<usize>(job) + TAIL, 16), 16)
}
