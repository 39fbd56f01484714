/** The routes to our device, and its addresses, as the kernel has them, while connections come and go. */
import type { Address, Prefix } from '../../protocol/net.ts'
import type { StartFailure } from '../handle.ts'
import {
  addRoutes,
  changeAddresses,
  flushRoutes,
  type RouteFailure,
  type RunIp,
  tearDownNetwork,
} from './routes-linux.ts'

export class KernelRoutes {
  readonly #device: string
  #addresses: readonly Address[]
  readonly #run: RunIp | undefined
  readonly #standing: Set<Prefix>
  /** By BGP. May overlap with those that stand: then the kernel has one route for both. */
  readonly #learned = new Set<Prefix>()

  /** @param standing those that are there already */
  constructor(device: string, addresses: readonly Address[], standing: Iterable<Prefix>, run?: RunIp) {
    this.#device = device
    this.#addresses = addresses
    this.#standing = new Set(standing)
    this.#run = run
  }

  /** Adds those that are not there. Returns what could not be. */
  async addAddresses(addresses: readonly Address[]): Promise<StartFailure[]> {
    const added = addresses.filter((address) => !this.#addresses.includes(address))
    this.#addresses = [...this.#addresses, ...added]
    return changeAddresses('add', this.#device, added, this.#run)
  }

  /** Takes all others away. No route may have one of them as source. Returns what could not be. */
  async keepAddresses(addresses: readonly Address[]): Promise<StartFailure[]> {
    const gone = this.#addresses.filter((address) => !addresses.includes(address))
    this.#addresses = addresses
    return changeAddresses('del', this.#device, gone, this.#run)
  }

  get standing(): readonly Prefix[] {
    return [...this.#standing]
  }

  /** Adds those that are not there. Returns what could not be added. */
  async add(routes: Iterable<Prefix>): Promise<RouteFailure[]> {
    const missing = [...new Set(routes)].filter((route) => !this.#standing.has(route))
    return this.#add(missing, this.#standing, this.#learned)
  }

  /** Adds learned routes that are not there. Returns what could not be added. */
  async learn(routes: Iterable<Prefix>): Promise<RouteFailure[]> {
    const missing = [...routes].filter((route) => !this.#learned.has(route))
    return this.#add(missing, this.#learned, this.#standing)
  }

  /** Takes learned routes away. Never rejects. */
  async unlearn(routes: Iterable<Prefix>): Promise<void> {
    const gone = [...routes].filter((route) => this.#learned.delete(route) && !this.#standing.has(route))
    await tearDownNetwork(this.#device, gone, this.#run)
  }

  /** All, however many. Never rejects. */
  async tearDown(): Promise<void> {
    await tearDownNetwork(this.#device, this.standing, this.#run)
    if (this.#learned.size > 0) await flushRoutes(this.#device, this.#run)
  }

  async #add(missing: readonly Prefix[], to: Set<Prefix>, others: ReadonlySet<Prefix>): Promise<RouteFailure[]> {
    const routes = missing.filter((route) => !others.has(route))
    const plan = { device: this.#device, addresses: this.#addresses, routes }
    const failures = await addRoutes(plan, this.#run)
    const failed = new Set(failures.map(({ route }) => route))
    for (const route of missing) if (!failed.has(route)) to.add(route)
    return failures
  }

  /** Takes all others away. Never rejects. */
  async keep(routes: Iterable<Prefix>): Promise<void> {
    const kept = new Set(routes)
    const gone = this.standing.filter((route) => !kept.has(route))
    const unlearned = gone.filter((route) => !this.#learned.has(route))
    await tearDownNetwork(this.#device, unlearned, this.#run)
    for (const route of gone) this.#standing.delete(route)
  }
}
