/** What the other end of a tunnel has to know, taken from `isthmus.yaml`: the same facts for every vendor. */
import { type Address, addressBytes, type Prefix, prefixRange } from '../../../protocol/net.ts'
import type { LoadedConfig } from '../../config.ts'
import type { EspProposal, Identity, IkeProposal, TrafficSelector } from '../../core/ike/types.ts'
import { EXIT } from '../../handle.ts'
import { CommandFailure } from '../command.ts'

export interface ChildFacts {
  readonly name: string
  /** Prefixes, with protocol and ports in brackets where not all of them are meant. */
  readonly ours: readonly string[]
  readonly theirs: readonly string[]
  /** In our order; ESN stands apart. */
  readonly esp: readonly EspProposal[]
  readonly rekeyS: number
  readonly expireS: number
  readonly replayWindow: number
}

export interface PeerFacts {
  readonly site: string
  readonly name: string
  readonly ours: EndFacts
  /** What lies behind us. */
  readonly networks: readonly string[]
  /** Without an address it calls us, from wherever it is. */
  readonly theirs: Omit<EndFacts, 'address'> & { readonly address?: string }
  readonly ike: readonly IkeProposal[]
  readonly ikeRekeyS: number
  readonly ikeExpireS: number
  readonly children: readonly ChildFacts[]
  /** Whether we call. */
  readonly initiate: boolean
  readonly encapsulation: 'auto' | 'udp'
  /** 0: never. */
  readonly dpdS: number
  readonly pathMtu: number
  readonly inside?: InsideFacts
  readonly bgp?: BgpFacts
  /** Only where a person wants to see it. */
  readonly secret?: Uint8Array
}

export interface EndFacts {
  readonly address: string
  readonly identity: Identity
  readonly port: number
  readonly natPort: number
}

export interface InsideFacts {
  readonly ours: string
  /** The other host of a /30 or /31; BGP names it where the network is larger. */
  readonly theirs?: string
  readonly network: string
}

export interface BgpFacts {
  readonly ourAs: number
  readonly peerAs: number
  readonly ours: string
  readonly theirs: string
}

/** The peer that is named, or the only one. Throws a CommandFailure. `showSecret`: whether `loaded` has real keys. */
export function factsOf(loaded: LoadedConfig, named: string | undefined, showSecret: boolean): PeerFacts {
  const { plan, insides } = loaded
  const all = plan.connections
  const connection = named === undefined && all.length === 1 ? all[0] : all.find(({ ike }) => ike.name === named)
  if (connection === undefined)
    throw notChosen(
      named,
      all.map(({ ike }) => ike.name),
    )
  const { ike, pathMtu } = connection
  const neighbour = plan.bgp?.neighbours.find(({ tunnel }) => tunnel === ike.name)
  const theirInside = neighbour === undefined ? undefined : (neighbour.rib.address as string)
  const [inside] = insides.get(ike.name) ?? []
  return {
    site: plan.site,
    name: ike.name,
    ours: { address: ike.localAddress, identity: ike.localId, port: plan.ports.port, natPort: plan.ports.natPort },
    networks: plan.networks ?? [],
    theirs: {
      ...(ike.remoteAddress === undefined ? {} : { address: ike.remoteAddress }),
      identity: ike.remoteId,
      port: ike.remotePort,
      natPort: ike.remoteNatPort,
    },
    ike: ike.proposals,
    ikeRekeyS: seconds(ike.lifetime.softMs),
    ikeExpireS: seconds(ike.lifetime.hardMs),
    children: ike.children.map((child) => ({
      name: child.name,
      ours: child.local.map(selectorText),
      theirs: child.remote.map(selectorText),
      esp: child.proposals,
      rekeyS: seconds(child.lifetime.softMs),
      expireS: seconds(child.lifetime.hardMs),
      replayWindow: child.replayWindow,
    })),
    initiate: ike.initiate,
    encapsulation: ike.encapsulation,
    dpdS: seconds(ike.dpdIntervalMs),
    pathMtu,
    ...(inside === undefined ? {} : { inside: insideOf(inside, theirInside) }),
    ...(neighbour === undefined || plan.bgp === undefined
      ? {}
      : {
          bgp: {
            ourAs: plan.bgp.localAs,
            peerAs: neighbour.rib.peerAs,
            ours: neighbour.local,
            theirs: neighbour.rib.address,
          },
        }),
    ...(showSecret ? { secret: ike.psk } : {}),
  }
}

function notChosen(named: string | undefined, names: readonly string[]): CommandFailure {
  const cause = named === undefined ? `there are ${names.length} peers` : `there is no peer ${JSON.stringify(named)}`
  return new CommandFailure(cause, `name one with --peer: ${names.join(', ')}`, EXIT.usage)
}

function insideOf({ address, network }: { address: Address; network: Prefix }, bgp: string | undefined): InsideFacts {
  const theirs = bgp ?? otherHost(address, network)
  return { ours: `${address}/${network.split('/')[1]}`, network, ...(theirs === undefined ? {} : { theirs }) }
}

function otherHost(address: Address, network: Prefix): string | undefined {
  const [base = '', bits] = network.split('/')
  const octets = base.split('.').map(Number)
  if (octets.length !== 4 || (bits !== '30' && bits !== '31')) return undefined
  const hosts = bits === '30' ? [1, 2] : [0, 1]
  return hosts.map((host) => [...octets.slice(0, 3), octets[3]! + host].join('.')).find((host) => host !== address)
}

function selectorText({ startAddress, endAddress, protocol, startPort, endPort }: TrafficSelector): string {
  const prefix = prefixOf(startAddress, endAddress)
  if (protocol === 0) return prefix
  const ports =
    startPort === 0 && endPort === 65_535 ? '' : `/${startPort === endPort ? startPort : `${startPort}-${endPort}`}`
  return `${prefix}[${protocol}${ports}]`
}

/** The range is of a prefix: the configuration has nothing else. */
function prefixOf(first: Address, last: Address): string {
  for (let bits = addressBytes(first).length * 8; bits >= 0; bits--) {
    if (prefixRange(`${first}/${bits}` as Prefix).last === last) return `${first}/${bits}`
  }
  return `${first}-${last}`
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
