/** Sockets of `connect`, in the shape of `cloudflare:sockets`. */

import type { SiteSocket, SocketInfo, TlsOptions } from './api.ts'
import { bytesOf } from './body.ts'
import type { Connection, Dial } from './connection.ts'
import { failure } from './error.ts'
import { owned } from './stream.ts'

export interface SocketSettings {
  readonly secureTransport: 'off' | 'on' | 'starttls'
  readonly allowHalfOpen: boolean
  readonly hostname: string
}

export class StreamSocket implements SiteSocket {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
  readonly opened: Promise<SocketInfo>
  readonly closed: Promise<void>
  readonly #settings: SocketSettings
  readonly #connection: Connection
  #resolve!: () => void
  #reject!: (error: unknown) => void
  #upgraded = false
  #readEnded = false
  #writeEnded = false
  #over = false
  #reads!: ReadableByteStreamController
  #writes!: WritableStreamDefaultController

  constructor(dial: Dial, settings: SocketSettings) {
    this.#settings = settings
    this.#connection = dial((error) => this.#fail(error))
    this.opened = this.#connection.opened
    this.closed = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A program may look at only one of the places where a failure is told.
    this.opened.catch(() => undefined)
    this.closed.catch(() => undefined)
    this.readable = this.#makeReadable()
    this.writable = this.#makeWritable()
  }

  get upgraded(): boolean {
    return this.#upgraded
  }

  get secureTransport(): 'off' | 'on' | 'starttls' {
    return this.#settings.secureTransport
  }

  close(): Promise<void> {
    if (!this.#over) {
      const error = closedHere()
      this.#over = true
      this.#connection.abort(error)
      this.#quietly(() => this.#reads.close())
      this.#quietly(() => this.#reads.byobRequest?.respond(0))
      this.#quietly(() => this.#writes.error(error))
      this.#resolve()
    }
    return this.closed
  }

  startTls(options: TlsOptions = {}): SiteSocket {
    if (this.#settings.secureTransport !== 'starttls')
      throw new TypeError('startTls is for sockets with secureTransport: starttls')
    if (this.#upgraded || this.#over) throw new TypeError('the socket has ended, or was upgraded before')
    if (this.readable.locked || this.writable.locked)
      throw new TypeError('release the reader and the writer before startTls')
    this.#upgraded = true
    const flushed = this.writable.close()
    const serverName = options.expectedServerHostname ?? this.#settings.hostname
    const settings = { ...this.#settings, secureTransport: 'on' } as const
    const upgraded = new StreamSocket((fail) => this.#connection.upgrade(flushed, serverName, fail), settings)
    upgraded.opened.then(
      () => this.#leave(),
      (error) => this.#fail(error),
    )
    return upgraded
  }

  #makeReadable(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#reads = controller
      },
      pull: async (controller) => {
        const chunk = await this.#connection.read()
        if (this.#over) return
        if (chunk !== undefined) {
          controller.enqueue(owned(chunk))
          return
        }
        this.#readEnded = true
        controller.close()
        controller.byobRequest?.respond(0)
        if (!this.#settings.allowHalfOpen && !this.#writeEnded) this.#endWrites()
        this.#endIfDone()
      },
      cancel: (reason) => {
        this.#readEnded = true
        if (this.#writeEnded) this.#connection.abort(reason)
        this.#endIfDone()
      },
    }) as ReadableStream<Uint8Array>
  }

  #makeWritable(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#writes = controller
      },
      // The caller may use its buffer again.
      write: (chunk) => this.#connection.write(bytesOf(chunk).slice()),
      close: () => {
        if (this.#upgraded) return
        this.#writeEnded = true
        this.#connection.finish()
        this.#endIfDone()
      },
      abort: (reason) => {
        this.#connection.abort(reason)
        this.#fail(reason)
      },
    })
  }

  /** The service has finished, and this end is not to stay half-open. */
  #endWrites(): void {
    this.#writeEnded = true
    this.#connection.finish()
    const cause = 'The service has closed the connection.'
    this.#quietly(() => this.#writes.error(failure('connection-reset', cause, 'Open another one.')))
  }

  #endIfDone(): void {
    if (!this.#readEnded || !this.#writeEnded || this.#over) return
    this.#over = true
    this.#resolve()
  }

  /** Another socket has the connection now. */
  #leave(): void {
    this.#over = true
    this.#quietly(() => this.#reads.close())
    this.#quietly(() => this.#reads.byobRequest?.respond(0))
    this.#resolve()
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#quietly(() => this.#reads.error(error))
    this.#quietly(() => this.#writes.error(error))
    this.#reject(error)
  }

  /** A stream that is closed already has nothing more to be told. */
  #quietly(tell: () => void): void {
    try {
      tell()
    } catch {
      // As said.
    }
  }
}

function closedHere(): Error {
  return failure('session-lost', 'The socket was closed.', 'Open another one.')
}
