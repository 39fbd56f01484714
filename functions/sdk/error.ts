/** What a function is told when it does not get what it asked for. */
import { type Retry, type StreamProblem, type StreamProblemCode, streamProblem } from '../../protocol/stream-problem.ts'

/**
 * Every failure that is not the caller's own abort or a wrong argument. `code` is for programs; the message is
 * `cause` and `remedy`, for people. Where `retry` is `later` or `elsewhere`, nothing was done at the site.
 */
export class IsthmusError extends Error {
  override readonly name = 'IsthmusError'
  readonly code: StreamProblemCode
  /** What happened, in a sentence. */
  override readonly cause: string
  /** What helps, in a sentence. */
  readonly remedy: string
  readonly retry: Retry

  constructor({ code, cause, remedy, retry }: StreamProblem) {
    super(`${cause} ${remedy}`)
    this.code = code
    this.cause = cause
    this.remedy = remedy
    this.retry = retry
  }
}

/** An error of this code, with the way of retrying that belongs to it. */
export function failure(code: StreamProblemCode, cause: string, remedy: string): IsthmusError {
  return new IsthmusError(streamProblem(code, cause, remedy))
}

/** What `error` says, in a few words, for a cause. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner = error.cause
  const code = inner instanceof Error ? ((inner as { code?: unknown }).code ?? inner.message) : undefined
  return code === undefined || code === '' ? error.message : `${error.message}: ${String(code)}`
}
