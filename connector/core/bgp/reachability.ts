/** Through which tunnel a next hop is reached: by the prefixes that lead into tunnels, and by neighbours' addresses. */
import { type Address, familyOf, type Prefix, prefixContains, prefixRange } from '../../../protocol/net.ts'
import type { SpeakerConfig } from './speaker-types.ts'

interface Way {
  readonly prefix: Prefix
  readonly bits: number
  readonly tunnel: string
}

/**
 * Never asks the RIB (RFC 4271 section 9.1.2.1): a route cannot lead to itself. A default route of a tunnel counts for
 * nothing, for it would make everything reachable.
 */
const MOST_FOUND = 1_024

export class Reachability {
  /** Tunnels of addresses that were asked for: with each announcement there is one. */
  readonly #found = new Map<Address, string | undefined>()
  /** Longest prefix first. */
  readonly #ways: readonly Way[]
  readonly #up = new Set<string>()

  constructor({ tunnels, neighbours }: Pick<SpeakerConfig, 'tunnels' | 'neighbours'>) {
    const ofTunnels = tunnels.flatMap(({ name, prefixes }) =>
      prefixes.map((prefix) => ({ prefix, bits: prefixRange(prefix).bits, tunnel: name })),
    )
    const ofNeighbours = neighbours.map(({ tunnel, rib: { address } }) => hostWay(address, tunnel))
    this.#ways = [...ofNeighbours, ...ofTunnels].filter(({ bits }) => bits > 0).sort((one, two) => two.bits - one.bits)
  }

  /** Of another configuration; of its tunnels, those that are up still are. */
  with(config: Pick<SpeakerConfig, 'tunnels' | 'neighbours'>): Reachability {
    const other = new Reachability(config)
    for (const { name } of config.tunnels) if (this.#up.has(name)) other.#up.add(name)
    return other
  }

  /** Returns whether that is news. */
  set(tunnel: string, up: boolean): boolean {
    if (this.#up.has(tunnel) === up) return false
    if (up) this.#up.add(tunnel)
    else this.#up.delete(tunnel)
    return true
  }

  isUp(tunnel: string): boolean {
    return this.#up.has(tunnel)
  }

  /** The tunnel, whether or not it is up. */
  tunnelOf(address: Address): string | undefined {
    if (this.#found.has(address)) return this.#found.get(address)
    // Neighbours choose next hops: there may be any number of them.
    if (this.#found.size === MOST_FOUND) this.#found.clear()
    const tunnel = this.#ways.find(({ prefix }) => prefixContains(prefix, address))?.tunnel
    this.#found.set(address, tunnel)
    return tunnel
  }

  /** The interior cost: 0, or undefined where there is no way. */
  cost(address: Address): number | undefined {
    const tunnel = this.tunnelOf(address)
    return tunnel !== undefined && this.#up.has(tunnel) ? 0 : undefined
  }
}

function hostWay(address: Address, tunnel: string): Way {
  const bits = familyOf(address) === 4 ? 32 : 128
  return { prefix: `${address}/${bits}` as Prefix, bits, tunnel }
}
