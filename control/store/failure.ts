/** What the store itself can suffer, as opposed to a `Conflict` between two writers. */

/**
 * `full`: no room left. `corrupt`: the file is not, or no longer, a store. `access`: it cannot be opened or written.
 * `busy`: another process holds it. `unavailable`: the database does not answer. `newer`: a later release wrote it.
 * `incomplete`: a restore into it was cut off. `sealed`: a secret cannot be opened. `input`: a backup that is none.
 */
export type StoreFailureCode =
  | 'full'
  | 'corrupt'
  | 'access'
  | 'busy'
  | 'unavailable'
  | 'newer'
  | 'incomplete'
  | 'sealed'
  | 'input'

/** Nothing was changed, unless `unavailable` struck while a commit was under way: then it may or may not be there. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure'
  readonly code: StoreFailureCode
  override readonly cause: string
  readonly remedy: string

  constructor(code: StoreFailureCode, cause: string, remedy: string) {
    super(cause)
    this.code = code
    this.cause = cause
    this.remedy = remedy
  }
}
