/** Why bytes are not an IKE message: a value, never thrown. */
import type { Payload } from './types.ts'

export type DecodeErrorKind =
  /** A field would end behind its container. */
  | 'truncated'
  /** A length or count field contradicts what it describes. */
  | 'bad-length'
  /** A payload's contents break a rule of its section. */
  | 'bad-payload'
  /** Not version 2; higher ones are answered with INVALID_MAJOR_VERSION (RFC 7296 section 2.5). */
  | 'invalid-major-version'
  | 'too-many-payloads'
  /** More proposals, transforms, SPIs, selectors or attributes than any honest message has. */
  | 'too-many-items'
  /** Bytes behind the last payload. */
  | 'trailing-data'

export interface DecodeError {
  readonly error: DecodeErrorKind
  /** One sentence; offsets are from the start of the bytes handed in. Holds no field contents, hence no secret. */
  readonly reason: string
  /** The payload in which it happened. */
  readonly payloadType?: number
  /** That payload's critical bit. */
  readonly critical?: boolean
  /** What was read before it, for whoever shows broken messages. */
  readonly before?: readonly Payload[]
}

export function isDecodeError(value: object): value is DecodeError {
  return 'error' in value && 'reason' in value
}

export function decodeError(error: DecodeErrorKind, reason: string): DecodeError {
  return { error, reason }
}
