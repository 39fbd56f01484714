/** The OpenAPI 3.1 document, made from the operations: their schemas, who may, and every problem that they answer. */
import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { problemSchema } from '../../protocol/control/problem.ts'
import { OPERATIONS, type Principal } from '../domain/roles.ts'
import { REFUSALS, type RefusalCode } from '../service/refusals.ts'
import { isOfPeople, methodOf, type Operation, pathOf, takesKey } from './operation.ts'

/** A document of OpenAPI 3.1, as far as the reference page reads it. */
export type OpenApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>

const revisionHeader = {
  ETag: { description: 'The revision, quoted.', schema: { type: 'string' as const }, example: '"3"' },
}

export function openApiDocument(operations: readonly Operation[], version: string): OpenApiDocument {
  const app = new OpenAPIHono()
  for (const operation of operations) app.openAPIRegistry.registerPath(routeOf(operation))
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API token of the network, or the admin token of the installation.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'function', {
    type: 'http',
    scheme: 'bearer',
    description: 'The token of a function.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'connector', {
    type: 'apiKey',
    in: 'header',
    name: 'Authorization',
    description:
      '`Isthmus <jws>`: a compact JWS by the identity key of the connector over method, target, SHA-256 of the body, time and a nonce, good for one request within 60 s.',
  })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Isthmus control plane',
      version,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      description:
        'Enrolls connectors, tells them what to do, and has the keys of their tunnels rotated without ever holding one.',
    },
    tags: [...new Set(operations.map(({ spec }) => spec.tag))].map((name) => ({ name })),
  })
}

function routeOf(operation: Operation) {
  const { spec } = operation
  const row = OPERATIONS[spec.id]
  return createRoute({
    method: methodOf(operation).toLowerCase() as 'get',
    path: pathOf(operation),
    operationId: spec.id,
    tags: [spec.tag],
    summary: row.summary,
    description: [spec.description, whoMay(row.may)].filter((text) => text !== undefined).join('\n\n'),
    security: securityOf(row.may),
    request: {
      ...(spec.params === undefined ? {} : { params: spec.params }),
      ...(spec.query === undefined ? {} : { query: spec.query }),
      ...(headersOf(operation) === undefined ? {} : { headers: headersOf(operation)! }),
      ...(spec.body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: spec.body as z.ZodType } } } }),
    },
    responses: { ...answerOf(operation), ...problemsOf(operation) },
  })
}

function whoMay(may: readonly Principal[] | 'anybody'): string {
  return may === 'anybody' ? 'Needs no credentials.' : `Allowed to: ${may.join(', ')}.`
}

function securityOf(may: readonly Principal[] | 'anybody'): Record<string, string[]>[] {
  if (may === 'anybody') return []
  const schemes: Record<string, string[]>[] = []
  if (may.some(isOfPeople)) schemes.push({ token: [] })
  if (may.includes('function')) schemes.push({ function: [] })
  if (may.includes('connector')) schemes.push({ connector: [] })
  return schemes
}

function headersOf(operation: Operation): z.ZodObject | undefined {
  const { spec } = operation
  const headers: Record<string, z.ZodType> = {}
  if (spec.match) {
    headers['If-Match'] = z
      .string()
      .meta({ description: 'ETag of the revision that the change is based on, or *.', examples: ['*', '"3"'] })
  }
  if (takesKey(operation)) {
    headers['Idempotency-Key'] = z
      .string()
      .regex(/^[\x21-\x7e]{1,128}$/)
      .optional()
      .meta({ description: 'Any unique text: a repetition within 24 hours gets the first answer again.' })
  }
  if (spec.answer.etag && methodOf(operation) === 'GET') {
    headers['If-None-Match'] = z.string().optional().meta({ description: 'ETag of what is there already: 304.' })
  }
  return Object.keys(headers).length === 0 ? undefined : z.object(headers)
}

function answerOf(operation: Operation): Record<string, object> {
  const { answer } = operation.spec
  const json =
    answer.schema === undefined || answer.status === 204
      ? undefined
      : { 'application/json': { schema: answer.schema as z.ZodType } }
  const ndjson = answer.ndjson ? { 'application/x-ndjson': { schema: z.string() } } : {}
  const told = {
    description: answer.description,
    ...(answer.etag ? { headers: revisionHeader } : {}),
    ...(json === undefined ? {} : { content: { ...json, ...ndjson } }),
  }
  const unchanged =
    answer.etag && methodOf(operation) === 'GET' ? { 304: { description: 'It is still as If-None-Match says.' } } : {}
  return { [answer.status]: told, ...unchanged }
}

/** Every refusal of the operation, by status. */
function problemsOf(operation: Operation): Record<string, object> {
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of refusalsOf(operation)) {
    const { status } = REFUSALS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const answers: Record<string, object> = {}
  for (const [status, codes] of [...byStatus].sort(([left], [right]) => left - right)) {
    const [first] = codes
    const { title, ...kind } = REFUSALS[first!]
    answers[status] = {
      description: codes.map((code) => `\`${code}\`: ${REFUSALS[code].title}.`).join(' '),
      content: {
        'application/problem+json': {
          schema: problemSchema,
          example: { type: `/docs#problem-${first}`, title, code: first, requestId: '4f1c9a7e20b35d68', ...kind },
        },
      },
    }
  }
  return answers
}

/** What the operation can answer but its own answer. */
export function refusalsOf(operation: Operation): readonly RefusalCode[] {
  const { spec } = operation
  const { may } = OPERATIONS[spec.id]
  const codes: RefusalCode[] = ['rate-limited', 'internal', 'unavailable', ...(spec.refusals ?? [])]
  // What every path gets that takes a body, or is sent one against the rules.
  codes.push('invalid-request', 'malformed', 'too-large')
  if (spec.params !== undefined) codes.push('not-found')
  if (spec.body !== undefined) codes.push('unsupported-media')
  if (spec.match) codes.push('stale', 'precondition-required')
  if (takesKey(operation)) codes.push('idempotency-key-reused')
  if (methodOf(operation) !== 'GET') codes.push('store-full')
  if (may !== 'anybody') codes.push('no-credentials', 'bad-credentials', 'forbidden', 'foreign-network')
  if (may !== 'anybody' && (may as readonly Principal[]).includes('connector')) {
    codes.push('connector-revoked', 'clock-skew', 'proof-replayed')
  }
  if (may !== 'anybody' && (may as readonly Principal[]).some((principal) => principal !== 'connector')) {
    codes.push('token-expired', 'token-revoked')
  }
  return [...new Set(codes)]
}
