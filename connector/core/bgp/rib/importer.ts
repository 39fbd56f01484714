/** From a route as received to one that takes part in the decision, or the reason why not. */
import { type Address, addressBytes } from '../../../../protocol/net.ts'
import type { NextHop, PathAttributes, PrefixBlock } from '../wire/types.ts'
import { COMMUNITY, hasStandard } from './communities.ts'
import { isMartian } from './martians.ts'
import { LOCAL, type Neighbour } from './neighbour.ts'
import { NO_PATH, type Paths } from './paths.ts'
import { type CompiledPolicy, evaluate, type Policies } from './policy.ts'
import { applyActions, type CompiledActions } from './policy-actions.ts'
import type { Ineligible } from './reasons.ts'
import type { RibConfig } from './types.ts'

export interface Imported {
  readonly reason: Ineligible
  /** One use of it is the caller's; `NO_PATH` unless accepted. */
  readonly path: number
}

/** What holds for all prefixes of one announcement. */
interface Prepared {
  readonly neighbour: Neighbour
  readonly received: number
  readonly reason: Ineligible
  /** With what roles and RFC 8326 change. */
  readonly attributes: PathAttributes
  readonly isDrained: boolean
  readonly tunnelEnds: readonly Uint32Array[]
  readonly nextHop: NextHop
  readonly policy: CompiledPolicy | 'accept-all' | undefined
  /** Outcomes of policies so far: most often there is one. */
  readonly outcomes: { readonly actions: readonly CompiledActions[]; readonly path: number }[]
}

const NO_ENDS: readonly Address[] = []

export class Importer {
  policies: Policies
  readonly #config: RibConfig
  readonly #paths: Paths
  #own: ReadonlySet<Address>
  #prepared: Prepared | undefined
  /** Of outer ends of tunnels, which are asked for with each announcement. */
  readonly #ends = new WeakMap<readonly Address[], readonly Uint32Array[]>()

  constructor(config: RibConfig, paths: Paths) {
    this.#config = config
    this.#paths = paths
    this.#own = new Set(config.ownAddresses)
    this.policies = config.policies
  }

  setOwnAddresses(addresses: readonly Address[]): void {
    this.#own = new Set(addresses)
  }

  /** Judges one prefix. `received` is held by the caller; many prefixes of one path in a row are cheap. */
  run(neighbour: Neighbour, received: number, block: PrefixBlock, index: number): Imported {
    let prepared = this.#prepared
    if (prepared?.neighbour !== neighbour || prepared.received !== received) {
      prepared = this.#prepare(neighbour, received)
    }
    if (neighbour.index === LOCAL) return this.#accept(prepared, [])
    if (isMartian(block, index)) return rejected('martian')
    if (block.lengths[index] === 0 && neighbour.config.acceptDefault !== true) return rejected('default-route')
    if (prepared.reason !== 'accepted') return rejected(prepared.reason)
    if (covers(block, index, prepared.tunnelEnds)) return rejected('recursive')
    const { policy, attributes } = prepared
    if (policy === undefined) return rejected('no-policy')
    if (policy === 'accept-all') return this.#accept(prepared, [])
    const verdict = evaluate(policy, { block, index, attributes, from: neighbour.config.id })
    return verdict.outcome === 'accept' ? this.#accept(prepared, verdict.actions) : rejected('import-policy')
  }

  /** Gives back what was kept for the announcement; to be called when it, or a change of settings, is over. */
  finish(): void {
    for (const { path } of this.#prepared?.outcomes ?? []) this.#paths.release(path)
    if (this.#prepared !== undefined) this.#paths.release(this.#prepared.received)
    this.#prepared = undefined
  }

  /** The rule of the import policy that decides on this prefix, for `explain`. */
  ruleOf(neighbour: Neighbour, received: number, block: PrefixBlock, index: number): string | undefined {
    const policy = this.#policyOf(neighbour)
    if (typeof policy !== 'object') return undefined
    const attributes = this.#transform(neighbour, this.#paths.attributes(received))
    return `${policy.name}: ${evaluate(policy, { block, index, attributes, from: neighbour.config.id }).rule}`
  }

  #accept({ attributes, nextHop, outcomes, isDrained }: Prepared, actions: readonly CompiledActions[]): Imported {
    let outcome = outcomes.find((candidate) => sameActions(candidate.actions, actions))
    if (outcome === undefined) {
      const applied = applyActions(attributes, actions, this.#config.localAs)
      const changed = isDrained ? { ...applied, localPref: 0 } : applied
      outcome = { actions, path: this.#paths.intern(changed, nextHop) }
      outcomes.push(outcome)
    }
    this.#paths.retain(outcome.path)
    return { reason: 'accepted', path: outcome.path }
  }

  #prepare(neighbour: Neighbour, received: number): Prepared {
    this.finish()
    this.#paths.retain(received)
    const attributes = this.#paths.attributes(received)
    const nextHop = this.#paths.nextHop(received)
    this.#prepared = {
      neighbour,
      received,
      reason: this.#fault(neighbour, attributes, nextHop),
      attributes: this.#transform(neighbour, attributes),
      isDrained: isDrained(neighbour, attributes),
      tunnelEnds: this.#endsOf(neighbour),
      nextHop,
      policy: this.#policyOf(neighbour),
      outcomes: [],
    }
    return this.#prepared
  }

  #endsOf({ config: { tunnelEnds = NO_ENDS } }: Neighbour): readonly Uint32Array[] {
    const known = this.#ends.get(tunnelEnds)
    if (known !== undefined) return known
    const made = tunnelEnds.map(wordsOfAddress)
    this.#ends.set(tunnelEnds, made)
    return made
  }

  #fault(neighbour: Neighbour, attributes: PathAttributes, nextHop: NextHop): Ineligible {
    const { localAs, routerId } = this.#config
    const { originatorId, clusterList } = attributes
    if (occurrences(attributes, localAs) > (neighbour.config.allowAsIn ?? 0)) return 'as-loop'
    if (originatorId === routerId || clusterList?.includes(routerId) === true) return 'reflection-loop'
    if (this.#own.has(nextHop.address)) return 'own-next-hop'
    return isLeak(neighbour, attributes) ? 'route-leak' : 'accepted'
  }

  /** RFC 9234 section 5, ingress, third rule. */
  #transform(neighbour: Neighbour, attributes: PathAttributes): PathAttributes {
    const isToMark = isFromAbove(neighbour) && attributes.onlyToCustomer === undefined
    return isToMark ? { ...attributes, onlyToCustomer: neighbour.config.peerAs } : attributes
  }

  /** RFC 8212: without a policy nothing from outside. A policy that does not exist is none. */
  #policyOf({ config, isExternal }: Neighbour): CompiledPolicy | 'accept-all' | undefined {
    if (config.importPolicy !== undefined) return this.policies.get(config.importPolicy)
    return isExternal ? undefined : 'accept-all'
  }
}

/** RFC 8326 section 4: whichever end is leaving, the routes are used last, whatever preference a policy gives them. */
function isDrained({ index, isAvoided }: Neighbour, attributes: PathAttributes): boolean {
  return index !== LOCAL && (isAvoided || hasStandard(attributes, COMMUNITY['graceful-shutdown']))
}

function rejected(reason: Ineligible): Imported {
  return { reason, path: NO_PATH }
}

function occurrences({ asPath }: PathAttributes, asn: number): number {
  let count = 0
  for (const { asns } of asPath) for (const candidate of asns) if (candidate === asn) count++
  return count
}

/** RFC 9234 section 5, ingress, first and second rule. */
function isLeak({ config, role }: Neighbour, { onlyToCustomer }: PathAttributes): boolean {
  if (onlyToCustomer === undefined || role === undefined) return false
  // Provider and route server: what comes from a customer or client with OTC has been at another provider.
  if (role === 'provider' || role === 'routeServer') return true
  return role === 'peer' && onlyToCustomer !== config.peerAs
}

/** From a provider, a peer or a route server. */
function isFromAbove({ role }: Neighbour): boolean {
  return role === 'customer' || role === 'peer' || role === 'routeServerClient'
}

function sameActions(one: readonly CompiledActions[], other: readonly CompiledActions[]): boolean {
  return one.length === other.length && one.every((actions, i) => actions === other[i])
}

/** A default route covers everything and is nobody's detour: its tunnel's end has a route of its own. */
function covers({ family, lengths, words }: PrefixBlock, index: number, ends: readonly Uint32Array[]): boolean {
  const length = lengths[index]!
  if (length === 0) return false
  const stride = family === 4 ? 1 : 4
  for (const end of ends) {
    let isCovered = end.length === stride
    for (let word = 0; isCovered && 32 * word < length; word++) {
      const bits = Math.min(32, length - 32 * word)
      isCovered = (end[word]! ^ words[index * stride + word]!) >>> (32 - bits) === 0
    }
    if (isCovered) return true
  }
  return false
}

/** In 32-bit words, most significant first. */
function wordsOfAddress(address: Address): Uint32Array {
  const bytes = addressBytes(address)
  const view = new DataView(bytes.buffer)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, word) => view.getUint32(4 * word))
}
