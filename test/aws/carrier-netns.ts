/** The provider's network in namespaces: behind each VPN connection two endpoints and a VPC. */

import { type Bird, startBird } from '../interop/bird.ts'
import type { World } from '../system/netns.ts'
import type { CarriedConnection, CarriedStatus, Carrier } from './carrier.ts'
import { type Counters, Endpoint } from './endpoint.ts'
import { vpcBird } from './endpoint-bird.ts'
import { Place } from './network-place.ts'

export interface CarrierOptions {
  /** Tunnels are taken down without a word to the customer; default: their IKE SA is deleted. */
  readonly silentTakeDown?: boolean
}

/** What a host in the VPC is known by. */
export interface VpcHost {
  readonly ns: string
  readonly address: string
}

type Pair = readonly [string, string]

interface Carried {
  readonly connection: CarriedConnection
  readonly place: Place
  readonly gateway: Bird
  readonly endpoints: readonly [Endpoint, Endpoint]
}

const FIRST_HOST = 2
const LAST_HOST = 254
const SIDES = [0, 1] as const

export class NetnsCarrier implements Carrier {
  readonly #world: World
  readonly #directory: string
  readonly #options: CarrierOptions
  readonly #addresses = new Map<string, Pair>()
  readonly #carried = new Map<string, Carried>()
  readonly #free: Place[] = []
  readonly #queues = new Map<string, Promise<unknown>>()
  #places = 0

  constructor(world: World, directory: string, options: CarrierOptions) {
    this.#world = world
    this.#directory = directory
    this.#options = options
  }

  allocate(id: string): Pair {
    const held = this.#addresses.get(id)
    if (held !== undefined) return held
    const used = new Set([...this.#addresses.values()].flat())
    for (let host = FIRST_HOST; host < LAST_HOST; host += 2) {
      const pair: Pair = [`203.0.113.${host}`, `203.0.113.${host + 1}`]
      if (pair.some((address) => used.has(address))) continue
      this.#addresses.set(id, pair)
      return pair
    }
    throw new Error('no outer address is left')
  }

  start(connection: CarriedConnection): Promise<void> {
    return this.#inTurn(connection.id, async () => {
      if (this.#carried.has(connection.id)) throw new Error(`${connection.id} is carried already`)
      const place = this.#free.pop() ?? (await Place.create(this.#world, ++this.#places))
      const [one, other] = connection.tunnels
      await place.settle([one.outside, other.outside], connection.announces)
      this.#carried.set(connection.id, await this.#startDaemons(connection, place))
      await Promise.all(SIDES.map((side) => place.reachable(side, true)))
    })
  }

  async #startDaemons(connection: CarriedConnection, place: Place): Promise<Carried> {
    const started = await Promise.allSettled([
      ...SIDES.map((side) => Endpoint.start(this.#world, place.endpoints[side], side, this.#directory, connection)),
      startBird(this.#world, place.vpc, this.#directory, vpcBird(connection)),
    ])
    const failed = started.find((each) => each.status === 'rejected')
    if (failed === undefined) {
      const [one, other, gateway] = started.map((each) => (each as PromiseFulfilledResult<Endpoint | Bird>).value)
      return { connection, place, gateway: gateway as Bird, endpoints: [one as Endpoint, other as Endpoint] }
    }
    await Promise.all(started.map((each) => (each.status === 'fulfilled' ? each.value.stop() : undefined)))
    await place.clear()
    this.#free.push(place)
    throw failed.reason
  }

  takeDown(id: string, tunnel: 0 | 1, silent = this.#options.silentTakeDown === true): Promise<void> {
    return this.#inTurn(`${id}/${tunnel}`, async () => {
      const { endpoints, place } = this.#found(id)
      if (silent) await place.reachable(tunnel, false)
      await endpoints[tunnel].takeDown(silent)
      await place.reachable(tunnel, false)
      await endpoints[tunnel].forget()
    })
  }

  bringUp(connection: CarriedConnection, tunnel: 0 | 1): Promise<void> {
    return this.#inTurn(`${connection.id}/${tunnel}`, async () => {
      const carried = this.#found(connection.id)
      await carried.endpoints[tunnel].bringUp(connection)
      await carried.place.reachable(tunnel, true)
    })
  }

  async routes(connection: CarriedConnection): Promise<void> {
    const { endpoints } = this.#found(connection.id)
    await Promise.all(
      SIDES.map((side) => this.#inTurn(`${connection.id}/${side}`, () => endpoints[side].routes(connection))),
    )
  }

  async status(id: string): Promise<readonly [CarriedStatus, CarriedStatus]> {
    const [one, other] = this.#found(id).endpoints
    return Promise.all([one.status(), other.status()])
  }

  /** The endpoint dies, and after `silentMs` another one has its outer address. */
  replace(id: string, tunnel: 0 | 1, { silentMs }: { readonly silentMs: number }): Promise<void> {
    return this.#inTurn(`${id}/${tunnel}`, async () => {
      const { endpoints, place } = this.#found(id)
      await Promise.all([place.reachable(tunnel, false), endpoints[tunnel].kill()])
      await new Promise((resolve) => setTimeout(resolve, silentMs))
      await endpoints[tunnel].startAnew()
      await place.reachable(tunnel, true)
    })
  }

  counters(id: string): Promise<readonly [Counters, Counters]> {
    const [one, other] = this.#found(id).endpoints
    return Promise.all([one.counters(), other.counters()])
  }

  /** In the block that the VPC announces first: its tenth address. */
  host(id: string): VpcHost {
    const { place, connection } = this.#found(id)
    const block = connection.announces[0]
    if (block === undefined) throw new Error(`${id} announces nothing`)
    return { ns: place.vpc, address: block.replace(/\d+\/\d+$/, '10') }
  }

  log(id: string): string {
    const { endpoints, gateway } = this.#found(id)
    return [...endpoints.map((endpoint) => endpoint.log()), gateway.log()].join('\n')
  }

  async stop(id: string): Promise<void> {
    await Promise.all(SIDES.map((side) => this.#inTurn(`${id}/${side}`, async () => undefined)))
    await this.#inTurn(id, async () => {
      this.#addresses.delete(id)
      const carried = this.#carried.get(id)
      if (carried === undefined) return
      this.#carried.delete(id)
      await Promise.all([...carried.endpoints, carried.gateway].map((daemon) => daemon.stop()))
      await carried.place.clear()
      this.#free.push(carried.place)
    })
    for (const queue of [id, `${id}/0`, `${id}/1`]) this.#queues.delete(queue)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#carried.keys()].map((id) => this.stop(id)))
  }

  #found(id: string): Carried {
    const carried = this.#carried.get(id)
    if (carried === undefined) throw new Error(`${id} is not carried`)
    return carried
  }

  /** One change of a tunnel after the other, also after one that failed. */
  #inTurn<T>(queue: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#queues.get(queue) ?? Promise.resolve()).then(work)
    this.#queues.set(
      queue,
      turn.catch(() => undefined),
    )
    return turn
  }
}
