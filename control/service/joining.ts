/** Enrollment: a join token and a key that was made on site become a connector. */
import { type JoinAnswer, type JoinRequest, joinProofSchema, PROOF_LIFETIME_MS } from '../../protocol/control/join.ts'
import { MixedView } from '../domain/intents/mixed.ts'
import { hashSecret, parseJoinToken, secretMatches } from '../domain/tokens.ts'
import type { ConnectorRecord, JoinTokenRecord } from '../store/repo.ts'
import { auditedConnector, type ConnectorParts } from './connectors.ts'
import { refusal } from './refusals.ts'
import { sha256, utf8, type Verifier } from './signatures.ts'
import { freshId, instantText, nameTaken, optional } from './support.ts'
import type { Call, Outcome } from './types.ts'
import { Work } from './work.ts'

const MAX_NAME = 63
/** Connectors of one site: one that carries its tunnels, and others that stand by and serve functions. */
const MAX_CONNECTORS = 4

export class Joining {
  readonly #parts: ConnectorParts
  readonly #verifier: Verifier

  constructor(parts: ConnectorParts, verifier: Verifier) {
    this.#parts = parts
    this.#verifier = verifier
  }

  /**
   * Spends the token. Whoever repeats the request with the same key, because the answer was lost, gets it again; for
   * anybody else the token is used up.
   */
  async join(call: Call, request: JoinRequest): Promise<Outcome<JoinAnswer>> {
    const token = parseJoinToken(request.token)
    if (token === undefined) throw unknownToken()
    await this.#checkProof(request)
    const own: Call = { ...call, network: token.network }
    const { value: connector } = await this.#parts.committer.run(own, async () => {
      const join = await this.#openToken(token)
      const before = await this.#joinedBefore(token.network, join, request)
      if (before !== undefined) return { outcome: { value: before }, changes: [], audit: [] }
      mustBeFresh(join, this.#parts.context.clock())
      return this.#enroll(own, join, request)
    })
    return { value: await this.#answer(token.network, connector) }
  }

  /** The one who joins must have the private half of the key, and must have meant this token. */
  async #checkProof({ token, publicKey, proof }: JoinRequest): Promise<void> {
    const claims = await this.#verifier.open(proof, publicKey, joinProofSchema)
    if (claims === undefined || claims.token !== (await sha256(utf8(token)))) {
      const detail = 'not a proof for this token by this key'
      throw refusal('bad-signature', detail, { errors: [{ pointer: '/proof', detail }] })
    }
    const skew = claims.iat - this.#parts.context.clock()
    if (Math.abs(skew) <= PROOF_LIFETIME_MS) return
    throw refusal(
      'clock-skew',
      `the clock of the connector is ${Math.round(Math.abs(skew) / 1000)} s ${skew < 0 ? 'behind' : 'ahead'}`,
    )
  }

  async #openToken(token: { network: string; id: string; secret: string }): Promise<JoinTokenRecord> {
    const entry = await this.#parts.context.repo.get(token.network, 'join', token.id)
    const good = secretMatches(token.secret, entry?.value.hash ?? hashSecret(''))
    if (!good || entry === undefined) throw unknownToken()
    return entry.value
  }

  async #joinedBefore(
    network: string,
    join: JoinTokenRecord,
    request: JoinRequest,
  ): Promise<ConnectorRecord | undefined> {
    if (join.usedBy === undefined) return undefined
    const connector = (await this.#parts.context.repo.get(network, 'connector', join.usedBy))?.value
    if (connector?.identityKey !== request.publicKey || connector.revokedAt !== undefined) return undefined
    return connector
  }

  async #enroll(call: Call, join: JoinTokenRecord, request: JoinRequest) {
    const { context, intents, documents, rotating } = this.#parts
    const { network } = call
    const work = new Work(context.repo, network)
    const topology = await intents.topology(network)
    const site = topology.site(join.site)
    if (site === undefined) throw refusal('join-token-revoked', 'its site was removed')
    if (topology instanceof MixedView && topology.isNew(site.id)) {
      throw refusal('rollout-under-way', `${site.name} is new in it, and its connector can join when it has ended`)
    }
    const there = await documents.connectorsOf(work, site.id)
    if (there.length >= MAX_CONNECTORS) {
      throw refusal('site-has-connector', `${site.name} has ${there.map(({ name }) => name).join(', ')}`)
    }
    await this.#mustBeNewKey(network, request.publicKey)
    const now = context.clock()
    const connector: ConnectorRecord = {
      id: freshId(context, 'connector'),
      site: site.id,
      name: await this.#nameFor(network, request.name, site.name),
      identityKey: request.publicKey,
      // Also where the clock was set back: whoever came later never carries the tunnels of one who was there.
      joinedAt: Math.max(now, (there.at(-1)?.joinedAt ?? 0) + 1),
      addresses: request.addresses,
      software: request.software,
      documentVersion: 0,
      ...optional('seenAddress', call.seenAddress),
    }
    work.create('connector', connector)
    work.connectorsAt.set(site.id, [...there.map(({ id }) => id), connector.id])
    await work.put('join', { ...join, usedAt: now, usedBy: connector.id })
    for (const tunnel of there.length === 0 ? topology.tunnelsOf(site.id) : []) {
      await rotating.settle(work, topology, tunnel.id)
      for (const end of tunnel.sites) documents.refresh(work, end)
    }
    documents.refreshOne(work, connector.id)
    await documents.finish(work, topology)
    const after = await work.mustGet('connector', connector.id)
    work.audit({
      actor: `connector:${connector.id}`,
      action: 'connectors.join',
      target: connector.id,
      after: { ...(auditedConnector(after) as object), token: join.id },
    })
    return work.decision({ value: after })
  }

  /** Two connectors with one identity could not be told apart; and a revoked one does not come back. */
  async #mustBeNewKey(network: string, identityKey: string): Promise<void> {
    const [other] = await this.#parts.context.repo.list(network, 'connector', { ref: identityKey, limit: 1 })
    if (other === undefined) return
    const state = other.value.revokedAt === undefined ? '' : 'revoked '
    throw refusal('identity-in-use', `the ${state}connector ${other.value.id} has this key`)
  }

  /** The site's, unless it is taken or another one is wanted. */
  async #nameFor(network: string, wanted: string | undefined, site: string): Promise<string> {
    const taken = async (name: string) =>
      (await this.#parts.context.repo.byName(network, 'connector', name)) !== undefined
    if (wanted !== undefined) {
      if (await taken(wanted)) throw nameTaken('connector')
      return wanted
    }
    for (let number = 1; ; number++) {
      const suffix = number === 1 ? '' : `-${number}`
      const name = site.slice(0, MAX_NAME - suffix.length) + suffix
      if (!(await taken(name))) return name
    }
  }

  async #answer(network: string, { id }: ConnectorRecord): Promise<JoinAnswer> {
    const { documents, context } = this.#parts
    const document = await documents.current(network, id)
    return { network, connector: id, site: document.site.name, now: context.clock(), document }
  }
}

function mustBeFresh(join: JoinTokenRecord, now: number): void {
  if (join.revokedAt !== undefined)
    throw refusal('join-token-revoked', `it was revoked at ${instantText(join.revokedAt)}`)
  if (join.usedAt !== undefined) throw refusal('join-token-used', `it was used at ${instantText(join.usedAt)}`)
  if (join.expiresAt <= now) throw refusal('join-token-expired', `it expired at ${instantText(join.expiresAt)}`)
}

/** Of another installation, of another network, or guessed: the same to us. */
function unknownToken(): Error {
  return refusal('join-token-unknown', 'it is not a join token of this installation')
}
