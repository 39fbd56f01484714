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

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g

/** Characters (UTF-16 units) that are kept of a sentence that a peer sent. */
export const MAX_SENTENCE = 512

/**
 * A problem that a peer told, in JSON, or undefined where it is none. Of a code that is not known only the words are
 * kept, and how to retry follows from the code alone, whatever the peer says of it.
 */
export function readStreamProblem(value: unknown): StreamProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { code, cause, remedy } = value as { code?: unknown; cause?: unknown; remedy?: unknown }
  if (typeof code !== 'string' || typeof cause !== 'string' || typeof remedy !== 'string') return undefined
  const known = Object.hasOwn(STREAM_PROBLEMS, code) ? (code as StreamProblemCode) : 'protocol-error'
  return streamProblem(known, cutSentence(cause), cutSentence(remedy))
}

/** At most `MAX_SENTENCE` characters of a text, without control characters and halves of surrogate pairs. */
export function cutSentence(text: string): string {
  // Of each character left by the cut, JSON and UTF-8 make at most three bytes.
  return text.slice(0, MAX_SENTENCE).replace(UNPRINTABLE, ' ').toWellFormed()
}
