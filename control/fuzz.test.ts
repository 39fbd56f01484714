/** Requests made from the app's own OpenAPI document: whatever comes, the answer is one that the document names. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { problemSchema } from '../protocol/control/problem.ts'
import { ALL_OPERATIONS } from './routes/all.ts'
import { makeNetwork, makePair, type TestNetwork } from './testing/network.ts'
import { type JsonSchema, nearly, type Schemas } from './testing/schema-arbitrary.ts'
import { type Answer, createWorld, type World } from './testing/world.ts'

interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[]
  readonly body: JsonSchema | undefined
  readonly statuses: ReadonlySet<string>
}

interface Fuzzed {
  readonly values: Readonly<Record<string, unknown>>
  readonly body: unknown
}

const world = await createWorld()
const network = await makeNetwork(world)
await makePair(world, network)
const known = await knownIds(network)
const document = (await world.request('GET', '/v1/openapi.json')).body
const schemas = document.components.schemas as Schemas

describe('every operation answers as the document says', () => {
  test.each(operationsOf())('$id', async (operation) => {
    await fc.assert(
      fc.asyncProperty(requestsFor(operation), async (fuzzed) => {
        const answer = await send(world, network, operation, fuzzed)
        check(operation, answer)
      }),
      { numRuns: 40, seed: 1 },
    )
    expect(world.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('the audit log is whole after all that', async () => {
    expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  })
})

function check(operation: Operation, answer: Answer): void {
  expect(operation.statuses, `${operation.id}: ${answer.status} ${JSON.stringify(answer.body)}`).toContain(
    String(answer.status),
  )
  expect(answer.status).toBeLessThan(500)
  if (answer.status >= 400) {
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    const problem = problemSchema.strict().parse(answer.body)
    expect(problem.status).toBe(answer.status)
    expect(problem.requestId).toBe(answer.headers.get('x-request-id'))
  } else if (answer.headers.get('content-type') === 'application/json') {
    const { schema } = ALL_OPERATIONS.find(({ spec }) => spec.id === operation.id)!.spec.answer
    expect(schema.safeParse(answer.body).error).toBeUndefined()
  }
}

function operationsOf(): Operation[] {
  return Object.entries(document.paths as Record<string, Record<string, never>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]): Operation => {
      // biome-ignore lint/suspicious/noExplicitAny: a part of the OpenAPI document
      const { operationId, parameters = [], requestBody, responses } = found as any
      const body = requestBody?.content['application/json'].schema
      return {
        id: operationId,
        method: method.toUpperCase(),
        path,
        parameters,
        body,
        statuses: new Set(Object.keys(responses)),
      }
    }),
  )
}

function requestsFor(operation: Operation): fc.Arbitrary<Fuzzed> {
  const values = Object.fromEntries(
    operation.parameters.map(({ name, schema }) => [
      name,
      fc.option(nearly(schema, schemas, known), { nil: undefined, freq: 6 }),
    ]),
  )
  const body = operation.body === undefined ? fc.constant(undefined) : nearly(operation.body, schemas, known)
  return fc.record({ values: fc.record(values), body })
}

async function send(
  world: World,
  network: TestNetwork,
  operation: Operation,
  { values, body }: Fuzzed,
): Promise<Answer> {
  let path = operation.path.replaceAll('{network}', network.id)
  const query = new URLSearchParams()
  const headers: Record<string, string> = {}
  for (const { name, in: place } of operation.parameters) {
    const value = values[name]
    if (name === 'network') continue
    const text = typeof value === 'string' ? value : JSON.stringify(value ?? 'none')
    if (place === 'path') path = path.replaceAll(`{${name}}`, encodeURIComponent(wellFormed(text)) || '-')
    else if (value === undefined) continue
    else if (place === 'query') query.set(name, wellFormed(text))
    else headers[name] = text.replaceAll(/[^\x21-\x7e]/g, '') || '"1"'
  }
  const search = query.size === 0 ? '' : `?${query}`
  return world.request(operation.method, path + search, { token: world.admin, headers, body })
}

/** A lone surrogate cannot be written into a URL. */
function wellFormed(text: string): string {
  return text.toWellFormed()
}

async function knownIds(network: TestNetwork): Promise<Record<string, string[]>> {
  const ids: Record<string, string[]> = { net: [network.id] }
  for (const [prefix, path] of [
    ['site', 'sites'],
    ['tun', 'tunnels'],
    ['con', 'connectors'],
    ['tok', 'tokens'],
    ['join', 'join-tokens'],
    ['rot', 'rotations'],
  ]) {
    ids[prefix!] = (await network.ask('GET', `/${path}`)).body.items.map(({ id }: { id: string }) => id)
  }
  return ids
}
