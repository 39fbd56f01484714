/** The examples as somebody deploys them: copied into a folder of their own, with the package installed beside them. */
import { cpSync, mkdirSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { build } from 'esbuild'
import { FUNCTION } from '../../connector/cli/demo/sites.ts'
import { buildPackage } from '../../functions/build.ts'
import type { FunctionsWorld } from './functions-world.ts'
import type { Spawned } from './netns.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
const LAMBDA = join(import.meta.dirname, 'functions-lambda.ts')
const READY_MS = 90_000

export class Deployments {
  readonly #functions: FunctionsWorld
  readonly #folder: string
  #ports = 8800

  constructor(functions: FunctionsWorld) {
    this.#functions = functions
    this.#folder = join(functions.directory, 'deployed')
  }

  /** Builds the package, and puts it where `npm install isthmus` would. */
  async begin(): Promise<void> {
    const { folder } = await buildPackage(join(this.#functions.directory, 'package'))
    cpSync(folder, join(this.#folder, 'node_modules/isthmus'), { recursive: true })
  }

  /** `wrangler dev` of a folder with its own configuration, on the function's machine. Resolves with its address. */
  async worker(source: string, vars: Readonly<Record<string, string>>): Promise<{ url: string; running: Spawned }> {
    const folder = this.#copy(source)
    const port = this.#ports++
    const given = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`])
    const place = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', String(this.#ports++)]
    const vector = [process.execPath, WRANGLER, 'dev', ...place, '--show-interactive-dev-session=false', ...given]
    const env = {
      HOME: folder,
      CI: '1',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    }
    const running = this.#functions.world.spawn(FUNCTION, vector, { env, cwd: folder })
    await running.waitFor(/Ready on/, READY_MS)
    return { url: `http://127.0.0.1:${port}`, running }
  }

  /** Bundled as its template says, and invoked once for each event. What came of each. */
  async lambda<T>(source: string, env: Readonly<Record<string, string>>, ...events: unknown[]): Promise<T[]> {
    const folder = this.#copy(source)
    const bundle = join(folder, 'bundle.mjs')
    await build({
      entryPoints: [join(folder, 'index.ts')],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'es2022',
      minify: true,
      logLevel: 'error',
    })
    const vector = [process.execPath, LAMBDA, bundle, ...events.map((event) => JSON.stringify(event))]
    const { stdout } = await this.#functions.world.exec(FUNCTION, vector, { env })
    const lines = stdout
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('{"'))
    return lines.map((line) => JSON.parse(line) as T)
  }

  #copy(source: string): string {
    const folder = join(this.#folder, basename(source))
    mkdirSync(folder, { recursive: true })
    cpSync(join(ROOT, source), folder, { recursive: true })
    return folder
  }
}
