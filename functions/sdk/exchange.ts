/** One request and its response on one stream. */
import { RequestEncoder, type ResponseHead } from '../../protocol/binary-http.ts'
import { encodeOpening } from '../../protocol/stream-exchange.ts'
import { streamProblem } from '../../protocol/stream-problem.ts'
import { bytesOf } from './body.ts'
import { failure, type IsthmusError } from './error.ts'
import { HttpReader } from './http-reader.ts'
import type { Pool } from './pool.ts'
import { headOf, hostOf, isSafe, type Outgoing, portOf } from './request.ts'
import type { Session } from './session.ts'
import type { SessionStream } from './stream.ts'

/** A response whose head is there. */
export interface Answered {
  readonly head: ResponseHead
  readonly reader: HttpReader
  readonly stream: SessionStream
}

export interface ExchangeOptions {
  readonly avoid: ReadonlySet<string>
  readonly signal: AbortSignal | null
  readonly connectMs: number
  readonly responseMs: number | undefined
}

/** An exchange that failed before the head of its response; `session` is absent where there was none to ask on. */
export class ExchangeFailure {
  readonly error: unknown
  readonly session: Session | undefined

  constructor(error: unknown, session: Session | undefined) {
    this.error = error
    this.session = session
  }
}

/** Rejects with an ExchangeFailure, or with a TypeError for a request that is none. */
export async function exchange(pool: Pool, request: Outgoing, options: ExchangeOptions): Promise<Answered> {
  const encoder = new RequestEncoder()
  const parts = firstParts(encoder, request, options.responseMs)
  const whole = request.body.kind !== 'stream'
  const opening = pool.open({
    parts: () => parts,
    finish: whole,
    harmless: () => (isSafe(request) && whole ? parts : []),
    avoid: options.avoid,
    signal: options.signal,
    connectMs: options.connectMs,
  })
  const { stream, session } = await opening.catch((error) => {
    throw new ExchangeFailure(error, undefined)
  })
  const stop = whole ? undefined : send(stream, encoder, request)
  const reader = new HttpReader(stream, request.method === 'HEAD')
  const end = (): void => stream.abort(options.signal!.reason)
  if (options.signal?.aborted === true) end()
  options.signal?.addEventListener('abort', end, { once: true })
  const timer =
    options.responseMs === undefined ? undefined : setTimeout(() => late(stream, options), options.responseMs)
  try {
    return { head: await reader.head(), reader, stream }
  } catch (error) {
    stream.abort(error)
    stop?.(error)
    throw new ExchangeFailure(error, session)
  } finally {
    clearTimeout(timer)
    // From here on whoever has the response follows the signal.
    options.signal?.removeEventListener('abort', end)
  }
}

function firstParts(encoder: RequestEncoder, request: Outgoing, timeoutMs: number | undefined): Uint8Array[] {
  const timeout = timeoutMs === undefined ? {} : { timeoutMs: Math.ceil(timeoutMs) }
  const opening = { kind: 'http', host: hostOf(request.url), port: portOf(request.url), ...timeout } as const
  const parts = [encodeOpening(opening), encoder.head(headOf(request))]
  const { kind, bytes } = request.body
  if (bytes !== undefined) parts.push(...encoder.data(bytes))
  if (kind !== 'stream') parts.push(encoder.end())
  return parts
}

/** Sends a body as it comes. Returns what ends that. */
function send(stream: SessionStream, encoder: RequestEncoder, { body }: Outgoing): (error: unknown) => void {
  const reader = body.open!()
  const cancel = (error: unknown): void => {
    reader.cancel(error).catch(() => undefined)
  }
  const pump = async (): Promise<void> => {
    for (;;) {
      await stream.drained()
      const { done, value } = await reader.read()
      if (done) break
      // The caller may use its buffer again.
      for (const part of encoder.data(bytesOf(value).slice())) stream.write(part)
    }
    stream.write(encoder.end())
    stream.finish()
  }
  pump().catch((error) => {
    stream.abort(error)
    cancel(error)
  })
  return cancel
}

function late(stream: SessionStream, { responseMs }: ExchangeOptions): void {
  const error: IsthmusError = failure(
    'timed-out',
    `The response did not begin within ${responseMs! / 1000} s.`,
    'Look at the service, or raise timeouts.response.',
  )
  stream.abort(error, streamProblem('timed-out', error.cause, error.remedy))
}
