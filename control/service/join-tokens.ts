/** Join tokens: each lets one connector join one site, once, until it expires. The text is shown once. */
import type { JoinTokenInfo } from '../../protocol/control/resources.ts'
import { makeJoinToken, SECRET_BYTES } from '../domain/tokens.ts'
import type { JoinTokenRecord } from '../store/repo.ts'
import type { Committer } from './commit.ts'
import { freshId, invalid, mustGet, mustMatch, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'

export interface JoinTokenDraft {
  readonly site: string
  readonly expiresInMinutes: number
}

export class JoinTokens {
  readonly #context: Context
  readonly #committer: Committer

  constructor(context: Context, committer: Committer) {
    this.#context = context
    this.#committer = committer
  }

  async create(call: Call, draft: JoinTokenDraft): Promise<Outcome<JoinTokenInfo & { token: string }>> {
    const context = this.#context
    return this.#committer.run(call, async () => {
      const site = await context.repo.get(call.network, 'site', draft.site)
      if (site === undefined) throw invalid('/site', `there is no site ${draft.site}`)
      const id = freshId(context, 'join')
      const { text, hash } = makeJoinToken({ network: call.network, id, secret: context.random(SECRET_BYTES) })
      const createdAt = context.clock()
      const expiresAt = createdAt + draft.expiresInMinutes * 60_000
      const record: JoinTokenRecord = { id, site: draft.site, hash, createdAt, expiresAt }
      const info = shown(record)
      return {
        outcome: { value: { ...info, token: text }, revision: 1 },
        changes: [{ type: 'put', kind: 'join', value: record, revision: 0 }],
        audit: [{ action: 'joinTokens.create', target: id, after: info }],
      }
    })
  }

  async list(call: Call, query: PageQuery, site?: string): Promise<Outcome<PageOf<JoinTokenInfo>>> {
    return { value: await pageOf(this.#context, call.network, 'join', query, shown, site) }
  }

  async get(call: Call, id: string): Promise<Outcome<JoinTokenInfo>> {
    const { value, revision } = await mustGet(this.#context, call.network, 'join', id)
    return { value: shown(value), revision }
  }

  /** A connector that has joined with it stays. Revoking again changes nothing. */
  async revoke(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#committer.run(call, async () => {
      const { value, revision } = await mustGet(this.#context, call.network, 'join', id)
      mustMatch(call, revision)
      if (value.revokedAt !== undefined) return { outcome: { value: undefined }, changes: [], audit: [] }
      const after: JoinTokenRecord = { ...value, revokedAt: this.#context.clock() }
      return {
        outcome: { value: undefined },
        changes: [{ type: 'put', kind: 'join', value: after, revision }],
        audit: [{ action: 'joinTokens.revoke', target: id, before: shown(value), after: shown(after) }],
      }
    })
  }
}

function shown({ hash: _, ...record }: JoinTokenRecord): JoinTokenInfo {
  return record
}
