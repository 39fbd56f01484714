/** Connectors as operators see them, and their revocation. */
import type { FunctionsReport, OfferedServices } from '../../protocol/control/grant.ts'
import type { Connector } from '../../protocol/control/resources.ts'
import type { ConnectorRecord } from '../store/repo.ts'
import type { CloudReports } from './cloud-reports.ts'
import type { Committer } from './commit.ts'
import type { Documents } from './documents.ts'
import type { Intents } from './intents.ts'
import type { FunctionKeys } from './network-keys.ts'
import type { Rolling } from './rolling.ts'
import type { Rotating } from './rotating.ts'
import type { Runs } from './runs.ts'
import type { Sightings } from './sightings.ts'
import { mustGet, mustMatch, optional, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface ConnectorParts {
  readonly context: Context
  readonly committer: Committer
  readonly intents: Intents
  readonly documents: Documents
  readonly rotating: Rotating
  readonly runs: Runs
  readonly rolling: Rolling
  readonly sightings: Sightings
  readonly functionKeys: FunctionKeys
  readonly cloudReports: CloudReports
}

export class Connectors {
  readonly #parts: ConnectorParts

  constructor(parts: ConnectorParts) {
    this.#parts = parts
  }

  async list(call: Call, query: PageQuery, site?: string): Promise<Outcome<PageOf<Connector>>> {
    const show = (record: ConnectorRecord) => this.#shown(call.network, record)
    return { value: await pageOf(this.#parts.context, call.network, 'connector', query, show, site) }
  }

  async get(call: Call, id: string): Promise<Outcome<Connector>> {
    const { value, revision } = await mustGet(this.#parts.context, call.network, 'connector', id)
    return { value: this.#shown(call.network, value), revision }
  }

  /**
   * At once on its link and for its requests; its tunnels go to the next connector of its site, or leave the documents
   * of its peers, which end them. Revoking again changes nothing.
   */
  async revoke(call: Call, id: string): Promise<Outcome<Connector>> {
    const { context, committer, intents, documents, rotating, runs } = this.#parts
    return committer.run(call, async () => {
      const { value, revision } = await mustGet(context, call.network, 'connector', id)
      mustMatch(call, revision)
      if (value.revokedAt !== undefined) {
        return { outcome: { value: this.#shown(call.network, value), revision }, changes: [], audit: [] }
      }
      const work = new Work(context.repo, call.network)
      const topology = await intents.topology(call.network)
      const carried = await documents.carriesTunnels(work, value)
      const revoked: ConnectorRecord = { ...value, revokedAt: context.clock() }
      await work.put('connector', revoked)
      const tunnels = carried ? topology.tunnelsOf(value.site) : []
      for (const { id: tunnel } of tunnels) await rotating.settle(work, topology, tunnel)
      for (const { sites } of tunnels) for (const site of sites) documents.refresh(work, site)
      if (carried) documents.refresh(work, value.site)
      await runs.advance(work, topology)
      await documents.finish(work, topology)
      work.audit({
        action: 'connectors.revoke',
        target: id,
        before: auditedConnector(value),
        after: auditedConnector(revoked),
      })
      work.onCommit(() => context.hub.revoked(call.network, id))
      return work.decision({ value: this.#shown(call.network, revoked), revision: revision + 1 })
    })
  }

  #shown(network: string, whole: ConnectorRecord): Connector {
    const { documentHash: _, canRoute: __, sealingKey: ___, functions, ...record } = whole
    return {
      ...record,
      ...optional('functions', functions && offered(functions)),
      ...optional('lastSeenAt', this.#parts.sightings.lastSeen(network, record.id)),
      linked: this.#parts.context.hub.linked(network, record.id),
    }
  }
}

/** Without the key by which functions know it: it is for them. */
function offered({ streamKey: _, ...rest }: FunctionsReport): OfferedServices {
  return rest
}

/** Who it is; what it does changes too often to be audited. */
export function auditedConnector({ id, site, name, identityKey, joinedAt, revokedAt }: ConnectorRecord): unknown {
  return { id, site, name, identityKey, joinedAt, ...optional('revokedAt', revokedAt) }
}
