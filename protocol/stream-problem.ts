/** Why a function did not get what it asked for: the same codes on the wire, in the SDK's errors, in logs and metrics. */

/** `later` and `elsewhere` promise that nothing was done. */
export type Retry = 'never' | 'later' | 'elsewhere'

export const STREAM_PROBLEMS = {
  'unknown-site': 'never',
  'unknown-service': 'never',
  'service-not-allowed': 'never',
  'address-forbidden': 'never',
  'name-not-found': 'never',
  'bad-request': 'never',
  'site-offline': 'later',
  'connect-refused': 'later',
  'connect-failed': 'later',
  'connect-timeout': 'later',
  'tls-failed': 'never',
  'timed-out': 'never',
  'idle-timeout': 'never',
  'connection-reset': 'never',
  'too-large': 'never',
  'bad-response': 'never',
  'token-expired': 'elsewhere',
  'token-refused': 'never',
  'key-changed': 'elsewhere',
  overloaded: 'elsewhere',
  draining: 'elsewhere',
  'protocol-error': 'never',
  'session-lost': 'never',
  'control-unreachable': 'later',
  'control-refused': 'never',
} as const satisfies Record<string, Retry>

export type StreamProblemCode = keyof typeof STREAM_PROBLEMS

export interface StreamProblem {
  readonly code: StreamProblemCode
  /** A sentence each, for people. Never a secret, never an address that the asker did not name. */
  readonly cause: string
  readonly remedy: string
  readonly retry: Retry
}

/** A problem with the way of retrying that belongs to its code. */
export function streamProblem(code: StreamProblemCode, cause: string, remedy: string): StreamProblem {
  return { code, cause, remedy, retry: STREAM_PROBLEMS[code] }
}
