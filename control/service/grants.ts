/**
 * Grants: what a function needs to open a session to a connector, and how whoever relays it knows the function again.
 * A grant is not awaited by anybody else, so nothing of it is stored.
 */
import {
  type Grant,
  type GrantRequest,
  type grantConnectorSchema,
  SESSION_TOKEN_MS,
  type SessionClaims,
  sessionClaimsSchema,
} from '../../protocol/control/grant.ts'
import { mayReachLess } from '../domain/functions.ts'
import type { ConnectorRecord, FunctionRecord } from '../store/repo.ts'
import type { Committer } from './commit.ts'
import type { Documents } from './documents.ts'
import type { GrantCounts } from './grant-counts.ts'
import { type FunctionKey, type FunctionKeys, hasFunctionKey } from './network-keys.ts'
import { refusal } from './refusals.ts'
import type { Verifier } from './signatures.ts'
import { mustGet, optional } from './support.ts'
import type { Call, Context, Outcome } from './types.ts'
import { Work } from './work.ts'

type GrantConnector = ReturnType<typeof grantConnectorSchema.parse>

export interface GrantParts {
  readonly context: Context
  readonly committer: Committer
  readonly documents: Documents
  readonly functionKeys: FunctionKeys
  readonly counts: GrantCounts
}

/** Who may pass the relay to a connector. */
export interface Passage {
  readonly claims: SessionClaims
  readonly connector: ConnectorRecord
}

export class Grants {
  readonly #parts: GrantParts
  readonly #verifier: Verifier

  constructor(parts: GrantParts, verifier: Verifier) {
    this.#parts = parts
    this.#verifier = verifier
  }

  /** `call.actor` is the function. Whether a site that it may not reach exists, it does not learn. */
  async create(call: Call, { site: name, publicKey }: GrantRequest): Promise<Outcome<Grant>> {
    const { context, documents, functionKeys, counts } = this.#parts
    const { network } = call
    const { value: own } = await mustGet(context, network, 'function', call.actor.function!)
    if (own.revokedAt !== undefined) throw refusal('token-revoked', 'it was revoked just now')
    const site = (await context.repo.byName(network, 'site', name))?.value
    const allowed = own.allow.find((entry) => entry.site === site?.id)
    if (site === undefined || allowed === undefined) {
      throw refusal('unknown-site', `there is no site ${name} that this function may reach`)
    }
    const key = await this.#key(call)
    const connectors = await documents.connectorsOf(new Work(context.repo, network), site.id)
    const now = context.clock()
    const expiresAt = Math.min(now + SESSION_TOKEN_MS, own.expiresAt ?? Number.MAX_SAFE_INTEGER)
    const claims: SessionClaims = {
      use: 'isthmus-session',
      network,
      function: own.id,
      name: own.name,
      site: site.name,
      services: [...allowed.services],
      key: publicKey,
      iat: now,
      exp: expiresAt,
    }
    const token = await functionKeys.sign(network, key, claims)
    counts.note(network, own.id, site.name)
    const shown = connectors.flatMap((record) => this.#connector(network, record) ?? [])
    return { value: { token, now, expiresAt, site: site.name, services: claims.services, connectors: shown } }
  }

  /**
   * What a session token says, when it is one of this network and good now; else undefined. Whether the function may
   * still do so, `admit` says.
   */
  async verify(network: string, token: string): Promise<SessionClaims | undefined> {
    const { repo, clock } = this.#parts.context
    const key = (await repo.get(network, 'network', network))?.value.functionKey
    const claims = key && (await this.#verifier.open(token, key, sessionClaimsSchema))
    if (!claims || claims.network !== network) return undefined
    return claims.exp > clock() ? claims : undefined
  }

  /**
   * Whether a session token opens the way to this connector at this moment. Throws a Refusal: `bad-credentials`;
   * `token-revoked` where the function was revoked, has another token or may reach less since; `not-found` for a
   * connector that is not at the site, or not any more.
   */
  async admit(network: string, connector: string, token: string): Promise<Passage> {
    const { repo } = this.#parts.context
    const claims = await this.verify(network, token)
    if (claims === undefined) throw refusal('bad-credentials', 'not a session token of this network that is good now')
    const own: FunctionRecord | undefined = (await repo.get(network, 'function', claims.function))?.value
    if (own === undefined || own.revokedAt !== undefined) throw refusal('token-revoked', 'the function was revoked')
    if (claims.iat < (own.renewedAt ?? 0)) throw refusal('token-revoked', 'the function has another token since')
    const site = (await repo.byName(network, 'site', claims.site))?.value
    const record = (await repo.get(network, 'connector', connector))?.value
    if (record === undefined || record.revokedAt !== undefined || record.site !== site?.id) {
      throw refusal('not-found', `there is no connector ${connector.slice(0, 40)} at ${claims.site}`)
    }
    const granted = [{ site: record.site, services: claims.services }]
    if (mayReachLess(granted, own.allow)) throw refusal('token-revoked', `it may reach less at ${claims.site} since`)
    return { claims, connector: record }
  }

  async #key(call: Call): Promise<FunctionKey> {
    const { context, committer, functionKeys } = this.#parts
    const { value } = await mustGet(context, call.network, 'network', call.network)
    if (hasFunctionKey(value)) return value
    const made = await committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      return work.decision({ value: await functionKeys.ensure(work) })
    })
    return made.value
  }

  #connector(network: string, { id, identityKey, functions }: ConnectorRecord): GrantConnector | undefined {
    if (functions === undefined) return undefined
    const { streamKey, direct } = functions
    const linked = this.#parts.context.hub.linked(network, id)
    const relay = linked ? `/v1/networks/${network}/connectors/${id}/stream` : undefined
    return { id, identityKey, streamKey, ...optional('direct', direct), ...optional('relay', relay) }
  }
}
