/** A site as a function sees it, in memory: a control plane that gives grants, connectors, and the SDK on a platform. */
import { toBase64url } from '../../protocol/control/base64url.ts'
import type { StreamCrypto } from '../../protocol/stream-crypto.ts'
import { loadStreamAead } from '../../wasm/stream-aead-node.ts'
import type { Site, SiteOptions } from '../sdk/api.ts'
import type { InvocationMark, Platform, Timing } from '../sdk/platform.ts'
import { siteMaker } from '../sdk/site.ts'
import { webStreamCrypto } from '../sdk/stream-crypto.ts'
import { Peer, type PeerServices } from './peer.ts'

export const NETWORK = '0123456789abcdefghjk'
export const TOKEN = `ist_function_${NETWORK}_${NETWORK}_${'A'.repeat(43)}`
export const CONTROL = 'https://control.test'

export interface WorldOptions {
  /** One connector for each; `direct` and `relay` unless it says otherwise. */
  readonly connectors?: readonly ConnectorOptions[]
  readonly services?: PeerServices
  readonly timing?: Partial<Timing>
  readonly mark?: () => InvocationMark
}

export interface ConnectorOptions {
  readonly direct?: boolean
  readonly relay?: boolean
}

export interface TestConnector {
  readonly peer: Peer
  readonly identityKey: string
  streamKey: string
  /** By its identity. */
  sign(claims: object): Promise<string>
  direct: boolean
  relay: boolean
}

const KEY = { name: 'Ed25519' } as const

export class World {
  readonly crypto: StreamCrypto
  readonly connectors: TestConnector[] = []
  readonly platform: Platform
  readonly make: (name: string, options?: SiteOptions) => Site
  /** Requests for grants, as they came. */
  readonly asked: { url: string; init: RequestInit }[] = []
  /** What the control plane answers with instead of a grant. */
  answer: (() => Response | Promise<Response>) | undefined
  /** By which the control plane's clock is ahead. */
  aheadMs = 0
  grantMs = 600_000
  env: string | undefined
  directUrl = (id: string): string => `wss://${id}.test/`

  private constructor(options: WorldOptions) {
    this.crypto = webStreamCrypto(loadStreamAead())
    this.platform = {
      crypto: () => this.crypto,
      environmentToken: () => this.env,
      dial: (call, events) => this.#peerAt(call.url).dial(call, events),
      timing: options.timing ?? {},
      ...(options.mark === undefined ? {} : { mark: options.mark }),
    }
    this.make = siteMaker(this.platform)
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    for (const [number, connector] of (options.connectors ?? [{ relay: false }]).entries()) {
      world.connectors.push(await world.#connector(number, connector, options.services ?? {}))
    }
    return world
  }

  get peer(): Peer {
    return this.connectors[0]!.peer
  }

  site(options: SiteOptions = {}): Site {
    return this.make('hq', { token: `${TOKEN}@${CONTROL}`, fetch: this.fetch, ...options })
  }

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.asked.push({ url, init })
    if (this.answer !== undefined) return this.answer()
    const now = Date.now() + this.aheadMs
    return Response.json({
      token: 'aaaa.bbbb.cccc',
      now,
      expiresAt: now + this.grantMs,
      site: 'hq',
      services: ['erp'],
      connectors: this.connectors.map(({ peer, identityKey, streamKey, direct, relay }) => ({
        id: peer.id,
        identityKey,
        streamKey,
        ...(direct ? { direct: this.directUrl(peer.id) } : {}),
        ...(relay ? { relay: `/v1/networks/net_${NETWORK}/connectors/${peer.id}/stream` } : {}),
      })),
    })
  }

  /** A JWS of `claims` by `key`. */
  async sign(claims: object, key: CryptoKey): Promise<string> {
    const part = (value: object) => toBase64url(new TextEncoder().encode(JSON.stringify(value)))
    const signed = `${part({ alg: 'EdDSA' })}.${part(claims)}`
    const tag = await crypto.subtle.sign(KEY, key, new TextEncoder().encode(signed))
    return `${signed}.${toBase64url(new Uint8Array(tag))}`
  }

  async #connector(number: number, options: ConnectorOptions, services: PeerServices): Promise<TestConnector> {
    const id = `con_${String(number).padStart(20, '0')}`
    const peer = new Peer(id, this.crypto)
    peer.services = { ...services }
    const pair = await keyPair()
    const identity = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
    const key = toBase64url(peer.keys.publicKey)
    const claims = { use: 'isthmus-stream-key', network: `net_${NETWORK}`, connector: id, key }
    const streamKey = await this.sign(claims, pair.privateKey)
    const { direct = true, relay = true } = options
    const sign = (other: object) => this.sign(other, pair.privateKey)
    return { peer, identityKey: toBase64url(identity), streamKey, sign, direct, relay }
  }

  #peerAt(url: string): Peer {
    return this.connectors.find(({ peer }) => url.includes(peer.id))!.peer
  }
}

async function keyPair(): Promise<{ readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }> {
  const made = await crypto.subtle.generateKey(KEY, true, ['sign', 'verify'])
  if (!('publicKey' in made)) throw new Error('Ed25519 makes pairs')
  return made
}
