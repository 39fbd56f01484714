/** Control messages of a session, in records of kind 1: small JSON documents beside the streams. */
import { fromBase64url } from './control/base64url.ts'
import { cutSentence, readStreamProblem, type StreamProblem } from './stream-problem.ts'

export type StreamControl =
  | { readonly type: 'ticket'; readonly id: string; readonly goodMs: number }
  | { readonly type: 'reset'; readonly stream: number; readonly problem: StreamProblem }
  | { readonly type: 'drain'; readonly problem: StreamProblem }

/** Bytes of one control message. */
export const MAX_CONTROL = 8192
/** Bytes of a ticket's id. */
export const TICKET_ID = 16

/** Sentences of a problem are cut where they are longer than a reader keeps. */
export function encodeControl(message: StreamControl): Uint8Array {
  return encodeJson('problem' in message ? { ...message, problem: cut(message.problem) } : message)
}

/** The message, or undefined for anything else. Fields that it does not know are ignored. */
export function readControl(bytes: Uint8Array): StreamControl | undefined {
  if (bytes.length > MAX_CONTROL) return undefined
  const value = readJson(bytes)
  if (value === undefined) return undefined
  if (value.type === 'ticket') return readTicket(value)
  const problem = readStreamProblem(value.problem)
  if (problem === undefined) return undefined
  if (value.type === 'drain') return { type: 'drain', problem }
  if (value.type !== 'reset' || !isCount(value.stream, 0xffff_ffff)) return undefined
  return { type: 'reset', stream: value.stream, problem }
}

/** What message 2 of a handshake begins with. */
export type HandshakeAnswer = { readonly early: boolean } | { readonly refused: StreamProblem }

export function encodeAnswer(answer: HandshakeAnswer): Uint8Array {
  return encodeJson('refused' in answer ? { refused: cut(answer.refused) } : answer)
}

export function readAnswer(bytes: Uint8Array): HandshakeAnswer | undefined {
  const value = bytes.length > MAX_CONTROL ? undefined : readJson(bytes)
  if (value === undefined) return undefined
  if (typeof value.early === 'boolean') return { early: value.early }
  const refused = readStreamProblem(value.refused)
  return refused && { refused }
}

function cut(problem: StreamProblem): StreamProblem {
  return { ...problem, cause: cutSentence(problem.cause), remedy: cutSentence(problem.remedy) }
}

function readTicket({ id, goodMs }: Record<string, unknown>): StreamControl | undefined {
  if (typeof id !== 'string' || id.length > 2 * TICKET_ID || !isCount(goodMs, Number.MAX_SAFE_INTEGER)) return undefined
  return fromBase64url(id)?.length === TICKET_ID ? { type: 'ticket', id, goodMs } : undefined
}

function isCount(value: unknown, maximum: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maximum
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function readJson(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}
