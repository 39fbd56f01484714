/** The examples on Workers (workerd, by wrangler) and Lambda, against a connector, a relay and an ERP of their own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FUNCTION, probeVector } from '../../connector/cli/demo/sites.ts'
import type { Rotation } from '../../protocol/control/rotation.ts'
import { build } from '../../wasm/build.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { Deployments } from './functions-platforms.ts'
import { createFunctionsWorld, type FunctionsWorld } from './functions-world.ts'
import { type Spawned, skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

interface Got {
  readonly status: number
  readonly text: string
}

const ORDER = { order: 42, secret: 'customer 4711 owes 12345.67', host: 'erp.internal:8000' }

const what = 'functions on their platforms'

describe.skipIf(skipWithoutNamespaces(what) || skipWithoutPeers(what, 'openssl'))(
  'deployed as the examples are',
  () => {
    let functions: FunctionsWorld
    let deployments: Deployments
    beforeAll(async () => {
      await build()
      functions = await createFunctionsWorld()
      deployments = new Deployments(functions)
      await deployments.begin()
    })
    afterAll(() => functions?.close())

    const get = async (url: string): Promise<Got> =>
      JSON.parse((await functions.world.exec(FUNCTION, probeVector('get', url))).stdout) as Got

    async function listen(straight: boolean): Promise<void> {
      functions.declare(straight)
      await functions.untilDeclared(straight)
    }

    describe('a Worker', () => {
      let url: string
      let running: Spawned
      beforeAll(async () => {
        ;({ url, running } = await deployments.worker('functions/examples/worker-order', {
          ISTHMUS_TOKEN: functions.token,
        }))
      })
      afterAll(() => running?.stop())

      test.each([
        ['straight', true],
        ['over the relay', false],
      ])('answers with an order from the ERP, %s', async (_, straight) => {
        await listen(straight)
        // A grant that was given before names the ways of that time; where one has gone, the other is taken.
        expect(await get(`${url}/orders/42`)).toMatchObject({ status: 200, text: JSON.stringify(ORDER) })
        const last = (await functions.streams()).at(-1)
        expect(last).toMatchObject({ functionName: 'orders', service: 'erp', outcome: 'ok' })
        if (!straight) expect(last!.via).toBe('relay')
      })

      test('answers many at once, each invocation with a session of its own', async () => {
        const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => get(`${url}/orders/${i}`)))
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
        expect(answers.map(({ text }) => (JSON.parse(text) as { order: number }).order)).toEqual(
          answers.map((_, i) => i),
        )
      })

      test('says in words what is wrong when the site has gone', async () => {
        await functions.kill('hq')
        const gone = async () => {
          const { status, text } = await get(`${url}/orders/42`)
          return status === 503 && (JSON.parse(text) as { code: string }).code === 'site-offline'
        }
        await until('the answer that the site is offline', gone, 60_000)
        // It goes on as the connector that it was.
        await functions.startConnector(functions.sites.hq, '')
        await functions.untilServing()
        await until('an order again', async () => (await get(`${url}/orders/42`)).status === 200, 60_000)
      })
    })

    describe('the SDK in workerd', () => {
      let url: string
      let running: Spawned
      beforeAll(async () => {
        const vars = { ISTHMUS_TOKEN: functions.token }
        ;({ url, running } = await deployments.worker('test/system/functions-worker', vars))
      })
      afterAll(() => running?.stop())

      const outcome = async (path: string) => {
        const { status, text } = await get(url + path)
        if (status !== 200) throw new Error(`${status} ${text}\n${running.output()}`)
        return JSON.parse(text) as Record<string, unknown>
      }

      describe.each([
        ['straight', true],
        ['over the relay', false],
      ])('%s', (_, straight) => {
        beforeAll(async () => {
          await listen(straight)
          // A way that has just gone is found out by what does no harm when it is asked again.
          await outcome('/download/1')
        })

        test('sends and takes bodies as they come', async () => {
          expect(await outcome(`/upload/${4 << 20}`)).toEqual({ same: true })
          expect(await outcome(`/download/${16 << 20}`)).toEqual({ length: 16 << 20 })
        })

        test('has sockets that half-close', async () => {
          expect(await outcome(`/digest/${1 << 20}`)).toEqual({ same: true })
        })

        test('reaches a service with a certificate by a private CA', async () => {
          expect(await outcome('/secure')).toMatchObject({ 'x-api-key': 'from-the-site' })
        })

        test('is told why', async () => {
          const wanted = { closed: 'connect-refused', forbidden: 'address-forbidden', site: 'unknown-site' }
          expect(await outcome('/refusals')).toEqual({ service: 'unknown-service', ...wanted })
        })
      })
    })

    test('a Lambda function answers with an order, over one session for several invocations', async () => {
      const event = (path: string) => ({ version: '2.0', rawPath: path, requestContext: { http: { method: 'GET' } } })
      const paths = ['/orders/42', '/orders/42', '/orders/x']
      const env = { ISTHMUS_TOKEN: functions.token, SITE: 'hq', ERP: 'http://erp.internal:8000' }
      const answers = await deployments.lambda<{ statusCode: number; body: string }>(
        'functions/examples/lambda-order',
        env,
        ...paths.map(event),
      )
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 404])
      expect(JSON.parse(answers[0]!.body)).toEqual(ORDER)
      const [first, second] = (await functions.streams()).slice(-2)
      expect(second!.session).toBe(first!.session)
    })

    describe('the scheduled rotation', () => {
      let env: { ISTHMUS_TOKEN: string; ISTHMUS_URL: string }
      beforeAll(async () => {
        const { token } = await functions.control.run<{ token: string }>('token', 'add', 'cron', '--role', 'rotation')
        env = { ISTHMUS_TOKEN: token, ISTHMUS_URL: functions.control.url }
      })

      const ended = async () => {
        const { items } = await functions.control.run<{ items: { rotation: Rotation }[] }>('rotation', 'list')
        return items.filter(({ rotation: { state } }) => state === 'done').length
      }

      test('rotates the key of the tunnel by a cron trigger of Workers, and does nothing twice', async () => {
        const { url, running } = await deployments.worker('functions/examples/rotation-cron-worker', env)
        const before = await ended()
        const trigger = `${url}/cdn-cgi/handler/scheduled?cron=0+3+*+*+SUN&time=1796000000000`
        expect(await get(trigger), running.output()).toMatchObject({ status: 200 })
        expect(await ended()).toBe(before + 1)
        expect(await get(trigger)).toMatchObject({ status: 200 })
        expect(await ended()).toBe(before + 1)
        await running.stop()
      })

      test('rotates it by an event of EventBridge on Lambda', async () => {
        const before = await ended()
        const event = {
          source: 'aws.events',
          id: 'a1',
          time: '2026-12-06T03:00:00Z',
          resources: ['arn:aws:events:rule/x'],
        }
        const [outcome] = await deployments.lambda<Record<string, unknown>>(
          'functions/examples/rotation-cron-lambda',
          env,
          event,
        )
        expect(outcome).not.toHaveProperty('failed')
        expect(await ended()).toBe(before + 1)
      })
    })
  },
)
