/** What one connector is to do, made from the intent, the connectors that there are, and the keys of its tunnels. */

import { canonicalJson } from '../../protocol/control/canonical.ts'
import {
  type ConnectorDocument,
  DOCUMENT_FORMAT,
  type DocumentEpoch,
  type DocumentTunnel,
} from '../../protocol/control/document.ts'
import type { DocumentExternal } from '../../protocol/control/external.ts'
import type { Endpoint, Site, Tunnel } from '../../protocol/control/intent.ts'
import type { DocumentRouting } from '../../protocol/control/routing.ts'
import { hashText } from './bytes.ts'
import { endpointFor, type Place } from './endpoint.ts'
import { withNeighbours } from './intents/limit.ts'
import { halfName, shownEpochs, type TunnelKeys } from './keys.ts'

/** A connector as documents need it. One that is revoked is none. */
export interface DocumentConnector extends Place {
  readonly id: string
  readonly identityKey: string
  /** It speaks BGP with those that do too. */
  readonly canRoute?: boolean
}

export interface DocumentPeer {
  readonly site: Site
  readonly connector: DocumentConnector
}

/** A tunnel of the connector. Without a peer there is nothing to connect to, and it is left out. */
export interface TunnelView {
  readonly tunnel: Tunnel
  readonly peer: DocumentPeer | undefined
  readonly keys: TunnelKeys | undefined
}

export interface DocumentView {
  readonly network: string
  readonly connector: DocumentConnector
  readonly site: Site
  /** Of the connector that carries the tunnels of its site; none for another one at the site. */
  readonly tunnels: readonly TunnelView[]
  /** Tunnels to other gateways, of such a connector. */
  readonly externals?: readonly DocumentExternal[]
  /** Keys that sign session tokens, for a connector that serves functions. */
  readonly tokenKeys?: readonly string[]
  /** Of a connector that carries the tunnels of its site, and can. */
  readonly routing?: DocumentRouting
}

export type DocumentContent = Omit<ConnectorDocument, 'version'>

export function documentContent({
  network,
  connector,
  site,
  tunnels,
  externals = [],
  tokenKeys,
  routing,
}: DocumentView): DocumentContent {
  const shown = tunnels.flatMap(({ tunnel, peer, keys }) =>
    peer === undefined ? [] : [documentTunnel({ site, connector }, peer, tunnel, keys)],
  )
  return {
    format: DOCUMENT_FORMAT,
    network,
    connector: connector.id,
    site: { name: site.name, prefixes: site.prefixes },
    // Whatever order the tunnels were read in, the same content is the same document.
    tunnels: shown.sort((left, right) => (left.id < right.id ? -1 : 1)),
    ...(tokenKeys === undefined ? {} : { functions: { tokenKeys: [...tokenKeys] } }),
    ...(routing === undefined ? {} : { routing: routingWith(routing, tunnels) }),
    ...(externals.length === 0 ? {} : { externals: named(externals, shown) }),
  }
}

/** In one order, and each with a name that no other tunnel of the document has. */
function named(externals: readonly DocumentExternal[], tunnels: readonly DocumentTunnel[]): DocumentExternal[] {
  const taken = new Set(tunnels.map(({ name }) => name))
  const inOrder = [...externals].sort((left, right) => (left.id < right.id ? -1 : 1))
  return inOrder.map((external) => {
    let { name } = external
    for (let number = 2; taken.has(name); number++) name = `${external.name.slice(0, 59)}.${number}`
    taken.add(name)
    return { ...external, name }
  })
}

/** Both ends of a tunnel have to be able to: to those that cannot it leads as it did without. */
function routingWith(routing: DocumentRouting, tunnels: readonly TunnelView[]): DocumentRouting {
  const able = new Set(tunnels.flatMap(({ tunnel, peer }) => (peer?.connector.canRoute === true ? tunnel.id : [])))
  return withNeighbours(routing, (tunnel) => able.has(tunnel))
}

export function withVersion(content: DocumentContent, version: number): ConnectorDocument {
  const { format, network, connector, ...rest } = content
  return { format, network, connector, version, ...rest }
}

export function contentHash(content: DocumentContent): string {
  return hashText(canonicalJson(content))
}

export interface VersionRecord {
  readonly documentVersion: number
  /** Of the content that has this version; absent when that was never made. */
  readonly documentHash?: string
}

/** The record for `content`: itself where that is the content it has. `carriedOut` as in `nextVersion`. */
export function versionFor(record: VersionRecord, content: DocumentContent, carriedOut = 0): VersionRecord {
  const documentHash = contentHash(content)
  if (record.documentHash === documentHash && carriedOut <= record.documentVersion) return record
  // A version that was announced without its content being made takes the first content that is.
  const announced = record.documentHash === undefined && record.documentVersion > carriedOut
  return { documentVersion: announced ? record.documentVersion : nextVersion(record, carriedOut), documentHash }
}

/**
 * The version behind both the last one and the one that the connector says it has carried out: the latter is ahead
 * where the store is an older copy.
 */
export function nextVersion(record: VersionRecord, carriedOut = 0): number {
  return Math.max(record.documentVersion, carriedOut) + 1
}

/** The record after a change that is known to be one; the content is made when somebody asks for it. */
export function announced(record: VersionRecord, carriedOut = 0): VersionRecord {
  return { documentVersion: nextVersion(record, carriedOut) }
}

function documentTunnel(
  self: DocumentPeer,
  peer: DocumentPeer,
  tunnel: Tunnel,
  keys: TunnelKeys | undefined,
): DocumentTunnel {
  const endpoint = endpointFor(peer, self)
  const first = tunnel.sites[0] === self.site.id
  return {
    id: tunnel.id,
    name: tunnel.name,
    initiate: initiates(endpoint, endpointFor(self, peer), first),
    ...(tunnel.pathMtu === undefined ? {} : { pathMtu: tunnel.pathMtu }),
    peer: {
      connector: peer.connector.id,
      site: peer.site.name,
      identityKey: peer.connector.identityKey,
      prefixes: peer.site.prefixes,
      ...(endpoint === undefined ? {} : { endpoint }),
    },
    epochs: keys === undefined ? [] : epochsFor(keys, self.connector.id, peer.connector.id),
  }
}

/** Exactly one end initiates where one can: the one whose peer can be reached; where both can, the tunnel's first. */
function initiates(peer: Endpoint | undefined, self: Endpoint | undefined, first: boolean): boolean {
  if (peer === undefined) return false
  return self === undefined || first
}

function epochsFor(keys: TunnelKeys, self: string, peer: string): DocumentEpoch[] {
  // Keys between others than these two are of no use to them.
  if (keys.ends !== undefined && !(keys.ends.includes(self) && keys.ends.includes(peer))) return []
  return shownEpochs(keys).map(({ epoch, phase }) => {
    const peerKey = phase === 'offer' ? undefined : keys.halves[halfName(epoch, peer)]
    return { epoch, phase, ...(peerKey === undefined ? {} : { peerKey }) }
  })
}
