/** Names to addresses, as the host resolves them (its hosts file too), a bounded number at a time. */
import { lookup } from 'node:dns'
import { type Address, parseAddress } from '../../../protocol/net.ts'
import { problem, StreamFailure } from './failure.ts'

export type Lookup = (name: string) => Promise<readonly string[]>

/** The threads that resolve are few, and other work needs them too. */
const MAX_LOOKUPS = 64

export function systemLookup(name: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { all: true, order: 'verbatim' }, (error, found) => {
      if (error === null) resolve(found.map(({ address }) => address))
      else reject(error)
    })
  })
}

export class Resolver {
  readonly #lookup: Lookup
  /** Questions under way: the same name is asked once at a time. Answers are not kept. */
  readonly #asking = new Map<string, Promise<readonly Address[]>>()

  constructor(lookup: Lookup = systemLookup) {
    this.#lookup = lookup
  }

  /** Addresses of a name, or the address itself. Rejects with a StreamFailure. */
  resolve(host: string): Promise<readonly Address[]> {
    const literal = parseAddress(host)
    if (literal !== undefined) return Promise.resolve([literal])
    const asked = this.#asking.get(host)
    if (asked !== undefined) return asked
    if (this.#asking.size >= MAX_LOOKUPS) {
      const full = problem('overloaded', 'The connector looks up too many names at once.', 'Try again in a moment.')
      return Promise.reject(new StreamFailure(full))
    }
    const asking = this.#ask(host).finally(() => this.#asking.delete(host))
    this.#asking.set(host, asking)
    return asking
  }

  async #ask(host: string): Promise<readonly Address[]> {
    let found: readonly string[]
    try {
      found = await this.#lookup(host)
    } catch {
      found = []
    }
    const addresses = found.flatMap((text) => parseAddress(text) ?? [])
    if (addresses.length > 0) return addresses
    const remedy = 'Ask for another name, or let the connector resolve this one (its DNS server, its hosts file).'
    throw new StreamFailure(problem('name-not-found', `The connector does not know the name ${host}.`, remedy))
  }
}
