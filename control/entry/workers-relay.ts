/**
 * The relay on Workers: a Durable Object for each connector. It holds its sockets in memory, not hibernating, because
 * waking it for each message costs more than the message. The object of the network says who may come.
 */
import { DurableObject } from 'cloudflare:workers'
import type { Context as Hono } from 'hono'
import { fromBase64url, toBase64url } from '../../protocol/control/base64url.ts'
import { Admission, type Verdict } from '../relay/admission.ts'
import type { Closing } from '../relay/close.ts'
import { STREAM_PROTOCOL } from '../relay/offer.ts'
import { type HeldSocket, Relay, type RelaySocket } from '../relay/relay.ts'
import { type ConnectorNames, EXCHANGE_LIMITS } from '../relay/types.ts'
import type { OpenRelay } from '../routes/operation.ts'
import { refusal } from '../service/refusals.ts'
import type { Services } from '../service/services.ts'
import { LOG } from './workers-common.ts'
import type {
  AcceptedSocket,
  ObjectState,
  RelayAdmitted,
  RelayAnswer,
  RelayStub,
  UpgradeRequest,
  WorkerEnv,
} from './workers-types.ts'

/** Relay sockets that a connector keeps open unused: none, because they would keep its object in memory. */
export const WORKERS_SPARES = 0
/** A socket that came for a function that left meanwhile waits so long for another one. */
const SPARE_MS = 10_000
const LIMITS = { ...EXCHANGE_LIMITS, heldBytes: 4 << 20, total: EXCHANGE_LIMITS.perConnector, spareMs: SPARE_MS }
/** Bytes of one message: a Noise message has no more. */
const MAX_MESSAGE = 65_535
/** From the Worker to the object; whoever calls the Worker cannot set it. */
const ADMITTED = 'isthmus-admitted'

const PATH = /^\/v1\/networks\/[^/]+\/(?:relay|connectors\/[^/]+\/stream)$/

/** Whether it goes to the relay of a connector, if it may. */
export function isRelayUpgrade(request: Request, pathname: string): boolean {
  return PATH.test(pathname) && request.headers.get('upgrade')?.toLowerCase() === 'websocket'
}

/** Within the Worker: has the network say who may, then takes the upgrade to the object of the connector. */
export async function relayUpgrade(request: Request, env: WorkerEnv, network: string): Promise<Response> {
  const asked = { url: request.url, headers: [...request.headers] }
  const answer = await env.NETWORKS.get(env.NETWORKS.idFromName(network)).admitRelay(asked)
  if ('refused' in answer) return refusedUpgrade(answer.refused)
  if ('status' in answer) return new Response(answer.body, { status: answer.status, headers: pairs(answer.headers) })
  const { admitted } = answer
  const relay = env.RELAYS.get(env.RELAYS.idFromName(`${admitted.network}/${admitted.connector}`))
  const offered = request.headers.get('sec-websocket-protocol')
  const headers = {
    upgrade: 'websocket',
    [ADMITTED]: JSON.stringify(admitted),
    ...(offered === null ? {} : { 'sec-websocket-protocol': offered }),
  }
  return relay.fetch(new Request(request.url, { headers }))
}

/** Clients of WebSockets see no HTTP status: the refusal is a close code. */
function refusedUpgrade({ code, reason }: Closing): Response {
  const { 0: client, 1: socket } = new WebSocketPair()
  socket.accept()
  socket.close(code, reason)
  return upgraded(client, true)
}

function upgraded(webSocket: unknown, selects: boolean): Response {
  const headers = selects ? { 'sec-websocket-protocol': STREAM_PROTOCOL } : {}
  return new Response(null, { status: 101, webSocket, headers } as ResponseInit)
}

/** Within the object of the network: the app admits, and leaves here what it says. */
export interface AdmittingEnv {
  readonly admitting: { answer?: RelayAnswer }
}

export class RelayDoor implements OpenRelay {
  readonly #admission: Admission

  constructor(services: () => Services) {
    this.#admission = new Admission(services)
  }

  async call(c: Hono, names: ConnectorNames): Promise<Response> {
    const verdict = await this.#admission.admit({
      ...names,
      protocols: c.req.header('sec-websocket-protocol'),
      seenAddress: c.req.header('cf-connecting-ip'),
    })
    return leave(c, answerOf(verdict))
  }

  async serve(c: Hono, names: ConnectorNames): Promise<Response> {
    return leave(c, { admitted: { as: 'connector', ...names } })
  }
}

function answerOf(verdict: Verdict): RelayAnswer {
  if ('refused' in verdict) return verdict
  const { first, ...caller } = verdict.caller
  return { admitted: { as: 'function', ...caller, ...(first === undefined ? {} : { first: toBase64url(first) }) } }
}

function leave(c: Hono, answer: RelayAnswer): Response {
  const { admitting } = c.env as Partial<AdmittingEnv>
  if (admitting === undefined) throw refusal('websocket-required', 'it did not come as an upgrade')
  admitting.answer = answer
  return new Response(null)
}

/** Runs the app on an upgrade. */
export async function admitUpgrade(
  fetch: (request: Request, env: AdmittingEnv) => Response | Promise<Response>,
  { url, headers }: UpgradeRequest,
): Promise<RelayAnswer> {
  const admitting: AdmittingEnv['admitting'] = {}
  const response = await fetch(new Request(url, { headers: pairs(headers) }), { admitting })
  return admitting.answer ?? { status: response.status, headers: [...response.headers], body: await response.text() }
}

function pairs(headers: UpgradeRequest['headers']): [string, string][] {
  return headers.map(([name, value]) => [name, value])
}

export class RelayObject extends DurableObject<WorkerEnv> implements RelayStub {
  readonly #relay: Relay

  constructor(ctx: ObjectState, env: WorkerEnv) {
    super(ctx, env)
    this.#relay = new Relay({
      log: LOG,
      limits: LIMITS,
      call: ({ network, connector }, count) =>
        env.NETWORKS.get(env.NETWORKS.idFromName(network)).call(network, connector, count),
    })
  }

  async fetch(request: Request): Promise<Response> {
    const admitted = JSON.parse(request.headers.get(ADMITTED)!) as RelayAdmitted
    const offered = request.headers.get('sec-websocket-protocol')?.split(',') ?? []
    const { 0: client, 1: accepted } = new WebSocketPair()
    const socket = new WorkersSocket(accepted)
    socket.held = this.#take(socket, admitted)
    return upgraded(
      client,
      offered.some((each) => each.trim() === STREAM_PROTOCOL),
    )
  }

  async revoked(network: string, connector: string): Promise<void> {
    this.#relay.revoked(network, connector)
  }

  async functionRevoked(network: string, id: string, at: number): Promise<void> {
    this.#relay.functionRevoked(network, id, at)
  }

  #take(socket: RelaySocket, admitted: RelayAdmitted): HeldSocket {
    if (admitted.as === 'connector') return this.#relay.serve(socket, admitted)
    const { as: _, first: text, ...caller } = admitted
    const first = text === undefined ? undefined : fromBase64url(text)
    return this.#relay.call(socket, first === undefined ? caller : { ...caller, first })
  }
}

/** The platform tells nothing of what waits to be sent: the windows of the session bound what is on its way. */
class WorkersSocket implements RelaySocket {
  held: HeldSocket | undefined
  readonly #socket: AcceptedSocket

  constructor(socket: AcceptedSocket) {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.accept()
    socket.addEventListener('message', (event) => this.#message((event as MessageEvent).data))
    socket.addEventListener('close', (event) => {
      const { code, reason } = event as unknown as Closing
      this.held?.closed(code, reason)
      this.close(1000, '')
    })
    socket.addEventListener('error', () => this.held?.closed(1006, ''))
  }

  send(data: Uint8Array | string): void {
    try {
      this.#socket.send(data)
    } catch {
      // It is closed; that is told by its event.
    }
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(code, reason)
    } catch {
      // It is closed already.
    }
  }

  pause(): void {}

  resume(): void {}

  #message(data: unknown): void {
    if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_MESSAGE) this.held?.misfit()
    else this.held?.message(new Uint8Array(data))
  }
}
