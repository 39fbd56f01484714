/** The listener that the file asks for, as it changes; a port that cannot be had is tried again. */
import type { WebSocket } from 'ws'
import type { ListenPlan, ServicesPlan } from '../../core/functions/plan.ts'
import { Listener } from './listener.ts'

export interface HostListenerOptions {
  readonly admit: () => boolean
  readonly onSocket: (socket: WebSocket, firstFlight: Uint8Array | undefined) => void
  readonly onWarning: (code: string, message: string, remedy: string) => void
  /** `url` has changed. */
  readonly onChange: () => void
}

/** Connections that are on their way to be something, besides sessions and handshakes. */
const MORE_CONNECTIONS = 64
const RETRY_MS = 10_000

export class HostListener {
  readonly #options: HostListenerOptions
  #plan: ListenPlan | undefined
  #maxConnections = 0
  #listener: Listener | undefined
  #triedAt = 0
  #closed = false

  constructor(options: HostListenerOptions) {
    this.#options = options
  }

  /** What functions are told; undefined while nothing listens. */
  get url(): string | undefined {
    return this.#listener === undefined ? undefined : this.#plan?.url
  }

  get port(): number | undefined {
    return this.#listener?.port
  }

  get status(): { readonly url: string; readonly listening: boolean } | undefined {
    return this.#plan === undefined ? undefined : { url: this.#plan.url, listening: this.#listener !== undefined }
  }

  /** Sessions that stand are not touched. */
  async follow({ listen, limits }: ServicesPlan): Promise<void> {
    const maxConnections = limits.sessions + limits.handshakes + MORE_CONNECTIONS
    const same = JSON.stringify(listen) === JSON.stringify(this.#plan) && maxConnections === this.#maxConnections
    if (same) return
    this.#listener?.close()
    this.#listener = undefined
    this.#plan = listen
    this.#maxConnections = maxConnections
    await this.#open()
  }

  /** To be called now and then. */
  async look(): Promise<void> {
    if (this.#plan === undefined || this.#listener !== undefined) return
    if (performance.now() - this.#triedAt < RETRY_MS) return
    await this.#open()
    if (this.#listener !== undefined) this.#options.onChange()
  }

  close(): void {
    this.#closed = true
    this.#listener?.close()
    this.#listener = undefined
  }

  async #open(): Promise<void> {
    const plan = this.#plan
    if (plan === undefined || this.#closed) return
    this.#triedAt = performance.now()
    try {
      const listener = await Listener.open({ ...this.#options, plan, maxConnections: this.#maxConnections })
      if (this.#closed || this.#plan !== plan) listener.close()
      else this.#listener = listener
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error)
      const message = `functions cannot come straight: ${plan.address} port ${plan.port} cannot be had (${code})`
      const remedy = `set listen.port in services.yaml to a free one; "ss -ltnp sport = :${plan.port}" shows who has it`
      this.#options.onWarning('listen', message, remedy)
    }
  }
}
