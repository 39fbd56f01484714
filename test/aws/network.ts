/**
 * The network behind the EC2 stand-in, in namespaces of a world: an internet, and for each VPN connection two endpoints
 * as AWS has them, strongSwan and BIRD, with a VPC behind both. The world ends it, also after a failure.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../system/netns.ts'
import { type CarrierOptions, NetnsCarrier } from './carrier-netns.ts'
import { attachToInternet, createInternet } from './network-place.ts'

export class AwsNetwork extends NetnsCarrier {
  readonly world: World

  private constructor(world: World, directory: string, options: CarrierOptions) {
    super(world, directory, options)
    this.world = world
  }

  /** `directory`: a short path; sockets and configurations are there. */
  static async create(world: World, directory: string, options: CarrierOptions = {}): Promise<AwsNetwork> {
    const folder = join(directory, 'aws')
    mkdirSync(folder, { recursive: true })
    await createInternet(world)
    return new AwsNetwork(world, folder, options)
  }

  /** Joins a namespace of the customer's to the internet, with an outer address of 198.51.100.0/24. */
  attachCustomer(ns: string, address: string): Promise<void> {
    return attachToInternet(this.world, ns, address)
  }
}

export function createAwsNetwork(world: World, directory: string, options?: CarrierOptions): Promise<AwsNetwork> {
  return AwsNetwork.create(world, directory, options)
}
