/** A connector that serves, and functions that come to it over loopback: for tests. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import WebSocket from 'ws'
import { toBase64url } from '../../../../protocol/control/base64url.ts'
import type { SessionClaims } from '../../../../protocol/control/grant.ts'
import type { StreamCrypto, StreamKeyPair } from '../../../../protocol/stream-crypto.ts'
import { InitiatorSession } from '../../../../protocol/stream-session.ts'
import type { InitiatorMode, ResumptionTicket } from '../../../../protocol/stream-session-types.ts'
import { loadStreamAead } from '../../../../wasm/stream-aead-node.ts'
import { nodeStreamCrypto } from '../../../../wasm/stream-crypto-node.ts'
import type { FunctionLimits, ListenPlan, ServicePlan } from '../../../core/functions/plan.ts'
import { FlowRecords } from '../../../core/functions/records.ts'
import { LIMITS } from '../../../core/functions/testing.ts'
import type { ConnectorEvent } from '../../../handle.ts'
import { Listener, STREAM_PROTOCOL } from '../listener.ts'
import type { Lookup } from '../resolve.ts'
import { Serving } from '../sessions.ts'
import { FunctionClient } from './function-client.ts'

export const NETWORK = 'net_00000000000000000000'
export const CONNECTOR = 'con_00000000000000000000'
export const FUNCTION = 'fn_00000000000000000000'

export const crypto: StreamCrypto = nodeStreamCrypto(loadStreamAead())

export interface WorldOptions {
  readonly services: readonly ServicePlan[]
  readonly limits?: Partial<FunctionLimits>
  readonly lookup?: Lookup
  readonly tls?: NonNullable<ListenPlan['tls']>
}

export interface CallOptions {
  /** Of the token; default: every service. */
  readonly services?: readonly string[]
  readonly claims?: Partial<SessionClaims>
  readonly ticket?: ResumptionTicket
  /** Of the handshake; default: the right one. */
  readonly responderKey?: Uint8Array
  /** Says what goes with the first flight. */
  readonly early?: (client: FunctionClient) => void
  /** As the first message, in place of the subprotocol. */
  readonly asMessage?: boolean
  /** Milliseconds that its clock is ahead. */
  readonly aheadMs?: number
  /** Ends it at once, without the answer to the ping: nobody there. */
  readonly mute?: boolean
}

export class World {
  readonly serving: Serving
  readonly events: ConnectorEvent[] = []
  readonly records = new FlowRecords()
  readonly #listener: Listener
  readonly #options: WorldOptions
  readonly #signer: KeyObject
  readonly #streamKeys: StreamKeyPair
  readonly #clients: FunctionClient[] = []
  /** Added to the clock of the control plane. */
  clockMs = 0

  private constructor(
    options: WorldOptions,
    listener: Listener,
    signer: KeyObject,
    streamKeys: StreamKeyPair,
    makeServing: (world: World) => Serving,
  ) {
    this.#options = options
    this.#listener = listener
    this.#signer = signer
    this.#streamKeys = streamKeys
    this.serving = makeServing(this)
  }

  static async open(options: WorldOptions): Promise<World> {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const { x } = publicKey.export({ format: 'jwk' })
    const streamKeys = crypto.generateKeyPair()
    const plan = { address: '127.0.0.1', port: 0, url: 'ws://127.0.0.1/', ...(options.tls && { tls: options.tls }) }
    let serving: Serving | undefined
    const listener = await Listener.open({
      plan: plan as ListenPlan,
      maxConnections: 2000,
      admit: () => serving!.admit(),
      onSocket: (socket, firstFlight) => serving!.serve(socket, 'direct', firstFlight),
    })
    const world = new World(options, listener, privateKey, streamKeys, (self) => {
      serving = new Serving({
        plan: { services: options.services, limits: { ...LIMITS, ...options.limits } },
        network: NETWORK,
        connector: CONNECTOR,
        site: () => 'hq',
        tokenKeys: () => [x!],
        // The memory of replays trusts nothing from before it began.
        controlTime: () => Date.now() + 10_000 + self.clockMs,
        crypto,
        streamKeys,
        records: self.records,
        ports: () => [],
        onEvent: (event) => self.events.push(event),
        ...(options.lookup && { lookup: options.lookup }),
      })
      return serving
    })
    world.clockMs += 5000
    return world
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'ws' : 'wss'}://127.0.0.1:${this.#listener.port}/`
  }

  get streamKey(): Uint8Array {
    return this.#streamKeys.publicKey
  }

  token(key: Uint8Array, changes: Partial<SessionClaims> = {}): string {
    const now = this.serving.controlTime()
    const claims: SessionClaims = {
      use: 'isthmus-session',
      network: NETWORK,
      function: FUNCTION,
      name: 'orders',
      site: 'hq',
      services: this.#options.services.map(({ name }) => name),
      key: toBase64url(key),
      iat: Math.round(now),
      exp: Math.round(now) + 600_000,
      ...changes,
    }
    const parts = [{ alg: 'EdDSA' }, claims].map((part) => toBase64url(Buffer.from(JSON.stringify(part))))
    return `${parts.join('.')}.${toBase64url(sign(null, Buffer.from(parts.join('.')), this.#signer))}`
  }

  /** A function's session; its handshake is under way. */
  call(options: CallOptions = {}): FunctionClient {
    const staticKeys = crypto.generateKeyPair()
    const { services, claims, ticket, responderKey = this.streamKey } = options
    const token = this.token(staticKeys.publicKey, { ...(services && { services: [...services] }), ...claims })
    const mode: InitiatorMode =
      ticket === undefined ? { type: 'ik', staticKeys, responderKey, token } : { type: 'resume', ticket }
    const session = new InitiatorSession({
      crypto,
      connector: CONNECTOR,
      mode,
      time: this.serving.controlTime() + (options.aheadMs ?? 0),
      maxFirstFlight: options.asMessage === true ? 65_000 : 6000,
      limits: { maxPeerStreams: 0, maxWindow: 1 << 20, maxWindowTotal: 8 << 20, sendBuffer: 1 << 20 },
      now: performance.now(),
    })
    const client = new FunctionClient(session, options.mute === true)
    options.early?.(client)
    client.start((flight) => {
      const protocols = [STREAM_PROTOCOL, ...(options.asMessage === true ? [] : [`f.${toBase64url(flight)}`])]
      const socket = new WebSocket(this.url, protocols, { perMessageDeflate: false, rejectUnauthorized: false })
      if (options.asMessage === true) socket.on('open', () => socket.send(flight))
      return socket
    })
    this.#clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.serving.stop({ code: 'draining', cause: 'over', remedy: 'none', retry: 'elsewhere' })
    this.#listener.close()
  }
}
