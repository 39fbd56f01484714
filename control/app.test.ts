/** What the API says of itself. */
import { describe, expect, test } from 'vitest'
import { OPERATIONS } from './domain/roles.ts'
import { ALL_OPERATIONS } from './routes/all.ts'
import { refusalsOf } from './routes/openapi.ts'
import { REFUSALS } from './service/refusals.ts'
import { createWorld } from './testing/world.ts'

const world = await createWorld()
const document = (await world.request('GET', '/v1/openapi.json')).body

describe('the OpenAPI document', () => {
  test('has every operation, with its id, who may, and every problem that it can answer', () => {
    expect(document.openapi).toBe('3.1.0')
    for (const operation of ALL_OPERATIONS) {
      const { method, path, may } = OPERATIONS[operation.spec.id]
      const found = document.paths[path][method.toLowerCase()]
      expect(found.operationId).toBe(operation.spec.id)
      expect(found.security.length === 0).toBe((may as unknown) === 'anybody')
      for (const code of refusalsOf(operation)) {
        const answer = found.responses[REFUSALS[code].status]
        expect(answer.description).toContain(`\`${code}\``)
        expect(Object.keys(answer.content)).toEqual(['application/problem+json'])
      }
    }
  })

  test('names schemas once, and every reference leads to one', () => {
    const refs = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!)
    expect(refs.length).toBeGreaterThan(50)
    for (const name of refs) expect(document.components.schemas).toHaveProperty(name)
    for (const name of [
      'Site',
      'Tunnel',
      'Intent',
      'Connector',
      'Rotation',
      'Run',
      'Policy',
      'Problem',
      'JoinAnswer',
    ]) {
      expect(document.components.schemas).toHaveProperty(name)
    }
  })

  test('has no path parameter that is not described', () => {
    for (const [path, methods] of Object.entries<Record<string, { parameters?: { name: string; in: string }[] }>>(
      document.paths,
    )) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const { parameters = [] } of Object.values(methods)) {
        expect(
          parameters
            .filter((one) => one.in === 'path')
            .map(({ name }) => name)
            .sort(),
        ).toEqual([...named].sort())
      }
    }
  })
})

describe('the reference', () => {
  test('shows every operation and every problem, needs no script, and its links lead somewhere', async () => {
    const { body, headers, status } = await world.request('GET', '/docs')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/html/)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(body).not.toMatch(/<script|<link|src=|@import|url\(/)
    const ids = new Set([...body.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    for (const { spec } of ALL_OPERATIONS) expect(ids).toContain(spec.id)
    for (const code of Object.keys(REFUSALS)) expect(ids).toContain(`problem-${code}`)
    const dead = [...body.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id).filter((id) => !ids.has(id))
    expect(dead).toEqual([])
  })
})

test('/healthz tells whether the store answers', async () => {
  const own = await createWorld()
  expect((await own.request('GET', '/healthz')).body).toEqual({ status: 'ok', version: '1.2.3' })
  await own.repo.close()
  expect((await own.request('GET', '/healthz')).status).toBeGreaterThanOrEqual(500)
})

test('HEAD is answered as GET, without a body', async () => {
  const answer = await world.request('HEAD', '/healthz')
  expect([answer.status, answer.body]).toEqual([200, ''])
})
