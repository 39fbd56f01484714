/** The package as somebody installs it. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '../wasm/build.ts'
import { type Built, buildPackage, MAX_WORKER_GZIP } from './build.ts'
import { type Served, serve } from './testing/serve.ts'
import { TOKEN, World } from './testing/world.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'isthmus-package-'))
const app = join(folder, 'app')
const installed = join(app, 'node_modules/isthmus')
let built: Built

beforeAll(async () => {
  await build()
  built = await buildPackage(join(folder, 'package'))
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n')
  await npm(folder, 'pack', built.folder, '--pack-destination', folder)
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  await npm(app, 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, packed))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a Worker carries no more than it may', () => {
  expect(built.worker.gzipBytes).toBeLessThanOrEqual(MAX_WORKER_GZIP)
})

test('it has no dependencies, and the licences of what is in it', () => {
  const { dependencies, name } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  expect({ dependencies, name }).toEqual({ dependencies: undefined, name: 'isthmus' })
  const notice = readFileSync(join(installed, 'NOTICE'), 'utf8')
  for (const part of ['@noble/curves', '@noble/hashes', 'ws']) expect(notice).toContain(`\n${part}\n==`)
  expect(existsSync(join(installed, 'LICENSE'))).toBe(true)
})

test('what Workers get uses no module of Node', () => {
  for (const file of ['workers.js', 'web.js', 'cloudflare.js']) {
    const code = readFileSync(join(installed, file), 'utf8')
    const imports = [...code.matchAll(/(?:from|import|require)\s*\(?\s*["']([^"']+)["']/g)].map(([, target]) => target)
    expect(imports).toEqual(file === 'workers.js' ? ['./stream.wasm'] : [])
  }
})

test('every file that a source map or the manifest names is there', () => {
  const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  const targets = Object.values<Record<string, string>>(exports).flatMap((conditions) => Object.values(conditions))
  expect(targets.length).toBeGreaterThan(8)
  for (const target of targets) expect(existsSync(join(installed, target)), target).toBe(true)
  for (const file of readdirSync(installed).filter((name) => name.endsWith('.js'))) {
    expect(existsSync(join(installed, `${file}.map`)), file).toBe(true)
  }
})

describe('installed', () => {
  let world: World
  let served: Served
  beforeAll(async () => {
    world = await World.create({
      connectors: [{ relay: false }],
      services: {
        http: (exchange) => exchange.respond(200, [], '{"order":42}'),
        async tcp({ read, stream }) {
          for (let chunk = await read(); chunk !== undefined; chunk = await read()) stream.write(chunk.slice())
          stream.finish()
        },
      },
    })
    served = await serve(world)
  })
  afterAll(() => served.close())

  test.each(runtimes())('it works on %s, and ends when it is done', async (_, program) => {
    writeFileSync(join(app, 'app.js'), PROGRAM)
    const env = { ...process.env, ISTHMUS_TOKEN: `${TOKEN}@${served.url}` }
    const { stdout } = await run(program, ['app.js'], { cwd: app, env, timeout: 30_000 })
    expect(JSON.parse(stdout)).toEqual({
      order: 42,
      echo: 'hello',
      duplex: 'again',
      error: 'TypeError',
      handlers: true,
    })
  })

  test('the entry for the open web works too', async () => {
    writeFileSync(join(app, 'web.js'), PROGRAM.replace("'isthmus/functions'", "'./node_modules/isthmus/web.js'"))
    const env = { ...process.env, ISTHMUS_TOKEN: `${TOKEN}@${served.url}` }
    // Its global WebSocket holds the process while the session is open.
    const { stdout } = await run(process.execPath, ['web.js'], { cwd: app, env, timeout: 30_000 })
    expect(JSON.parse(stdout)).toMatchObject({ order: 42, echo: 'hello', duplex: 'again' })
  })

  test.each([
    ['on Node', { module: 'nodenext', types: ['node'], typeRoots: [join(root, 'node_modules/@types')] }],
    ['for browsers and Workers', { module: 'esnext', moduleResolution: 'bundler', lib: ['esnext', 'dom'], types: [] }],
  ])('its declarations are whole %s', async (_, options) => {
    writeFileSync(join(app, 'types.ts'), TYPED)
    const compilerOptions = { strict: true, noEmit: true, target: 'esnext', ...options }
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }))
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', app])
  })
})

/** Ends by itself: `close` is called only where the runtime has no way to let a socket idle. */
const PROGRAM = `
import { site, IsthmusError } from 'isthmus/functions'
import { duplexes } from 'isthmus/functions/node'
import { rotationCron } from 'isthmus/functions/cloudflare'
import { rotationSchedule } from 'isthmus/functions/lambda'
const hq = site('hq')
const { order } = await hq.fetch('http://erp.internal:8000/orders/42').then((response) => response.json())
const socket = hq.connect('echo.internal:7', { allowHalfOpen: true })
const writer = socket.writable.getWriter()
await writer.write(new TextEncoder().encode('hello'))
await writer.close()
const echo = await new Response(socket.readable).text()
const duplex = duplexes(hq, 'echo.internal:7')()
duplex.end('again')
let again = ''
for await (const chunk of duplex) again += chunk
const error = await hq.fetch('ftp://erp/').catch((error) => error)
const handlers = [rotationCron(), rotationSchedule()].every((handler) => typeof handler === 'function')
console.log(JSON.stringify({ order, echo, duplex: again, error: error.name, handlers }))
if (import.meta.url.endsWith('web.js')) await hq.close()
`

const TYPED = `
import { type Site, type SiteSocket, IsthmusError, site } from 'isthmus/functions'
import { rotationCron } from 'isthmus/functions/cloudflare'
const erp: Site = site('hq', { token: 'x', timeouts: { connect: 1 } })
export const response: Promise<Response> = erp.fetch(new URL('http://erp/'), { method: 'POST', body: 'x' })
const socket: SiteSocket = erp.connect({ hostname: 'db', port: 1 }, { secureTransport: 'starttls' })
export const readable: ReadableStream<Uint8Array> = socket.startTls().readable
export const code = (error: unknown): 'timed-out' | undefined =>
  error instanceof IsthmusError && error.code === 'timed-out' ? error.code : undefined
// @ts-expect-error there is no such code
export const wrong = (error: IsthmusError) => error.code === 'no-such-code'
export default { scheduled: rotationCron({ canary: true }) }
`

/** This Node, and each other one from 20 on that the PATH has. */
function runtimes(): [string, string][] {
  const found = new Map([[process.version, process.execPath]])
  for (const place of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(place, process.platform === 'win32' ? 'node.exe' : 'node')
    if (place.includes('node_modules') || !existsSync(program)) continue
    found.set(program, program)
  }
  return [...found]
}

async function npm(cwd: string, ...args: string[]): Promise<void> {
  await run('npm', args, { cwd, env: { ...process.env, npm_config_cache: join(folder, 'cache') } })
}
