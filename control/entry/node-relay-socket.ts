/**
 * A WebSocket of the relay on Node: it tells when too much waits to be sent on it, so that the other one is not read
 * meanwhile, and finds out when nobody is there any more.
 */
import type { WebSocket } from 'ws'
import type { HeldSocket, RelaySocket } from '../relay/relay.ts'

/** Bytes that wait to be sent on a socket before the other one is not read any more, and until it is read again. */
const HIGH_WATER = 128 << 10
const LOW_WATER = 32 << 10
/** A socket that says and takes nothing for so long, not even a ping, is dead. */
const SILENT_MS = 75_000
/** One that says nothing for so long is pinged. */
const PING_MS = 25_000
/** Closing is asked for; after so long it is done, and later where something is left to be sent. */
const CLOSE_MS = 2000
const FLUSH_MS = 10_000

export class NodeSocket implements RelaySocket {
  held: HeldSocket | undefined
  readonly #ws: WebSocket
  #heardAt = Date.now()
  /** Of the last sweep: a clock that costs nothing for each message. */
  #now = this.#heardAt
  #pinged = false
  #full = false
  /** Of what waits, something went out. */
  #wroteAt = this.#heardAt
  #closingAt: number | undefined

  constructor(ws: WebSocket, onGone: () => void) {
    this.#ws = ws
    ws.on('message', (data, binary) => {
      this.#alive()
      if (binary) this.held?.message(data as Buffer)
      else this.held?.misfit()
    })
    ws.on('ping', () => this.#alive())
    ws.on('pong', () => this.#alive())
    // What breaks the rules of RFC 6455, or is too long, has had its close frame.
    ws.on('error', () => ws.terminate())
    ws.on('close', (code, reason) => {
      onGone()
      this.held?.closed(code, String(reason))
    })
  }

  send(data: Uint8Array | string): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    this.#ws.send(data, { binary: typeof data !== 'string' }, this.#written)
    if (this.#full || this.#ws.bufferedAmount <= HIGH_WATER) return
    this.#full = true
    this.#wroteAt = this.#now
    this.held?.full()
  }

  close(code: number, reason: string): void {
    this.#closingAt = Date.now()
    this.resume()
    this.#ws.close(code, reason)
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    // Time that it was not read is not time that it was silent.
    if (this.#ws.isPaused) this.#alive()
    this.#ws.resume()
  }

  get backlog(): number {
    return this.#ws.bufferedAmount
  }

  terminate(): void {
    this.#ws.terminate()
  }

  look(now: number): void {
    this.#now = now
    if (this.#closingAt !== undefined) {
      if (now - this.#closingAt > (this.#ws.bufferedAmount > 0 ? FLUSH_MS : CLOSE_MS)) this.#ws.terminate()
    } else if (this.#full && now - this.#wroteAt > SILENT_MS) this.#ws.terminate()
    else if (this.#ws.isPaused) return
    else if (now - this.#heardAt > SILENT_MS) this.#ws.terminate()
    else if (now - this.#heardAt > PING_MS && !this.#pinged) {
      this.#pinged = true
      this.#ws.ping()
    }
  }

  readonly #written = (): void => {
    if (!this.#full) return
    // It takes what is sent: it is there.
    this.#wroteAt = this.#now
    this.#alive()
    if (this.#ws.bufferedAmount > LOW_WATER) return
    this.#full = false
    this.held?.drained()
  }

  #alive(): void {
    this.#heardAt = this.#now
    this.#pinged = false
  }
}
