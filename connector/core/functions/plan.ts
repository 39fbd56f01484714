/** What `services.yaml` means: the services of a site, who may use them, and how they are reached. */
import type { Address, Prefix } from '../../../protocol/net.ts'

export interface ServicesPlan {
  /** In the order of the file; names are unique, and so are the host names that lead to them. */
  readonly services: readonly ServicePlan[]
  /** Where functions may come straight to us. */
  readonly listen?: ListenPlan
  readonly limits: FunctionLimits
}

export interface ListenPlan {
  readonly address: Address
  readonly port: number
  /** What functions are told: `wss:` or `ws:`. */
  readonly url: string
  /** PEM. Absent: plain WebSocket, for behind a TLS proxy. */
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/** Milliseconds. */
export interface ServiceTimeouts {
  readonly connect: number
  /** From the request to the head of the answer. */
  readonly response: number
  /** Without a byte either way. */
  readonly idle: number
  readonly total: number
}

/** How TLS is spoken to a service; certificates and keys as PEM. */
export interface ServiceTls {
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  /** In place of the host's name, for SNI and for the check of the certificate. */
  readonly serverName?: string
}

interface ServiceBase {
  readonly name: string
  /** Names of the functions that may use it. */
  readonly allow: readonly string[]
  readonly timeouts: ServiceTimeouts
  readonly maxConnections: number
  readonly tls: ServiceTls
}

export interface TargetService extends ServiceBase {
  readonly kind: 'http' | 'https' | 'tcp'
  /** An address in canonical form or a host name; a name is resolved at each dial. */
  readonly host: string
  readonly port: number
  /** Further names, lower case, besides `name` and `name.internal`. */
  readonly hosts: readonly string[]
  /** Names in lower case. Secret: they never leave for a log or an answer. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly hostHeader?: string
  readonly warm: number
}

export interface NetworkService extends ServiceBase {
  readonly kind: 'network'
  readonly networks: readonly Prefix[]
  /** Inclusive. */
  readonly ports: readonly { readonly start: number; readonly end: number }[]
}

export type ServicePlan = TargetService | NetworkService

export interface FunctionLimits {
  readonly sessions: number
  readonly sessionsPerFunction: number
  /** Of them those that have not shown yet that somebody lives at the other end. */
  readonly handshakes: number
  readonly streams: number
  readonly streamsPerSession: number
  /** By one function, over all of its sessions. */
  readonly streamsPerSecond: number
  /** Bytes that wait in this process for somebody to take them. */
  readonly memory: number
}
