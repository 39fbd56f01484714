/** What decisions about the connections of one network are made from, as it is within one decision. */
import type { CloudFacts } from '../domain/cloud/situation.ts'
import type { CloudRecord, ConnectorSight } from '../domain/cloud/types.ts'
import { endpointOf } from '../domain/endpoint.ts'
import type { CloudViewRecord, ConnectorRecord } from '../store/repo.ts'
import { everyOf } from './candidates.ts'
import type { Documents } from './documents.ts'
import type { Intents, Situation } from './intents.ts'
import { optional } from './support.ts'
import type { Context } from './types.ts'
import { Work } from './work.ts'

/** A connector says how it is every half minute: what is older says nothing of now. */
const STALE_MS = 90_000

export interface SituationParts {
  readonly context: Context
  readonly intents: Intents
  readonly documents: Documents
}

export class CloudSituations {
  readonly #parts: SituationParts

  constructor(parts: SituationParts) {
    this.#parts = parts
  }

  async read(work: Work): Promise<NetworkClouds> {
    const situation = await this.#parts.intents.situation(work.network)
    const records = new Map<string, CloudRecord>()
    for await (const record of everyOf(this.#parts.context, work.network, 'cloud', undefined, work)) {
      records.set(record.id, record)
    }
    return new NetworkClouds(this.#parts, work, situation, records)
  }

  /** Of one connection, for showing it. */
  async sight(network: string, record: CloudRecord, view: CloudViewRecord | undefined): Promise<ConnectorSight> {
    const carrier = await this.#parts.documents.connectorOf(new Work(this.#parts.context.repo, network), record.site)
    return sightOf(carrier, view, this.#parts.context.clock())
  }
}

export class NetworkClouds {
  readonly topology: Situation['topology']
  readonly records: Map<string, CloudRecord>
  readonly #parts: SituationParts
  readonly #work: Work
  readonly #view: Situation['view']

  constructor(
    parts: SituationParts,
    work: Work,
    { topology, view }: Pick<Situation, 'topology' | 'view'>,
    records: Map<string, CloudRecord>,
  ) {
    this.#parts = parts
    this.#work = work
    this.#view = view
    this.topology = topology
    this.records = records
  }

  /** Only as far as this decision knows: of a connection that it has changed, with the change. */
  async facts(record: CloudRecord): Promise<CloudFacts> {
    const { topology } = this
    const site = topology.site(record.site) ?? this.#view.site(record.site)
    const carrier = await this.carrier(record)
    const endpoint = site && (carrier === undefined ? site.endpoint : endpointOf(site, carrier))?.address
    const siteAs = topology.routingOf(record.site)?.as
    const rest = [...this.records.values()].filter(({ id }) => id !== record.id)
    return {
      network: this.#work.network,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(siteAs === undefined ? {} : { siteAs }),
      sitePrefixes: site?.prefixes ?? [],
      others: Array.from(this.#view.sites())
        .filter(({ id }) => id !== record.site)
        .map(({ name, prefixes }) => ({ site: name, prefixes })),
      usedInside: rest.flatMap(({ tunnels }) => tunnels.map(({ insideCidr }) => insideCidr).filter(Boolean)),
      shared: rest.flatMap(({ resources }) => resources.map(({ id }) => id)),
      ...optional('settleMs', this.#parts.context.clouds?.settleMs),
    }
  }

  async sight(record: CloudRecord, view: CloudViewRecord | undefined): Promise<ConnectorSight> {
    return sightOf(await this.carrier(record), view, this.#parts.context.clock())
  }

  /** The connector that has the tunnels of the site. */
  carrier({ site }: CloudRecord): Promise<ConnectorRecord | undefined> {
    return this.#parts.documents.connectorOf(this.#work, site)
  }
}

function sightOf(carrier: ConnectorRecord | undefined, view: CloudViewRecord | undefined, now: number): ConnectorSight {
  const said = view?.said
  // One that cannot have such tunnels is none.
  if (carrier?.sealingKey === undefined) return { current: false, externals: [] }
  if (said?.connector !== carrier.id) return { connector: carrier.id, current: false, externals: [] }
  const { at } = said
  if (now - at > STALE_MS) return { connector: carrier.id, at, current: false, externals: [] }
  const current = said.version >= carrier.documentVersion
  return { connector: carrier.id, at, current, externals: said.externals }
}
