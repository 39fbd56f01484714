/**
 * One endpoint of a VPN connection in its namespace: strongSwan, and BIRD between the tunnel and the VPC. As at AWS the
 * customer's routes last as long as the tunnel: BIRD's protocol `customer` is enabled while there is a Child SA.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bird, startBird } from '../interop/bird.ts'
import { type StrongSwan, startStrongSwan } from '../interop/strongswan.ts'
import type { Spawned, World } from '../system/netns.ts'
import { until } from '../system/until.ts'
import type { CarriedConnection, CarriedStatus } from './carrier.ts'
import { CUSTOMER, endpointBird, insideAddresses } from './endpoint-bird.ts'
import { initiateScript, readStatus, syncScript } from './endpoint-scripts.ts'
import { CONNECTION, endpointConnection } from './endpoint-words.ts'

/** A peer that does not answer is given up after some 10 s. */
const DAEMON = 'install_routes = no\n retransmit_timeout = 1\n retransmit_base = 1.4\n retransmit_tries = 4'

export interface Counters {
  /** Packets out of the tunnel, towards the VPC. */
  readonly fromCustomer: number
  readonly toCustomer: number
}

export class Endpoint {
  readonly #world: World
  readonly #ns: string
  readonly #side: 0 | 1
  readonly #directory: string
  #connection: CarriedConnection
  #strongSwan: StrongSwan | undefined
  #bird: Bird | undefined
  #initiating: Spawned | undefined
  #killedAt = 0

  private constructor(world: World, ns: string, side: 0 | 1, directory: string, connection: CarriedConnection) {
    this.#world = world
    this.#ns = ns
    this.#side = side
    this.#directory = join(directory, ns)
    this.#connection = connection
  }

  /** Resolves when both daemons answer. */
  static async start(world: World, ns: string, side: 0 | 1, directory: string, connection: CarriedConnection) {
    const endpoint = new Endpoint(world, ns, side, directory, connection)
    rmSync(endpoint.#directory, { recursive: true, force: true })
    mkdirSync(endpoint.#directory, { recursive: true })
    try {
      await endpoint.#start()
    } catch (error) {
      await endpoint.stop()
      throw error
    }
    return endpoint
  }

  async #start(): Promise<void> {
    this.#write('updown', `#!/bin/sh\nsetsid sh ${this.#path('sync')} >/dev/null 2>&1 </dev/null &\n`, 0o755)
    // Both come to an end before `stop` looks for them.
    for (const started of await Promise.allSettled([this.#startStrongSwan(), this.#startBird()])) {
      if (started.status === 'rejected') throw started.reason
    }
    await this.#ready()
  }

  async #startStrongSwan(): Promise<void> {
    const connections = this.#connections()
    this.#strongSwan = await startStrongSwan(this.#world, this.#ns, this.#directory, { daemon: DAEMON, connections })
    await this.#address()
  }

  async #startBird(): Promise<void> {
    this.#bird = await startBird(this.#world, this.#ns, this.#directory, this.#routing())
  }

  get #tunnel() {
    return this.#connection.tunnels[this.#side]
  }

  #connections() {
    return { [CONNECTION]: endpointConnection(this.#connection, this.#tunnel, this.#path('updown')) }
  }

  #routing(): string {
    return endpointBird(this.#connection, this.#tunnel, this.#side)
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }

  #write(name: string, text: string, mode = 0o644): void {
    writeFileSync(this.#path(name), text, { mode })
  }

  /** BIRD alone says what leads into the tunnel; kernel-libipsec leads all there, in a table of its own. */
  async #address(): Promise<void> {
    const { amazon } = insideAddresses(this.#tunnel.insideCidr)
    await this.#exec(
      `ip rule del table 220; ip addr flush dev ipsec0; ip addr add ${amazon}/30 dev ipsec0 && ip link set ipsec0 up`,
    )
  }

  /** Lets the customer in when the VPC is reached: a tunnel that is up then leads somewhere. */
  async #ready(): Promise<void> {
    await until(`${this.#ns} to reach the VPC`, async () =>
      (await this.#bird!.birdc('show', 'protocols', 'vgw')).includes('Established'),
    )
    this.#write('sync', syncScript(this.#directory, this.#strongSwan!.uri, this.#bird!.socket))
    this.#write('initiate', initiateScript(this.#directory, this.#strongSwan!.uri))
    await this.#exec(`sh ${this.#path('sync')}`)
    if (this.#tunnel.startup === 'start') this.#initiating = this.#world.spawn(this.#ns, ['sh', this.#path('initiate')])
  }

  #exec(line: string) {
    return this.#world.exec(this.#ns, line)
  }

  /** Forgets how to make the tunnel, and ends it. `silent`: without a word to the customer. */
  async takeDown(silent: boolean): Promise<void> {
    this.#write('held', '')
    await this.#initiating?.stop()
    await this.#exec(`sh ${this.#path('sync')}`)
    // Before its end is told: the customer calls again at once.
    await this.#strongSwan!.configure({})
    if (!silent) await this.#terminate('--timeout', '3')
  }

  /** What is left of the tunnel ends without a word, where the customer does not answer or is not asked. */
  forget(): Promise<void> {
    return this.#terminate('--force', '--timeout', '1')
  }

  async #terminate(...how: string[]): Promise<void> {
    await this.#strongSwan!.swanctl('--terminate', '--ike', CONNECTION, ...how).catch(() => 'there was none')
  }

  /** With what holds from now on. */
  async bringUp(connection: CarriedConnection): Promise<void> {
    this.#connection = connection
    await this.#strongSwan!.configure(this.#connections())
    await this.#address()
    await this.#bird!.configure(this.#routing())
    rmSync(this.#path('held'), { force: true })
    await this.#ready()
  }

  async routes(connection: CarriedConnection): Promise<void> {
    this.#connection = connection
    await this.#bird!.configure(this.#routing())
    await this.#exec(`sh ${this.#path('sync')}`)
  }

  /** As a machine fails: nobody is told anything. */
  async kill(): Promise<void> {
    this.#write('held', '')
    this.#killedAt = Date.now()
    await Promise.all([this.#strongSwan!.kill(), this.#bird!.kill(), this.#initiating?.stop()])
  }

  /** A new machine in its place. */
  async startAnew(): Promise<void> {
    await this.#exec('ip route flush proto bird; true')
    await Promise.all([this.#strongSwan!.start().then(() => this.#address()), this.#bird!.start()])
    rmSync(this.#path('held'), { force: true })
    await this.#ready()
  }

  async status(): Promise<CarriedStatus> {
    const tunnels = `swanctl --list-sas --raw --uri ${this.#strongSwan!.uri}`
    const birdc = `birdc -s ${this.#bird!.socket} show`
    const { stdout } = await this.#exec(
      `${tunnels}; ${birdc} protocols all ${CUSTOMER}; ${birdc} route protocol ${CUSTOMER}; true`,
    )
    return readStatus(stdout, this.#connection.staticRoutes === undefined, this.#killedAt)
  }

  async counters(): Promise<Counters> {
    const { stdout } = await this.#exec('ip -s -j link show dev ipsec0')
    const [{ stats64 }] = JSON.parse(stdout) as [{ stats64: Record<'rx' | 'tx', { packets: number }> }]
    return { fromCustomer: stats64.rx.packets, toCustomer: stats64.tx.packets }
  }

  log(): string {
    return `${this.#strongSwan?.log() ?? ''}\n${this.#bird?.log() ?? ''}`
  }

  async stop(): Promise<void> {
    await this.#initiating?.stop()
    await Promise.all([this.#strongSwan?.stop(), this.#bird?.stop()])
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
