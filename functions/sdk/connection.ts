/** One TCP connection that a connector makes: its opening, what is written before it is there, and its change to TLS. */
import { encodeOpening, type StreamOpening } from '../../protocol/stream-exchange.ts'
import type { SocketInfo } from './api.ts'
import { failure } from './error.ts'
import { readAnswer } from './http-reader.ts'
import type { Opened } from './pool.ts'
import type { SiteState } from './site-state.ts'
import type { SessionStream } from './stream.ts'
import { Tries } from './tries.ts'

/** Bytes that are kept until the connector has answered, to be sent to another one where it refuses. */
const MAX_KEPT = 65_536

export interface Connection {
  readonly opened: Promise<SocketInfo>
  /** Undefined at the end. Rejects with what broke it. */
  read(): Promise<Uint8Array | undefined>
  /** Takes bytes, which must not change any more. Resolves when more may come. */
  write(bytes: Uint8Array): Promise<void>
  finish(): void
  abort(error: unknown): void
  upgrade(flushed: Promise<void>, serverName: string, fail: (error: unknown) => void): Connection
}

/** Begins a connection; `fail` is told once when it breaks off. */
export type Dial = (fail: (error: unknown) => void) => Connection

export class TcpConnection implements Connection {
  readonly opened: Promise<SocketInfo>
  readonly #fail: (error: unknown) => void
  readonly #abort = new AbortController()
  /** All that was written, until the connector has answered. */
  #kept: Uint8Array[] = []
  #keptBytes = 0
  #finishing = false
  #stream: SessionStream | undefined
  #session: Opened['session'] | undefined
  #answered = false
  #head = 0
  #rest: Uint8Array | undefined

  constructor(fail: (error: unknown) => void, begin: (connection: TcpConnection) => Promise<SocketInfo>) {
    this.#fail = fail
    this.opened = begin(this)
    this.opened.catch((error) => this.#fail(error))
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** What was written so far. */
  get kept(): readonly Uint8Array[] {
    return this.#kept
  }

  async read(): Promise<Uint8Array | undefined> {
    await this.opened
    const rest = this.#rest
    this.#rest = undefined
    return rest ?? this.#stream!.read()
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#answered) {
      this.#kept.push(bytes)
      this.#keptBytes += bytes.length
      this.#stream?.write(bytes)
      if (this.#keptBytes <= MAX_KEPT) return
      await this.opened
    } else this.#stream!.write(bytes)
    await this.#stream!.drained()
  }

  finish(): void {
    this.#finishing = true
    this.#stream?.finish()
  }

  abort(error: unknown): void {
    this.#abort.abort(error)
    this.#stream?.abort(error)
  }

  upgrade(flushed: Promise<void>, serverName: string, fail: (error: unknown) => void): Connection {
    return new TcpConnection(fail, async (connection) => {
      await Promise.all([flushed, this.opened])
      const after = this.#stream!.sentBytes - this.#head
      const opening = encodeOpening({ kind: 'start-tls', of: this.#stream!.id, after, serverName })
      const session = this.#session!
      const stream = session.open([opening, ...connection.kept], false)
      const info = await connection.take({ session, stream }, opening.length)
      // The connection has gone over to the new stream.
      this.#stream!.onFailure = undefined
      this.#stream!.abort(
        failure('session-lost', 'The socket was upgraded to TLS.', 'Use the one that startTls returned.'),
      )
      return info
    })
  }

  /** Goes on with this stream, on which `head` bytes were no data. Resolves with the connector's answer. */
  async take({ session, stream }: Opened, head: number): Promise<SocketInfo> {
    this.#session = session
    this.#stream = stream
    this.#head = head
    let had = stream.sentBytes - head
    for (const bytes of this.#kept) {
      if (had >= bytes.length) had -= bytes.length
      else stream.write(bytes)
    }
    if (this.#finishing) stream.finish()
    try {
      const { remote, rest } = await readAnswer(stream)
      this.#answered = true
      this.#kept = []
      if (rest.length > 0) this.#rest = rest
      stream.onFailure = (error) => this.#fail(error)
      return remote === undefined ? {} : { remoteAddress: remote }
    } catch (error) {
      this.#stream = undefined
      stream.abort(error)
      throw error
    }
  }

  /** Whether all that was written is still there. */
  get complete(): boolean {
    return this.#keptBytes <= MAX_KEPT
  }
}

export interface TcpTarget {
  readonly opening: Exclude<StreamOpening, { kind: 'start-tls' }>
  readonly connectMs: number
}

/** A connection through a connector of the site; another one is asked where the first refuses and has done nothing. */
export function tcpDial(site: SiteState, { opening, connectMs }: TcpTarget): Dial {
  return (fail) =>
    new TcpConnection(fail, async (connection) => {
      const head = encodeOpening(opening)
      const tries = new Tries(site, connection.signal)
      const open = (): Promise<Opened> =>
        site.pool().open({
          parts: () => [head, ...connection.kept],
          finish: false,
          harmless: () => [head],
          avoid: tries.avoid,
          signal: connection.signal,
          connectMs,
        })
      for (;;) {
        let opened: Opened | undefined
        try {
          opened = await open()
          return await connection.take(opened, head.length)
        } catch (error) {
          await tries.next(error, opened?.session, connection.complete, false)
        }
      }
    })
}
