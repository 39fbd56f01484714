/** Connections to services: to checked addresses only, with TLS where it is wanted, in bounded time. */
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { type Address, familyOf, parseAddress } from '../../../protocol/net.ts'
import type { NetworkService, ServicePlan, ServiceTls, TargetService } from '../../core/functions/plan.ts'
import { type Asked, admitAddresses, admitTarget, type OwnPorts, plainHost } from '../../core/functions/policy.ts'
import { connectTimeout, dialProblem, StreamFailure } from './failure.ts'
import type { Resolver } from './resolve.ts'

/** Where to, once it is decided. */
export type Destination =
  | { readonly service: TargetService }
  | { readonly service: NetworkService; readonly candidates: readonly NetworkService[] }

export interface DialOptions {
  readonly destination: Destination
  readonly asked: Asked
  readonly tls: boolean
  readonly timeoutMs: number
  /** Ends the attempt; the promise rejects with its reason. */
  readonly signal?: AbortSignal
}

export interface Dialled {
  readonly socket: Socket
  /** Which of the candidates it was. */
  readonly service: ServicePlan
}

/** Between attempts at the addresses of one host (RFC 8305 section 5). */
const NEXT_ADDRESS_MS = 250

export class Dialer {
  readonly #resolver: Resolver
  readonly #ports: () => readonly number[]

  /** `ports`: TCP ports on which this process itself listens. */
  constructor(resolver: Resolver, ports: () => readonly number[]) {
    this.#resolver = resolver
    this.#ports = ports
  }

  /**
   * A connected socket, the caller's, with allowHalfOpen and without listeners. Rejects with a StreamFailure, or with
   * the reason of the signal.
   */
  async dial({ destination, asked, tls, timeoutMs, signal }: DialOptions): Promise<Dialled> {
    const where = placeOf(destination, asked)
    const end = new AbortController()
    const timer = setTimeout(() => end.abort(new StreamFailure(connectTimeout(where))), timeoutMs)
    const stop = () => end.abort(signal!.reason)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    try {
      const { service, addresses, port } = await raced(this.#admitted(destination, asked), end.signal)
      const socket = connectTo(addresses, port)
      await connected(socket, 'connect', end.signal)
      if (!tls) return { socket, service }
      const name = service.kind === 'network' ? plainHost(asked.host) : service.host
      return { socket: await secured(socket, service.tls, name, end.signal), service }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw new StreamFailure(dialProblem(error, where))
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
  }

  async #admitted(
    destination: Destination,
    asked: Asked,
  ): Promise<{ service: ServicePlan; addresses: readonly Address[]; port: number }> {
    const own: OwnPorts = { addresses: ownAddresses(), ports: new Set(this.#ports()) }
    if ('candidates' in destination) {
      const found = await this.#resolver.resolve(plainHost(asked.host))
      const admitted = admitAddresses(destination.candidates, asked, found, own)
      if ('problem' in admitted) throw new StreamFailure(admitted.problem)
      return { ...admitted, port: asked.port }
    }
    const { service } = destination
    const admitted = admitTarget(service, asked, await this.#resolver.resolve(service.host), own)
    if ('problem' in admitted) throw new StreamFailure(admitted.problem)
    return { service, addresses: admitted, port: service.port }
  }
}

/** TLS over a connection that stands, to the one that `name` names. Rejects with an error for `dialProblem`. */
export function secured(socket: Socket, tls: ServiceTls, name: string, signal: AbortSignal): Promise<TLSSocket> {
  const secure = connectTls({ ...tlsOptions(tls, name), socket })
  return connected(secure, 'secureConnect', signal)
}

function tlsOptions({ ca, certificate, key, serverName }: ServiceTls, host: string): ConnectionOptions {
  const name = serverName ?? host
  return {
    // SNI takes names only (RFC 6066 section 3); the certificate is checked against addresses as well.
    ...(isIP(name) === 0 ? { servername: name } : { servername: '', host: name }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  }
}

/** What people call it, with nothing in it that the function does not know. */
export function placeOf(destination: Destination, asked: Asked): string {
  return 'candidates' in destination ? `${asked.host}, port ${asked.port},` : `the service ${destination.service.name}`
}

/** One after the other where there are several. No name is looked up here: they are the ones that were checked. */
function connectTo(addresses: readonly Address[], port: number): Socket {
  const lookup: LookupFunction = (_name, options, done) => {
    const all = addresses.map((address) => ({ address: address as string, family: familyOf(address) }))
    if (options.all === true) done(null, all)
    else done(null, all[0]!.address, all[0]!.family)
  }
  const base = { port, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }
  if (addresses.length === 1) return connect({ ...base, host: addresses[0]! })
  const several = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS }
  return connect({ ...base, ...several, host: 'service.invalid', lookup })
}

function connected<T extends Socket>(socket: T, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<T> {
  return raced(
    new Promise<T>((resolve, reject) => {
      const settle = (error?: Error) => {
        socket.off('error', settle).off('close', closed).off(event, open)
        if (error === undefined) return resolve(socket)
        // A failing socket may tell more than once.
        socket.on('error', () => {}).destroy()
        reject(error)
      }
      const open = () => settle()
      const closed = () => settle(Object.assign(new Error('closed'), { code: 'ECONNRESET' }))
      socket.on('error', settle).on('close', closed).on(event, open)
      signal.addEventListener('abort', () => settle(signal.reason), { once: true })
    }),
    signal,
  )
}

function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

let cachedAddresses: { readonly at: number; readonly set: ReadonlySet<Address> } | undefined

/** Asked of the system at most once a second. */
function ownAddresses(): ReadonlySet<Address> {
  const now = performance.now()
  if (cachedAddresses === undefined || now - cachedAddresses.at > 1000) {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    cachedAddresses = { at: now, set: new Set(all.flatMap(({ address }) => parseAddress(address) ?? [])) }
  }
  return cachedAddresses.set
}
