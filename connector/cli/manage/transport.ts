/** One request to the control plane: repeated where that is safe, and every trouble as a failure with its remedy. */

import { type Problem, problemSchema } from '../../../protocol/control/problem.ts'
import { EXIT } from '../../handle.ts'
import { CommandFailure } from '../command.ts'
import { printable } from './view.ts'

/** What a request needs of its surroundings. */
export interface Surroundings {
  /** Scheme, host and port. */
  readonly url: string
  readonly token: string
  fetch(url: string, init: RequestInit): Promise<Response>
  pause(ms: number): Promise<void>
  /** A text that was never used before, for Idempotency-Key. */
  freshKey(): string
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** The body is longer than one wants to hold, or to wait for. */
  readonly streamed?: true
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Empty where it is streamed. */
  readonly text: string
  readonly stream?: ReadableStream<Uint8Array>
}

/** The control plane refused, or could not be asked. */
export class ApiFailure extends CommandFailure {
  /** Stable word for programs: of the problem document, else `unreachable` or `not-control`. */
  readonly code: string
  /** HTTP status, or undefined where there was no answer. */
  readonly status: number | undefined
  /** What of the body does not fit, where the control plane says it. */
  readonly errors: NonNullable<Problem['errors']>

  constructor(
    cause: string,
    remedy: string,
    exitCode: number,
    code: string,
    status?: number,
    errors: NonNullable<Problem['errors']> = [],
  ) {
    // Its words come from elsewhere: they must not steer the terminal.
    super(printable(cause), printable(remedy), exitCode)
    this.code = code
    this.status = status
    this.errors = errors
  }
}

const TIMEOUT_MS = 30_000
const MAX_ATTEMPTS = 4
/** A longer wait is for the person to decide. */
const MAX_WAIT_MS = 30_000
const FIRST_WAIT_MS = 250

/** An answer of 2xx. Rejects with an ApiFailure. */
export async function send(request: ApiRequest, around: Surroundings): Promise<Answer> {
  // One key for all attempts: what was done already is not done again.
  const key = request.method === 'POST' ? around.freshKey() : undefined
  for (let attempt = 1; ; attempt++) {
    const outcome = await attemptOnce(request, key, around)
    if (!('failure' in outcome)) return outcome.answer
    const wait = attempt < MAX_ATTEMPTS ? waitBefore(outcome, request, attempt) : undefined
    if (wait === undefined) throw outcome.failure
    await around.pause(wait)
  }
}

/** The JSON value of an answer. Throws an ApiFailure for anything else. */
export function jsonOf({ text }: Answer, url: string): unknown {
  const value = parsedOrUndefined(text)
  if (value === undefined) throw notControl(url, 'its answer is not JSON')
  return value
}

type Outcome =
  | { readonly answer: Answer }
  | {
      readonly failure: ApiFailure
      /** Whether it is certain that nothing was done. */
      readonly nothingDone: boolean
      /** Whether it may be different a moment later. */
      readonly passing: boolean
      /** Milliseconds that the control plane wants us to wait. */
      readonly after?: number
    }

/** Milliseconds until the next attempt; undefined where one could do harm or would not help. */
function waitBefore(
  { nothingDone, passing, after }: Exclude<Outcome, { answer: Answer }>,
  { method }: ApiRequest,
  attempt: number,
): number | undefined {
  // A change that was made meanwhile would meet its own revision: GET and POST (by its key) may be repeated.
  const repeatable = nothingDone || method === 'GET' || method === 'POST'
  if (!passing || !repeatable) return undefined
  const wait = after ?? FIRST_WAIT_MS * 2 ** (attempt - 1)
  return wait <= MAX_WAIT_MS ? wait : undefined
}

async function attemptOnce(request: ApiRequest, key: string | undefined, around: Surroundings): Promise<Outcome> {
  const { method, path, body } = request
  const headers: Record<string, string> = {
    Accept: 'application/json',
    Authorization: `Bearer ${around.token}`,
    ...(key === undefined ? {} : { 'Idempotency-Key': key }),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...request.headers,
  }
  const patience = new AbortController()
  const timer = setTimeout(() => patience.abort(), TIMEOUT_MS)
  try {
    const response = await around.fetch(around.url + path, {
      method,
      headers,
      // A token is not carried to where an answer points.
      redirect: 'manual',
      signal: patience.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return response.ok ? { answer: await answerOf(response, request) } : await refused(response, around.url)
  } catch (error) {
    return { ...unreachable(around.url, error, patience.signal.aborted), nothingDone: false }
  } finally {
    clearTimeout(timer)
  }
}

async function answerOf(response: Response, { streamed }: ApiRequest): Promise<Answer> {
  const { status, headers, body } = response
  if (streamed && body !== null) return { status, headers, text: '', stream: body }
  return { status, headers, text: await response.text() }
}

async function refused(response: Response, url: string): Promise<Outcome> {
  const { status } = response
  const parsed = problemSchema.safeParse(parsedOrUndefined(await response.text()))
  if (!parsed.success) {
    const passing = status === 502 || status === 503 || status === 504
    const location = response.headers.get('location')
    const to = location === null ? '' : `, and points to ${location}`
    return { failure: notControl(url, `HTTP status ${status}${to}`, status), nothingDone: false, passing }
  }
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return {
    failure: failureOf(parsed.data),
    nothingDone: status === 429,
    passing: status === 429 || status === 503,
    ...(Number.isFinite(seconds) ? { after: Math.max(0, seconds) * 1000 } : {}),
  }
}

function failureOf({ title, status, code, detail, remedy, errors = [], requestId }: Problem): ApiFailure {
  const faults = errors.map(({ pointer, detail: fault }) => (pointer === '' ? fault : `${pointer}: ${fault}`))
  const told = detail === undefined ? withoutStop(title) : `${withoutStop(title)}: ${withoutStop(detail)}`
  const cause = faults.length === 0 ? told : faults.map(withoutStop).join('; ')
  const request = status >= 500 && requestId !== undefined ? ` (request ${requestId})` : ''
  const advice = code === 'invalid-request' ? 'correct this, and try again' : remedy
  return new ApiFailure(
    cause + request,
    advice ?? 'isthmus network status shows what is there',
    exitOf(status),
    code,
    status,
    errors,
  )
}

function exitOf(status: number): number {
  if (status === 400) return EXIT.usage
  if (status === 401 || status === 403) return EXIT.permission
  return status === 429 || status >= 500 ? EXIT.noControl : EXIT.failed
}

function notControl(url: string, why: string, status?: number): ApiFailure {
  const remedy = 'check that the address is the one of an Isthmus control plane, of a release like this one'
  return new ApiFailure(
    `${url} does not answer as a control plane: ${why}`,
    remedy,
    EXIT.noControl,
    'not-control',
    status,
  )
}

function unreachable(url: string, error: unknown, timedOut: boolean): { failure: ApiFailure; passing: boolean } {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  const reason = timedOut ? 'no answer in 30 s' : (cause?.code ?? cause?.message ?? message ?? String(error))
  const failure = (remedy: string) =>
    new ApiFailure(`the control plane at ${url} cannot be reached (${reason})`, remedy, EXIT.noControl, 'unreachable')
  if (/^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS)/.test(reason)) {
    const remedy =
      'give it a certificate that this machine trusts; NODE_EXTRA_CA_CERTS names a file of more authorities'
    return { failure: failure(remedy), passing: false }
  }
  if (reason === 'ECONNREFUSED')
    return { failure: failure('start it with isthmus control, or correct --url'), passing: false }
  if (reason === 'ENOTFOUND')
    return { failure: failure('correct the name in --url, or look into the DNS'), passing: false }
  return { failure: failure(`check the way there: curl ${url}/healthz`), passing: !timedOut }
}

function withoutStop(text: string): string {
  return text.replace(/\.$/, '')
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
