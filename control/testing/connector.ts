/** A connector as the API sees one: it joins, follows its documents, and reports. Its IKE SA is a number. For tests only. */
import {
  type ConnectorDocument,
  connectorDocumentSchema,
  type DocumentTunnel,
} from '../../protocol/control/document.ts'
import type { FunctionsReport } from '../../protocol/control/grant.ts'
import { joinAnswerSchema } from '../../protocol/control/join.ts'
import type { EpochStatus, TunnelReport } from '../../protocol/control/link.ts'
import { sha256, sign, utf8 } from '../service/signatures.ts'
import {
  type Answer,
  type Caller,
  type Identity,
  type Joined,
  makeIdentity,
  START,
  seededRandom,
  signed,
} from './caller.ts'

/** The body of a join request. */
export async function joinRequest(
  world: Caller,
  token: string,
  identity: Identity,
  more: object = {},
): Promise<object> {
  const claims = { use: 'isthmus-join', token: await sha256(utf8(token)), iat: world.clock.now }
  const proof = await sign(claims, identity.jwk)
  return { token, publicKey: identity.publicKey, addresses: ['192.0.2.1'], software: '1.0.0', proof, ...more }
}

export class TestConnector {
  readonly world: Caller
  readonly joined: Joined
  document: ConnectorDocument
  startedAt = START
  /** By tunnel: the epoch that its IKE SA is authenticated with. */
  readonly #using = new Map<string, number>()
  /** Our signed half by tunnel and epoch. */
  readonly #halves = new Map<string, string>()
  readonly #random: (length: number) => Uint8Array
  sent = 0
  /** Packets that come in besides what the peer sent. */
  lost = 0

  private constructor(world: Caller, joined: Joined, document: ConnectorDocument, seed: number) {
    this.world = world
    this.joined = joined
    this.document = document
    this.#random = seededRandom(seed)
  }

  static async join(world: Caller, token: string, seed: number): Promise<TestConnector> {
    const identity = makeIdentity(seed)
    const answer = await world.request('POST', '/v1/join', { body: await joinRequest(world, token, identity) })
    if (answer.status !== 200) throw new Error(`join: ${answer.status} ${JSON.stringify(answer.body)}`)
    const { network, connector, document } = joinAnswerSchema.parse(answer.body)
    return new TestConnector(world, { ...identity, network, connector }, document, seed + 1000)
  }

  get path(): string {
    return `/v1/networks/${this.joined.network}/connectors/${this.joined.connector}`
  }

  /** Asks for the document and carries it out. Returns whether there was a new one. */
  async follow(): Promise<boolean> {
    const headers = { 'if-none-match': `"${this.document.version}"` }
    const answer = await signed(this.world, this.joined, 'GET', `${this.path}/document`, { headers })
    if (answer.status === 304) return false
    if (answer.status !== 200) throw new Error(`document: ${answer.status} ${JSON.stringify(answer.body)}`)
    this.document = connectorDocumentSchema.parse(answer.body)
    return true
  }

  async report(more: object = {}): Promise<Answer> {
    const tunnels = await Promise.all(this.document.tunnels.map((tunnel) => this.#tunnel(tunnel)))
    const report = {
      version: this.document.version,
      startedAt: this.startedAt,
      at: this.world.clock.now,
      software: '1.0.0',
      addresses: ['192.0.2.1'],
      tunnels,
      ...more,
    }
    return signed(this.world, this.joined, 'POST', `${this.path}/report`, { body: { report, events: [] } })
  }

  /** What it says of the functions that it serves: its key, signed, and one service. */
  async serving(more: object = {}): Promise<FunctionsReport> {
    const { network, connector, jwk } = this.joined
    const claims = { use: 'isthmus-stream-key', network, connector, key: makeIdentity(7).publicKey }
    const streamKey = await sign(claims, jwk)
    return { streamKey, services: [{ name: 'erp', kind: 'http' }], ...more }
  }

  /** What IKE would do: authenticates with the newest epoch that is to be used. */
  authenticate(): void {
    for (const { id, epochs } of this.document.tunnels) {
      const use = epochs.findLast(({ phase }) => phase === 'use')
      if (use?.peerKey !== undefined) this.#using.set(id, use.epoch)
    }
  }

  async #tunnel({ id, epochs, peer }: DocumentTunnel): Promise<TunnelReport> {
    const using = this.#using.get(id)
    const statuses = await Promise.all(
      epochs.map(async ({ epoch, phase, peerKey }): Promise<EpochStatus> => {
        const accepted = phase !== 'offer' && peerKey !== undefined
        const key = await this.#half(id, epoch, peer.connector)
        const status = { epoch, key, accepted, using: using === epoch, confirmed: using === epoch }
        return accepted ? { ...status, fingerprint: epoch.toString(16).padStart(16, '0') } : status
      }),
    )
    const traffic = {
      outPackets: this.sent,
      inPackets: this.sent,
      outBytes: 0,
      inBytes: 0,
      dropped: 0,
      missing: this.lost,
    }
    return { tunnel: id, state: using === undefined ? 'connecting' : 'up', epochs: statuses, traffic }
  }

  async #half(tunnel: string, epoch: number, peer: string): Promise<string> {
    const name = `${tunnel}/${epoch}`
    const known = this.#halves.get(name)
    if (known !== undefined) return known
    const { network, connector, jwk } = this.joined
    const key = makeIdentity(this.#random(1)[0]!).publicKey
    const half = await sign({ use: 'isthmus-epoch-key', network, tunnel, epoch, connector, peer, key }, jwk)
    this.#halves.set(name, half)
    return half
  }
}

/** Lets connectors report and follow until nothing changes any more. */
export async function converge(...connectors: readonly TestConnector[]): Promise<void> {
  for (let round = 0; round < 40; round++) {
    let news = false
    for (const connector of connectors) {
      connector.authenticate()
      connector.sent += 100
      const answer = await connector.report()
      if (answer.status !== 200) throw new Error(`report: ${answer.status} ${JSON.stringify(answer.body)}`)
      if (await connector.follow()) news = true
    }
    if (!news && round > 2) return
  }
  throw new Error('the documents never come to rest')
}
