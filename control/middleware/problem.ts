/** Every error as a problem document (RFC 9457). What nobody foresaw is logged whole and told in one sentence. */
import type { Context as Hono } from 'hono'
import type { Problem } from '../../protocol/control/problem.ts'
import { Refusal } from '../domain/refusal.ts'
import { Later, refusal } from '../service/refusals.ts'
import { optional } from '../service/support.ts'
import type { Log } from '../service/types.ts'
import { StoreFailure } from '../store/failure.ts'
import type { AppEnv } from './env.ts'

export const PROBLEM_TYPE = 'application/problem+json'
const DEFAULT_RETRY_SECONDS = 5

export function problemOf(error: unknown, requestId: string): { problem: Problem; retryAfter: number | undefined } {
  const told = asRefusal(error)
  const problem: Problem = {
    type: `/docs#problem-${told.code}`,
    title: told.title,
    status: told.status,
    code: told.code,
    ...optional('detail', told.detail),
    ...optional('remedy', told.remedy),
    requestId,
    ...optional('errors', told.errors?.length ? told.errors.map((fault) => ({ ...fault })) : undefined),
  }
  const later = told instanceof Later ? told.retryAfter : undefined
  return { problem, retryAfter: later ?? (told.status === 503 ? DEFAULT_RETRY_SECONDS : undefined) }
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof StoreFailure) {
    return refusal(error.code === 'full' ? 'store-full' : 'unavailable', error.cause, { remedy: error.remedy })
  }
  return refusal('internal', 'An error that was not foreseen.')
}

/** Answers with the problem document of `error`, and writes what an operator must know to the log. */
export function answerProblem(c: Hono<AppEnv>, error: unknown, log: Log, now: number): Response {
  const requestId = c.get('requestId')
  const { problem, retryAfter } = problemOf(error, requestId)
  if (problem.status >= 500) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.error({ requestId, code: problem.code, error: told }, 'a request failed')
  }
  const headers: Record<string, string> = {
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
    date: new Date(now).toUTCString(),
  }
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer realm="isthmus", Isthmus'
  if (problem.status === 426) headers.upgrade = 'websocket'
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  return c.body(JSON.stringify(problem), problem.status as 400, headers)
}
