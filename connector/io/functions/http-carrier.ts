/** One HTTP request of a function, made by undici, and its answer: both as streams, each as fast as the slower side. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import {
  type BinaryHttpEvent,
  endToEndFields,
  type FieldLine,
  RequestDecoder,
  type RequestHead,
  ResponseEncoder,
  responseFault,
  trailersFault,
} from '../../../protocol/binary-http.ts'
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { Asked } from '../../core/functions/policy.ts'
import type { CarriedStream, Carrier } from './carrier.ts'
import type { Destination } from './dial.ts'
import { httpProblem, problem, StreamFailure } from './failure.ts'
import type { HttpPool, HttpPools } from './http-pools.ts'
import { expectsContent, isSafe, type OutgoingRequest, outgoingRequest } from './http-request.ts'

export interface HttpOptions {
  readonly pools: HttpPools
  readonly destination: Destination
  readonly asked: Asked
  /** Until the head of the answer. */
  readonly timeoutMs: number
  /** What was asked for, without its query; the status, once there is one. */
  readonly onRequest: (request: string) => void
  readonly onStatus: (status: number) => void
}

/** Characters of a path that a record shows. */
const MAX_SHOWN = 256

type Controller = Dispatcher.DispatchController

export class HttpCarrier implements Carrier {
  readonly #stream: CarriedStream
  readonly #options: HttpOptions
  readonly #decoder = new RequestDecoder()
  #request: OutgoingRequest | undefined
  /** A place in it is held until the end. */
  #pool: HttpPool | undefined
  #isSent = false
  #encoder: ResponseEncoder | undefined
  /** Content that came before the request was made. */
  #early: Uint8Array[] = []
  #body: Readable | undefined
  /** Bytes of content whose place in the window is given back when the service has taken them. */
  #bodyWaits = 0
  #requestEnded = false
  #controller: Controller | undefined
  #accepted = false
  #responded = false
  #retried = false
  #over = false
  #timer: NodeJS.Timeout | undefined

  constructor(stream: CarriedStream, options: HttpOptions) {
    this.#stream = stream
    this.#options = options
  }

  data(bytes: Uint8Array): void {
    const events = this.#decoder.push(bytes)
    let content = 0
    for (const event of events) if (event.type === 'data') content += event.bytes.length
    // What is framing is done with; content waits for the service.
    this.#stream.took(bytes.length - content)
    this.#take(events)
    if (this.#request !== undefined && !this.#isSent && !this.#over) this.#maybeSend()
  }

  end(): void {
    this.#take(this.#decoder.finish())
    if (!this.#over && this.#request !== undefined && !this.#isSent) this.#send()
  }

  drained(): void {
    this.#controller?.resume()
  }

  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#end()
    this.#controller?.abort(new Error('given up'))
    this.#body?.destroy()
  }

  #take(events: readonly BinaryHttpEvent<RequestHead>[]): void {
    for (const event of events) {
      if (event.type === 'head') this.#head(event.head)
      else if (event.type === 'data') this.#content(event.bytes)
      else if (event.type === 'end') this.#contentEnd()
      else if (event.type === 'fault') this.#malformed(event)
    }
  }

  #head(head: RequestHead): void {
    const { asked, destination, onRequest, pools } = this.#options
    const { service } = destination
    onRequest(`${head.method} ${head.path.split('?')[0]!.slice(0, MAX_SHOWN)}`)
    const request = outgoingRequest(head, asked, service)
    if ('code' in request) {
      this.#fail(request)
      return
    }
    const pool = pools.acquire(
      destination,
      asked,
      (service.kind === 'network' ? head.scheme : service.kind) === 'https',
    )
    if ('problem' in pool) {
      this.#fail(pool.problem)
      return
    }
    this.#pool = pool
    this.#request = request
    this.#encoder = new ResponseEncoder({ toHead: request.method === 'HEAD' })
  }

  #malformed({ code, cause }: Extract<BinaryHttpEvent<RequestHead>, { type: 'fault' }>): void {
    const remedy = 'Correct the request.'
    this.#fail(
      problem(code === 'too-large' ? 'too-large' : 'bad-request', `The request is not proper: ${cause}.`, remedy),
    )
  }

  #content(bytes: Uint8Array): void {
    if (this.#over || this.#responded) {
      this.#stream.took(bytes.length)
      return
    }
    if (this.#body === undefined) {
      this.#early.push(bytes)
      return
    }
    this.#bodyWaits += bytes.length
    this.#body.push(bytes)
    if (this.#body.readableLength === 0) this.#bodyTaken()
  }

  #contentEnd(): void {
    this.#requestEnded = true
    this.#body?.push(null)
  }

  /** Before the end has come: only where content is likely, or has come. */
  #maybeSend(): void {
    if (this.#early.length > 0 || expectsContent(this.#request!.method)) setImmediate(() => this.#send())
  }

  #send(): void {
    if (this.#over || this.#isSent || this.#request === undefined) return
    this.#isSent = true
    const { timeoutMs } = this.#options
    this.#timer = setTimeout(() => this.#late(), timeoutMs)
    this.#dispatch(this.#requestBody())
  }

  #requestBody(): Uint8Array | Readable | null {
    const early = this.#early
    this.#early = []
    const length = early.reduce((sum, { length }) => sum + length, 0)
    if (this.#requestEnded) {
      this.#bodyWaits = length
      if (length === 0) return null
      return early.length === 1 ? early[0]! : Buffer.concat(early)
    }
    const body = new Readable({ read: () => this.#bodyTaken(), highWaterMark: 65_536 })
    body.on('error', () => {})
    this.#body = body
    this.#bodyWaits = length
    for (const bytes of early) body.push(bytes)
    return body
  }

  /** The service wants more, so that what there was has gone. */
  #bodyTaken(): void {
    const taken = this.#bodyWaits - (this.#body?.readableLength ?? 0)
    if (taken <= 0) return
    this.#bodyWaits -= taken
    this.#stream.took(taken)
  }

  #dispatch(body: Uint8Array | Readable | null): void {
    const { method, path, headers } = this.#request!
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: (controller) => {
        this.#controller = controller
        if (this.#over) controller.abort(new Error('given up'))
      },
      onRequestUpgrade: (controller) => controller.abort(new StreamFailure(upgraded(this.#pool!.where))),
      onResponseStart: (controller, status) => this.#responseHead(controller, status),
      onResponseData: (controller, chunk) => this.#responseData(controller, chunk),
      onResponseEnd: (controller) => this.#responseEnd(controller),
      onResponseError: (_controller, error) => this.#failed(error, body),
    }
    // A constant name, so that undici keeps one connection for all names of a service: TLS is our dialler's business.
    const options = { method, path, headers, body, servername: 'service.invalid' }
    try {
      this.#pool!.dispatch(options as Dispatcher.DispatchOptions, handler)
    } catch (error) {
      this.#failed(error, body)
    }
  }

  #responseHead(controller: Controller, status: number): void {
    if (this.#over) return
    const head = { status, fields: endToEndFields(fieldsOf(controller.rawHeaders)) }
    const fault = responseFault(head)
    if (fault !== undefined) {
      this.#fail(improper(this.#pool!.where, fault))
      return
    }
    if (!this.#accepted) this.#stream.accept()
    this.#accepted = true
    if (status < 200) {
      this.#stream.write(this.#encoder!.informational(head))
      return
    }
    clearTimeout(this.#timer)
    this.#options.onStatus(status)
    this.#responded = true
    this.#stream.write(this.#encoder!.head(head))
    this.#holdBack(controller)
  }

  #responseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return
    this.#encoded(() => {
      for (const part of this.#encoder!.data(chunk)) this.#stream.write(part)
    })
    this.#holdBack(controller)
  }

  /** The encoder refuses what no receiver would take. */
  #encoded(write: () => void): void {
    try {
      write()
    } catch (error) {
      this.#fail(improper(this.#pool!.where, error instanceof TypeError ? error.message : 'it cannot be passed on'))
    }
  }

  #holdBack(controller: Controller): void {
    if (!this.#stream.writable) controller.pause()
  }

  #responseEnd(controller: Controller): void {
    if (this.#over) return
    const trailers = endToEndFields(fieldsOf(controller.rawTrailers))
    // Trailers are an extra: those that nobody may send are no reason to lose what they follow.
    const proper = trailersFault(trailers) === undefined ? trailers : []
    this.#encoded(() => this.#stream.write(this.#encoder!.end(proper)))
    if (this.#over) return
    this.#over = true
    this.#end()
    this.#stream.took(this.#bodyWaits)
    this.#bodyWaits = 0
    this.#stream.finish()
    this.#stream.done()
  }

  #failed(error: unknown, body: Uint8Array | Readable | null): void {
    if (this.#over) return
    const code = (error as { code?: unknown } | null)?.code
    const isStale = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
    if (isStale && !this.#retried && !this.#accepted && body === null && isSafe(this.#request!.method)) {
      this.#retried = true
      this.#dispatch(body)
      return
    }
    this.#fail(httpProblem(error, this.#pool?.where ?? 'the service'))
  }

  #late(): void {
    const { timeoutMs } = this.#options
    const cause = `${this.#pool!.where} sent no head of an answer within ${timeoutMs} ms.`
    this.#fail(
      problem('timed-out', cause, 'See why the service is slow; timeouts.response of the service is the limit.'),
    )
  }

  #fail(problem: StreamProblem): void {
    if (!this.#over) this.#stream.fail(problem)
  }

  #end(): void {
    clearTimeout(this.#timer)
    this.#pool?.release()
    this.#early = []
  }
}

/** undici hands over what was on the wire: octets, or one character for each. */
function fieldsOf(raw: Controller['rawHeaders']): FieldLine[] {
  if (!Array.isArray(raw)) return []
  const fields: FieldLine[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([text(raw[i]!).toLowerCase(), text(raw[i + 1]!).trim()])
  return fields
}

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}

function improper(where: string, fault: string): StreamProblem {
  return problem('bad-response', `The answer of ${where} is not proper: ${fault}.`, 'See the log of the service.')
}

function upgraded(where: string): StreamProblem {
  return problem(
    'bad-response',
    `${where} changed the protocol, which was not asked for.`,
    'See the log of the service.',
  )
}
