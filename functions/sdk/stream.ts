/** One stream of a session, to be read and written by promises. */
import type { StreamProblem } from '../../protocol/stream-problem.ts'
import { failure, IsthmusError } from './error.ts'

/** What a stream asks of its session. */
export interface StreamHost {
  write(stream: number, bytes: Uint8Array): void
  finish(stream: number): void
  reset(stream: number, problem: StreamProblem | undefined): void
  consumed(stream: number, length: number): void
  writable(stream: number): boolean
}

/** Bytes of the heads in front of the data of a message that holds one frame: record and frame. */
const HEADS = 5 + 12

/** One reader and one writer at a time. */
export class SessionStream {
  readonly id: number
  readonly #host: StreamHost
  #chunks: Uint8Array[] = []
  /** Index of the next of `#chunks`. */
  #next = 0
  #ended = false
  #finished = false
  #error: unknown
  #failed = false
  #readWaits: (() => void) | undefined
  #drainWaits: (() => void) | undefined
  #sentBytes = 0
  /** Told once when the stream breaks off, also while nobody reads. */
  onFailure: ((error: unknown) => void) | undefined

  constructor(id: number, host: StreamHost) {
    this.id = id
    this.#host = host
  }

  /** Bytes written so far. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Queues bytes, which must not change any more. Ignored on a stream that is over. */
  write(bytes: Uint8Array): void {
    if (this.#failed || this.#finished || bytes.length === 0) return
    this.#sentBytes += bytes.length
    this.#host.write(this.id, bytes)
  }

  /** Half-close, behind what was written. */
  finish(): void {
    if (this.#failed || this.#finished) return
    this.#finished = true
    this.#host.finish(this.id)
  }

  /** Resolves when the session takes more, rejects when the stream is over. */
  async drained(): Promise<void> {
    while (!this.#failed && !this.#host.writable(this.id)) {
      await new Promise<void>((resolve) => {
        this.#drainWaits = resolve
      })
    }
    if (this.#failed) throw this.#error
  }

  /** The next bytes, a view whose buffer others share; undefined at the end. Rejects with what broke the stream. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#take()
      if (chunk !== undefined) return chunk
      if (this.#failed) throw this.#error
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#readWaits = resolve
      })
    }
  }

  /** Gives the stream up; reads and writes that wait reject with `error`. What came in and was not read is gone. */
  abort(error: unknown, problem?: StreamProblem): void {
    if (this.#failed) return
    const over = this.#ended && this.#finished
    this.#drop()
    this.#fail(error)
    if (!over) this.#host.reset(this.id, problem)
  }

  /** From the session from here on. */
  takeData(bytes: Uint8Array): void {
    if (this.#failed) {
      this.#host.consumed(this.id, bytes.length)
      return
    }
    this.#chunks.push(bytes)
    this.#wakeReader()
  }

  takeEnd(): void {
    this.#ended = true
    this.#wakeReader()
  }

  takeReset(problem: StreamProblem | undefined): void {
    this.#fail(problem === undefined ? wasReset() : new IsthmusError(problem))
  }

  takeLoss(error: IsthmusError): void {
    if (this.#ended && this.#finished) return
    this.#fail(error)
  }

  takeRoom(): void {
    this.#drainWaits?.()
    this.#drainWaits = undefined
  }

  #take(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#next]
    if (chunk === undefined) return undefined
    this.#next++
    if (this.#next === this.#chunks.length) {
      this.#chunks = []
      this.#next = 0
    }
    this.#host.consumed(this.id, chunk.length)
    return chunk
  }

  #drop(): void {
    this.#chunks = []
    this.#next = 0
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#error = error
    this.#wakeReader()
    this.takeRoom()
    this.onFailure?.(error)
  }

  #wakeReader(): void {
    this.#readWaits?.()
    this.#readWaits = undefined
  }
}

/**
 * The bytes in a buffer of their own. Those that fill the rest of the buffer of their message keep it: nothing of
 * another stream is in front of them.
 */
export function owned(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const last = chunk.byteOffset + chunk.byteLength === chunk.buffer.byteLength
  return last && chunk.byteOffset <= HEADS ? (chunk as Uint8Array<ArrayBuffer>) : chunk.slice()
}

function wasReset(): IsthmusError {
  return failure(
    'connection-reset',
    'The connection to the service was reset.',
    'Look at the log of the service, and at isthmus streams on the connector.',
  )
}
