/**
 * The whole of it in namespaces: the EC2 stand-in with real tunnels behind, a control plane that calls it, and a site
 * with a connector that the control plane steers. Verbs are typed as a person would.
 *
 *     host-hq -- hq ==== internet ==== e1, e2 -- vpc
 *                 \\
 *                  control -- EC2 stand-in
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DemoControl } from '../../connector/cli/demo/control-plane.ts'
import { CONTROL, joinAs } from '../../connector/cli/demo/sites.ts'
import { controlClient } from '../../connector/ops/client.ts'
import type { Cloud, CloudRun } from '../../protocol/control/cloud.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createWorld, type Spawned, type World } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { createSite, type Site } from './customer.ts'
import { CONTROL_POLICY } from './ec2-iam.ts'
import { type AwsNetwork, createAwsNetwork } from './network.ts'
import { CREDENTIALS, type Ec2, type Ec2Options, startEc2 } from './server.ts'

export const REGION = 'eu-central-1'
const EC2_PORT = 9703
const OUTER = '198.51.100.7'
const SITE_NETWORK = '10.8.1.0/24'

interface Added {
  readonly network: { readonly id: string }
  readonly joinToken: { readonly token: string }
}

export class CloudWorld {
  readonly world: World
  readonly directory: string
  readonly aws: AwsNetwork
  readonly ec2: Ec2
  readonly site: Site
  readonly control: DemoControl
  readonly #relay: Server
  connector!: Spawned
  #token = ''
  #network = ''
  #asked = 0

  private constructor(
    parts: Pick<CloudWorld, 'world' | 'directory' | 'aws' | 'ec2' | 'site' | 'control'> & { relay: Server },
  ) {
    this.world = parts.world
    this.directory = parts.directory
    this.aws = parts.aws
    this.ec2 = parts.ec2
    this.site = parts.site
    this.control = parts.control
    this.#relay = parts.relay
  }

  /** The site has joined; nothing is there at AWS but a VPC. `isCarried`: with tunnels that carry packets. */
  static async create({
    isCarried = true,
    ...options
  }: Omit<Ec2Options, 'carrier' | 'region'> & { readonly isCarried?: boolean } = {}): Promise<CloudWorld> {
    const world = await createWorld()
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-cloud-'))
    try {
      const aws = await createAwsNetwork(world, directory)
      const credentials = [{ ...CREDENTIALS, policy: CONTROL_POLICY }]
      const ec2 = await startEc2({ credentials, ...options, region: REGION, ...(isCarried ? { carrier: aws } : {}) })
      const site = await createSite(aws, 'hq', OUTER, SITE_NETWORK)
      const relay = await relayTo(ec2.url, join(directory, 'ec2.sock'))
      const control = await layOutControl(world, directory, site)
      const made = new CloudWorld({ world, directory, aws, ec2, site, control, relay })
      await made.#begin()
      return made
    } catch (error) {
      await world.close()
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  async #begin(): Promise<void> {
    const forward = join(import.meta.dirname, 'forward.ts')
    const words = [process.execPath, forward, String(EC2_PORT), join(this.directory, 'ec2.sock')]
    await this.world.spawn(CONTROL.namespace, words).waitFor(/ready/)
    await this.control.start()
    const added = await this.control.run<Added>('site', 'add', 'hq', '--prefix', SITE_NETWORK, '--endpoint', OUTER)
    this.#token = added.joinToken.token
    this.#network = added.network.id
    await this.startConnector()
  }

  async startConnector(): Promise<void> {
    this.connector = joinAs(this.world, this.#place, this.control.url, this.#token)
    await this.connector.waitFor(/"event":"started"/)
  }

  status(): Promise<ConnectorStatus | undefined> {
    return controlClient(this.#place.controlSocket)
      .status()
      .catch(() => undefined)
  }

  /** Writes a file that `isthmus cloud aws` takes. */
  file(name: string, draft: object): string {
    const path = join(this.directory, `${name}.json`)
    writeFileSync(path, JSON.stringify({ name, site: 'hq', region: REGION, ...draft }))
    return path
  }

  /** Of the API below the network. Throws the problem for any other status than 2xx. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const url = `${this.control.url}/v1/networks/${this.#network}${path}`
    const file = join(this.directory, `ask-${this.#asked++}`)
    writeFileSync(file, body === undefined ? '' : JSON.stringify(body))
    const line = `exec ${process.execPath} ${join(import.meta.dirname, 'ask.ts')} ${method} ${url} < ${file}`
    const env = { TOKEN: this.control.adminToken }
    const { code, stdout, stderr } = await this.world.exec(CONTROL.namespace, line, { env, check: false })
    if (code !== 0) throw new Error(`${method} ${path}: ${stderr}`)
    const { status, text } = JSON.parse(stdout) as { status: number; text: string }
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  /** Of what this network has at AWS. */
  cloudOf(id: string): Promise<Cloud> {
    return this.ask('GET', `/clouds/${id}`)
  }

  /** Asked for as often as it takes: the control plane may be dead meanwhile. */
  async begin(
    cloud: string,
    draft: { readonly kind: CloudRun['kind']; readonly acceptLoss?: boolean },
  ): Promise<CloudRun> {
    return this.ask('POST', `/clouds/${cloud}/runs`, draft)
  }

  async runEnded(run: CloudRun, limitMs = 120_000): Promise<CloudRun> {
    let now = run
    const holds = async () => {
      now = await this.ask<CloudRun>('GET', `/cloud-runs/${run.id}`).catch(() => now)
      return now.state !== 'running' && now.state !== 'aborting'
    }
    await until(`the end of ${run.kind}`, holds, limitMs, 200).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(now, null, 1)}\n${this.logs()}`)
    })
    return now
  }

  async untilBothUp(limitMs = 60_000): Promise<void> {
    const holds = async () => {
      const status = await this.status()
      const tunnels = status?.tunnels ?? []
      const neighbours = status?.bgp?.neighbours ?? []
      return (
        tunnels.length === 2 &&
        tunnels.every(({ state }) => state === 'up') &&
        neighbours.length === 2 &&
        neighbours.every(({ state }) => state === 'established')
      )
    }
    await until('both tunnels', holds, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.logs()}`)
    })
  }

  /** Which tunnel of a connection the site's packets take. */
  async usedTunnel(connection: string): Promise<0 | 1> {
    const before = await this.aws.counters(connection)
    let used: 0 | 1 = 0
    await until('packets', async () => {
      const now = await this.aws.counters(connection)
      const [one, other] = now.map(({ fromCustomer }, index) => fromCustomer - before[index]!.fromCustomer)
      used = one! > other! ? 0 : 1
      return one! + other! >= 200
    })
    return used
  }

  logs(): string {
    return `--- control\n${this.control.log().slice(-6000)}\n--- hq\n${this.connector?.output().slice(-6000)}`
  }

  async close(): Promise<void> {
    await this.ec2.close()
    this.#relay.close()
    await this.aws.close()
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  get #place() {
    const place = (ending: string) => join(this.directory, `hq.${ending}`)
    return { gateway: this.site.gateway.ns, stateDirectory: place('state'), controlSocket: place('sock') }
  }
}

async function layOutControl(world: World, directory: string, { gateway }: Site): Promise<DemoControl> {
  await world.ns(CONTROL.namespace)
  await world.link(CONTROL.namespace, gateway.ns, {
    names: ['to-hq', 'to-control'],
    addresses: [['192.0.2.1/30'], ['192.0.2.2/30']],
  })
  await world.exec(
    CONTROL.namespace,
    `ip addr add ${CONTROL.address}/32 dev lo && ip route add ${gateway.address} via 192.0.2.2`,
  )
  await world.exec(gateway.ns, `ip route add ${CONTROL.address} via 192.0.2.1 src ${gateway.address}`)
  const env = {
    AWS_ACCESS_KEY_ID: CREDENTIALS.id,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secret,
    AWS_ENDPOINT_URL_EC2: `http://127.0.0.1:${EC2_PORT}`,
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  return new DemoControl(world, directory, { words: ['--aws', 'all', '--aws-settle', '2'], env })
}

/** A Unix socket that leads to a port of this process's own network. */
function relayTo(url: string, path: string): Promise<Server> {
  const { hostname, port } = new URL(url)
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}
