/** Seals or opens the jobs of a batch: see aead-jobs.ts for what a job is. */
import { SUITE_CHACHA20_POLY1305 } from '../abi'
import { aeadOpen, aeadSeal } from './aead'
import { aadOf, AeadJob, jobAt, jobNonce } from './aead-jobs'
import { chacha20OpenJobs, chacha20SealJobs } from './chacha20-batch'

/** Seals jobs `first` to `end - 1`: ciphertext at `dst`, the 16-byte tag behind it. */
export function aeadSealBatch(first: u32, end: u32): void {
  chacha20SealJobs(first, end)
  for (let i = first; i < end; i++) {
    const job = jobAt(i)
    if (job.suite == SUITE_CHACHA20_POLY1305) continue
    aeadSeal(job.suite, job.context, jobNonce(job), aadOf(job), job.aadLength, job.src, job.dst, job.length)
  }
}

/** Opens jobs `first` to `end - 1`: the plaintext of those whose tag verifies is at `dst`, of others nothing. */
export function aeadOpenBatch(first: u32, end: u32): void {
  chacha20OpenJobs(first, end)
  for (let i = first; i < end; i++) {
    const job = jobAt(i)
    if (job.suite == SUITE_CHACHA20_POLY1305) continue
    job.verified = aeadOpen(job.suite, job.context, jobNonce(job), aadOf(job), job.aadLength, job.src, job.dst, job.length)
  }
}
