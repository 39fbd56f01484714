/** Control messages of a session, in records of kind 1: small JSON documents beside the streams. */
import type { StreamProblem } from './stream-problem.ts'

export type StreamControl =
  | { readonly type: 'ticket'; readonly id: string; readonly goodMs: number }
  | { readonly type: 'reset'; readonly stream: number; readonly problem: StreamProblem }
  | { readonly type: 'drain'; readonly problem: StreamProblem }
