/** Functions: programs that may reach services behind connectors. Their tokens are shown once, when they are made. */
import type { FunctionChange, FunctionDraft, FunctionInfo } from '../../protocol/control/grant.ts'
import { type Allowed, mayReachLess, resolvedAllow, withoutSites } from '../domain/functions.ts'
import { sameValue } from '../domain/intent.ts'
import { makeFunctionToken, type NewToken, SECRET_BYTES } from '../domain/tokens.ts'
import type { FunctionRecord } from '../store/repo.ts'
import type { Committer } from './commit.ts'
import type { GrantCounts } from './grant-counts.ts'
import { refusal } from './refusals.ts'
import { freshId, instantText, mustGet, mustMatch, nameTaken, optional, pageOf } from './support.ts'
import type { Call, Context, Outcome, PageOf, PageQuery } from './types.ts'
import type { Work } from './work.ts'

const DAY_MS = 24 * 3_600_000
const PAGE = 1000

export type NewFunction = FunctionInfo & { readonly token: string }

export class Functions {
  readonly #context: Context
  readonly #committer: Committer
  readonly #counts: GrantCounts

  constructor(context: Context, committer: Committer, counts: GrantCounts) {
    this.#context = context
    this.#committer = committer
    this.#counts = counts
  }

  async create(call: Call, { name, allow, expiresInDays }: FunctionDraft): Promise<Outcome<NewFunction>> {
    return this.#committer.run(call, async () => {
      await mustGet(this.#context, call.network, 'network', call.network)
      const resolved = await this.#resolved(call.network, allow)
      await this.#mustBeFree(call.network, name)
      const id = freshId(this.#context, 'function')
      const { text, hash } = this.#token(call.network, id)
      const now = this.#context.clock()
      const record: FunctionRecord = {
        id,
        name,
        hash,
        allow: resolved,
        createdAt: now,
        ...optional('expiresInDays', expiresInDays),
        ...expiryOf(expiresInDays, now),
      }
      const info = this.#shown(call.network, record)
      return {
        outcome: { value: { ...info, token: text }, revision: 1 },
        changes: [{ type: 'put', kind: 'function', value: record, revision: 0 }],
        audit: [{ action: 'functions.create', target: id, after: audited(record) }],
      }
    })
  }

  async list(call: Call, query: PageQuery): Promise<Outcome<PageOf<FunctionInfo>>> {
    const show = (record: FunctionRecord) => this.#shown(call.network, record)
    return { value: await pageOf(this.#context, call.network, 'function', query, show) }
  }

  async get(call: Call, id: string): Promise<Outcome<FunctionInfo>> {
    const { value, revision } = await mustGet(this.#context, call.network, 'function', id)
    return { value: this.#shown(call.network, value), revision }
  }

  /**
   * Grants that are given from now on follow it. Where it may reach less, what a relay has joined for it ends: it comes
   * back with a new grant, or not at all.
   */
  async replace(call: Call, id: string, { name, allow }: FunctionChange): Promise<Outcome<FunctionInfo>> {
    return this.#committer.run(call, async () => {
      const before = await this.#living(call, id)
      const resolved = await this.#resolved(call.network, allow)
      await this.#mustBeFree(call.network, name, id)
      const after: FunctionRecord = { ...before.value, name, allow: resolved }
      if (sameValue(after, before.value)) {
        const value = this.#shown(call.network, before.value)
        return { outcome: { value, revision: before.revision }, changes: [], audit: [] }
      }
      return {
        outcome: { value: this.#shown(call.network, after), revision: before.revision + 1 },
        changes: [{ type: 'put', kind: 'function', value: after, revision: before.revision }],
        audit: [{ action: 'functions.replace', target: id, before: audited(before.value), after: audited(after) }],
        ...(mayReachLess(before.value.allow, resolved) ? { committed: () => this.#cutOff(call, id) } : {}),
      }
    })
  }

  /** Another token, good for as long as the first one was; the one before is refused from the next request on. */
  async renew(call: Call, id: string): Promise<Outcome<NewFunction>> {
    return this.#committer.run(call, async () => {
      const { value, revision } = await this.#living(call, id)
      const { text, hash } = this.#token(call.network, id)
      const now = this.#context.clock()
      const after: FunctionRecord = { ...value, hash, renewedAt: now, ...expiryOf(value.expiresInDays, now) }
      return {
        outcome: { value: { ...this.#shown(call.network, after), token: text }, revision: revision + 1 },
        changes: [{ type: 'put', kind: 'function', value: after, revision }],
        audit: [{ action: 'functions.renew', target: id, before: audited(value), after: audited(after) }],
        committed: () => this.#cutOff(call, id),
      }
    })
  }

  /** Takes effect with the next grant, and at once at our relay. Revoking again changes nothing. */
  async revoke(call: Call, id: string): Promise<Outcome<undefined>> {
    return this.#committer.run(call, async () => {
      const { value, revision } = await mustGet(this.#context, call.network, 'function', id)
      mustMatch(call, revision)
      if (value.revokedAt !== undefined) return { outcome: { value: undefined }, changes: [], audit: [] }
      const after: FunctionRecord = { ...value, revokedAt: this.#context.clock() }
      return {
        outcome: { value: undefined },
        changes: [{ type: 'put', kind: 'function', value: after, revision }],
        audit: [{ action: 'functions.revoke', target: id, before: audited(value), after: audited(after) }],
        committed: () => this.#cutOff(call, id),
      }
    })
  }

  #cutOff({ network }: Call, id: string): void {
    this.#context.hub.functionRevoked(network, id)
  }

  #token(network: string, id: string): NewToken {
    return makeFunctionToken({ network, id, secret: this.#context.random(SECRET_BYTES) })
  }

  async #living(call: Call, id: string) {
    const entry = await mustGet(this.#context, call.network, 'function', id)
    mustMatch(call, entry.revision)
    const { revokedAt } = entry.value
    if (revokedAt !== undefined) throw refusal('function-revoked', `it was revoked at ${instantText(revokedAt)}`)
    return entry
  }

  async #mustBeFree(network: string, name: string, self?: string): Promise<void> {
    const taken = await this.#context.repo.byName(network, 'function', name)
    if (taken !== undefined && taken.value.id !== self) throw nameTaken('function')
  }

  async #resolved(network: string, allow: FunctionChange['allow']): Promise<Allowed[]> {
    const { repo } = this.#context
    const sites = new Map<string, { readonly id: string } | undefined>()
    for (const { site } of allow) {
      const entry = site.includes('_')
        ? await repo.get(network, 'site', site)
        : await repo.byName(network, 'site', site)
      sites.set(site, entry?.value)
    }
    return resolvedAllow(allow, (reference) => sites.get(reference))
  }

  #shown(network: string, record: FunctionRecord): FunctionInfo {
    return { ...audited(record), ...optional('lastGrantAt', this.#counts.lastGrant(network, record.id)) }
  }
}

/** What functions may reach at these sites goes with them. Part of the decision that removes the sites. */
export async function forgetSites(
  { repo }: Pick<Context, 'repo'>,
  work: Work,
  removed: ReadonlySet<string>,
): Promise<void> {
  if (removed.size === 0) return
  for (let after = ''; ; ) {
    const page = await repo.list(work.network, 'function', { after, limit: PAGE })
    for (const record of work.adopt('function', page)) {
      const allow = withoutSites(record.allow, removed)
      if (allow === record.allow) continue
      const changed: FunctionRecord = { ...record, allow: [...allow] }
      await work.put('function', changed)
      work.audit({
        action: 'functions.replace',
        target: record.id,
        before: audited(record),
        after: audited(changed),
      })
    }
    if (page.length < PAGE) return
    after = page.at(-1)!.value.id
  }
}

function expiryOf(days: number | undefined, now: number): Pick<FunctionRecord, 'expiresAt'> {
  return optional('expiresAt', days === undefined ? undefined : now + days * DAY_MS)
}

function audited({ hash: _, expiresInDays: __, renewedAt: ___, ...record }: FunctionRecord): FunctionInfo {
  return record
}
