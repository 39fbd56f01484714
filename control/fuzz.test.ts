/** Requests made from the app's own OpenAPI document: whatever comes, the answer is one that the document names. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { problemSchema } from '../protocol/control/problem.ts'
import { ALL_OPERATIONS } from './routes/all.ts'
import { cloudDraft, withCloud } from './testing/cloud.ts'
import { makeFunction, makeNetwork, makePair, must, type TestNetwork } from './testing/network.ts'
import { type JsonSchema, nearly, type Schemas } from './testing/schema-arbitrary.ts'
import { type Answer, createWorld, type Joined, signed, type World } from './testing/world.ts'

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

const schemasOf = (await (await createWorld()).request('GET', '/v1/openapi.json')).body

/** All others are done at least once: these need a situation that is not there, or proofs that chance does not make. */
const NEEDS_LUCK = new Set([
  'connector.join',
  'connector.link',
  'relay.serve',
  'relay.call',
  'intent.replace',
  'intent.plan',
  'networks.remove',
  'sites.remove',
  'tunnels.create',
  'runs.create',
  'runs.get',
  'runs.abort',
  'rotations.abort',
  'rollouts.create',
  'rollouts.get',
  'rollouts.abort',
  'rollouts.rollback',
  'clouds.create',
  'clouds.replace',
  'clouds.plan',
  'cloudRuns.get',
  'cloudRuns.abort',
])

describe('every operation answers as the document says', () => {
  test.each(operationsOf())('$id', async (operation) => {
    const world = await createWorld({ clouds: withCloud().clouds })
    const network = await makeNetwork(world)
    const { left } = await makePair(world, network)
    must(await network.ask('POST', '/policies', { body: { name: 'weekly', maxAgeHours: 168 } }), 201)
    must(await network.ask('POST', '/clouds', { body: cloudDraft() }), 201)
    const own = await makeFunction(network, 'shop', [{ site: 'hq', services: ['erp'] }])
    const known = await knownIds(network)
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(requestsFor(operation, known), async (fuzzed) => {
        const answer = await send({ world, network, connector: left.joined, own: own.token }, operation, fuzzed)
        statuses.add(answer.status)
        check(operation, answer)
      }),
      // So much is in a report that a good one is rare.
      { numRuns: operation.id === 'connector.report' ? 400 : 100, seed: 1, endOnFailure: true },
    )
    expect(world.log.filter(({ level }) => level === 'error')).toEqual([])
    const verified = await network.ask('GET', '/audit/verify', { token: world.admin })
    expect(verified.body).toMatchObject({ intact: true })
    if (!NEEDS_LUCK.has(operation.id)) expect(Math.min(...statuses), [...statuses].join()).toBeLessThan(300)
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
  return Object.entries(schemasOf.paths as Record<string, Record<string, never>>).flatMap(([path, methods]) =>
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

function requestsFor(operation: Operation, known: Awaited<ReturnType<typeof knownIds>>): fc.Arbitrary<Fuzzed> {
  const schemas = schemasOf.components.schemas as Schemas
  const values = Object.fromEntries(
    operation.parameters.map(({ name, schema }) => [
      name,
      fc.option(nearly(schema, schemas, known), { nil: undefined, freq: 6 }),
    ]),
  )
  const body = operation.body === undefined ? fc.constant(undefined) : nearly(operation.body, schemas, known)
  return fc.record({ values: fc.record(values), body })
}

interface Target {
  readonly world: World
  readonly network: TestNetwork
  readonly connector: Joined
  /** Token of a function. */
  readonly own: string
}

async function send(target: Target, operation: Operation, { values, body }: Fuzzed): Promise<Answer> {
  const { world, network, connector, own } = target
  const ownPath = operation.id.startsWith('connector.')
  let path = operation.path.replaceAll('{network}', network.id)
  const query = new URLSearchParams()
  const headers: Record<string, string> = {}
  for (const { name, in: place } of operation.parameters) {
    const value = ownPath && name === 'connector' ? connector.connector : values[name]
    if (name === 'network') continue
    const text = typeof value === 'string' ? value : JSON.stringify(value ?? 'none')
    if (place === 'path') path = path.replaceAll(`{${name}}`, encodeURIComponent(wellFormed(text)) || '-')
    else if (value === undefined) continue
    else if (place === 'query') query.set(name, wellFormed(text))
    else headers[name] = text.replaceAll(/[^\x21-\x7e]/g, '') || '"1"'
  }
  const url = path + (query.size === 0 ? '' : `?${query}`)
  if (ownPath && operation.id !== 'connector.join') {
    return signed(world, connector, operation.method, url, { headers, body })
  }
  const token = operation.id === 'grants.create' ? own : world.admin
  return world.request(operation.method, url, { token, headers, body })
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
    ['pol', 'policies'],
    ['fn', 'functions'],
    ['cld', 'clouds'],
  ]) {
    ids[prefix!] = (await network.ask('GET', `/${path}`)).body.items.map(({ id }: { id: string }) => id)
  }
  return ids
}
