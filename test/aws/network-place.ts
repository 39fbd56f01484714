/**
 * Where a VPN connection lives: namespaces `e1<n>` and `e2<n>` for its endpoints, on the internet, and `vpc<n>` behind
 * both. When a connection has ended, its place is for the next one.
 */
import type { World } from '../system/netns.ts'
import { LINKS } from './endpoint-bird.ts'

export const INTERNET = 'internet'
export const AMAZON_OUTER = '203.0.113.0/24'
export const CUSTOMER_OUTER = '198.51.100.0/24'
const ROUTERS = { amazon: '203.0.113.1', customer: '198.51.100.1' }
export const ROUTER_SETTINGS =
  'sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0'

export async function createInternet(world: World): Promise<void> {
  await world.ns(INTERNET)
  await world.exec(INTERNET, ROUTER_SETTINGS)
}

/** Gives a namespace of the customer's an outer address, and routes to everybody else's. */
export async function attachToInternet(world: World, ns: string, address: string): Promise<void> {
  const device = `c${address.split('.').at(-1)}`
  await joinInternet(world, ns, device, 'wan')
  await world.exec(
    INTERNET,
    `ip addr add ${ROUTERS.customer}/32 dev ${device} && ip route add ${address} dev ${device}`,
  )
  const line = `ip addr add ${address}/32 dev wan && ip route add ${ROUTERS.customer} dev wan`
  const routes = [AMAZON_OUTER, CUSTOMER_OUTER].map((to) => `ip route add ${to} via ${ROUTERS.customer} src ${address}`)
  await world.exec(ns, [line, ...routes].join(' && '))
}

async function joinInternet(world: World, ns: string, there: string, here: string): Promise<void> {
  await world.link(INTERNET, ns, { names: [there, here] })
}

export class Place {
  readonly #world: World
  readonly #number: number
  readonly endpoints: readonly [string, string]
  readonly vpc: string
  readonly #outside: [string | undefined, string | undefined] = [undefined, undefined]
  #blocks: readonly string[] = []

  private constructor(world: World, number: number) {
    this.#world = world
    this.#number = number
    this.endpoints = [`e1${number}`, `e2${number}`]
    this.vpc = `vpc${number}`
  }

  static async create(world: World, number: number): Promise<Place> {
    const place = new Place(world, number)
    const all = [...place.endpoints, place.vpc]
    await Promise.all(all.map((ns) => world.ns(ns)))
    await Promise.all(all.map((ns) => world.exec(ns, ROUTER_SETTINGS)))
    await Promise.all(place.endpoints.map((_, side) => place.#connect(side as 0 | 1)))
    return place
  }

  async #connect(side: 0 | 1): Promise<void> {
    const { endpoint, vpc } = LINKS[side]
    await joinInternet(this.#world, this.endpoints[side], this.#device(side), 'out')
    await this.#world.link(this.endpoints[side], this.vpc, {
      names: ['vpc', `e${side + 1}`],
      addresses: [[`${endpoint}/30`], [`${vpc}/30`]],
    })
    await this.#world.exec(INTERNET, `ip addr add ${ROUTERS.amazon}/32 dev ${this.#device(side)}`)
  }

  #device(side: 0 | 1): string {
    return `a${this.#number}e${side + 1}`
  }

  /** Every address of these blocks is a host of the VPC's. */
  async settle(outside: readonly [string, string], blocks: readonly string[]): Promise<void> {
    this.#outside[0] = outside[0]
    this.#outside[1] = outside[1]
    this.#blocks = blocks
    const addresses = this.endpoints.map((ns, side) => {
      const line = `ip addr add ${outside[side as 0 | 1]}/32 dev out && ip route add ${ROUTERS.amazon} dev out`
      return this.#world.exec(ns, `${line} && ip route add default via ${ROUTERS.amazon} src ${outside[side as 0 | 1]}`)
    })
    const hosts = blocks.map((block) => `ip route add local ${block} dev lo`)
    await Promise.all([...addresses, this.#world.exec(this.vpc, hosts.join(' && ') || 'true')])
  }

  /** Whether packets of the internet get to an endpoint; where not, nobody is told. */
  async reachable(side: 0 | 1, on: boolean): Promise<void> {
    const outside = this.#outside[side]
    const way = on ? `${outside} dev ${this.#device(side)}` : `blackhole ${outside}`
    if (outside !== undefined) await this.#world.exec(INTERNET, `ip route replace ${way}`)
  }

  /** Makes room for the next. */
  async clear(): Promise<void> {
    const outer = this.endpoints.map((ns) =>
      this.#world.exec(ns, 'ip addr flush dev out; ip route flush proto bird; true'),
    )
    const hosts = this.#blocks.map((block) => `ip route del local ${block} dev lo`)
    const gone = this.#outside.map((address) => `ip route del ${address}`)
    await Promise.all([
      ...outer,
      this.#world.exec(this.vpc, `${[...hosts, 'ip route flush proto bird'].join('; ')}; true`),
      this.#world.exec(INTERNET, `${gone.join('; ')}; true`),
    ])
  }
}
