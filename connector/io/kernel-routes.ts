/** The routes to our device, and its addresses, as the kernel has them, while connections come and go. */
import type { Address, Prefix } from '../../protocol/net.ts'
import { blocksOf, type PrefixBlock, pickOf } from '../../protocol/prefix-block.ts'
import type { StartFailure } from '../handle.ts'
import { PrefixNumbers, PrefixSet } from './prefix-numbers.ts'
import {
  addBlock,
  addRoutes,
  changeAddresses,
  flushRoutes,
  type RouteFailure,
  type RunIp,
  tearDownBlock,
  tearDownNetwork,
} from './routes-linux.ts'

export class KernelRoutes {
  readonly #device: string
  #addresses: readonly Address[]
  readonly #run: RunIp | undefined
  readonly #standing: Set<Prefix>
  /** By BGP. May overlap with those that stand: then the kernel has one route for both. */
  readonly #learned = new PrefixNumbers(Uint8Array)
  /** As `#standing`. */
  readonly #isStanding: PrefixSet

  /** @param standing those that are there already */
  constructor(device: string, addresses: readonly Address[], standing: Iterable<Prefix>, run?: RunIp) {
    this.#device = device
    this.#addresses = addresses
    this.#standing = new Set(standing)
    this.#isStanding = new PrefixSet(this.#standing)
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
    const added = missing.filter((route) => !blocksOf([route]).some((block) => this.#learned.get(block, 0) > 0))
    const plan = { device: this.#device, addresses: this.#addresses, routes: added }
    const failures = await addRoutes(plan, this.#run)
    const failed = new Set(failures.map(({ route }) => route))
    for (const route of missing) if (!failed.has(route)) this.#stand(route)
    return failures
  }

  #stand(route: Prefix): void {
    this.#standing.add(route)
    this.#isStanding.add(route)
  }

  /** Adds learned routes that are not there. Returns what could not be added. */
  async learn(routes: PrefixBlock): Promise<RouteFailure[]> {
    const missing = indicesOf(routes, (index) => this.#learned.get(routes, index) === 0)
    const added = missing.filter((index) => !this.#isStanding.has(routes, index))
    const plan = { device: this.#device, addresses: this.#addresses }
    const failures = await addBlock(plan, pickOf(routes, added), this.#run)
    const failed = new Set(failures.map(({ index }) => added[index]))
    for (const index of missing) if (!failed.has(index)) this.#learned.set(routes, index, 1)
    return failures
  }

  /** Takes learned routes away. Never rejects. */
  async unlearn(routes: PrefixBlock): Promise<void> {
    const gone = indicesOf(routes, (index) => this.#learned.delete(routes, index) > 0)
    const unwanted = gone.filter((index) => !this.#isStanding.has(routes, index))
    await tearDownBlock(this.#device, pickOf(routes, unwanted), this.#run)
  }

  /** All, however many. Never rejects. */
  async tearDown(): Promise<void> {
    await tearDownNetwork(this.#device, this.standing, this.#run)
    if (this.#learned.size > 0) await flushRoutes(this.#device, this.#run)
  }

  /** Takes all others away. Never rejects. */
  async keep(routes: Iterable<Prefix>): Promise<void> {
    const kept = new Set(routes)
    const gone = this.standing.filter((route) => !kept.has(route))
    const unlearned = gone.filter((route) => !blocksOf([route]).some((block) => this.#learned.get(block, 0) > 0))
    await tearDownNetwork(this.#device, unlearned, this.#run)
    for (const route of gone) {
      this.#standing.delete(route)
      this.#isStanding.delete(route)
    }
  }
}

function indicesOf({ lengths }: PrefixBlock, holds: (index: number) => boolean): number[] {
  const indices: number[] = []
  for (let index = 0; index < lengths.length; index++) if (holds(index)) indices.push(index)
  return indices
}
