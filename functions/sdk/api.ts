/** What a program sees of the SDK. Nothing here does anything. */

/** How a function reaches one site. */
export interface Site {
  readonly name: string
  /**
   * Like the global `fetch`, for http and https services of the site. The response comes with the head of the
   * answer; bodies stream both ways, also at once. Rejects with an IsthmusError, with the reason of an abort, or with
   * a TypeError where the request itself makes no sense.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Like `connect` of `cloudflare:sockets`: returns at once, and what is written at once goes with the opening. */
  connect(address: SocketAddress | string, options?: SocketOptions): SiteSocket
  /**
   * Ends what this object has under way, and the sessions with the site unless another object of the same site and
   * token is in use. A program need not call it: an idle session keeps no process alive.
   */
  close(): Promise<void>
}

export interface SiteOptions {
  /** `ist_function_...@https://control.example.net`, or without the address where `url` has it. Default: $ISTHMUS_TOKEN. */
  readonly token?: string | undefined
  /** Address of the control plane, where the token does not bring it. */
  readonly url?: string | URL | undefined
  /** By which the control plane is asked. Default: the global one. */
  readonly fetch?: ((input: string, init: RequestInit) => Promise<Response>) | undefined
  readonly timeouts?: Timeouts | undefined
  /**
   * Identity keys (Ed25519, base64url) of the only connectors that are trusted, as `isthmus connector show` tells
   * them. Without it the control plane is believed which connectors a site has.
   */
  readonly connectorKeys?: readonly string[] | undefined
}

/** Milliseconds. */
export interface Timeouts {
  /** Until there is a session with a connector. Default: 10,000. */
  readonly connect?: number
  /** From the request to the head of the response. Default: what the connector has set for the service. */
  readonly response?: number
}

export interface SocketAddress {
  readonly hostname: string
  readonly port: number
}

export interface SocketOptions {
  /**
   * `on`: the connector speaks TLS with the service, by the service's own CA and client certificate; `starttls`: it
   * begins when `startTls` is called. Default: `off`.
   */
  readonly secureTransport?: 'off' | 'on' | 'starttls'
  /** Whether this end stays writable when the service has finished. Default: false. */
  readonly allowHalfOpen?: boolean
}

export interface SocketInfo {
  /** The service's, as the connector dialled it, where it tells. */
  readonly remoteAddress?: string
  readonly localAddress?: string
}

export interface TlsOptions {
  /** The name that the service's certificate must have. Default: the hostname that was connected to. */
  readonly expectedServerHostname?: string
}

export interface SiteSocket {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
  /** When the service has taken the connection. */
  readonly opened: Promise<SocketInfo>
  /** When both directions have ended. Rejects where one broke off. */
  readonly closed: Promise<void>
  /** Whether this socket has become another by `startTls`. */
  readonly upgraded: boolean
  readonly secureTransport: 'off' | 'on' | 'starttls'
  /** Ends both directions at once, also what is under way. */
  close(): Promise<void>
  /** The same connection under TLS, spoken by the connector, as a new socket; this one is at its end. */
  startTls(options?: TlsOptions): SiteSocket
}
