/** The verbs for clouds against the real API, with a model of AWS and a connector that can have tunnels to it. */

import type { CloudAccess } from '../../control/service/types.ts'
import { TestSealing, withCloud } from '../../control/testing/cloud.ts'
import { converge } from '../../control/testing/connector.ts'
import type { TestNetwork } from '../../control/testing/network.ts'
import { ManagedWorld } from './managed-world.ts'

/** What AWS takes minutes for is looked at fewer times than a person would. */
const FASTER_MS = 4_000

export class CloudWorld {
  readonly managed: ManagedWorld
  readonly network: TestNetwork
  readonly sealing: TestSealing
  readonly model: ReturnType<typeof withCloud>

  private constructor(parts: Pick<CloudWorld, 'managed' | 'network' | 'sealing' | 'model'>) {
    this.managed = parts.managed
    this.network = parts.network
    this.sealing = parts.sealing
    this.model = parts.model
  }

  /** Runs go on, and the connector follows, while a verb waits. */
  static async create(access: Partial<CloudAccess> = {}): Promise<CloudWorld> {
    const model = withCloud(access)
    const managed = await ManagedWorld.create({ clouds: model.clouds })
    const { network, left, right } = await managed.pair()
    await converge(left, right)
    const sealing = await TestSealing.of(left, model.cloud)
    await sealing.round()
    const world = new CloudWorld({ managed, network, sealing, model })
    managed.token = network.tokens.operator
    managed.onPause = () => world.turn()
    return world
  }

  async turn(): Promise<void> {
    this.managed.world.clock.now += FASTER_MS
    await this.managed.world.services.cloudRunner.tick()
    await this.sealing.round()
  }
}
