/** A network whose site `hq` has a connector that can have tunnels to clouds, and an AWS that is a model: for tests only. */

import type { CloudRun } from '../../protocol/control/cloud.ts'
import type { CloudAccess } from '../service/types.ts'
import type { Answer } from './caller.ts'
import { cloudDraft, type TestCloud, TestSealing, withCloud } from './cloud.ts'
import { converge, type TestConnector } from './connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from './network.ts'
import { createWorld, type World } from './world.ts'

type Options = Parameters<typeof createWorld>[0]

export class CloudSite {
  readonly world: World
  readonly network: TestNetwork
  readonly left: TestConnector
  readonly sealing: TestSealing
  readonly cloud: TestCloud
  readonly model: ReturnType<typeof withCloud>

  private constructor(parts: Pick<CloudSite, 'world' | 'network' | 'left' | 'sealing' | 'model'>) {
    this.world = parts.world
    this.network = parts.network
    this.left = parts.left
    this.sealing = parts.sealing
    this.model = parts.model
    this.cloud = parts.model.cloud()
  }

  static async create(access: Partial<CloudAccess> = {}, options: Options = {}): Promise<CloudSite> {
    const model = withCloud(access)
    const world = await createWorld({ ...options, clouds: model.clouds })
    const network = await makeNetwork(world)
    const { left, right } = await makePair(world, network)
    await converge(left, right)
    const sealing = await TestSealing.of(left, model.cloud)
    await sealing.round()
    return new CloudSite({ world, network, left, sealing, model })
  }

  /** A connection, by its identifier. */
  async make(more: object = {}): Promise<string> {
    return must(await this.network.ask('POST', '/clouds', { body: cloudDraft(more) }), 201).body.id
  }

  async get(path: string): Promise<Answer['body']> {
    return must(await this.network.ask('GET', path), 200).body
  }

  /** A run, by its identifier. */
  async start(id: string, kind: CloudRun['kind'], more: object = {}): Promise<string> {
    return must(await this.network.ask('POST', `/clouds/${id}/runs`, { body: { kind, ...more } }), 201).body.id
  }

  /** Runs go on, the connector takes up what it is told and reports, and time passes. */
  async turn(ms = 2_000): Promise<void> {
    await this.world.services.cloudRunner.tick()
    await this.sealing.round()
    this.world.clock.now += ms
  }

  async finish(run: string, turns = 600): Promise<CloudRun> {
    for (let at = 0; at < turns; at++) {
      const now: CloudRun = await this.get(`/cloud-runs/${run}`)
      if (now.state !== 'running' && now.state !== 'aborting') return now
      await this.turn()
    }
    throw new Error(`never ended: ${JSON.stringify(await this.get(`/cloud-runs/${run}`))}`)
  }

  /** A connection that is there. */
  async applied(more: object = {}): Promise<string> {
    const id = await this.make(more)
    const { state, error } = await this.finish(await this.start(id, 'apply'))
    if (state !== 'done') throw new Error(`apply: ${state} ${JSON.stringify(error)}`)
    return id
  }

  async actions(): Promise<string[]> {
    return (await this.get('/audit?limit=500')).items.map(({ action }: { action: string }) => action)
  }
}
