/** Reads the answer and the response from the stream of one HTTP exchange. */
import { type BinaryHttpEvent, ResponseDecoder, type ResponseHead } from '../../protocol/binary-http.ts'
import { AnswerReader } from '../../protocol/stream-exchange.ts'
import { streamProblem } from '../../protocol/stream-problem.ts'
import { failure, IsthmusError } from './error.ts'
import type { SessionStream } from './stream.ts'

const UPDATE = 'Bring the connector and this package to one version.'

/** The connector's answer, and what came behind it. Throws an IsthmusError where it refuses. */
export async function readAnswer(stream: SessionStream): Promise<{ remote?: string; rest: Uint8Array }> {
  const reader = new AnswerReader()
  for (;;) {
    const bytes = await stream.read()
    if (bytes === undefined) throw broken(stream, 'The connector ended the stream without an answer.')
    const read = reader.push(bytes)
    if (read.type === 'fault') throw broken(stream, `The connector's answer cannot be read: ${read.cause}.`)
    if (read.type === 'more') continue
    const { value, rest } = read
    if (!value.ok) throw new IsthmusError(value.problem)
    return value.remote === undefined ? { rest } : { remote: value.remote, rest }
  }
}

function broken(stream: SessionStream, cause: string): IsthmusError {
  const error = failure('protocol-error', cause, UPDATE)
  stream.abort(error, streamProblem('protocol-error', cause, UPDATE))
  return error
}

export class HttpReader {
  readonly #stream: SessionStream
  readonly #decoder: ResponseDecoder
  #events: readonly BinaryHttpEvent<ResponseHead>[] = []
  #next = 0
  #answered = false
  #ended = false

  /** `toHead`: the request was a HEAD. */
  constructor(stream: SessionStream, toHead: boolean) {
    this.#stream = stream
    this.#decoder = new ResponseDecoder({ toHead })
  }

  /** The head of the final response. Rejects with an IsthmusError. */
  async head(): Promise<ResponseHead> {
    if (!this.#answered) {
      const { rest } = await readAnswer(this.#stream)
      this.#answered = true
      if (rest.length > 0) this.#take(this.#decoder.push(rest))
    }
    for (;;) {
      const event = await this.#event()
      if (event.type === 'head') return event.head
      if (event.type !== 'informational') throw this.#bad('the message has no head')
    }
  }

  /** The next bytes of the content, a view whose buffer others share; undefined at the end. */
  async chunk(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#ended) return undefined
      const event = await this.#event()
      if (event.type === 'data') return event.bytes
      if (event.type === 'end') this.#ended = true
    }
  }

  async #event(): Promise<BinaryHttpEvent<ResponseHead>> {
    for (;;) {
      const event = this.#events[this.#next++]
      if (event?.type === 'fault') throw this.#bad(event.cause)
      if (event !== undefined) return event
      const bytes = await this.#stream.read()
      this.#take(bytes === undefined ? this.#decoder.finish() : this.#decoder.push(bytes))
      if (bytes === undefined && this.#events.length === 0) throw this.#bad('it ends too soon')
    }
  }

  #take(events: readonly BinaryHttpEvent<ResponseHead>[]): void {
    this.#events = events
    this.#next = 0
  }

  #bad(what: string): IsthmusError {
    const cause = `The response is no proper HTTP: ${what}.`
    const error = failure('bad-response', cause, 'Look at the service; nothing of this response can be trusted.')
    this.#stream.abort(error, streamProblem('bad-response', error.cause, error.remedy))
    return error
  }
}
