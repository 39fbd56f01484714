/** Documents of connectors: made from what is stored, and given a new version in the batch that changes what they say. */
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import type { Site } from '../../protocol/control/intent.ts'
import {
  announced,
  type DocumentContent,
  type DocumentPeer,
  documentContent,
  type TunnelView,
  type VersionRecord,
  versionFor,
  withVersion,
} from '../domain/document.ts'
import { endpointOf, foundEndpoint } from '../domain/endpoint.ts'
import { sameValue } from '../domain/intent.ts'
import type { ConnectorRecord } from '../store/repo.ts'
import type { CloudKeys } from './cloud-keys.ts'
import type { Intents } from './intents.ts'
import type { Topology } from './planned-view.ts'
import { Later, refusal } from './refusals.ts'
import { mustGet, optional } from './support.ts'
import type { Context } from './types.ts'
import { Work } from './work.ts'

const READ_ATTEMPTS = 5

export class Documents {
  readonly #context: Context
  readonly #intents: Intents
  readonly #keys: CloudKeys

  constructor(context: Context, intents: Intents, keys: CloudKeys) {
    this.#context = context
    this.#intents = intents
    this.#keys = keys
  }

  /** The connectors of the site that are not revoked, the oldest first. */
  async connectorsOf(work: Work, site: string): Promise<ConnectorRecord[]> {
    let ids = work.connectorsAt.get(site)
    if (ids === undefined) {
      const entries = await this.#context.repo.list(work.network, 'connector', { ref: site, limit: 1000 })
      ids = work
        .adopt('connector', entries)
        .filter(isLiving)
        .sort(byAge)
        .map(({ id }) => id)
      work.connectorsAt.set(site, ids)
    }
    const records = await Promise.all(ids.map((id) => work.get('connector', id)))
    return records.filter(isLiving)
  }

  /** The one of them that carries the tunnels of the site: the oldest. */
  async connectorOf(work: Work, site: string): Promise<ConnectorRecord | undefined> {
    return (await this.connectorsOf(work, site))[0]
  }

  async carriesTunnels(work: Work, { id, site }: Pick<ConnectorRecord, 'id' | 'site'>): Promise<boolean> {
    return (await this.connectorOf(work, site))?.id === id
  }

  /** The documents at these sites change for certain; their content is made when somebody asks for it. */
  async renew(work: Work, sites: readonly string[]): Promise<void> {
    for (const site of sites) {
      const record = await this.connectorOf(work, site)
      if (record !== undefined) await this.#setVersion(work, record, announced(record))
    }
  }

  /** The documents at this site may change: `finish` finds out. */
  refresh(work: Work, site: string): void {
    work.sitesToRefresh.add(site)
  }

  /** Like `refresh`, for what concerns one connector alone. */
  refreshOne(work: Work, connector: string): void {
    work.connectorsToRefresh.add(connector)
  }

  /** Gives new versions to the documents that differ, and has the links told once it is committed. */
  async finish(work: Work, topology: Topology): Promise<void> {
    for (const site of work.sitesToRefresh) {
      for (const { id } of await this.connectorsOf(work, site)) this.refreshOne(work, id)
    }
    for (const id of work.connectorsToRefresh) await this.#remake(work, topology, id)
    const { told, network } = work
    if (told.length > 0) work.onCommit(() => this.#context.hub.changed(network, told))
  }

  async #remake(work: Work, topology: Topology, id: string): Promise<void> {
    const record = await work.mustGet('connector', id)
    const site = topology.site(record.site)
    if (site === undefined || !isLiving(record)) return
    // What is set for the site is where the one that carries its tunnels is reached.
    const carries = await this.carriesTunnels(work, record)
    const endpoint = carries ? endpointOf(site, record) : foundEndpoint(record)
    if (carries) await this.#keys.seal(work, record)
    const { endpoint: _, ...rest } = record
    const placed: ConnectorRecord = { ...rest, ...optional('endpoint', endpoint) }
    // Of a version whose content was never made here, nobody knows whether it was this.
    const unknown = record.documentVersion > 0 && record.documentHash === undefined
    const next = unknown ? announced(record) : versionFor(record, await this.#content(work, topology, placed))
    if (next.documentVersion !== record.documentVersion) await this.#setVersion(work, placed, next)
    else if (!sameValue(endpoint, record.endpoint)) await work.put('connector', placed)
  }

  /** The document as it is now, with the version that it has. */
  async current(network: string, connector: string): Promise<ConnectorDocument> {
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      const work = new Work(this.#context.repo, network)
      const record = await work.mustGet('connector', connector)
      if (record.revokedAt !== undefined) throw refusal('connector-revoked', 'it has nothing to do here any more')
      const topology = await this.#intents.topology(network)
      const { version } = topology
      const content = await this.#content(work, topology, record)
      // Content and version are written together: when neither has moved, what was read between belongs together.
      const after = await mustGet(this.#context, network, 'connector', connector)
      const same = after.value.documentVersion === record.documentVersion && topology.version === version
      if (same && content !== undefined) return withVersion(content, record.documentVersion)
    }
    throw new Later('unavailable', 'the document changes faster than it can be read', 1)
  }

  async version(network: string, connector: string): Promise<number> {
    return (await mustGet(this.#context, network, 'connector', connector)).value.documentVersion
  }

  async #content(work: Work, topology: Topology, connector: ConnectorRecord): Promise<DocumentContent> {
    const site = topology.site(connector.site)
    if (site === undefined) throw refusal('not-found', `the site ${connector.site} was removed`)
    const carries = await this.carriesTunnels(work, connector)
    const tunnels = carries ? await this.#tunnels(work, topology, site.id) : []
    const externals = carries ? await this.#keys.externals(work, connector) : []
    const tokenKeys = await this.#tokenKeys(work, connector)
    const routing = connector.canRoute === true && tunnels.length > 0 ? topology.routingOf(site.id) : undefined
    return documentContent({
      network: work.network,
      connector,
      site,
      tunnels,
      externals,
      ...optional('tokenKeys', tokenKeys),
      ...optional('routing', routing),
    })
  }

  async #tunnels(work: Work, topology: Topology, site: string): Promise<TunnelView[]> {
    const tunnels: TunnelView[] = []
    for (const tunnel of topology.tunnelsOf(site)) {
      const peerSite = topology.site(tunnel.sites[0] === site ? tunnel.sites[1] : tunnel.sites[0])
      const peer = peerSite && (await this.connectorOf(work, peerSite.id))
      tunnels.push({
        tunnel,
        peer: peer === undefined || peerSite === undefined ? undefined : peerOf(topology, peerSite, peer),
        keys: await work.get('keys', tunnel.id),
      })
    }
    return tunnels
  }

  /** Only a connector that serves functions is told of them. */
  async #tokenKeys(work: Work, { functions }: ConnectorRecord): Promise<readonly string[] | undefined> {
    if (functions === undefined) return undefined
    const { functionKey } = await work.mustGet('network', work.network)
    return functionKey === undefined ? undefined : [functionKey]
  }

  async #setVersion(work: Work, record: ConnectorRecord, version: VersionRecord): Promise<void> {
    const { documentVersion: _, documentHash: __, ...rest } = record
    await work.put('connector', { ...rest, ...version })
    work.tell(record.id)
  }
}

/** While a rollout is under way the peer's site may have no routing yet, or no more. */
function peerOf(topology: Topology, site: Site, { canRoute, ...connector }: ConnectorRecord): DocumentPeer {
  const able = canRoute === true && topology.routingOf(site.id) !== undefined
  return { site, connector: able ? { ...connector, canRoute } : connector }
}

function isLiving(record: ConnectorRecord | undefined): record is ConnectorRecord {
  return record !== undefined && record.revokedAt === undefined
}

/** The oldest first; `joining.ts` sees to it that a later one never looks older. */
export function byAge(left: ConnectorRecord, right: ConnectorRecord): number {
  return left.joinedAt - right.joinedAt || (left.id < right.id ? -1 : 1)
}
