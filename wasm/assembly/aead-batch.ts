/** Seals or opens the jobs of a batch: see aead-jobs.ts for what a job is. */
import { chacha20OpenJobs, chacha20SealJobs } from './chacha20-batch'
import { gcmOpenJobs, gcmSealJobs } from './gcm-batch'

/** Seals jobs `first` to `end - 1`: ciphertext at `dst`, the 16-byte tag behind it. */
export function aeadSealBatch(first: u32, end: u32): void {
  chacha20SealJobs(first, end)
  gcmSealJobs(first, end)
}

/** Opens jobs `first` to `end - 1`: the plaintext of those whose tag verifies is at `dst`, of others nothing. */
export function aeadOpenBatch(first: u32, end: u32): void {
  chacha20OpenJobs(first, end)
  gcmOpenJobs(first, end)
}
