/** The shapes of the Workers platform that the entry relies on, and what it is configured with. */

import type { DurableStorage } from '../store/sqlite-do.ts'
import type { StoreAnswer, StoreCall } from './remote-repo.ts'

export interface WorkerEnv {
  readonly NETWORKS: Namespace<NetworkStub>
  readonly DIRECTORY: Namespace<DirectoryStub>
  /** Secret: `ist_admin_...`; without it nobody can make networks. */
  readonly ADMIN_TOKEN?: string
  /** Secret: the key-encryption keys, as `readKeyring` takes them. */
  readonly KEYRING?: string
}

export interface Stub {
  fetch(request: Request): Promise<Response>
}

/** Methods that one object calls at another. Errors lose their class on the way, so none of ours is thrown across. */
export interface NetworkStub extends Stub {
  store(call: StoreCall): Promise<StoreAnswer>
  tick(): Promise<void>
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

export interface ObjectState {
  readonly storage: DurableStorage & {
    getAlarm(): Promise<number | null>
    setAlarm(at: number): Promise<void>
    deleteAlarm(): Promise<void>
  }
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
  accept(): void
  send(text: string): void
  close(code?: number, reason?: string): void
}

declare global {
  /** Of the Workers runtime. */
  const WebSocketPair: new () => { readonly 0: ClientSocket; readonly 1: HibernatingSocket }
}
