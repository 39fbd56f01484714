/** HTTP messages as Binary HTTP (RFC 9292) carries them. */

/**
 * Name, in lower case, and value. The value is a byte string: one character for each octet, U+0000 to U+00FF, as fetch
 * has it.
 */
export type FieldLine = readonly [name: string, value: string]

export interface RequestHead {
  readonly method: string
  /** Without the colon. */
  readonly scheme: string
  /** Host and port; empty where the request has none, and a `host` field says it. */
  readonly authority: string
  /** Path and query, beginning with a slash; `*` for OPTIONS of the whole server. */
  readonly path: string
  readonly fields: readonly FieldLine[]
}

export interface ResponseHead {
  /** 200 to 599; of an informational response 100 to 199 without 101. */
  readonly status: number
  readonly fields: readonly FieldLine[]
}

export interface BinaryHttpLimits {
  /** Bytes of control data and fields of one head, or of the trailers. */
  readonly maxHead: number
  readonly maxFields: number
  /** Bytes of one field's name and value. */
  readonly maxFieldLine: number
  /** Informational responses before the final one. */
  readonly maxInformational: number
}

export const BINARY_HTTP_LIMITS: BinaryHttpLimits = {
  maxHead: 65_536,
  maxFields: 256,
  maxFieldLine: 32_768,
  maxInformational: 32,
}

export type BinaryHttpEvent<Head> =
  | { readonly type: 'informational'; readonly head: ResponseHead }
  | { readonly type: 'head'; readonly head: Head }
  /** A part of the bytes that were pushed, not a copy; never empty. */
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  /** Only where there are any. */
  | { readonly type: 'trailers'; readonly fields: readonly FieldLine[] }
  /** The message is whole. Comes of `finish` alone: until then it may turn out to be invalid. */
  | { readonly type: 'end' }
  /** The message is invalid (RFC 9292 section 4): nothing comes behind it. The cause quotes nothing of a value. */
  | { readonly type: 'fault'; readonly code: 'malformed' | 'too-large'; readonly cause: string }
