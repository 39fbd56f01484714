/**
 * A network whose hq serves functions, each process as a person starts it:
 *
 *     function --- control 203.0.113.1 --- gateway-hq ==tunnel== gateway-branch
 *         \------- 198.51.100.17 --------- gateway-hq                  |
 *                             host-hq 10.1.0.10, and host-branch 10.2.0.10 with the services
 *
 * The function's machine has a way to the control plane and to the listener of hq, and to nothing else.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DemoControl } from '../../connector/cli/demo/control-plane.ts'
import {
  CONTROL,
  FUNCTION,
  joinAs,
  layOutSites,
  MAIN,
  probeVector,
  type Site,
  type Sites,
} from '../../connector/cli/demo/sites.ts'
import type { FlowRecord } from '../../connector/core/functions/records.ts'
import { controlClient } from '../../connector/ops/client.ts'
import { prepareCluster } from '../../control/store/testing/cluster.ts'
import { createWorld, type Spawned, type World } from './netns.ts'
import { until } from './until.ts'

const NODE = join(import.meta.dirname, 'functions-node.ts')
const SERVICES = join(import.meta.dirname, 'functions-services.ts')
/** Where functions reach the listener of hq. */
export const DIRECT = { address: '198.51.100.17', function: '198.51.100.18', port: 8443 } as const
export const PG_PORT = 5432
export const REDIS_PORT = 6379

export type StreamRecord = FlowRecord & Readonly<Record<string, unknown>>

interface Told {
  readonly name: string
  readonly functions?: { readonly direct?: string; readonly services: readonly { readonly name: string }[] }
}

interface Added {
  readonly joinToken: { readonly token: string }
}

/** The services of hq, as its people write them down. `listen`: also straight. */
export function servicesYaml(listen: boolean, folder: string): string {
  const listener = {
    listen: { address: DIRECT.address, port: DIRECT.port, url: `ws://${DIRECT.address}:${DIRECT.port}/` },
  }
  const allow = ['orders']
  const services = {
    erp: { target: 'http://10.1.0.10:8000', allow },
    secure: {
      target: 'https://10.1.0.10:8443',
      allow,
      tls: { ca: join(folder, 'ca.pem'), server_name: 'erp.corp.example' },
      headers: { 'x-api-key': 'from-the-site' },
    },
    far: { target: 'http://10.2.0.10:8000', allow },
    quick: { target: 'http://10.1.0.10:8000', allow, timeouts: { response: '1s' } },
    closed: { target: 'tcp://10.1.0.10:9', allow },
    echo: { target: 'tcp://10.1.0.10:7000', allow },
    digest: { target: 'tcp://10.1.0.10:7001', allow },
    db: { target: `tcp://10.1.0.10:${PG_PORT}`, allow },
    cache: { target: `tcp://10.1.0.10:${REDIS_PORT}`, allow },
    private: { target: 'http://10.1.0.10:8000', allow: ['somebody-else'] },
    /** Everything, one would think. */
    wide: { networks: ['0.0.0.0/0'], ports: [81], allow },
    lan: { networks: ['10.1.0.0/24'], ports: [8000, '7000-7001'], allow },
  }
  return JSON.stringify({ ...(listen ? listener : {}), services })
}

/** Everything but `private` is also what the control plane lets the function ask for, and `unlisted` is there for nobody. */
const ASKED = ['erp', 'secure', 'far', 'quick', 'closed', 'echo', 'digest', 'db', 'cache', 'private', 'wide', 'lan']

export class FunctionsWorld {
  readonly world: World
  readonly directory: string
  readonly sites: Sites
  readonly control: DemoControl
  readonly connectors = new Map<string, Spawned>()
  /** The word that the function is configured with. */
  token = ''

  constructor(world: World, directory: string, sites: Sites) {
    this.world = world
    this.directory = directory
    this.sites = sites
    this.control = new DemoControl(world, directory)
  }

  async begin(): Promise<void> {
    await this.world.link(FUNCTION, this.sites.hq.gateway, {
      names: ['to-hq', 'to-functions'],
      addresses: [[`${DIRECT.function}/30`], [`${DIRECT.address}/30`]],
    })
    makeCertificates(this.directory)
    await this.control.start()
    this.declare(true)
    for (const site of [this.sites.hq, this.sites.branch]) await this.join(site)
    await this.startServices(this.sites.hq)
    await this.startServices(this.sites.branch)
    const allow = ASKED.flatMap((service) => ['--allow', `hq/${service}`])
    const made = await this.control.run<{ token: string }>('function', 'add', 'orders', ...allow)
    this.token = made.token
    await this.untilServing()
  }

  /** A second gateway of hq, with a connector of its own: it serves functions, and stands by for the tunnel. */
  async addConnector(): Promise<Site> {
    const { hq } = this.sites
    const second: Site = {
      ...hq,
      gateway: 'gateway-hq-2',
      outer: '198.51.100.14',
      stateDirectory: join(this.directory, 'hq-2.state'),
      controlSocket: join(this.directory, 'hq-2.sock'),
    }
    await this.world.ns(second.gateway)
    await this.world.link(CONTROL.namespace, second.gateway, {
      names: ['to-hq-2', 'to-control'],
      addresses: [['198.51.100.13/30'], ['198.51.100.14/30']],
    })
    await this.world.exec(second.gateway, `ip route add ${CONTROL.address} via 198.51.100.13`)
    await this.world.link(second.gateway, hq.host, {
      names: ['lan', 'eth1'],
      addresses: [['10.1.0.2/32'], []],
    })
    await this.world.exec(second.gateway, `ip route add ${hq.hostAddress} dev lan`)
    await this.world.exec(hq.host, 'ip route add 10.1.0.2 dev eth1')
    this.#write(second, false)
    const { joinToken } = await this.control.run<Added>('site', 'token', 'hq')
    await this.startConnector(second, joinToken.token, 'hq-2')
    return second
  }

  /** Writes services.yaml of hq; a connector that runs takes it up by itself. */
  declare(listen: boolean): void {
    this.#write(this.sites.hq, listen)
  }

  #write({ stateDirectory }: Site, listen: boolean): void {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
    writeFileSync(join(stateDirectory, 'services.yaml'), servicesYaml(listen, this.directory))
  }

  async join(site: Site): Promise<void> {
    const added = await this.control.run<Added>('site', 'add', site.name, '--prefix', site.network)
    await this.startConnector(site, added.joinToken.token)
  }

  /** Joins with the token, or where it has joined already, goes on as that connector. */
  async startConnector(site: Site, token: string, name: string = site.name): Promise<void> {
    const connector = joinAs(this.world, site, this.control.url, token)
    this.connectors.set(name, connector)
    await connector.waitFor(/"event":"started"/)
  }

  async kill(name: string): Promise<void> {
    const connector = this.connectors.get(name)!
    process.kill(-connector.pid, 'SIGKILL')
    await connector.exited
  }

  /** The tunnel is up, and hq serves functions by both ways. */
  async untilServing(): Promise<void> {
    const serving = async () => {
      const status = await controlClient(this.sites.hq.controlSocket).status()
      return status.tunnels[0]?.state === 'up' && status.functions !== undefined && status.control?.state === 'open'
    }
    await until(`hq to serve\n${this.logs()}`, () => serving().catch(() => false), 60_000)
  }

  /** The connector has taken up what `declare` wrote, and the control plane has heard of it. */
  async untilDeclared(listen: boolean): Promise<void> {
    const told = async () => {
      const { items } = await this.control.run<{ items: Told[] }>('connector', 'list')
      const hq = items.find(({ name }) => name === 'hq')?.functions
      return (
        hq !== undefined && (hq.direct !== undefined) === listen && hq.services.some(({ name }) => name === 'digest')
      )
    }
    await until(`services.yaml to be taken up\n${this.logs()}`, told)
  }

  /** A scenario of `functions-node.ts`, as a function on Node. */
  start(scenario: string, ...args: (string | number)[]): Spawned {
    const vector = [process.execPath, NODE, scenario, ...args.map(String)]
    return this.world.spawn(FUNCTION, vector, { env: { ISTHMUS_TOKEN: this.token } })
  }

  /** What came of one. */
  run(scenario: string, ...args: (string | number)[]): Promise<Record<string, unknown>> {
    return outcomeOf(this.start(scenario, ...args))
  }

  /** Runs `isthmus` on the gateway of a site. */
  async verb(site: Site, ...words: string[]): Promise<string> {
    const vector = [process.execPath, MAIN, ...words, '--socket', site.controlSocket]
    return (await this.world.exec(site.gateway, vector)).stdout
  }

  /** Streams of functions that hq has served, newest last. */
  async streams(): Promise<readonly StreamRecord[]> {
    const told = await this.verb(this.sites.hq, 'streams', '--json', '--last', '1000')
    return (JSON.parse(told) as { streams: StreamRecord[] }).streams
  }

  async openStreams(): Promise<number> {
    const { functions } = await controlClient(this.sites.hq.controlSocket).status()
    return functions?.streams ?? 0
  }

  /** What passes in a namespace, by dumpcap, from when this resolves until `stop`. `url`: of any HTTP server there. */
  async capture(namespace: string, url: string): Promise<{ stop(): Promise<Buffer> }> {
    const file = join(this.directory, `${namespace}.pcap`)
    const recorder = this.world.spawn(namespace, ['dumpcap', '-i', 'any', '-P', '-w', file])
    await recorder.waitFor(/^File: /m)
    return {
      stop: async () => {
        // A recorder that is stopped throws away what it has not written yet.
        await this.world.exec(namespace, probeVector('get', `${url}/end-of-capture`))
        await until('the capture to be written', () => readFileSync(file).includes('end-of-capture'))
        await recorder.stop()
        return readFileSync(file)
      },
    }
  }

  async startServices(site: Site): Promise<Spawned> {
    const vector = [process.execPath, SERVICES, site.hostAddress, this.directory]
    const running = this.world.spawn(site.host, vector)
    await running.waitFor(/^ready$/m)
    return running
  }

  /** On host-hq, for anybody there. */
  async startPostgres(): Promise<{ stop(): Promise<void> }> {
    const { bin, folder, data, user, environment, remove } = prepareCluster()
    writeFileSync(join(data, 'pg_hba.conf'), 'host all all 0.0.0.0/0 trust\n')
    const as = user.uid === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
    const settings = [`listen_addresses=${this.sites.hq.hostAddress}`, `port=${PG_PORT}`, 'fsync=off']
    const vector = [...as, join(bin, 'postgres'), '-D', data, '-k', folder, ...settings.flatMap((each) => ['-c', each])]
    const env = environment as Record<string, string>
    const running = this.world.spawn(this.sites.hq.host, vector, { env, cwd: folder })
    await running.waitFor(/ready to accept connections/)
    return {
      stop: async () => {
        await running.stop()
        remove()
      },
    }
  }

  async startRedis(): Promise<Spawned> {
    const vector = ['redis-server', '--bind', this.sites.hq.hostAddress, '--port', String(REDIS_PORT)]
    const memory = ['--save', '', '--appendonly', 'no', '--protected-mode', 'no']
    const running = this.world.spawn(this.sites.hq.host, [...vector, ...memory], { cwd: this.directory })
    await running.waitFor(/Ready to accept connections/)
    return running
  }

  logs(): string {
    return [...this.connectors].map(([name, { output }]) => `--- ${name}\n${output().slice(-4000)}`).join('\n')
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** What a scenario printed last. Rejects where it failed. */
export async function outcomeOf(scenario: Spawned): Promise<Record<string, unknown>> {
  const code = await scenario.exited
  if (code !== 0) throw new Error(`ended with ${code}: ${scenario.output()}`)
  return JSON.parse(scenario.output().trim().split('\n').at(-1)!) as Record<string, unknown>
}

export async function createFunctionsWorld(): Promise<FunctionsWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-functions-'))
  const world = await createWorld()
  const made = new FunctionsWorld(world, directory, await layOutSites(world, directory))
  try {
    await made.begin()
    return made
  } catch (error) {
    await made.close()
    throw error
  }
}

/** A private CA, and a certificate of it for erp.corp.example. */
function makeCertificates(folder: string): void {
  const run = (...words: string[]) =>
    execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=private')
  run('req', ...curve, '-keyout', 'erp.key', '-out', 'erp.csr', '-subj', '/CN=erp.corp.example')
  writeFileSync(join(folder, 'erp.ext'), 'subjectAltName=DNS:erp.corp.example\n')
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'erp.ext', '-days', '2']
  run('x509', '-req', '-in', 'erp.csr', '-out', 'erp.pem', ...signed)
}
