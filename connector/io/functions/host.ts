/**
 * Serves functions: sessions that come straight or over the relay, the services of `services.yaml`, and what is told of
 * both. Starts to do so when there is a sound file, and follows its changes.
 */
import type { WebSocket } from 'ws'
import type { FunctionsReport } from '../../../protocol/control/grant.ts'
import type { FunctionsStatus } from '../../../protocol/status.ts'
import { streamProblem } from '../../../protocol/stream-problem.ts'
import { formatFault } from '../../config/faults.ts'
import type { ServicesPlan } from '../../core/functions/plan.ts'
import { type FlowRecord, FlowRecords } from '../../core/functions/records.ts'
import type { ConnectorEvent } from '../../handle.ts'
import { HostListener } from './host-listener.ts'
import { RelayDialer } from './relay-dialer.ts'
import type { Lookup } from './resolve.ts'
import { ServicesFile } from './services-file.ts'
import { Serving, type ServingOptions } from './sessions.ts'
import { functionsStatus } from './status.ts'

export interface FunctionHostOptions extends Omit<ServingOptions, 'plan' | 'records' | 'ports'> {
  readonly services: { readonly path: string; readonly named: boolean }
  /** JWS by the identity, of the public half of the stream key. */
  readonly streamKeyJws: string
  /** Of the relay at the control plane; its value of Authorization for one upgrade. */
  readonly relay: { readonly url: URL; readonly authorize: () => Promise<string> }
  /** TCP ports on which this process listens besides. */
  readonly ownPorts: readonly number[]
  readonly onEvent: (event: ConnectorEvent) => void
  /** What `report` says has changed. */
  readonly onReport: () => void
  readonly lookup?: Lookup
}

/** Between looks at sessions, and at files. */
const LOOK_MS = 1000
const FILE_LOOK_MS = 2000

export class FunctionHost {
  readonly #options: FunctionHostOptions
  readonly #file: ServicesFile
  readonly #records = new FlowRecords()
  readonly #relay: RelayDialer
  readonly #listener: HostListener
  #serving: Serving | undefined
  /** The last file that was read had faults, in words. */
  #fault: string | undefined
  #timer: NodeJS.Timeout | undefined
  #fileLookedAt = Number.NEGATIVE_INFINITY
  #stopped = false
  /** The relay's wish, which is followed once there is something to serve. */
  #spare: number | undefined

  constructor(options: FunctionHostOptions) {
    const { relay, services } = options
    this.#options = options
    this.#file = new ServicesFile(services.path, services.named)
    this.#relay = new RelayDialer({
      ...relay,
      admit: () => this.#serving?.admit() ?? false,
      onSocket: (socket) => this.#serve(socket, 'relay', undefined),
      onTrouble: (reason) => this.#warn('relay', reason, 'Functions that come straight are served; it is tried again.'),
    })
    this.#listener = new HostListener({
      admit: () => this.#serving?.admit() ?? false,
      onSocket: (socket, firstFlight) => this.#serve(socket, 'direct', firstFlight),
      onWarning: (code, message, remedy) => this.#warn(code, message, remedy),
      onChange: () => options.onReport(),
    })
  }

  /** Resolves when what can be served is, and `report` tells so. Never rejects. */
  async start(): Promise<void> {
    await this.#looked()
    if (this.#stopped) return
    this.#timer = setInterval(() => void this.#looked(), LOOK_MS)
    this.#timer.unref()
  }

  /** For the report to the control plane; undefined where there is nothing to serve. */
  report(): FunctionsReport | undefined {
    const plan = this.#serving?.plan
    if (plan === undefined) return undefined
    const { url } = this.#listener
    return {
      streamKey: this.#options.streamKeyJws,
      ...(url === undefined ? {} : { direct: url }),
      services: plan.services.map(({ name, kind }) => ({ name, kind })),
    }
  }

  status(): FunctionsStatus | undefined {
    if (this.#serving === undefined && this.#fault === undefined) return undefined
    return functionsStatus({
      file: this.#file.path,
      fault: this.#fault,
      serving: this.#serving,
      records: this.#records,
      listening: this.#listener.status,
      relaySockets: this.#relay.waiting,
    })
  }

  /** The last streams, newest last. */
  streams(): readonly FlowRecord[] {
    return this.#records.records
  }

  /** The link stands; `spare` where the relay is to be had. */
  linked(spare: number | undefined): void {
    this.#spare = spare
    this.#followLink()
  }

  unlinked(): void {
    this.#spare = undefined
    this.#relay.unlinked()
  }

  called(count: number): void {
    if (this.#serving === undefined) return
    // A connector that serves since a moment ago has heard no wish; a call says that there is a relay.
    if (this.#spare === undefined) this.linked(0)
    this.#relay.called(count)
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearInterval(this.#timer)
    this.#relay.stop()
    this.#listener.close()
    await this.#serving?.stop(streamProblem('draining', 'The connector stops.', 'Ask another connector, or again.'))
  }

  async #looked(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.#warn('functions', `this should not happen: ${String(error)}`)
    }
  }

  async #look(): Promise<void> {
    const now = performance.now()
    this.#serving?.look(now)
    if (now - this.#fileLookedAt < FILE_LOOK_MS) return
    this.#fileLookedAt = now
    const news = this.#file.look()
    if (news?.type === 'faults') {
      const [first] = news.faults
      this.#fault = first === undefined ? undefined : formatFault(first)
      const after = this.#serving === undefined ? 'no functions are served' : 'what was read before stays in force'
      for (const fault of news.faults.slice(0, 10)) {
        this.#warn('services', `${formatFault(fault)} (${after})`, 'isthmus services check tells all faults')
      }
    } else if (news !== undefined) {
      this.#fault = undefined
      for (const warning of news.warnings) this.#warn('services', formatFault(warning))
      await this.#take(news.plan)
    }
    await this.#listener.look()
  }

  async #take(plan: ServicesPlan): Promise<void> {
    const { onEvent, lookup } = this.#options
    if (this.#serving === undefined) {
      this.#serving = new Serving({
        ...this.#options,
        plan,
        records: this.#records,
        ports: () => [...this.#options.ownPorts, ...(this.#listener.port === undefined ? [] : [this.#listener.port])],
        ...(lookup === undefined ? {} : { lookup }),
      })
    } else this.#serving.plan = plan
    const names = plan.services.map(({ name }) => name).join(', ')
    onEvent({
      type: 'services',
      services: plan.services.length,
      message: `serving functions: ${names || 'no service'}`,
    })
    await this.#listener.follow(plan)
    this.#followLink()
    this.#options.onReport()
  }

  #followLink(): void {
    if (this.#spare !== undefined && this.#serving !== undefined) this.#relay.linked(this.#spare)
  }

  #serve(socket: WebSocket, via: 'direct' | 'relay', firstFlight: Uint8Array | undefined): void {
    this.#serving?.serve(socket, via, firstFlight)
  }

  #warn(code: string, message: string, remedy?: string): void {
    this.#options.onEvent({ type: 'warning', code, message, ...(remedy === undefined ? {} : { remedy }) })
  }
}
