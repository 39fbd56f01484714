/** Networks: the tenants. Only the owner of the installation makes one. */
import type { Network } from '../../protocol/control/resources.ts'
import type { NetworkRecord } from '../store/repo.ts'
import type { Committer } from './commit.ts'
import { evidenceKeyName, type FunctionKeys, makeKey } from './network-keys.ts'
import { refusal } from './refusals.ts'
import { cursorText, freshId, mustGet, mustMatch, nameTaken, optional, paged } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'

export class Networks {
  readonly #context: Context
  readonly #committer: Committer
  readonly #functionKeys: FunctionKeys

  constructor(context: Context, committer: Committer, functionKeys: FunctionKeys) {
    this.#context = context
    this.#committer = committer
    this.#functionKeys = functionKeys
  }

  async create(call: Call, draft: { readonly name: string }): Promise<Outcome<Network>> {
    const context = this.#context
    // A repeated request names the network that the first one made.
    const id = call.network === '' ? freshId(context, 'network') : call.network
    const { publicKey, sealed } = await makeKey(context, evidenceKeyName(id))
    const functionKey = await this.#functionKeys.make(id)
    return this.#committer.run({ ...call, network: id }, async () => {
      if (await context.repo.hasNetworkNamed(draft.name)) throw nameTaken('network')
      const record: NetworkRecord = {
        id,
        name: draft.name,
        createdAt: context.clock(),
        evidenceKey: publicKey,
        sealedEvidenceKey: sealed,
        ...functionKey,
        intentVersion: 0,
        preferences: { topology: 'mesh' },
      }
      const value = shown(record)
      return {
        outcome: { value, revision: 1 },
        changes: [{ type: 'put', kind: 'network', value: record, revision: 0 }],
        audit: [{ action: 'networks.create', target: id, after: value }],
      }
    })
  }

  async list(query: PageQuery): Promise<Outcome<PageOf<Network>>> {
    const after = optional('after', query.cursor === undefined ? undefined : cursorText(query.cursor))
    const found = await this.#context.repo.networks({ limit: query.limit + 1, ...after })
    return {
      value: paged(
        found,
        query.limit,
        (entry) => entry.value.id,
        (entry) => shown(entry.value),
      ),
    }
  }

  async get(call: Call): Promise<Outcome<Network>> {
    const { value, revision } = await mustGet(this.#context, call.network, 'network', call.network)
    return { value: shown(value), revision }
  }

  /** Only an empty one: what still carries traffic is not removed by one request. */
  async remove(call: Call): Promise<Outcome<undefined>> {
    const { repo } = this.#context
    return this.#committer.run(call, async () => {
      const { value, revision } = await mustGet(this.#context, call.network, 'network', call.network)
      mustMatch(call, revision)
      const sites = await repo.count(call.network, 'site')
      const tunnels = await repo.count(call.network, 'tunnel')
      // What is there at a cloud would be forgotten, and go on costing.
      const clouds = await repo.count(call.network, 'cloud')
      if (clouds > 0) throw refusal('network-in-use', `it has ${clouds} connections to clouds`)
      if (sites + tunnels > 0) throw refusal('network-in-use', `it has ${sites} sites and ${tunnels} tunnels`)
      return {
        outcome: { value: undefined },
        changes: [{ type: 'remove', kind: 'network', id: call.network, revision }],
        audit: [{ action: 'networks.remove', target: call.network, before: shown(value) }],
      }
    })
  }
}

function shown({ id, name, createdAt, evidenceKey, intentVersion }: NetworkRecord): Network {
  return { id, name, createdAt, evidenceKey, intentVersion }
}
