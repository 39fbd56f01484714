/** One site by one token: what its pools share, and what all sites share. */
import type { StreamKeyPair } from '../../protocol/stream-crypto.ts'
import type { Account } from './account.ts'
import type { SiteOptions } from './api.ts'
import { askForGrant, GrantCache, type ReadyGrant } from './grants.ts'
import { DEFAULT_TIMING, type Platform, type Timing } from './platform.ts'
import { Pool } from './pool.ts'
import { Scopes } from './scopes.ts'
import { Tickets } from './tickets.ts'
import { Ways } from './ways.ts'

/** Of a process, for each entry once. Nothing in it does I/O but the pools, which are kept apart by invocation. */
export class Shared {
  readonly platform: Platform
  readonly timing: Timing
  readonly tickets = new Tickets()
  readonly grants = new GrantCache()
  readonly ways = new Ways()
  /** How many site objects use each pool. */
  readonly users = new Map<string, number>()
  readonly #keys = new Map<string, StreamKeyPair>()
  readonly #scopes: Scopes<Scope>

  constructor(platform: Platform) {
    this.platform = platform
    this.timing = { ...DEFAULT_TIMING, ...platform.timing }
    this.#scopes = new Scopes<Scope>({
      mark: platform.mark?.bind(platform),
      make: () => new Scope(),
      activeAt: (scope) => scope.heardAt,
      end: (scope) => scope.abandon(),
    })
  }

  /** Of the present invocation. */
  get scope(): Scope {
    return this.#scopes.current(Date.now())
  }

  /** The X25519 key of a function in this process: one for each token, so that networks do not see the same one. */
  keys(account: Account): StreamKeyPair {
    let keys = this.#keys.get(account.token)
    if (keys === undefined) {
      keys = this.platform.crypto().generateKeyPair()
      this.#keys.set(account.token, keys)
      if (this.#keys.size > MAX_TOKENS) this.#keys.delete(this.#keys.keys().next().value!)
    }
    return keys
  }
}

const MAX_TOKENS = 64

/** What does I/O within one invocation. */
export class Scope {
  readonly pools = new Map<string, Pool>()
  /** Grants that are being asked for. */
  readonly asking = new Map<string, Promise<ReadyGrant>>()

  get heardAt(): number {
    let last = 0
    for (const { heardAt } of this.pools.values()) last = Math.max(last, heardAt)
    return last
  }

  abandon(): void {
    for (const pool of this.pools.values()) pool.abandon()
    this.pools.clear()
  }
}

export type Fetch = (input: string, init: RequestInit) => Promise<Response>

export class SiteState {
  readonly name: string
  readonly shared: Shared
  readonly account: Account
  readonly fetch: Fetch | undefined
  readonly #pins: readonly string[] | undefined
  readonly #key: string

  constructor(name: string, shared: Shared, account: Account, options: SiteOptions) {
    this.name = name
    this.shared = shared
    this.account = account
    this.fetch = options.fetch
    this.#pins = options.connectorKeys
    this.#key = [account.token, account.url, name, ...(options.connectorKeys ?? [])].join('\n')
    shared.users.set(this.#key, (shared.users.get(this.#key) ?? 0) + 1)
  }

  /** Of the present invocation. */
  pool(): Pool {
    const { pools } = this.shared.scope
    let pool = pools.get(this.#key)
    if (pool === undefined) {
      pool = new Pool(this)
      pools.set(this.#key, pool)
    }
    return pool
  }

  /** One user fewer; with the last one the sessions of the present invocation end. */
  release(): void {
    const left = (this.shared.users.get(this.#key) ?? 1) - 1
    this.shared.users.set(this.#key, left)
    if (left > 0) return
    this.shared.users.delete(this.#key)
    const { pools } = this.shared.scope
    pools.get(this.#key)?.close()
    pools.delete(this.#key)
  }

  keys(): StreamKeyPair {
    return this.shared.keys(this.account)
  }

  ticketKey(connector: string): string {
    return `${this.#key}\n${connector}`
  }

  /** A grant that is good. One request at a time asks for it within an invocation. */
  async grant(): Promise<ReadyGrant> {
    const { grants, scope } = this.shared
    const known = grants.get(this.#key)
    if (known !== undefined) return known
    let asking = scope.asking.get(this.#key)
    if (asking === undefined) {
      asking = this.#ask().finally(() => scope.asking.delete(this.#key))
      scope.asking.set(this.#key, asking)
    }
    return asking
  }

  dropGrant(grant: ReadyGrant): void {
    this.shared.grants.drop(this.#key, grant)
  }

  /** The next session asks for a new grant. */
  dropGrants(): void {
    const known = this.shared.grants.get(this.#key)
    if (known !== undefined) this.dropGrant(known)
  }

  /** Whether the site has a connector that is not one of these, as far as is known. */
  hasOther(connectors: ReadonlySet<string>): boolean {
    const known = this.shared.grants.get(this.#key)
    return known?.connectors.some(({ id }) => !connectors.has(id)) ?? false
  }

  async #ask(): Promise<ReadyGrant> {
    const fetch = this.fetch ?? ((input, init) => globalThis.fetch(input, init))
    const ask = { account: this.account, site: this.name, keys: this.keys(), pins: this.#pins, fetch }
    const grant = await askForGrant(ask)
    this.shared.grants.set(this.#key, grant)
    return grant
  }
}
