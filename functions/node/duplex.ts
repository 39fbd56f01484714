/** Sockets of a site as Node's drivers expect them. */
import { Duplex } from 'node:stream'
import type { Site, SiteSocket, SocketAddress, SocketOptions } from '../sdk/api.ts'

/** For the other end to finish; milliseconds. */
const LINGER_MS = 10_000

/**
 * A Duplex with what drivers call on a `net.Socket`. It takes the socket over. `connect` of it changes nothing: the
 * socket has its address already. `ref` and `unref` do nothing: the process is kept as long as the socket is open.
 */
export class SocketDuplex extends Duplex {
  connecting = true
  remoteAddress: string | undefined
  remotePort: number | undefined
  readonly remoteFamily: string | undefined
  bytesRead = 0
  bytesWritten = 0
  timeout: number | undefined
  readonly #socket: SiteSocket
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(socket: SiteSocket, { allowHalfOpen = false }: Pick<SocketOptions, 'allowHalfOpen'> = {}) {
    super({ allowHalfOpen })
    this.#socket = socket
    this.#reader = socket.readable.getReader()
    this.#writer = socket.writable.getWriter()
    // What fails here is told by reading, writing or opening.
    this.#reader.closed.catch(() => undefined)
    this.#writer.closed.catch(() => undefined)
    socket.closed.catch((error) => this.#broken(error))
    socket.opened.then(
      ({ remoteAddress }) => this.#opened(remoteAddress),
      (error) => this.destroy(error),
    )
  }

  get pending(): boolean {
    return this.connecting
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /** As of a socket; whatever the address, it is the one that the site's socket was made for. */
  connect(...given: readonly unknown[]): this {
    const told = given.at(-1)
    if (typeof told === 'function') this.once('connect', told as () => void)
    if (!this.connecting && !this.destroyed) process.nextTick(() => this.#tellConnected())
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  address(): object {
    return {}
  }

  /** `timeout` is emitted after so many milliseconds without a byte; 0: never. */
  setTimeout(ms: number, told?: () => void): this {
    this.timeout = ms === 0 ? undefined : ms
    if (told !== undefined) {
      if (ms === 0) this.removeListener('timeout', told)
      else this.once('timeout', told)
    }
    this.#active()
    return this
  }

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  override _read(): void {
    this.#reader.read().then(
      ({ done, value }) => {
        if (done) {
          this.push(null)
          return
        }
        this.bytesRead += value.length
        this.#active()
        this.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      },
      (error) => this.#broken(error),
    )
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.bytesWritten += chunk.length
    this.#active()
    this.#writer.write(chunk).then(() => done(), done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done)
  }

  override _final(done: (error?: Error | null) => void): void {
    // Where the service has finished before, that is the end of both.
    this.#writer.close().then(
      () => done(),
      (error) => done(this.readableEnded ? null : error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.connecting = false
    if (error === null && this.writableFinished && !this.readableEnded) void this.#linger()
    else void this.#socket.close().catch(() => undefined)
    done(error)
  }

  /** What was written is on its way: a close now would drop it, where a socket of the kernel sends it still. */
  async #linger(): Promise<void> {
    const timer = setTimeout(() => this.#socket.close(), LINGER_MS)
    timer.unref()
    try {
      while (!(await this.#reader.read()).done);
    } catch {
      // It has ended this way too.
    }
    clearTimeout(timer)
  }

  /**
   * After our last word a loss is the end: drivers that have said goodbye do not listen for errors any more. Whoever
   * still reads sees a close before the end.
   */
  #broken(error: Error & { readonly code?: string }): void {
    const over = this.writableFinished && (error.code === 'session-lost' || error.code === 'connection-reset')
    if (over) this.destroy()
    else this.destroy(error)
  }

  #opened(remote: string | undefined): void {
    const [, address, port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(remote ?? '') ?? []
    this.remoteAddress = address
    this.remotePort = port === undefined ? undefined : Number(port)
    if (!this.destroyed) this.#tellConnected()
  }

  #tellConnected(): void {
    this.connecting = false
    this.emit('connect')
    this.emit('ready')
  }

  #active(): void {
    clearTimeout(this.#timer)
    if (this.timeout === undefined || this.destroyed) return
    this.#timer = setTimeout(() => this.emit('timeout'), this.timeout)
    this.#timer.unref()
  }
}

/** The socket as a Duplex, which owns it from here on. */
export function toDuplex(socket: SiteSocket, options?: Pick<SocketOptions, 'allowHalfOpen'>): SocketDuplex {
  return new SocketDuplex(socket, options)
}

/** Makes a new connection at each call: what several drivers take as `stream`. */
export function duplexes(site: Site, address: SocketAddress | string, options?: SocketOptions): () => SocketDuplex {
  return () => toDuplex(site.connect(address, options), options)
}
