/** The routes to our device, as the kernel has them, while connections come and go. */
import type { Address, Prefix } from '../../protocol/net.ts'
import { addRoutes, type RouteFailure, type RunIp, tearDownNetwork } from './routes-linux.ts'

export class KernelRoutes {
  readonly #device: string
  readonly #addresses: readonly Address[]
  readonly #run: RunIp | undefined
  readonly #standing: Set<Prefix>

  /** @param standing those that are there already */
  constructor(device: string, addresses: readonly Address[], standing: Iterable<Prefix>, run?: RunIp) {
    this.#device = device
    this.#addresses = addresses
    this.#standing = new Set(standing)
    this.#run = run
  }

  get standing(): readonly Prefix[] {
    return [...this.#standing]
  }

  /** Adds those that are not there. Returns what could not be added. */
  async add(routes: Iterable<Prefix>): Promise<RouteFailure[]> {
    const missing = [...new Set(routes)].filter((route) => !this.#standing.has(route))
    const plan = { device: this.#device, addresses: this.#addresses, routes: missing }
    const failures = await addRoutes(plan, this.#run)
    const failed = new Set(failures.map(({ route }) => route))
    for (const route of missing) if (!failed.has(route)) this.#standing.add(route)
    return failures
  }

  /** Takes all others away. Never rejects. */
  async keep(routes: Iterable<Prefix>): Promise<void> {
    const kept = new Set(routes)
    const gone = this.standing.filter((route) => !kept.has(route))
    await tearDownNetwork(this.#device, gone, this.#run)
    for (const route of gone) this.#standing.delete(route)
  }
}
