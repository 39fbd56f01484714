/** A stream of bytes to a service and back: half-closes, resets, and as fast as the slower side. */
import type { Socket } from 'node:net'
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { ServicePlan } from '../../core/functions/plan.ts'
import { type Asked, plainHost } from '../../core/functions/policy.ts'
import type { CarriedStream, Carrier } from './carrier.ts'
import { type Destination, type Dialer, placeOf, secured } from './dial.ts'
import { connectTimeout, dialProblem, lostProblem, problem, StreamFailure } from './failure.ts'

export interface TcpOptions {
  readonly dialer: Dialer
  readonly destination: Destination
  readonly asked: Asked
  readonly tls: boolean
  readonly timeoutMs: number
  /** Which service it is, once that is known. */
  readonly onService: (service: ServicePlan) => void
}

export interface StartTlsOptions {
  /** The connection that is taken over, when so many bytes of its function have gone out. */
  readonly of: TcpCarrier
  readonly after: number
  readonly serverName?: string
}

interface Takeover {
  readonly after: number
  /** The connection changes hands, now. */
  readonly taken: (socket: Socket, service: ServicePlan, asked: Asked) => void
  readonly refused: (problem: StreamProblem) => void
}

export class TcpCarrier implements Carrier {
  readonly #stream: CarriedStream
  /** What people call the service. */
  #where = 'the service'
  #asked: Asked | undefined
  #service: ServicePlan | undefined
  #socket: Socket | undefined
  /** What came before there was a connection; its window bounds it. */
  #early: Uint8Array[] | undefined
  #written = 0
  #ended = false
  #serviceEnded = false
  #destroyed = false
  #abort: AbortController | undefined
  #takeover: Takeover | undefined
  /** Plain TCP: only then may TLS begin on it, and only then can it be reset. */
  #plain = true
  #deaf: () => void = () => {}

  constructor(stream: CarriedStream) {
    this.#stream = stream
  }

  /** Connects. */
  dial({ dialer, destination, asked, tls, timeoutMs, onService }: TcpOptions): void {
    this.#where = placeOf(destination, asked)
    this.#asked = asked
    this.#plain = !tls
    this.#abort = new AbortController()
    dialer.dial({ destination, asked, tls, timeoutMs, signal: this.#abort.signal }).then(
      ({ socket, service }) => {
        if (this.#destroyed) return discard(socket)
        onService(service)
        this.#begin(socket, service)
      },
      (error: unknown) => this.#fail(dialProblem(error, this.#where)),
    )
  }

  /** Takes over the connection of another stream, and speaks TLS on it. */
  startTls({ of, after, serverName }: StartTlsOptions, onService: (service: ServicePlan) => void): void {
    const abort = new AbortController()
    this.#abort = abort
    this.#plain = false
    this.#where = of.#where
    of.#giveAway({
      after,
      taken: (socket, service, asked) => {
        if (this.#destroyed) {
          discard(socket)
          return
        }
        this.#asked = asked
        onService(service)
        this.#secure(socket, service, serverName, abort)
      },
      refused: (why) => this.#fail(why),
    })
  }

  data(bytes: Uint8Array): void {
    if (this.#takeover !== undefined && this.#written + bytes.length > this.#takeover.after) this.#tooMuch()
    else if (this.#socket !== undefined) this.#write(this.#socket, bytes)
    else if (this.#handedOver) this.#stream.took(bytes.length)
    else {
      this.#early ??= []
      this.#early.push(bytes)
    }
  }

  end(): void {
    this.#ended = true
    this.#socket?.end()
  }

  drained(): void {
    this.#socket?.resume()
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#abort?.abort(new Error('given up'))
    this.#early = undefined
    this.#refuseTakeover(badRequest('The connection that TLS was to begin on is over.'))
    const socket = this.#socket
    this.#socket = undefined
    if (socket === undefined) return
    this.#deaf()
    socket.on('error', () => {})
    // The service is told that this is no orderly end; where it was one on both sides, there is nothing to reset.
    if (this.#plain && !(this.#ended && this.#serviceEnded)) socket.resetAndDestroy()
    else socket.destroy()
  }

  /** The connection is another stream's now. */
  get #handedOver(): boolean {
    return this.#service !== undefined && this.#socket === undefined
  }

  #begin(socket: Socket, service: ServicePlan): void {
    this.#socket = socket
    this.#service = service
    const isNamed = service.kind !== 'network'
    const { remoteAddress = '', remotePort = 0 } = socket
    const remote = remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`
    // Where a service has a name, its address is nobody's concern.
    this.#stream.accept(isNamed ? undefined : remote)
    this.#listen(socket)
    const early = this.#early
    this.#early = undefined
    for (const bytes of early ?? []) this.data(bytes)
    if (this.#ended) socket.end()
    this.#tryTakeover()
  }

  /** `#deaf` ends it: other listeners are the socket's own. */
  #listen(socket: Socket): void {
    const received = (chunk: Buffer) => this.#received(socket, chunk)
    const end = () => this.#serviceEnd()
    const failed = (error: Error) => this.#fail(lostProblem(error, this.#where))
    const closed = () => this.#closed()
    socket.on('data', received).on('end', end).on('error', failed).on('close', closed)
    this.#deaf = () => socket.off('data', received).off('end', end).off('error', failed).off('close', closed)
  }

  #received(socket: Socket, chunk: Buffer): void {
    this.#stream.write(chunk)
    if (!this.#stream.writable && !this.#destroyed) socket.pause()
  }

  #write(socket: Socket, bytes: Uint8Array): void {
    this.#written += bytes.length
    socket.write(bytes, (error) => {
      if (this.#destroyed) return
      if (error == null) this.#stream.took(bytes.length)
      this.#tryTakeover()
    })
  }

  #serviceEnd(): void {
    this.#serviceEnded = true
    this.#stream.finish()
  }

  /** When both have ended, everything that the function sent has gone out. */
  #closed(): void {
    if (this.#destroyed) return
    if (this.#serviceEnded && this.#ended) this.#stream.done()
    else this.#fail(lostProblem({ code: 'ECONNRESET' }, this.#where))
  }

  #fail(problem: StreamProblem): void {
    if (!this.#destroyed) this.#stream.fail(problem)
  }

  #secure(socket: Socket, service: ServicePlan, serverName: string | undefined, abort: AbortController): void {
    const host = service.kind === 'network' ? plainHost(this.#asked!.host) : service.host
    const late = () => abort.abort(new StreamFailure(connectTimeout(this.#where)))
    const timer = setTimeout(late, service.timeouts.connect)
    secured(socket, service.tls, serverName ?? host, abort.signal)
      .then(
        (secure) => {
          if (this.#destroyed) discard(secure)
          else this.#begin(secure, service)
        },
        (error: unknown) => this.#fail(dialProblem(error, this.#where)),
      )
      .finally(() => clearTimeout(timer))
  }

  /** Waits until exactly so many bytes of the function have gone out. */
  #giveAway(takeover: Takeover): void {
    const busy = this.#takeover !== undefined || this.#handedOver
    if (this.#destroyed || busy || !this.#plain || this.#ended || this.#written > takeover.after) {
      takeover.refused(badRequest('TLS cannot begin on that connection now.'))
      return
    }
    this.#takeover = takeover
    this.#tryTakeover()
  }

  #tryTakeover(): void {
    const [socket, takeover, service] = [this.#socket, this.#takeover, this.#service]
    if (socket === undefined || takeover === undefined || service === undefined) return
    if (this.#written !== takeover.after || socket.writableLength > 0) return
    this.#takeover = undefined
    this.#socket = undefined
    // What comes in from here on is for TLS to read.
    this.#deaf()
    socket.pause()
    takeover.taken(socket, service, this.#asked!)
    this.#stream.finish()
    this.#stream.done()
  }

  #tooMuch(): void {
    const why = badRequest('More was sent in the clear than was said before TLS.')
    this.#refuseTakeover(why)
    this.#fail(why)
  }

  #refuseTakeover(why: StreamProblem): void {
    const takeover = this.#takeover
    this.#takeover = undefined
    takeover?.refused(why)
  }
}

function badRequest(cause: string): StreamProblem {
  return problem(
    'bad-request',
    cause,
    'Begin TLS once, on a TCP stream that is open, when its last bytes have been written.',
  )
}

function discard(socket: Socket): void {
  socket
    .removeAllListeners()
    .on('error', () => {})
    .destroy()
}
