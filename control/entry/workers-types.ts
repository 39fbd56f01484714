/** The shapes of the Workers platform that the entry relies on, and what it is configured with. */

import type { Closing } from '../relay/close.ts'
import type { Caller, ConnectorNames } from '../relay/types.ts'
import type { DurableStorage } from '../store/sqlite-do.ts'
import type { StoreAnswer, StoreCall } from './remote-repo.ts'

export interface WorkerEnv {
  readonly NETWORKS: Namespace<NetworkStub>
  readonly DIRECTORY: Namespace<DirectoryStub>
  /** By `<network>/<connector>`. */
  readonly RELAYS: Namespace<RelayStub>
  /** Secret: `ist_admin_...`; without it nobody can make networks. */
  readonly ADMIN_TOKEN?: string
  /** Secret: the key-encryption keys, as `readKeyring` takes them. */
  readonly KEYRING?: string
  /** Networks for which AWS may be called: names divided by commas, or `all`. */
  readonly AWS_NETWORKS?: string
  /** Secrets: the credentials for that. */
  readonly AWS_ACCESS_KEY_ID?: string
  readonly AWS_SECRET_ACCESS_KEY?: string
  readonly AWS_SESSION_TOKEN?: string
  /** In place of AWS's own. */
  readonly AWS_ENDPOINT_URL_EC2?: string
}

export interface Stub {
  fetch(request: Request): Promise<Response>
}

/** Methods that one object calls at another. Errors lose their class on the way, so none of ours is thrown across. */
export interface NetworkStub extends Stub {
  store(call: StoreCall): Promise<StoreAnswer>
  tick(): Promise<void>
  /** Whether an upgrade may go on to the relay of a connector. */
  admitRelay(request: UpgradeRequest): Promise<RelayAnswer>
  /** Has a connector open sockets to its relay. False where it has no link. */
  call(network: string, connector: string, count: number): Promise<boolean>
}

/** As a Worker gets it. */
export interface UpgradeRequest {
  readonly url: string
  readonly headers: readonly (readonly [string, string])[]
}

export type RelayAnswer =
  | { readonly admitted: RelayAdmitted }
  | { readonly refused: Closing }
  /** It is no upgrade that we take: answered as any request. */
  | { readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly body: string }

/** What the object of a relay is told of a socket that comes to it. `first` is base64url. */
export type RelayAdmitted =
  | (Omit<Caller, 'first'> & { readonly as: 'function'; readonly first?: string })
  | (ConnectorNames & { readonly as: 'connector' })

export interface RelayStub extends Stub {
  revoked(network: string, connector: string): Promise<void>
  functionRevoked(network: string, id: string, at: number): Promise<void>
}

export interface DirectoryStub extends Stub {
  tick(): Promise<void>
}

export interface Namespace<S extends Stub = Stub> {
  idFromName(name: string): unknown
  get(id: unknown): S
}

/** A WebSocket that outlives the object that accepted it. */
export interface HibernatingSocket {
  send(text: string): void
  close(code?: number, reason?: string): void
  serializeAttachment(value: unknown): void
  deserializeAttachment(): unknown
}

/** A WebSocket that one object holds for as long as it is in memory. */
export interface AcceptedSocket extends EventTarget {
  binaryType: 'arraybuffer' | 'blob'
  accept(): void
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
}

export interface ObjectState {
  readonly storage: DurableStorage & {
    getAlarm(): Promise<number | null>
    setAlarm(at: number): Promise<void>
    deleteAlarm(): Promise<void>
  }
  waitUntil(work: Promise<unknown>): void
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>
  acceptWebSocket(socket: HibernatingSocket, tags?: readonly string[]): void
  getWebSockets(tag?: string): HibernatingSocket[]
}

/** The answer to an upgrade, on both sides of it. */
export interface UpgradeResponse extends Response {
  readonly webSocket: ClientSocket | null
}

/** The other end of a pair, as whoever fetched it holds it. */
export interface ClientSocket extends EventTarget {
  binaryType: 'arraybuffer' | 'blob'
  accept(): void
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
}

declare global {
  /** Of the Workers runtime. */
  const WebSocketPair: new () => { readonly 0: ClientSocket; readonly 1: HibernatingSocket & AcceptedSocket }
}
