/**
 * The world of the functions' benchmark: one machine with control plane, connector and services, and a second one for a
 * function that is 20 ms away from it.
 *
 *     near 192.0.2.1: control plane, connector of hq, services, a function     ==20 ms==     far: a function
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAIN } from '../../connector/cli/demo/sites.ts'
import { controlClient } from '../../connector/ops/client.ts'
import { createWorld, type Spawned, type World } from '../system/netns.ts'
import { until } from '../system/until.ts'

const BRIDGE = join(import.meta.dirname, '../system/bridge.ts')
const CLIENT = join(import.meta.dirname, 'functions-client.ts')
const COLLECT = join(import.meta.dirname, 'functions-collect.ts')
const SERVICES = join(import.meta.dirname, 'functions-services.ts')
export const ADDRESS = '192.0.2.1'
const FUNCTIONS = ['straight', 'relayed']
const COLD = Array.from({ length: 12 }, (_, i) => `cold-${i}`)
/** Each way. */
const DELAY_MS = 10

const READ_METRICS = "fetch('http://127.0.0.1:9700/metrics').then((r) => r.text()).then((t) => process.stdout.write(t))"

export type Place = 'near' | 'far'

export class BenchWorld {
  readonly #world: World
  readonly #directory: string
  readonly #tokens = new Map<string, string>()
  #connector: Spawned | undefined

  get #collect(): string {
    return join(this.#directory, 'collect')
  }

  constructor(world: World, directory: string) {
    this.#world = world
    this.#directory = directory
  }

  async begin(): Promise<void> {
    await this.#layOut()
    const environment = { XDG_CONFIG_HOME: join(this.#directory, 'config'), ISTHMUS_URL: '', ISTHMUS_TOKEN: '' }
    const run = async <T>(...words: string[]): Promise<T> => {
      const { stdout } = await this.#world.exec('near', [process.execPath, MAIN, ...words, '--json'], {
        env: environment,
      })
      return JSON.parse(stdout) as T
    }
    const place = ['--host', ADDRESS, '--directory', join(this.#directory, 'control'), '--login']
    const control = this.#world.spawn('near', [process.execPath, MAIN, 'control', ...place], { env: environment })
    await control.waitFor(/"event":"started"/)
    for (const more of [[], ['forward']]) {
      await this.#world.spawn('near', [process.execPath, SERVICES, ADDRESS, ...more]).waitFor(/^ready$/m)
    }
    const site = await run<{ joinToken: { token: string } }>('site', 'add', 'hq', '--prefix', '10.1.0.0/24')
    await this.#join(`http://${ADDRESS}:9701`, site.joinToken.token)
    const allow = ['erp', 'source', 'sink', 'echo'].flatMap((service) => ['--allow', `hq/${service}`])
    // Two functions: what one has learned of the ways, the other does not know.
    for (const name of [...FUNCTIONS, ...COLD]) {
      this.#tokens.set(name, (await run<{ token: string }>('function', 'add', name, ...allow)).token)
    }
  }

  /** Runs a measurement of the client; what it prints last. */
  async measure<T>(place: Place, ...words: (string | number)[]): Promise<T> {
    const client = this.start(place, ...words)
    const code = await client.exited
    const line = client.output().trim().split('\n').at(-1) ?? ''
    if (code !== 0) throw new Error(`${words.join(' ')} failed with ${code}: ${client.output()}`)
    return JSON.parse(line) as T
  }

  start(place: Place, ...words: (string | number)[]): Spawned {
    const vector = [process.execPath, '--expose-gc', CLIENT, ...words.map(String)]
    return this.#world.spawn(place, vector, {
      env: {
        ISTHMUS_TOKEN: this.#tokens.get('straight')!,
        RELAYED_TOKEN: this.#tokens.get('relayed')!,
        COLD_TOKENS: COLD.map((name) => this.#tokens.get(name)).join(' '),
      },
    })
  }

  /**
   * Bounds what the kernel of `near` keeps of each new connection, bytes each way. A thousand that send as they can
   * would fill all the memory that it has for TCP, and everything would wait for its timers.
   */
  async boundSockets(bytes: number): Promise<void> {
    const bound = (file: string) => `echo 4096 ${Math.min(bytes, 65_536)} ${bytes} > /proc/sys/net/ipv4/${file}`
    await this.#world.exec('near', `${bound('tcp_wmem')} && ${bound('tcp_rmem')}`)
  }

  /** Of the connector, in bytes: heap in use as its own metrics tell after a collection, and what is resident. */
  async connectorMemory(): Promise<{ readonly heap: number; readonly resident: number }> {
    writeFileSync(this.#collect, '')
    await until('a collection', async () => !existsSync(this.#collect))
    const { stdout } = await this.#world.exec('near', [process.execPath, '-e', READ_METRICS])
    const metric = (name: string) => Number(stdout.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1])
    const external = metric('nodejs_external_memory_bytes')
    return {
      heap: metric('nodejs_heap_size_used_bytes') + external,
      resident: metric('process_resident_memory_bytes'),
    }
  }

  async close(): Promise<void> {
    await this.#world.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #layOut(): Promise<void> {
    for (const place of ['near', 'far'] as const) await this.#world.ns(place)
    await this.#world.exec('near', `ip addr add ${ADDRESS}/32 dev lo`)
    const socket = join(this.#directory, 'wire.sock')
    const ends = [
      ['near', 'listen', '10.9.0.1'],
      ['far', 'connect', '10.9.0.2'],
    ] as const
    for (const [place, role, address] of ends) {
      const vector = [process.execPath, BRIDGE, 'wire', socket, role, '0', '0', String(DELAY_MS)]
      await this.#world.spawn(place, vector).waitFor(role === 'listen' ? /^device$/m : /^ready$/m)
      await this.#world.exec(place, `ip addr add ${address}/30 dev wire && ip link set wire up`)
    }
    await this.#world.exec('far', `ip route add ${ADDRESS} via 10.9.0.1`)
  }

  async #join(url: string, token: string): Promise<void> {
    const state = join(this.#directory, 'hq.state')
    const socket = join(this.#directory, 'hq.sock')
    mkdirSync(state, { mode: 0o700 })
    writeFileSync(join(state, 'services.yaml'), services())
    const vector = [
      process.execPath,
      '--expose-gc',
      '--import',
      COLLECT,
      MAIN,
      'join',
      url,
      token,
      '--state-directory',
      state,
      '--socket',
      socket,
    ]
    this.#connector = this.#world.spawn('near', vector, {
      env: { ISTHMUS_WORKERS: '1', COLLECT: this.#collect },
    })
    await this.#connector.waitFor(/"event":"started"/)
    const linked = async () => (await controlClient(socket).status()).control?.state === 'open'
    await until('the link', () => linked().catch(() => false))
  }
}

export async function createBenchWorld(): Promise<BenchWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const bench = new BenchWorld(await createWorld(), directory)
  try {
    await bench.begin()
    return bench
  } catch (error) {
    await bench.close()
    throw error
  }
}

function services(): string {
  const of = (target: string) => ({ target, allow: [...FUNCTIONS, ...COLD], max_connections: 10_000 })
  return JSON.stringify({
    listen: { address: ADDRESS, port: 8443, url: `ws://${ADDRESS}:8443/` },
    services: {
      erp: of(`http://${ADDRESS}:8000`),
      source: of(`tcp://${ADDRESS}:7000`),
      sink: of(`tcp://${ADDRESS}:7001`),
      echo: of(`tcp://${ADDRESS}:7002`),
    },
    limits: { streams: 100_000, streams_per_session: 2000, streams_per_second: 100_000 },
  })
}
