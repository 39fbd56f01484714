/** What the entries make `site` of. */
import { type Account, readAccount } from './account.ts'
import type { Site, SiteOptions, SiteSocket, SocketAddress, SocketOptions } from './api.ts'
import { type Connection, TcpConnection, type TcpTarget, tcpDial } from './connection.ts'
import { failure, type IsthmusError } from './error.ts'
import { CONNECT_MS, siteFetch } from './fetch.ts'
import type { Platform } from './platform.ts'
import { Shared, SiteState } from './site-state.ts'
import { StreamSocket } from './socket.ts'

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/

/** `site` of this platform. What it keeps is shared by all its sites. */
export function siteMaker(platform: Platform): (name: string, options?: SiteOptions) => Site {
  const shared = new Shared(platform)
  return (name, options = {}) => new RemoteSite(name, options, shared)
}

class RemoteSite implements Site {
  readonly name: string
  readonly #options: SiteOptions
  readonly #shared: Shared
  #state: SiteState | undefined
  #closed = false

  /** Asks nobody, and needs no randomness: it may be made before the first request. */
  constructor(name: string, options: SiteOptions, shared: Shared) {
    this.name = name
    this.#options = options
    this.#shared = shared
  }

  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return siteFetch(this.#ready(), input, init, this.#options.timeouts ?? {})
  }

  connect(address: SocketAddress | string, options: SocketOptions = {}): SiteSocket {
    const { hostname, port } = readAddress(address)
    const { secureTransport = 'off', allowHalfOpen = false } = options
    const { connect = CONNECT_MS } = this.#options.timeouts ?? {}
    const tls = secureTransport === 'on' ? { tls: true } : {}
    const target: TcpTarget = { opening: { kind: 'tcp', host: hostname, port, ...tls }, connectMs: connect }
    return new StreamSocket((fail) => this.#dial(target, fail), { secureTransport, allowHalfOpen, hostname })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#state?.release()
  }

  /** A failure to begin is told as one of the connection. */
  #dial(target: TcpTarget, fail: (error: unknown) => void): Connection {
    try {
      const state = this.#ready()
      return tcpDial(state, target)(fail)
    } catch (error) {
      return new TcpConnection(fail, () => Promise.reject(error))
    }
  }

  #ready(): SiteState {
    if (this.#closed) throw closed(this.name)
    if (this.#state === undefined) {
      if (!NAME.test(this.name)) throw noName(this.name)
      this.#state = new SiteState(this.name, this.#shared, this.#account(), this.#options)
    }
    return this.#state
  }

  #account(): Account {
    return readAccount(this.#options.token ?? this.#shared.platform.environmentToken(), this.#options.url)
  }
}

/** Throws TypeError for what is no address. */
function readAddress(address: SocketAddress | string): SocketAddress {
  if (typeof address !== 'string') return address
  const [, host, port] =
    /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)?.filter((part) => part !== undefined) ?? []
  if (host === undefined) throw new TypeError('an address is host:port')
  return { hostname: host, port: Number(port) }
}

function closed(name: string): IsthmusError {
  return failure('session-lost', `The way to site ${name} was closed.`, 'Make another one with site().')
}

function noName(name: string): IsthmusError {
  const cause = `${JSON.stringify(name.slice(0, 63))} is no name of a site.`
  return failure('unknown-site', cause, 'isthmus site list shows the names.')
}
