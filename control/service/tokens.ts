/** API tokens of people and jobs. The text is shown once, when the token is made. */
import type { ApiTokenInfo, Role } from '../../protocol/control/resources.ts'
import { makeApiToken, SECRET_BYTES } from '../domain/tokens.ts'
import type { ApiTokenRecord } from '../store/repo.ts'
import type { Auth } from './auth.ts'
import type { Committer } from './commit.ts'
import { freshId, mustGet, mustMatch, nameTaken, optional, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'

const DAY_MS = 24 * 3_600_000

export interface ApiTokenDraft {
  readonly name: string
  readonly role: Role
  readonly expiresInDays?: number | undefined
}

export class Tokens {
  readonly #context: Context
  readonly #committer: Committer
  readonly #lastUsed: Auth['lastUsed']

  constructor(context: Context, committer: Committer, lastUsed: Auth['lastUsed']) {
    this.#context = context
    this.#committer = committer
    this.#lastUsed = lastUsed
  }

  async create(call: Call, draft: ApiTokenDraft): Promise<Outcome<ApiTokenInfo & { token: string }>> {
    const context = this.#context
    return this.#committer.run(call, async () => {
      await mustGet(context, call.network, 'network', call.network)
      const taken = await context.repo.byName(call.network, 'token', draft.name)
      if (taken !== undefined) throw nameTaken('token')
      const now = context.clock()
      const id = freshId(context, 'token')
      const { text, hash } = makeApiToken({
        role: draft.role,
        network: call.network,
        id,
        secret: context.random(SECRET_BYTES),
      })
      const record: ApiTokenRecord = {
        id,
        name: draft.name,
        role: draft.role,
        hash,
        createdAt: now,
        ...optional('expiresAt', draft.expiresInDays === undefined ? undefined : now + draft.expiresInDays * DAY_MS),
      }
      const info = this.#shown(record)
      return {
        outcome: { value: { ...info, token: text }, revision: 1 },
        changes: [{ type: 'put', kind: 'token', value: record, revision: 0 }],
        audit: [{ action: 'tokens.create', target: id, after: info }],
      }
    })
  }

  async list(call: Call, query: PageQuery): Promise<Outcome<PageOf<ApiTokenInfo>>> {
    return { value: await pageOf(this.#context, call.network, 'token', query, (token) => this.#shown(token)) }
  }

  async get(call: Call, id: string): Promise<Outcome<ApiTokenInfo>> {
    const { value, revision } = await mustGet(this.#context, call.network, 'token', id)
    return { value: this.#shown(value), revision }
  }

  /** Takes effect with the next request. Revoking again changes nothing. */
  async revoke(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#committer.run(call, async () => {
      const { value, revision } = await mustGet(this.#context, call.network, 'token', id)
      mustMatch(call, revision)
      if (value.revokedAt !== undefined) return { outcome: { value: undefined }, changes: [], audit: [] }
      const after: ApiTokenRecord = { ...value, revokedAt: this.#context.clock() }
      return {
        outcome: { value: undefined },
        changes: [{ type: 'put', kind: 'token', value: after, revision }],
        audit: [{ action: 'tokens.revoke', target: id, before: this.#shown(value), after: this.#shown(after) }],
      }
    })
  }

  #shown({ hash: _, ...record }: ApiTokenRecord): ApiTokenInfo {
    return { ...record, ...optional('lastUsedAt', this.#lastUsed(record.id)) }
  }
}
