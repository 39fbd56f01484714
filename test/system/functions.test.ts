/**
 * Functions on Node and in workerd, and services that they have no other way to. Control plane, connectors, services and
 * functions are processes in namespaces.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONTROL, FUNCTION } from '../../connector/cli/demo/sites.ts'
import { missingPostgres } from '../../control/store/testing/cluster.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { createFunctionsWorld, type FunctionsWorld, type StreamRecord } from './functions-world.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const MARKER = 'a-marker-that-nobody-must-see-4711'

/** Megabytes: `ISTHMUS_TEST_MEGABYTES` sends more. */
const BYTES = Number(process.env.ISTHMUS_TEST_MEGABYTES ?? 32) << 20

const skip = skipWithoutNamespaces('functions') || skipWithoutPeers('functions', 'openssl', 'redis', 'tshark')
const noPostgres = missingPostgres()
if (noPostgres !== undefined && process.env.CI === 'true') throw new Error(noPostgres)

describe.skipIf(skip)('a function on Node', () => {
  let functions: FunctionsWorld
  beforeAll(async () => {
    functions = await createFunctionsWorld()
  })
  afterAll(() => functions?.close())

  const run = (scenario: string, ...args: (string | number)[]) => functions.run(scenario, ...args)

  test('its machine has no way to the services', async () => {
    const tried = await functions.world.exec(FUNCTION, 'ip route get 10.1.0.10; ip route get 10.2.0.10', {
      check: false,
    })
    expect(tried.stderr.match(/unreachable/g)).toHaveLength(2)
  })

  describe.each([
    ['straight', true],
    ['over the relay', false],
  ])('%s', (_, listen) => {
    beforeAll(async () => {
      functions.declare(listen)
      await functions.untilDeclared(listen)
    })

    test('fetches an order', async () => {
      const { status, body } = await run('order')
      expect(status).toBe(200)
      expect(body).toMatchObject({ order: 42, host: 'erp.internal:8000' })
      await expectRecord({ service: 'erp', kind: 'http', outcome: 'ok', via: listen ? 'direct' : 'relay' })
    })

    test('fetches one from behind a tunnel to a third network', async () => {
      expect(await run('order', 'http://far.internal/orders/7')).toMatchObject({ status: 200, body: { order: 7 } })
    })

    test('reaches a service with a certificate by a private CA, with headers that only the site knows', async () => {
      const headers = await run('headers', 'https://secure.internal/headers')
      expect(headers).toMatchObject({ 'x-api-key': 'from-the-site', 'x-mine': 'yes' })
    })

    test('sends and takes bodies of any length as they come', async () => {
      expect(await run('upload', BYTES)).toMatchObject({ status: 200, same: true })
      expect(await run('download', BYTES)).toMatchObject({ status: 200, length: BYTES, declared: String(BYTES) })
    })

    test('half-closes a connection, and hears the rest', async () => {
      expect(await run('digest', 4 << 20)).toMatchObject({ same: true })
    })

    test('asks five hundred things at once', async () => {
      expect(await run('many', 500)).toMatchObject({ right: 500 })
    })

    test('ends what it aborts, at the service too', async () => {
      expect(await run('abort')).toMatchObject({ error: 'AbortError' })
      await until('the end of the stream', async () => (await functions.openStreams()) === 0)
    })

    test('is told why, in words that a program can read', async () => {
      expect(await run('refusals')).toMatchObject({
        'another site': 'unknown-site',
        'an unknown service': 'unknown-service',
        'another port': 'unknown-service',
        'not let in by the site': 'service-not-allowed',
        'nobody listens': 'connect-refused',
        'too slow': 'timed-out',
        'outside the networks': 'unknown-service',
        'a port that is not listed': 'unknown-service',
        'loopback of the gateway': 'address-forbidden',
        'what clouds tell about themselves': 'address-forbidden',
        'half an answer': 'connection-reset',
      })
    })

    test.skipIf(noPostgres !== undefined)('uses PostgreSQL by pg as it is', async () => {
      const postgres = await functions.startPostgres()
      try {
        expect(await run('postgres')).toMatchObject({ total: 500_500, bytes: 4 << 20 })
      } finally {
        await postgres.stop()
      }
    })

    test('uses Redis by ioredis as it is', async () => {
      const redis = await functions.startRedis()
      try {
        expect(await run('redis')).toMatchObject({ order: '42', count: 499_500 })
      } finally {
        await redis.stop()
      }
    })
  })

  test('whoever relays sees nothing of what is said', async () => {
    functions.declare(false)
    await functions.untilDeclared(false)
    const atRelay = await functions.capture(CONTROL.namespace, functions.control.url)
    const onSite = await functions.capture(functions.sites.hq.host, 'http://10.1.0.10:8000')
    expect(await run('secret', MARKER)).toMatchObject({ status: 200, secret: expect.stringContaining('customer 4711') })
    const [relayed, local] = [await atRelay.stop(), await onSite.stop()]
    for (const text of [MARKER, 'the request holds', 'customer 4711', 'orders/7', 'x-marker']) {
      expect(relayed.includes(text), `${text} at the relay`).toBe(false)
      // The search would find it: on site it passes in the clear.
      expect(local.includes(text), `${text} on site`).toBe(true)
    }
    // It was there, though: as many bytes as on site, and more.
    expect(relayed.length).toBeGreaterThan(1000)
  })

  test('leaves a record and a line of the log for each stream, and no secret', async () => {
    await run('order')
    const asked = { host: 'erp.internal', port: 8000, request: 'GET /orders/42' }
    await expectRecord({ service: 'erp', kind: 'http', outcome: 'ok', functionName: 'orders', status: 200, ...asked })
    const log = functions.connectors.get('hq')!.output()
    const line = log.split('\n').find((each) => each.includes('"event":"function-stream"') && each.includes('"erp"'))
    expect(JSON.parse(line!)).toMatchObject({ service: 'erp', outcome: 'ok' })
    expect(log).not.toContain('from-the-site')
    expect(log).not.toContain(functions.token.split('@')[0]!.slice(-43))
  })

  test('what its token must not reach any more is refused, without a restart of anything', async () => {
    await functions.control.run('function', 'deny', 'orders', 'hq/echo')
    const denied = await run('open', 'echo.internal:7000')
    expect(denied).toMatchObject({ code: 'service-not-allowed' })
    await functions.control.run('function', 'allow', 'orders', 'hq/echo')
    expect(await run('open', 'echo.internal:7000')).toMatchObject({ code: 'none' })
  })

  async function expectRecord(wanted: Partial<StreamRecord>): Promise<void> {
    await until(`a record of ${JSON.stringify(wanted)}`, async () => {
      const all = await functions.streams()
      return all.some((record) => Object.entries(wanted).every(([key, value]) => record[key] === value))
    })
  }
})
