/** What leads through tunnels to other gateways: of each as much as makes sense, and as this site's people let it. */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { DocumentExternal, ExternalRouting } from '../../../protocol/control/external.ts'
import { type Address, familyOf, type Prefix, parseAddress, prefixContains } from '../../../protocol/net.ts'
import type { ExternalSurroundings } from './external-acceptance.ts'
import type { PlannedRouting } from './externals.ts'
import { everythingIn, isIn } from './routing.ts'
import { martian } from './routing-acceptance.ts'

type Bgp = Extract<ExternalRouting, { kind: 'bgp' }>

/** RFC 6793 section 9, RFC 7300: nobody has these. */
const NO_AS = [23_456, 65_535]

export class ExternalRoutingJudge {
  /** What was left out. */
  readonly words: string[] = []
  readonly #routing: ConnectorDocument['routing']
  readonly #owns: readonly Prefix[]
  /** Outer addresses: what leads there leads around all tunnels. */
  readonly #ends: readonly Address[]
  /** ASes of sites: their routes are told by them by number alone. */
  readonly #sites: ReadonlySet<number>
  /** Of the first one that has BGP: all have to agree. */
  #as: number | undefined

  constructor(
    { tunnels, routing, externals = [] }: Pick<ConnectorDocument, 'tunnels' | 'routing' | 'externals'>,
    { owns, address }: Pick<ExternalSurroundings, 'owns' | 'address'>,
  ) {
    this.#routing = routing
    this.#owns = owns
    const outer = [...externals.map(({ peer }) => peer.address), ...tunnels.map(({ peer }) => peer.endpoint?.address)]
    this.#ends = [address, ...outer.flatMap((text) => (text === undefined ? [] : (parseAddress(text) ?? [])))]
    const groups = routing?.groups.flatMap(({ origins }) => origins) ?? []
    this.#sites = new Set([...groups, ...(routing?.neighbours ?? [])].map(({ as }) => as))
    this.#as = routing?.as
  }

  /** In the order in which they are to be: of several ASes that are ours the first one counts. */
  accepted({ name, routing }: DocumentExternal): PlannedRouting | undefined {
    if (routing.kind === 'static') {
      return { ...routing, prefixes: this.#leadable(name, routing.prefixes, 'does not lead to') }
    }
    const fault = this.#bgpFault(routing)
    if (fault !== undefined) {
      this.words.push(`No BGP with ${name}: ${fault}.`)
      return undefined
    }
    this.#as = routing.localAs
    return {
      ...routing,
      accept: this.#foreign(name, routing.accept, 'is not taken from'),
      advertise: this.#advertised(name, routing.advertise),
    }
  }

  #bgpFault({ localAs, peerAs }: Bgp): string | undefined {
    const ours = this.#as
    if (ours !== undefined && localAs !== ours) return `we are AS ${ours} already, and cannot be AS ${localAs} as well`
    if (peerAs === localAs) return `its AS ${peerAs} is ours`
    if ([localAs, peerAs].some((as) => NO_AS.includes(as))) return 'nobody has its AS'
    return this.#sites.has(peerAs) ? `its AS ${peerAs} is that of a site` : undefined
  }

  #leadable(name: string, prefixes: readonly string[], verb: string): string[] {
    return this.#foreign(name, prefixes, verb).filter((prefix) => {
      const isAround = this.#ends.some((end) => prefixContains(prefix as Prefix, end))
      if (isAround) this.words.push(`${prefix} ${verb} ${name}: the tunnel's own packets would enter the tunnel.`)
      return !isAround
    })
  }

  #foreign(name: string, prefixes: readonly string[], verb: string): string[] {
    const ours = everythingIn(this.#owns.filter((each) => !each.endsWith('/0')))
    return this.#sensible(name, prefixes, verb).filter((prefix) => {
      const isOurs = isIn(ours, prefix)
      if (isOurs) this.words.push(`${prefix} ${verb} ${name}: this site owns it.`)
      return !isOurs
    })
  }

  /** Who is no hub tells of nothing that others own: it would draw packets that it does not pass on. */
  #advertised(name: string, prefixes: readonly string[]): string[] {
    const verb = 'is not told to'
    const owned = everythingIn(this.#owns)
    return this.#sensible(name, prefixes, verb).filter((prefix) => {
      const may = isIn(owned, prefix) || this.#routing?.transit === true
      const reason = 'this site does not own it; where it does, say so there with isthmus own'
      if (!may) this.words.push(`${prefix} ${verb} ${name}: ${reason}.`)
      return may
    })
  }

  #sensible(name: string, prefixes: readonly string[], verb: string): string[] {
    return [...new Set(prefixes)].filter((prefix) => {
      const reason =
        familyOf(prefix as Prefix) === 6
          ? 'only IPv4 goes through it'
          : martian(prefix)
            ? 'nobody may have it'
            : undefined
      if (reason !== undefined) this.words.push(`${prefix} ${verb} ${name}: ${reason}.`)
      return reason === undefined
    })
  }
}
