/** Requests of a connector to the control plane, each with a proof of its identity. */
import type { z } from 'zod'
import { type ConnectorDocument, connectorDocumentSchema } from '../../../protocol/control/document.ts'
import { type JoinAnswer, type JoinRequest, joinAnswerSchema } from '../../../protocol/control/join.ts'
import type { ConnectorReport, LinkEvent } from '../../../protocol/control/link.ts'
import { problemSchema } from '../../../protocol/control/problem.ts'
import type { Identity } from '../../store/enrollment.ts'
import { authorize } from './signatures.ts'

const TIMEOUT_MS = 15_000
/** A control plane that answers with more is not one. */
const MAX_ANSWER = 32 << 20

/** The control plane said no, or could not be asked. */
export class ControlFailure extends Error {
  override readonly name = 'ControlFailure'
  /** HTTP status, or undefined where there was no answer. */
  readonly status: number | undefined
  readonly code: string
  readonly remedy: string

  constructor(status: number | undefined, code: string, cause: string, remedy: string) {
    super(cause)
    this.status = status
    this.code = code
    this.remedy = remedy
  }
}

export interface Self {
  readonly url: string
  readonly network: string
  readonly connector: string
}

/** Spends a join token. Rejects with a ControlFailure. */
export async function requestJoin(url: string, request: JoinRequest): Promise<JoinAnswer> {
  const answer = await ask(url, '/v1/join', { method: 'POST', body: JSON.stringify(request) })
  return parseAnswer(answer, joinAnswerSchema)
}

export class ControlClient {
  readonly #self: Self
  readonly #identity: Identity
  /** What our clock is behind the control plane's: as a welcome says, or a refusal of a proof for its time. */
  #skewMs = 0

  constructor(self: Self, identity: Identity) {
    this.#self = self
    this.#identity = identity
  }

  /** Milliseconds since 1970 by the control plane's clock, as near as it is known. */
  controlTime(): number {
    return Date.now() + this.#skewMs
  }

  /** The value of Authorization for the upgrade of the link. */
  authorizeLink(): Promise<string> {
    return this.#authorize('GET', this.linkPath, '')
  }

  /** The same for a socket to the relay. */
  authorizeRelay(): Promise<string> {
    return this.#authorize('GET', this.relayPath, '')
  }

  get relayPath(): string {
    return `/v1/networks/${this.#self.network}/relay`
  }

  get linkPath(): string {
    return `/v1/networks/${this.#self.network}/link`
  }

  /** Undefined while the document is still at `version`. */
  async document(version: number): Promise<ConnectorDocument | undefined> {
    const path = `${this.#connectorPath}/document`
    const headers = { 'If-None-Match': `"${version}"` }
    const answer = await this.#ask('GET', path, '', headers)
    return answer.status === 304 ? undefined : parseAnswer(answer, connectorDocumentSchema)
  }

  async report(report: ConnectorReport, events: readonly LinkEvent[]): Promise<void> {
    await this.#ask('POST', `${this.#connectorPath}/report`, JSON.stringify({ report, events }))
  }

  /** Learns from a message that came a moment ago. */
  learnNow(theirs: number): void {
    this.#skewMs = theirs - Date.now()
  }

  /** Learns from the Date of an answer that refused our time. Returns whether that changed anything. */
  learnTime(date: string | null | undefined): boolean {
    const theirs = Date.parse(date ?? '')
    if (Number.isNaN(theirs)) return false
    const skew = theirs - Date.now()
    if (Math.abs(skew - this.#skewMs) < 2000) return false
    this.#skewMs = skew
    return true
  }

  get #connectorPath(): string {
    return `/v1/networks/${this.#self.network}/connectors/${this.#self.connector}`
  }

  async #ask(method: string, path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
    for (let last = false; ; last = true) {
      const authorization = await this.#authorize(method, path, body)
      try {
        return await ask(this.#self.url, path, {
          method,
          headers: { ...headers, Authorization: authorization },
          ...(body === '' ? {} : { body }),
        })
      } catch (error) {
        const skewed = error instanceof SkewFailure && this.learnTime(error.date)
        if (last || !skewed) throw error
      }
    }
  }

  #authorize(method: string, target: string, body: string): Promise<string> {
    return authorize(this.#identity, this.#self, { method, target, body, at: this.controlTime() })
  }
}

interface Answer {
  readonly status: number
  readonly text: string
}

class SkewFailure extends ControlFailure {
  readonly date: string | null

  constructor(failure: ControlFailure, date: string | null) {
    super(failure.status, failure.code, failure.message, failure.remedy)
    this.date = date
  }
}

/** Answers of 2xx, and 304. Everything else rejects. */
async function ask(url: string, path: string, init: RequestInit): Promise<Answer> {
  let response: Response
  let text: string
  const headers = new Headers(init.headers)
  headers.set('Accept', 'application/json')
  if (init.body !== undefined) headers.set('Content-Type', 'application/json')
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    response = await fetch(new URL(path, url), { ...init, headers, signal, redirect: 'error' })
    text = await bounded(response)
  } catch (error) {
    throw unreachableFailure(url, error)
  }
  if (response.ok || response.status === 304) return { status: response.status, text }
  const failure = refusal(response.status, text)
  throw failure.code === 'clock-skew' ? new SkewFailure(failure, response.headers.get('Date')) : failure
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_ANSWER) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function refusal(status: number, text: string): ControlFailure {
  const parsed = problemSchema.safeParse(jsonOf(text))
  if (!parsed.success) {
    const remedy = 'Check that the address is the one of an Isthmus control plane.'
    return new ControlFailure(status, 'not-control', `The control plane answered with HTTP status ${status}.`, remedy)
  }
  const { code, title, detail, remedy, errors } = parsed.data
  const faults = (errors ?? []).map((fault) => `${fault.pointer}: ${fault.detail}`).join('; ')
  const cause = [detail ?? title, faults].filter((part) => part !== '').join(' ')
  return new ControlFailure(status, code, cause, remedy ?? 'See the log of the control plane.')
}

function unreachableFailure(url: string, error: unknown): ControlFailure {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  const reason = cause?.code ?? cause?.message ?? message ?? String(error)
  const remedy = 'Check the address, and that this machine reaches it (curl <url>/healthz); it is tried again.'
  return new ControlFailure(
    undefined,
    'control-unreachable',
    `The control plane at ${url} cannot be reached (${reason}).`,
    remedy,
  )
}

function parseAnswer<T>(answer: Answer, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(jsonOf(answer.text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`
  const remedy = 'One of the two is too old for the other: bring both to the same version.'
  throw new ControlFailure(answer.status, 'bad-answer', `The control plane's answer does not fit${where}.`, remedy)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
