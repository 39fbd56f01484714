/** What the Lambda entry does with events as AWS sends them, whatever PostgreSQL it has. */
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Sql } from '../../store/sql.ts'
import { ask, type Caller, emptyReport, signed } from '../../testing/caller.ts'
import { converge, TestConnector } from '../../testing/connector.ts'
import { grantOf, joinToken, makeFunction, makeNetwork, makePair, makeSite, must } from '../../testing/network.ts'
import { createLambda, type LambdaHandler } from '../lambda.ts'

export const ADMIN = `ist_admin_${'B'.repeat(43)}`
export const SECRETS = { databaseUrl: 'postgres://test', keyring: `kek-1:${'A'.repeat(43)}`, adminToken: ADMIN }
const SILENT = { info() {}, warn() {}, error() {} }

/** An HTTP request as an HTTP API of API Gateway hands it on, payload format 2.0. */
export function requestEvent(path: string, init: RequestInit, base64 = false) {
  const [rawPath, rawQueryString = ''] = path.split('?')
  const headers = Object.fromEntries(new Headers(init.headers))
  const body = init.body as string | undefined
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    headers: {
      accept: '*/*',
      'content-length': String(body?.length ?? 0),
      host: 'a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com',
      'x-amzn-trace-id': 'Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e',
      'x-forwarded-for': '203.0.113.5',
      'x-forwarded-port': '443',
      'x-forwarded-proto': 'https',
      ...headers,
    },
    requestContext: {
      accountId: '123456789012',
      apiId: 'a1b2c3d4e5',
      domainName: 'a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com',
      domainPrefix: 'a1b2c3d4e5',
      http: {
        method: init.method ?? 'GET',
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: '203.0.113.5',
        userAgent: 'x',
      },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: '$default',
      stage: '$default',
      time: '10/Mar/2026:05:16:23 +0000',
      timeEpoch: 1773119783636,
    },
    ...(body === undefined ? {} : { body: base64 ? Buffer.from(body).toString('base64') : body }),
    isBase64Encoded: base64,
  }
}

/** What a rule of EventBridge sends when it is time. */
export const SCHEDULED = {
  version: '0',
  id: '53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa',
  'detail-type': 'Scheduled Event',
  source: 'aws.events',
  account: '123456789012',
  time: '2026-03-10T05:16:00Z',
  region: 'eu-central-1',
  resources: ['arn:aws:events:eu-central-1:123456789012:rule/tick'],
  detail: {},
}

interface Result {
  readonly statusCode: number
  readonly headers: Record<string, string>
  readonly body: string
  readonly isBase64Encoded: boolean
}

async function responseOf(handler: LambdaHandler, event: unknown): Promise<Response> {
  const { statusCode, headers, body, isBase64Encoded } = (await handler(event, {})) as Result
  const raw = isBase64Encoded ? Buffer.from(body, 'base64') : Buffer.from(body)
  const bytes = headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
  return new Response([204, 304].includes(statusCode) ? null : bytes, { status: statusCode, headers })
}

export function lambdaCaller(handler: LambdaHandler, clock: Caller['clock'], base64 = false): Caller {
  return {
    admin: ADMIN,
    clock,
    request: (method, path, options = {}) =>
      ask((url, init) => responseOf(handler, requestEvent(url, init, base64)), method, path, options),
  }
}

/** `fresh` gives a store that nobody has used. */
export function lambdaCases(home: string, fresh: () => Promise<Sql>): void {
  const clock = {
    get now() {
      return Date.now()
    },
  }
  const start = async () => {
    const sql = await fresh()
    const handler = createLambda({ secrets: async () => SECRETS, openSql: () => sql, log: SILENT })
    return { handler, caller: lambdaCaller(handler, clock), sql }
  }

  describe(`the Lambda entry over ${home}`, () => {
    test('two sites join by their documents alone, get their first key, and rotate it', async () => {
      const { caller, sql } = await start()
      const network = await makeNetwork(caller)
      const { left, right, tunnel } = await makePair(caller, network)
      await converge(left, right)
      must(await network.ask('POST', '/runs', { body: {} }), 201)
      await converge(left, right)
      const { items } = must(await network.ask('GET', `/rotations?tunnel=${tunnel}`), 200).body
      expect(items.map(({ state }: { state: string }) => state)).toEqual(['done', 'done'])
      const shown = must(await network.ask('GET', `/connectors/${left.joined.connector}`), 200).body
      expect(shown).toMatchObject({ seenAddress: '203.0.113.5', linked: false })
      await sql.close()
    })

    test('functions get grants, which name no relay', async () => {
      const { caller, sql } = await start()
      const network = await makeNetwork(caller)
      const { left } = await makePair(caller, network)
      must(await left.report({ functions: await left.serving({ direct: 'wss://hq.example.net/' }) }), 200)
      await left.follow()
      const { id, token } = await makeFunction(network, 'shop', [{ site: 'hq', services: ['erp'] }])
      const { grant, claims } = await grantOf(caller, network, token, left)
      expect(claims).toMatchObject({ function: id, services: ['erp'] })
      expect(grant.connectors).toMatchObject([{ direct: 'wss://hq.example.net/' }])
      expect(grant.connectors[0]).not.toHaveProperty('relay')
      await sql.close()
    })

    test('a link is answered with 426, by which a connector knows that it must ask', async () => {
      const { caller, sql } = await start()
      const network = await makeNetwork(caller)
      const site = await makeSite(network, 'hq', '10.1.0.0/16')
      const connector = await TestConnector.join(caller, await joinToken(network, site), 5)
      const headers = { upgrade: 'websocket', connection: 'upgrade' }
      const answer = await signed(caller, connector.joined, 'GET', `${network.path}/link`, { headers })
      expect([answer.status, answer.body.code]).toEqual([426, 'websocket-required'])
      await sql.close()
    })

    test('the scheduled event takes rotations and policies further, also when it comes twice at once', async () => {
      const { caller, handler, sql } = await start()
      const network = await makeNetwork(caller)
      const { left, right } = await makePair(caller, network)
      await converge(left, right)
      must(await network.ask('POST', '/policies', { body: { name: 'soon', maxAgeHours: 1 } }), 201)
      await Promise.all([handler(SCHEDULED), handler(SCHEDULED)])
      expect(must(await network.ask('GET', '/runs'), 200).body.items).toEqual([])
      expect(await handler(SCHEDULED)).toMatchObject({ networks: 1, runsBegun: 0 })
      await sql.close()
    })

    test('bodies come as text or in base64, and queries and ETags as they are', async () => {
      const { caller, handler, sql } = await start()
      const network = await makeNetwork(caller)
      const encoded = lambdaCaller(handler, clock, true)
      const body = { name: 'zürich', prefixes: ['10.9.0.0/16'] }
      const refused = await encoded.request('POST', `${network.path}/sites`, { token: network.tokens.owner, body })
      expect(refused.body.errors).toMatchObject([{ pointer: '/name' }])
      await makeSite(network, 'zurich', '10.9.0.0/16')
      await makeSite(network, 'bern', '10.8.0.0/16')
      const page = must(await network.ask('GET', '/sites?limit=1'), 200).body
      const rest = must(await network.ask('GET', `/sites?limit=1&cursor=${page.next}`), 200).body
      expect([page, rest].map(({ items }) => items.length)).toEqual([1, 1])
      const path = `/sites/${page.items[0].id}`
      const etag = must(await network.ask('GET', path), 200).headers.get('etag')!
      expect((await network.ask('GET', path, { headers: { 'if-none-match': etag } })).status).toBe(304)
      await sql.close()
    })

    test('a proof is good once, whichever instance it comes to', async () => {
      const { caller, sql } = await start()
      const network = await makeNetwork(caller)
      const site = await makeSite(network, 'hq', '10.1.0.0/16')
      const connector = await TestConnector.join(caller, await joinToken(network, site), 5)
      const other = createLambda({ secrets: async () => SECRETS, openSql: () => sql, log: SILENT })
      const nonce = 'A'.repeat(22)
      const report = emptyReport(caller, connector.document.version)
      const request = { body: { report, events: [] }, proof: { nonce } }
      const path = `${connector.path}/report`
      must(await signed(caller, connector.joined, 'POST', path, request), 200)
      const again = await signed(lambdaCaller(other, clock), connector.joined, 'POST', path, request)
      expect([again.status, again.body.code]).toEqual([401, 'proof-replayed'])
      await sql.close()
    })
  })
}
