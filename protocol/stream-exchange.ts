/** What is said on a stream before the bytes: what the function wants, and whether it gets it. */
import type { StreamProblem } from './stream-problem.ts'

export type StreamOpening =
  | {
      readonly kind: 'tcp' | 'http'
      /** A service's name, `<name>.internal`, one of its further names, or a host or address of a whole network. */
      readonly host: string
      readonly port: number
      /** The connector speaks TLS to the service (tcp only; a service of kind https does so anyway). */
      readonly tls?: boolean
      /** For the connection, and for http until the head of the answer. The service's own limit where absent. */
      readonly timeoutMs?: number
    }
  | { readonly kind: 'start-tls'; readonly of: number; readonly after: number; readonly serverName?: string }

export type StreamAnswer =
  | { readonly ok: true; readonly remote?: string }
  | { readonly ok: false; readonly problem: StreamProblem }

/** Bytes of an opening or an answer, its length field not counted. */
export const MAX_OPENING = 4096
