/** The connections to services that speak HTTP: undici's pools, over our own dials and warm connections. */
import type { Socket } from 'node:net'
import { type Dispatcher, Pool } from 'undici'
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { ServicePlan } from '../../core/functions/plan.ts'
import type { Asked } from '../../core/functions/policy.ts'
import { type Destination, type Dialer, placeOf } from './dial.ts'
import { problem } from './failure.ts'
import { WarmSockets } from './warm.ts'

/** A connection without a request is kept so long, unless the service says otherwise. */
const KEEP_ALIVE_MS = 30_000
const KEEP_ALIVE_MAX_MS = 300_000
/** Of hosts of networks: how many pools there are, and how long one is kept unused. */
const MAX_HOSTS = 256
const UNUSED_MS = 60_000
/** As large as the head of a Binary HTTP message may be. */
const MAX_HEAD = 65_536

export interface HttpPool {
  /** What people call it. */
  readonly where: string
  readonly service: ServicePlan
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
  /** To be called once when the request is over. */
  release(): void
}

interface Entry {
  readonly service: ServicePlan
  readonly where: string
  readonly pool: Pool
  readonly warm: WarmSockets | undefined
  active: number
  usedAt: number
}

export class HttpPools {
  readonly #dialer: Dialer
  readonly #entries = new Map<string, Entry>()
  #stopped = false

  constructor(dialer: Dialer) {
    this.#dialer = dialer
  }

  /** Begins to hold warm connections where the service wants some. */
  warmUp(service: ServicePlan): void {
    if (service.kind === 'network' || service.kind === 'tcp' || service.warm === 0) return
    const asked: Asked = { kind: 'http', host: service.name, port: service.port }
    this.#entry({ service }, asked, service.kind === 'https')
  }

  /** Warm connections that stand, for `isthmus services`. */
  ready(service: string): number {
    let ready = 0
    for (const entry of this.#entries.values()) if (entry.service.name === service) ready += entry.warm?.ready ?? 0
    return ready
  }

  /** A place at the service, or why there is none now. */
  acquire(destination: Destination, asked: Asked, secure: boolean): HttpPool | { readonly problem: StreamProblem } {
    const entry = this.#entry(destination, asked, secure)
    const { service, where } = entry
    // As many again may wait for a connection.
    if (this.#stopped || entry.active >= 2 * service.maxConnections) {
      const cause = `${where} has ${service.maxConnections} requests under way, and as many that wait.`
      return {
        problem: problem('overloaded', cause, 'Try again in a moment, or raise max_connections of the service.'),
      }
    }
    entry.active++
    entry.usedAt = performance.now()
    let held = true
    return {
      where,
      service,
      dispatch: (options, handler) => void entry.pool.dispatch(options, handler),
      release: () => {
        if (held) entry.active--
        held = false
        entry.usedAt = performance.now()
      },
    }
  }

  /** Ends idle pools of hosts; to be called now and then. */
  sweep(): void {
    const old = performance.now() - UNUSED_MS
    for (const [key, entry] of this.#entries) {
      if (entry.service.kind === 'network' && entry.active === 0 && entry.usedAt < old) this.#drop(key, entry)
    }
  }

  /** Ends what belongs to services that are gone or have changed; requests under way are finished. */
  retain(services: ReadonlySet<ServicePlan>): void {
    for (const [key, entry] of this.#entries) if (!services.has(entry.service)) this.#drop(key, entry)
  }

  stop(): void {
    this.#stopped = true
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key)
      entry.warm?.stop()
      void entry.pool.destroy().catch(() => {})
    }
  }

  #entry(destination: Destination, asked: Asked, secure: boolean): Entry {
    const { service } = destination
    // Those who may use other networks have connections of their own: an address in one of these is none for all.
    const names = 'candidates' in destination ? destination.candidates.map(({ name }) => name).join() : ''
    const key = names === '' ? service.name : `${names} ${secure} ${asked.host}:${asked.port}`
    const known = this.#entries.get(key)
    if (known?.service === service) return known
    if (known !== undefined) this.#drop(key, known)
    if (service.kind === 'network') this.#makeRoom()
    const entry = this.#make(destination, asked, secure)
    this.#entries.set(key, entry)
    return entry
  }

  #make(destination: Destination, asked: Asked, tls: boolean): Entry {
    const { service } = destination
    const dial = async (signal?: AbortSignal): Promise<Socket> => {
      const timeoutMs = service.timeouts.connect
      const options = { destination, asked, tls, timeoutMs, ...(signal === undefined ? {} : { signal }) }
      return (await this.#dialer.dial(options)).socket
    }
    const size = 'warm' in service ? service.warm : 0
    const warm = size === 0 ? undefined : new WarmSockets(size, dial)
    const pool = new Pool(`${tls ? 'https' : 'http'}://service.invalid`, {
      connections: service.maxConnections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
      maxHeaderSize: MAX_HEAD,
      // Ours, which tell more.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_options, done) => {
        const ready = warm?.take()
        // undici expects its answer later than its question.
        const connected = ready === undefined ? dial() : Promise.resolve(ready.ref())
        connected.then(
          (socket) => done(null, socket),
          (error: Error) => done(error, null),
        )
      },
    })
    return { service, where: placeOf(destination, asked), pool, warm, active: 0, usedAt: performance.now() }
  }

  #makeRoom(): void {
    const hosts = [...this.#entries].filter(([, { service }]) => service.kind === 'network')
    if (hosts.length < MAX_HOSTS) return
    const idle = hosts.filter(([, { active }]) => active === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt)
    const [oldest] = idle.length > 0 ? idle : hosts
    if (oldest !== undefined) this.#drop(...oldest)
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key)
    entry.warm?.stop()
    void entry.pool.close().catch(() => {})
  }
}
