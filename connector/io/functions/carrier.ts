/** Between a stream of a function and what it asked for: who tells whom what. */
import type { StreamProblem } from '../../../protocol/stream-problem.ts'

/** What carries the bytes of one stream to a service and back. After `destroy` it calls its stream no more. */
export interface Carrier {
  /** Bytes of the function, to be kept until `took`. */
  data(bytes: Uint8Array): void
  /** The function sends no more. */
  end(): void
  /** The stream takes bytes again, after `writable` was false. */
  drained(): void
  /** The stream is over, however: everything ends at once. */
  destroy(): void
}

/** The stream, as its carrier sees it. */
export interface CarriedStream {
  /** False: stop until `drained`. What is written all the same waits in memory. */
  readonly writable: boolean
  /** The function gets what it asked for; to be called once, before any `write`. */
  accept(remote?: string): void
  /** Bytes of the service, which must not change any more. */
  write(bytes: Uint8Array): void
  /** The service sends no more. */
  finish(): void
  /** So many bytes of `data` are gone. */
  took(length: number): void
  /** It failed: an answer where there was none yet, else a reset with the reason. The carrier is destroyed. */
  fail(problem: StreamProblem): void
  /** Both ways are done as far as the service is concerned. */
  done(): void
}
