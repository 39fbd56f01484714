/** The control plane's entries for other people's platforms, each with what stands in for the platform. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CONTROL, MAIN } from '../../connector/cli/demo/sites.ts'
import { EXIT } from '../../connector/handle.ts'
import type { ControlSide } from './managed.ts'
import type { Spawned, World } from './netns.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const LAMBDA = join(import.meta.dirname, 'control-schedulers-lambda.ts')
const WORKER = join(import.meta.dirname, 'control-schedulers-worker.ts')
const CRON = join(import.meta.dirname, 'control-schedulers-cron.ts')
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
/** Long enough that the object of the network is out of memory whenever the trigger comes: workerd waits 10 s. */
const CRON_MS = 12_500
const READY_MS = 60_000

/** A control plane whose admin token its owner has put into the platform's secret store. */
abstract class Platform implements ControlSide {
  readonly adminToken = `ist_admin_${randomBytes(32).toString('base64url')}`
  protected readonly keyring = `kek-1:${randomBytes(32).toString('base64url')}`
  protected readonly world: World
  protected readonly directory: string
  protected readonly processes: Spawned[] = []

  constructor(world: World, directory: string) {
    this.world = world
    this.directory = directory
  }

  abstract start(): Promise<void>

  async stop(): Promise<void> {
    await Promise.all(this.processes.splice(0).map((running) => running.stop()))
  }

  async run<T>(...words: string[]): Promise<T> {
    const env = {
      ISTHMUS_URL: `http://${CONTROL.address}:${CONTROL.port}`,
      ISTHMUS_TOKEN: this.adminToken,
      ISTHMUS_NETWORK: '',
      XDG_CONFIG_HOME: join(this.directory, 'config'),
    }
    const vector = [process.execPath, MAIN, ...words, '--json']
    const { code, stdout, stderr } = await this.world.exec(CONTROL.namespace, vector, { env, check: false })
    if (code !== EXIT.ok) throw new Error(`isthmus ${words.join(' ')}: ${code} ${stderr}\n${this.output()}`)
    return JSON.parse(stdout) as T
  }

  output(): string {
    return this.processes.map((running) => running.output()).join('\n')
  }

  protected spawn(words: readonly string[], env: Readonly<Record<string, string>> = {}): Spawned {
    const running = this.world.spawn(CONTROL.namespace, [process.execPath, ...words], { env, cwd: ROOT })
    this.processes.push(running)
    return running
  }
}

export class LambdaPlatform extends Platform {
  async start(): Promise<void> {
    const { keyring, adminToken } = this
    const secrets = JSON.stringify({ databaseUrl: 'postgres://within', keyring, adminToken })
    await this.spawn([LAMBDA, CONTROL.address, String(CONTROL.port), secrets]).waitFor(/^ready$/m, READY_MS)
  }
}

export class WorkersPlatform extends Platform {
  async start(): Promise<void> {
    const home = join(this.directory, 'wrangler')
    mkdirSync(home)
    const config = ['--config', join(ROOT, 'infra/workers/wrangler.jsonc'), '--persist-to', home]
    const place = ['--ip', '0.0.0.0', '--port', String(CONTROL.port), '--show-interactive-dev-session=false']
    const secrets = ['--var', `ADMIN_TOKEN:${this.adminToken}`, '--var', `KEYRING:${this.keyring}`]
    await this.spawn([WRANGLER, 'dev', WORKER, ...config, ...place, ...secrets], {
      HOME: home,
      CI: '1',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    }).waitFor(/Ready on/, READY_MS)
    this.spawn([CRON, String(CONTROL.port), String(CRON_MS)])
  }
}
