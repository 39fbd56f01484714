/** The SDK's platform wherever there is a global `WebSocket`. */

import type { StreamCrypto } from '../protocol/stream-crypto.ts'
import { createStreamAead } from '../wasm/stream-aead.ts'
import { environmentToken } from './environment.ts'
import type { Platform, SessionSocket, SocketEvents } from './sdk/platform.ts'
import { SOCKET_HIGH, SOCKET_LOW } from './sdk/platform.ts'
import { webStreamCrypto } from './sdk/stream-crypto.ts'

/** How often a full socket is looked at; milliseconds. The standard has no event for it. */
const LOOK_MS = 5

export function webPlatform(compile: () => WebAssembly.Module): Platform {
  let crypto: StreamCrypto | undefined
  return {
    crypto: () => {
      crypto ??= webStreamCrypto(createStreamAead(compile()))
      return crypto
    },
    environmentToken,
    dial: ({ url, protocols }, events) => new WebSocketSocket(url, protocols, events),
  }
}

class WebSocketSocket implements SessionSocket {
  readonly #events: SocketEvents
  readonly #socket: WebSocket
  #over = false
  #looking: ReturnType<typeof setInterval> | undefined

  constructor(url: string, protocols: readonly string[], events: SocketEvents) {
    this.#events = events
    this.#socket = new WebSocket(url, [...protocols])
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.addEventListener('open', () => {
      if (!this.#over) events.opened()
    })
    this.#socket.addEventListener('message', ({ data }) => {
      if (!this.#over && data instanceof ArrayBuffer) events.message(new Uint8Array(data))
    })
    this.#socket.addEventListener('close', ({ code, reason }) => this.#closed(code, reason))
    this.#socket.addEventListener('error', () => this.#closed(1006, ''))
  }

  get buffered(): number {
    return this.#socket.bufferedAmount
  }

  send(bytes: Uint8Array): void {
    if (this.#over) return
    this.#socket.send(bytes as Uint8Array<ArrayBuffer>)
    if (this.buffered > SOCKET_HIGH) this.#looking ??= setInterval(() => this.#look(), LOOK_MS)
  }

  close(code: number, reason: string): void {
    this.#end()
    // Browsers let a program say no others.
    this.#socket.close(code === 1000 || code >= 3000 ? code : 1000, reason)
  }

  #look(): void {
    if (this.buffered > SOCKET_LOW) return
    clearInterval(this.#looking)
    this.#looking = undefined
    this.#events.drained()
  }

  #closed(code: number, reason: string): void {
    if (this.#over) return
    this.#end()
    this.#events.closed({ code, reason })
  }

  #end(): void {
    this.#over = true
    clearInterval(this.#looking)
  }
}
