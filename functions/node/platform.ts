/** The SDK's platform on Node: WebSockets of `ws`, which tell when there is room and whether anything was sent. */
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { StreamCrypto } from '../../protocol/stream-crypto.ts'
import { createStreamAead } from '../../wasm/stream-aead.ts'
import { nodeStreamCrypto } from '../../wasm/stream-crypto-node.ts'
import { nodeHostAead } from '../../wasm/stream-host-node.ts'
import { environmentToken } from '../environment.ts'
import type { Platform, SessionSocket, SocketEvents } from '../sdk/platform.ts'
import { SOCKET_LOW } from '../sdk/platform.ts'

/** Bytes of one message of a session, and some. */
const MAX_MESSAGE = 1 << 17
/** For the end of a closing handshake; milliseconds. */
const CLOSE_MS = 2000

export function nodePlatform(compile: () => WebAssembly.Module): Platform {
  let crypto: StreamCrypto | undefined
  return {
    crypto: () => {
      // Its own curves are ready at once; those in JavaScript take a cold instance some 30 ms.
      crypto ??= nodeStreamCrypto(createStreamAead(compile(), nodeHostAead))
      return crypto
    },
    environmentToken,
    dial: ({ url, protocols }, events) => new NodeSocket(url, protocols, events),
  }
}

class NodeSocket implements SessionSocket {
  readonly #events: SocketEvents
  readonly #socket: WebSocket
  #transport: Socket | undefined
  #over = false
  #full = false
  #held = true

  constructor(url: string, protocols: readonly string[], events: SocketEvents) {
    this.#events = events
    this.#socket = new WebSocket(url, [...protocols], {
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE,
      followRedirects: false,
      skipUTF8Validation: true,
      // Masks keep who chooses the payload from choosing what is on the wire (RFC 6455 section 10.3). Ciphertext nobody
      // chooses, and another XOR over it would cost more than the encryption.
      generateMask: (mask) => mask.fill(0),
    })
    this.#socket.binaryType = 'nodebuffer'
    this.#socket.on('upgrade', (response) => {
      this.#transport = response.socket
      this.#transport.setNoDelay(true)
      this.hold(this.#held)
    })
    this.#socket.on('open', () => {
      if (!this.#over) events.opened()
    })
    this.#socket.on('message', (data, isBinary) => {
      if (!this.#over && isBinary) events.message(data as Buffer)
    })
    this.#socket.on('error', (error) => this.#failed(error))
    this.#socket.on('close', (code, reason) => this.#closed(code, reason.toString()))
  }

  get buffered(): number {
    return this.#socket.bufferedAmount
  }

  send(bytes: Uint8Array): void {
    if (this.#over) return
    this.#socket.send(bytes, () => this.#sent())
    if (this.buffered > SOCKET_LOW) this.#full = true
  }

  close(code: number, reason: string): void {
    this.#over = true
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason)
    else this.#socket.terminate()
    // A peer that does not close its end must not keep the descriptor.
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref()
  }

  hold(held: boolean): void {
    this.#held = held
    if (held) this.#transport?.ref()
    else this.#transport?.unref()
  }

  #sent(): void {
    if (!this.#full || this.#over || this.buffered > SOCKET_LOW) return
    this.#full = false
    this.#events.drained()
  }

  #failed(error: Error & { readonly syscall?: string }): void {
    // Nothing was sent where there never was a connection.
    const unsent = error.syscall === 'connect' || error.syscall === 'getaddrinfo' || error.name === 'AggregateError'
    this.#closed(1006, error.message === '' ? error.name : error.message, unsent)
  }

  #closed(code: number, reason: string, unsent = false): void {
    if (this.#over) return
    this.#over = true
    this.#events.closed({ code, reason, ...(unsent ? { unsent } : {}) })
  }
}
