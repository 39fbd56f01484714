/** Connections to a service that stand ready before anybody asks. */
import type { Socket } from 'node:net'

/** Waits between tries, where the service refuses, or closes connections that nobody uses. */
export const WARM_RETRY = { firstMs: 1000, maxMs: 60_000 } as const

interface Ready {
  readonly socket: Socket
  /** Takes our listeners off; others are the socket's own. */
  readonly deaf: () => void
}

export class WarmSockets {
  readonly #size: number
  readonly #dial: (signal: AbortSignal) => Promise<Socket>
  readonly #ready: Ready[] = []
  readonly #end = new AbortController()
  #dialling = 0
  #pauseMs: number = WARM_RETRY.firstMs
  #timer: NodeJS.Timeout | undefined

  /** Begins at once. `dial`: a connection, TLS done. */
  constructor(size: number, dial: (signal: AbortSignal) => Promise<Socket>) {
    this.#size = size
    this.#dial = dial
    this.#fill()
  }

  get ready(): number {
    return this.#ready.length
  }

  /** One that stands, the caller's from here on, without listeners; the next is dialled. Undefined where none is ready. */
  take(): Socket | undefined {
    const ready = this.#ready.shift()
    if (ready === undefined) return undefined
    // Between this moment and the caller's listeners nothing runs.
    ready.deaf()
    this.#pauseMs = WARM_RETRY.firstMs
    this.#fill()
    return ready.socket
  }

  stop(): void {
    this.#end.abort(new Error('stopped'))
    clearTimeout(this.#timer)
    for (const { socket, deaf } of this.#ready.splice(0)) {
      deaf()
      socket.on('error', () => {}).destroy()
    }
  }

  #fill(): void {
    if (this.#timer !== undefined) return
    while (this.#ready.length + this.#dialling < this.#size && !this.#end.signal.aborted) {
      this.#dialling++
      void this.#dial(this.#end.signal).then(
        (socket) => {
          this.#dialling--
          this.#keep(socket)
        },
        () => {
          this.#dialling--
          this.#later()
        },
      )
    }
  }

  #keep(socket: Socket): void {
    if (this.#end.signal.aborted) {
      socket.on('error', () => {}).destroy()
      return
    }
    const gone = () => {
      const at = this.#ready.findIndex((ready) => ready.socket === socket)
      if (at < 0) return
      this.#ready.splice(at, 1)
      socket.on('error', () => {}).destroy()
      this.#later()
    }
    // A service that speaks before it is asked is none that we understand.
    const spoken = () => socket.read() !== null && gone()
    socket.on('readable', spoken).on('end', gone).on('error', gone).on('close', gone)
    socket.unref()
    const deaf = () => socket.off('readable', spoken).off('end', gone).off('error', gone).off('close', gone)
    this.#ready.push({ socket, deaf })
  }

  #later(): void {
    if (this.#timer !== undefined || this.#end.signal.aborted) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#fill()
    }, this.#pauseMs).unref()
    this.#pauseMs = Math.min(this.#pauseMs * 2, WARM_RETRY.maxMs)
  }
}
