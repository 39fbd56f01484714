/** The examples as they stand: their handlers with a site in memory, and deployed the way their READMEs say, locally. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build as bundle } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { streamProblem } from '../../protocol/stream-problem.ts'
import { build } from '../../wasm/build.ts'
import { buildPackage } from '../build.ts'
import { type Served, serve } from '../testing/serve.ts'
import { TOKEN, World } from '../testing/world.ts'
import { startWrangler, type Wrangler } from '../testing/wrangler.ts'

let world: World
let served: Served
/** With the package in its node_modules. */
const folder = mkdtempSync(join(tmpdir(), 'isthmus-examples-'))
beforeAll(async () => {
  await build()
  await buildPackage(join(folder, 'node_modules/isthmus'))
  world = await World.create({
    connectors: [{ relay: false }],
    services: {
      http(exchange) {
        const { path, authority } = exchange.head
        const status = { '/orders/42': 200, '/orders/43': 404 }[path] ?? 500
        const order = JSON.stringify({ order: Number(path.slice(8)), by: authority })
        exchange.respond(status, [['content-type', 'application/json']], order)
      },
    },
  })
  served = await serve(world)
})
afterAll(async () => {
  await served?.close()
  rmSync(folder, { recursive: true })
})

const ANSWERS = [
  ['/orders/42', 200, { order: 42, by: 'erp.internal:8000' }],
  ['/orders/43', 404, { code: 'not-found', detail: 'There is no order 43.' }],
  ['/orders/44', 502, { code: 'erp-failed', detail: 'The ERP answered with status 500.' }],
  ['/orders/x', 404, { code: 'not-found' }],
  ['/', 404, { code: 'not-found' }],
] as const

const refused = streamProblem('service-not-allowed', 'It may not reach erp.', 'isthmus function allow orders hq/erp')
const offline = streamProblem('connect-timeout', 'The ERP does not answer.', 'Start it.')

describe('worker-order, by wrangler dev', () => {
  let worker: Wrangler
  beforeAll(async () => {
    const vars = { ISTHMUS_TOKEN: `${TOKEN}@${served.url}` }
    worker = await startWrangler('functions/examples/worker-order/wrangler.jsonc', vars)
  })
  afterAll(() => worker?.close())

  test.each(ANSWERS)('%s: %d', async (path, status, body) => {
    const response = await fetch(worker.url + path)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject(body)
  })

  test('an order cannot be written', async () => {
    expect((await fetch(`${worker.url}/orders/42`, { method: 'POST' })).status).toBe(405)
  })

  test.each([
    [refused, 502],
    [offline, 503],
  ])('a problem is told for people and programs', async (problem, status) => {
    world.peer.services.refuse = () => problem
    const response = await fetch(`${worker.url}/orders/42`)
    delete world.peer.services.refuse
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toEqual({ status, code: problem.code, detail: `${problem.cause} ${problem.remedy}` })
  })
})

type Handler = (event: object) => Promise<{ statusCode: number; body: string }>

describe('lambda-order, bundled as its template says', () => {
  let handler: Handler
  beforeAll(async () => {
    process.env.ISTHMUS_TOKEN = `${TOKEN}@${served.url}`
    handler = (await bundled('lambda-order')).handler as Handler
  })
  afterAll(() => {
    delete process.env.ISTHMUS_TOKEN
  })

  const event = (rawPath: string, method = 'GET') => ({ version: '2.0', rawPath, requestContext: { http: { method } } })

  test.each(ANSWERS)('%s: %d', async (path, status, body) => {
    const answer = await handler(event(path))
    expect(answer.statusCode).toBe(status)
    expect(JSON.parse(answer.body)).toMatchObject(body)
  })

  test('its session is kept between invocations', async () => {
    const before = world.peer.sessions.length
    await handler(event('/orders/42'))
    await handler(event('/orders/42'))
    expect(world.peer.sessions.length).toBe(before)
  })

  test.each([
    [refused, 502],
    [offline, 503],
  ])('a problem is told for people and programs', async (problem, status) => {
    world.peer.services.refuse = () => problem
    const answer = await handler(event('/orders/42'))
    delete world.peer.services.refuse
    expect(answer.statusCode).toBe(status)
    expect(JSON.parse(answer.body)).toMatchObject({ code: problem.code })
  })
})

describe('the scheduled rotations', () => {
  const answer = Response.json({ code: 'nothing-to-rotate', title: 'Nothing' }, { status: 409 })
  const token = TOKEN.replace('function', 'rotation')
  const requests: [string, RequestInit][] = []

  /** What the handler asks of the control plane. */
  async function during<T>(work: () => Promise<T>): Promise<T> {
    const real = globalThis.fetch
    globalThis.fetch = async (input, init) => {
      requests.push([String(input), init!])
      return answer.clone()
    }
    try {
      return await work()
    } finally {
      globalThis.fetch = real
    }
  }

  test('of the Worker and of Lambda ask for a run', async () => {
    const { default: worker } = (await bundled('rotation-cron-worker/src')) as {
      default: { scheduled(trigger: object, env: object): Promise<object> }
    }
    const { handler } = (await bundled('rotation-cron-lambda')) as { handler(event: object): Promise<object> }
    const env = { ISTHMUS_TOKEN: token, ISTHMUS_URL: 'https://control.test' }
    const none = { state: 'nothing-to-rotate', skipped: [] }
    expect(await during(() => worker.scheduled({ cron: '0 3 * * SUN', scheduledTime: 1 }, env))).toEqual(none)
    Object.assign(process.env, env)
    expect(await during(() => handler({ id: 'one', time: '2026-11-01T03:00:00Z' }))).toEqual(none)
    delete process.env.ISTHMUS_TOKEN
    delete process.env.ISTHMUS_URL
    for (const [url, { method }] of requests) {
      expect([method, url]).toEqual(['POST', 'https://control.test/v1/networks/net_0123456789abcdefghjk/runs'])
    }
    expect(requests.length).toBe(2)
  })
})

/** The example copied to where the package is installed, and bundled by the options of its template. */
async function bundled(example: string): Promise<Record<string, unknown>> {
  const copy = join(folder, example)
  cpSync(join(import.meta.dirname, example), copy, { recursive: true })
  const outfile = join(copy, 'index.mjs')
  await bundle({
    entryPoints: [join(copy, 'index.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    minify: true,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  })
  return import(pathToFileURL(outfile).href)
}
