/** Two sites and a control plane in namespaces, each process as a person starts it, and what a test asks of them. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compactVerify, importJWK } from 'jose'
import { DemoControl } from '../../connector/cli/demo/control-plane.ts'
import { CONTROL, joinAs, layOutSites, type Site } from '../../connector/cli/demo/sites.ts'
import { controlClient } from '../../connector/ops/client.ts'
import type { Network } from '../../protocol/control/resources.ts'
import { type Evidence, evidenceSchema, type Rotation, type Run } from '../../protocol/control/rotation.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createWorld, type Spawned, type World } from './netns.ts'
import { until } from './until.ts'

export type SiteName = Site['name']
export const SITE_NAMES: readonly SiteName[] = ['hq', 'branch']

const GATE = join(import.meta.dirname, 'gate.ts')
const GATE_PORT = 9702
/** For the first key of the tunnel, also where connectors ask by plain HTTP. */
const BEGIN_MS = 60_000

interface Added {
  readonly network: { readonly id: string }
  readonly joinToken: { readonly token: string }
}

/** What a control plane that runs in its namespace has to do for a test. */
export type ControlSide = Pick<DemoControl, 'start' | 'adminToken' | 'run'>

export class Managed<C extends ControlSide = DemoControl> {
  readonly world: World
  readonly directory: string
  readonly sites: Readonly<Record<SiteName, Site>>
  readonly control: C
  readonly connectors = new Map<SiteName, Spawned>()
  readonly #tokens = new Map<SiteName, string>()
  #network = ''
  #token = ''

  constructor(world: World, directory: string, sites: Managed['sites'], control: C) {
    this.world = world
    this.directory = directory
    this.sites = sites
    this.control = control
  }

  /** The control plane, the gate before it, both sites joined. */
  async begin(): Promise<void> {
    await this.control.start()
    this.#token = this.control.adminToken
    const words = [CONTROL.address, String(GATE_PORT), String(CONTROL.port), this.#socket]
    await this.world.spawn(CONTROL.namespace, [process.execPath, GATE, ...words]).waitFor(/ready/)
    for (const name of SITE_NAMES) {
      // The gate hides where they come from.
      const { network, outer } = this.sites[name]
      const place = ['--prefix', network, '--endpoint', outer]
      const added = await this.control.run<Added>('site', 'add', name, ...place)
      this.#network = added.network.id
      this.#tokens.set(name, added.joinToken.token)
      await this.startConnector(name)
    }
  }

  /** Joins, or where it has joined already, goes on as that connector. */
  async startConnector(name: SiteName): Promise<void> {
    const url = `http://${CONTROL.address}:${GATE_PORT}`
    const connector = joinAs(this.world, this.sites[name], url, this.#tokens.get(name)!)
    this.connectors.set(name, connector)
    await connector.waitFor(/"event":"started"/)
  }

  async killConnector(name: SiteName): Promise<void> {
    const connector = this.connectors.get(name)!
    // The whole group: nothing of it may go on.
    process.kill(-connector.pid, 'SIGKILL')
    await connector.exited
  }

  /** Undefined while it does not answer. */
  async status(name: SiteName): Promise<ConnectorStatus | undefined> {
    return controlClient(this.sites[name].controlSocket)
      .status()
      .catch(() => undefined)
  }

  /** Both ends say so, and have said so of the same SA: each has the other's SPI. */
  async untilUp(limitMs = 30_000): Promise<void> {
    const holds = async () => {
      const [hq, branch] = await Promise.all([this.status('hq'), this.status('branch')])
      const [left, right] = [hq?.tunnels[0], branch?.tunnels[0]]
      return left?.state === 'up' && right?.state === 'up' && left.initiatorSpi === right.initiatorSpi
    }
    await until(`the tunnel\n${this.logs()}`, holds, limitMs)
  }

  async untilLinked(): Promise<void> {
    const linked = async (name: SiteName) => (await this.status(name))?.control?.state === 'open'
    await until('both links', async () => (await linked('hq')) && (await linked('branch')))
  }

  /** Of the API below the network. Throws the problem for any other status than 2xx. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.#ask(method, `/v1/networks/${this.#network}${path}`, body)) as T
  }

  /** No rotation is under way: the first one made the tunnel's first key. */
  async untilSettled(): Promise<void> {
    const settled = async () => {
      const { items } = await this.ask<{ items: Rotation[] }>('GET', '/rotations')
      return items.length > 0 && items.every(({ state }) => state === 'done' || state === 'aborted')
    }
    await until('the end of all rotations', settled)
  }

  async rotate(): Promise<Run> {
    const answer = await this.ask<{ run: Run }>('POST', '/runs', {})
    return answer.run
  }

  /** The only one of a run. */
  async rotationOf(run: Run): Promise<Rotation | undefined> {
    const page = await this.ask<{ items: Rotation[] }>('GET', `/rotations?run=${run.id}`)
    return page.items[0]
  }

  /** As soon as that holds. */
  async rotationWhen(run: Run, holds: (rotation: Rotation) => boolean, limitMs = 60_000): Promise<Rotation> {
    let rotation: Rotation | undefined
    await until(
      'the rotation',
      async () => {
        rotation = await this.rotationOf(run).catch(() => undefined)
        return rotation !== undefined && holds(rotation)
      },
      limitMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(rotation)}\n${this.logs()}`)
    })
    return rotation!
  }

  /** Throws unless the network has signed it. */
  async evidenceOf(rotation: Rotation): Promise<Evidence> {
    const { evidenceKey } = await this.ask<Network>('GET', '')
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: evidenceKey }, 'EdDSA')
    const { payload } = await compactVerify(rotation.evidence!, key)
    return evidenceSchema.parse(JSON.parse(new TextDecoder().decode(payload)))
  }

  /** Holds the n-th message between the connectors and the control plane, from now on. */
  hold(after: number): Promise<unknown> {
    return this.#ask('POST', `/gate/hold?after=${after}`)
  }

  release(): Promise<unknown> {
    return this.#ask('POST', '/gate/release')
  }

  async gate(): Promise<{ readonly count: number; readonly held: boolean }> {
    return (await this.#ask('GET', '/gate')) as { count: number; held: boolean }
  }

  logs(): string {
    return [...this.connectors].map(([name, { output }]) => `--- ${name}\n${output().slice(-4000)}`).join('\n')
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  get #socket(): string {
    return join(this.directory, 'gate.sock')
  }

  #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
      ...(method === 'PUT' ? { 'if-match': '*' } : {}),
    }
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, method, path, headers }, async (response) => {
        const text = (await response.setEncoding('utf8').toArray()).join('')
        if (response.statusCode! < 300) resolve(text === '' ? undefined : JSON.parse(text))
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`))
      })
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}

/** Both sites joined and the tunnel up. */
export function createManaged(): Promise<Managed> {
  return createManagedBy((world, directory) => new DemoControl(world, directory))
}

/** The same with another control plane, made by `make`; what it keeps lies in the directory. */
export async function createManagedBy<C extends ControlSide>(
  make: (world: World, directory: string) => C,
): Promise<Managed<C>> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-managed-'))
  const world = await createWorld()
  const managed = new Managed(world, directory, await layOutSites(world, directory), make(world, directory))
  try {
    await managed.begin()
    await managed.untilUp(BEGIN_MS)
    await managed.untilSettled()
    return managed
  } catch (error) {
    await managed.close()
    throw error
  }
}
