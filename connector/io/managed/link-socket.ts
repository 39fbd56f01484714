/** Runs a `LinkClient` on a WebSocket and on HTTP. */
import { randomBytes } from 'node:crypto'
import WebSocket from 'ws'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { type ConnectorReport, type LinkEvent, MAX_LINK_MESSAGE } from '../../../protocol/control/link.ts'
import { LinkClient, type LinkEffect, type LinkInput, type LinkState } from '../../core/managed/link.ts'
import { type Driver, drive } from '../driver.ts'
import { type ControlClient, ControlFailure } from './control-client.ts'

/** HTTP statuses of a request that is no better the next time. */
const NOT_TAKEN = new Set([400, 413, 422])

export interface LinkHandlers {
  /** The document that is held. */
  document(): ConnectorDocument | undefined
  onDocument(document: ConnectorDocument): void
  /** The link stands; `spare` where the relay is to be had. */
  onWelcome(spare: number | undefined): void
  /** Functions wait at the relay for so many sockets. */
  onCall(count: number): void
  /** A report is wanted now. */
  onAsk(): void
  onChange(state: LinkState, detail: string): void
}

export class Link {
  readonly #url: string
  readonly #client: ControlClient
  readonly #handlers: LinkHandlers
  readonly #driver: Driver<LinkInput>
  #socket: WebSocket | undefined
  #stopped = false

  constructor(url: string, client: ControlClient, handlers: LinkHandlers) {
    this.#url = url
    this.#client = client
    this.#handlers = handlers
    const machine = new LinkClient(
      (length) => new Uint8Array(randomBytes(length)),
      () => handlers.document(),
    )
    this.#driver = drive<LinkInput, LinkEffect>(machine, {
      perform: (effect) => this.#perform(effect),
      onError: (error) => handlers.onChange(machine.state, String(error)),
      onFault: (error) => handlers.onChange(machine.state, String(error)),
    })
  }

  start(report: ConnectorReport): void {
    this.report(report)
    this.#driver.post({ type: 'start' })
  }

  report(report: ConnectorReport): void {
    this.#driver.post({ type: 'report', report })
  }

  event(event: LinkEvent): void {
    this.#driver.post({ type: 'event', event })
  }

  /** Nothing is sent or told from here on. */
  stop(): void {
    this.#stopped = true
    this.#driver.stop()
    this.#drop()
  }

  #perform(effect: LinkEffect): undefined {
    switch (effect.type) {
      case 'connect':
        void this.#connect()
        return
      case 'disconnect':
        this.#drop()
        return
      case 'send':
        this.#socket?.send(effect.text)
        return
      case 'ping':
        this.#socket?.ping()
        return
      case 'poll':
        void this.#poll(effect)
        return
      case 'document':
        this.#handlers.onDocument(effect.document)
        return
      case 'welcomed':
        this.#client.learnNow(effect.now)
        this.#handlers.onWelcome(effect.spare)
        return
      case 'call':
        this.#handlers.onCall(effect.count)
        return
      case 'ask':
        this.#handlers.onAsk()
        return
      case 'changed':
        this.#handlers.onChange(effect.state, effect.detail)
        return
    }
  }

  async #connect(): Promise<void> {
    const authorization = await this.#client.authorizeLink()
    if (this.#stopped) return
    const url = new URL(this.#client.linkPath, this.#url)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url, {
      headers: { Authorization: authorization },
      perMessageDeflate: false,
      maxPayload: MAX_LINK_MESSAGE,
      handshakeTimeout: 15_000,
      followRedirects: false,
    })
    this.#drop()
    this.#socket = socket
    let told = false
    const closed = (reason: string, status?: number): void => {
      if (told || this.#socket !== socket) return
      told = true
      this.#driver.post({ type: 'closed', reason, ...(status === undefined ? {} : { status }) })
    }
    socket.on('open', () => this.#mine(socket) && this.#driver.post({ type: 'opened' }))
    socket.on('message', (data) => this.#mine(socket) && this.#driver.post({ type: 'message', text: String(data) }))
    socket.on('pong', () => this.#mine(socket) && this.#driver.post({ type: 'alive' }))
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      response.resume()
      // Where only the time was refused, the next attempt goes by the other end's clock.
      const learned = status === 401 && this.#client.learnTime(response.headers.date)
      closed(`the control plane refused the link with HTTP status ${status}`, learned ? undefined : status)
      socket.terminate()
    })
    socket.on('error', (error) => closed(`the control plane cannot be reached: ${error.message}`))
    socket.on('close', (code, reason) =>
      closed(`the link was closed (${code}${reason.length > 0 ? ` ${reason}` : ''})`),
    )
  }

  async #poll({ report, events, version }: Extract<LinkEffect, { type: 'poll' }>): Promise<void> {
    try {
      if (report !== undefined) await this.#client.report(report, events)
      const document = await this.#client.document(version)
      this.#driver.post({ type: 'polled', ...(document === undefined ? {} : { document }) })
    } catch (error) {
      const failure = error instanceof ControlFailure ? error.message : String(error)
      const refused = error instanceof ControlFailure && NOT_TAKEN.has(error.status ?? 0)
      this.#driver.post({ type: 'polled', failure, refused })
    }
  }

  #mine(socket: WebSocket): boolean {
    return this.#socket === socket
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    if (socket === undefined) return
    socket.removeAllListeners()
    socket.on('error', () => undefined)
    if (socket.readyState === WebSocket.OPEN) socket.close(1000)
    else socket.terminate()
    // A peer that does not close its end must not keep the descriptor.
    setTimeout(() => socket.terminate(), 2000).unref()
  }
}
