/** From a request to an answer, the same way for every operation. Whatever goes wrong is thrown as a Refusal. */
import type { Context as Hono } from 'hono'
import type { z } from 'zod'
import { type Fault, refusalOf } from '../domain/refusal.ts'
import { parseJson, readBody } from '../middleware/body.ts'
import { etagOf, matches, parseIfMatch, parseIfNoneMatch, unchanged } from '../middleware/etag.ts'
import { faultsOf } from '../middleware/faults.ts'
import type { Gate } from '../middleware/gate.ts'
import { answerBefore, keyOf, type Repetition, replayMaker } from '../middleware/idempotency.ts'
import { AlreadyAnswered } from '../service/commit.ts'
import { refusal } from '../service/refusals.ts'
import type { Services } from '../service/services.ts'
import { sha256 } from '../service/signatures.ts'
import { optional } from '../service/support.ts'
import type { Call, Match, Outcome } from '../service/types.ts'
import { type AnyInput, methodOf, type OpenLink, type OpenRelay, type Operation, takesKey } from './operation.ts'

export const MAX_BODY = 1 << 20

export interface PipelineOptions {
  readonly services: Services
  readonly gate: Gate
  readonly openLink?: OpenLink
  readonly openRelay?: OpenRelay
}

export function handlerOf(operation: Operation, options: PipelineOptions) {
  return async (c: Hono): Promise<Response> => {
    const { spec } = operation
    const admitted = await options.gate.admit(c, spec.id)
    const bytes = await bodyOf(c, spec.maxBody ?? MAX_BODY)
    if (admitted.body !== undefined && (await sha256(bytes)) !== admitted.body) {
      throw refusal('bad-credentials', 'the proof was made for another body')
    }
    const input = inputOf(operation, c, bytes)
    const call: Call = { ...admitted.call, ...matchOf(operation, c), ...noneMatchOf(c) }
    const repetition = await repetitionOf(operation, c, call, bytes)
    const before = repetition && (await answerBefore(repetition, options.services))
    if (before !== undefined) return before
    return execute(operation, c, options, call, input, repetition)
  }
}

async function execute(
  operation: Operation,
  c: Hono,
  options: PipelineOptions,
  call: Call,
  input: AnyInput,
  repetition: Repetition | undefined,
): Promise<Response> {
  const { services } = options
  const render = (outcome: Outcome) => rendered(operation, c, outcome)
  const full =
    repetition === undefined
      ? call
      : { ...call, network: repetition.network, replay: replayMaker(repetition, services, render) }
  try {
    const { openLink, openRelay } = options
    const outcome = await operation.run({ services, call: full, http: c, openLink, openRelay }, input)
    if (outcome instanceof Response) return outcome
    return answer(operation, c, outcome, call.noneMatch)
  } catch (error) {
    if (!(error instanceof AlreadyAnswered) || repetition === undefined) throw error
    const before = await answerBefore(repetition, services)
    if (before === undefined) throw refusal('unavailable', 'the same request is being answered')
    return before
  }
}

async function bodyOf(c: Hono, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const read = await readBody(c.req.raw, limit)
  if ('fault' in read) throw refusal('too-large', `it may have ${limit} bytes`)
  return read.bytes
}

function inputOf(operation: Operation, c: Hono, bytes: Uint8Array): AnyInput {
  const { spec } = operation
  const faults: Fault[] = []
  const take = (schema: z.ZodType | undefined, value: unknown, prefix: string): unknown => {
    const parsed = schema?.safeParse(value)
    if (parsed?.success === false) faults.push(...faultsOf(parsed.error, prefix))
    return parsed?.data
  }
  const params = spec.params === undefined ? undefined : paramsOf(spec.params, c)
  const query = take(spec.query, queryOf(c, faults, spec.query === undefined), 'query')
  const body = spec.body === undefined ? noBody(bytes, faults) : take(spec.body, jsonOf(c, bytes), '')
  const refused = refusalOf(faults)
  if (refused !== undefined) throw refused
  return { params, query, body }
}

/** What is no identifier names nothing: the answer is the same as for one that does not exist. */
function paramsOf(schema: z.ZodType, c: Hono): unknown {
  const parsed = schema.safeParse(c.req.param())
  if (!parsed.success) {
    throw refusal('not-found', 'the path names nothing', { errors: faultsOf(parsed.error, 'path') })
  }
  return parsed.data
}

function queryOf(c: Hono, faults: Fault[], none: boolean): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [name, given] of Object.entries(c.req.queries())) {
    if (given.length > 1) faults.push({ pointer: `query/${name}`, detail: 'given more than once' })
    else if (none) faults.push({ pointer: `query/${name}`, detail: 'unknown parameter' })
    values[name] = given[0]!
  }
  return values
}

function noBody(bytes: Uint8Array, faults: Fault[]): undefined {
  if (bytes.length > 0) faults.push({ pointer: '', detail: 'this operation takes no body' })
  return undefined
}

function jsonOf(c: Hono, bytes: Uint8Array): unknown {
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/json *(;|$)/i.test(type))
    throw refusal('unsupported-media', type === '' ? 'Content-Type is missing' : 'the body is no JSON')
  const parsed = parseJson(bytes)
  if ('fault' in parsed) throw refusal('malformed', parsed.fault)
  return parsed.value
}

function matchOf(operation: Operation, c: Hono): Pick<Call, 'match'> {
  const header = c.req.header('if-match')
  if (header === undefined) {
    if (operation.spec.match)
      throw refusal('precondition-required', 'the change must name the revision that it is based on')
    return {}
  }
  const match = parseIfMatch(header)
  if (match === undefined) {
    const detail = 'not a list of entity tags, like "3"'
    throw refusal('malformed', detail, { errors: [{ pointer: 'header/If-Match', detail }] })
  }
  return { match }
}

/** What cannot be read is as if it were not there (RFC 9110 section 13.1.2): the answer is whole. */
function noneMatchOf(c: Hono): Pick<Call, 'noneMatch'> {
  const header = c.req.header('if-none-match')
  return optional('noneMatch', header === undefined ? undefined : parseIfNoneMatch(header))
}

async function repetitionOf(
  operation: Operation,
  c: Hono,
  call: Call,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Repetition | undefined> {
  if (!takesKey(operation)) return undefined
  return keyOf(c, call, bytes, operation.spec.secret === true)
}

function rendered(
  operation: Operation,
  c: Hono,
  outcome: Outcome,
): { status: number; headers: Record<string, string>; body: string } {
  const { answer: spec } = operation.spec
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (spec.etag && outcome.revision !== undefined) headers.etag = etagOf(outcome.revision)
  if (spec.status === 201) {
    const id = (outcome.value as { id?: string } | undefined)?.id
    if (id !== undefined) headers.location = `${c.req.path.replace(/\/$/, '')}/${id}`
  }
  if (spec.status === 204) return { status: 204, headers, body: '' }
  headers['content-type'] = 'application/json'
  return { status: spec.status, headers, body: JSON.stringify(outcome.value) }
}

function answer(operation: Operation, c: Hono, outcome: Outcome, noneMatch: Match | undefined): Response {
  const { spec } = operation
  const made = rendered(operation, c, outcome)
  if (methodOf(operation) === 'GET' && spec.answer.etag && noneMatch !== undefined && outcome.revision !== undefined) {
    if (matches(noneMatch, outcome.revision)) return unchanged(outcome.revision)
  }
  return made.status === 204 ? c.body(null, 204, made.headers) : c.body(made.body, made.status as 200, made.headers)
}
