/** The SDK's platform on Cloudflare Workers: WebSockets by `fetch`, and a mark for each request. */

import type { StreamCrypto } from '../protocol/stream-crypto.ts'
import { createStreamAead } from '../wasm/stream-aead.ts'
import { environmentToken } from './environment.ts'
import type { InvocationMark, Platform, SessionSocket, SocketEvents } from './sdk/platform.ts'
import { webStreamCrypto } from './sdk/stream-crypto.ts'

/** What of the runtime's WebSocket is used; `binaryType` is `blob` at first in newer ones. */
interface WorkersSocket {
  binaryType: string
  readonly readyState: number
  readonly protocol: string | null
  accept(): void
  send(data: Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void
  addEventListener(type: 'error', listener: (event: { readonly message?: string }) => void): void
}

interface Runtime {
  readonly WebSocketPair: new () => { readonly 0: WorkersSocket; readonly 1: WorkersSocket }
}

export function workersPlatform(module: WebAssembly.Module): Platform {
  let crypto: StreamCrypto | undefined
  return {
    crypto: () => {
      crypto ??= webStreamCrypto(createStreamAead(module))
      return crypto
    },
    environmentToken,
    mark,
    dial({ url, protocols, fetch = globalThis.fetch }, events) {
      const dialled = new DialledSocket(events)
      const headers = { Upgrade: 'websocket', 'Sec-WebSocket-Protocol': protocols.join(', ') }
      fetch(url.replace(/^ws/, 'http'), { headers, redirect: 'manual' }).then(
        (response) => dialled.answered(response),
        (error) => dialled.failed(String(error)),
      )
      return dialled
    },
  }
}

/** A socket of the present request: any other that touches it is thrown at by the runtime. */
function mark(): InvocationMark {
  const { 0: socket } = new (globalThis as unknown as Runtime).WebSocketPair()
  return {
    get present() {
      try {
        return socket.readyState >= 0
      } catch {
        return false
      }
    },
  }
}

class DialledSocket implements SessionSocket {
  /** The runtime does not tell. */
  readonly buffered = 0
  readonly #events: SocketEvents
  #socket: WorkersSocket | undefined
  #over = false

  constructor(events: SocketEvents) {
    this.#events = events
  }

  send(bytes: Uint8Array): void {
    if (!this.#over) this.#socket?.send(bytes)
  }

  close(code: number, reason: string): void {
    this.#over = true
    try {
      this.#socket?.close(code, reason)
    } catch {
      // It was closed already.
    }
  }

  answered(response: Response): void {
    const socket = (response as Response & { readonly webSocket?: WorkersSocket | null }).webSocket
    if (socket == null) {
      void response.body?.cancel()
      this.failed(`HTTP status ${response.status}`)
      return
    }
    socket.binaryType = 'arraybuffer'
    socket.accept()
    this.#socket = socket
    if (this.#over) {
      this.close(1000, '')
      return
    }
    socket.addEventListener('message', ({ data }) => {
      if (!this.#over && data instanceof ArrayBuffer) this.#events.message(new Uint8Array(data))
    })
    socket.addEventListener('close', ({ code, reason }) => this.#closed(code, reason))
    socket.addEventListener('error', ({ message }) => this.#closed(1006, message ?? ''))
    this.#events.opened()
  }

  failed(reason: string): void {
    this.#closed(1006, reason)
  }

  #closed(code: number, reason: string): void {
    if (this.#over) return
    // The closing handshake is not complete before both ends have said it.
    this.close(1000, '')
    this.#events.closed({ code, reason })
  }
}
