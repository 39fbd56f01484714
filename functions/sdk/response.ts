/** Standard responses of what came over the wire. */
import { endToEndFields } from '../../protocol/binary-http.ts'
import type { Answered } from './exchange.ts'

export interface ResponseFacts {
  readonly url: string
  readonly redirected: boolean
  readonly toHead: boolean
  readonly signal: AbortSignal | null
  /** The content is to be handed over as it is encoded. */
  readonly raw: boolean
}

/** Statuses without a body (Fetch, null body status). */
const NULL_BODY = new Set([204, 205, 304])
/** Encodings that DecompressionStream knows, by their names in content-encoding. */
const KNOWN_ENCODINGS = new Map<string, 'gzip' | 'deflate'>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
])
/** Bytes of a body that nobody wants that are read, so that the connection on site can be used again. */
const MAX_DISCARD = 65_536

export function responseOf(answered: Answered, facts: ResponseFacts): Response {
  const { status, fields } = answered.head
  const headers = new Headers()
  for (const [name, value] of endToEndFields(fields)) headers.append(name, value)
  const none = facts.toHead || NULL_BODY.has(status)
  if (none) void discard(answered)
  let body = none ? null : bodyOf(answered, facts.signal)
  const format = facts.raw ? undefined : KNOWN_ENCODINGS.get(headers.get('content-encoding')?.toLowerCase() ?? '')
  const encoded = headers.has('content-encoding') && body !== null
  if (body !== null && format !== undefined && typeof DecompressionStream === 'function') {
    body = body.pipeThrough(new DecompressionStream(format) as unknown as ReadableWritablePair<Uint8Array, Uint8Array>)
    headers.delete('content-length')
  }
  // Workers would encode a body anew that says that it is encoded; others do not know the word.
  const init = { status, headers, ...(encoded && format === undefined ? { encodeBody: 'manual' } : {}) }
  return withFacts(new Response(body, init), facts)
}

/** `url` and `redirected`, which a response that a program makes does not have; a clone has them too. */
function withFacts(response: Response, facts: ResponseFacts): Response {
  const clone = (): Response => withFacts(Object.getPrototypeOf(response).clone.call(response), facts)
  const properties = { url: facts.url, redirected: facts.redirected, clone }
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(response, name, { value, configurable: true, enumerable: name !== 'clone' })
  }
  return response
}

function bodyOf({ reader, stream }: Answered, signal: AbortSignal | null): ReadableStream<Uint8Array> {
  const abort = (): void => stream.abort(signal!.reason)
  const over = (): void => signal?.removeEventListener('abort', abort)
  if (signal?.aborted === true) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  let controller: ReadableByteStreamController
  stream.onFailure = (error) => {
    over()
    // Also while nobody reads; what came before is gone then, as with fetch.
    if (signal?.aborted === true) controller.error(error)
  }
  return new ReadableStream({
    type: 'bytes',
    start(given) {
      controller = given
    },
    async pull(given) {
      const chunk = await reader.chunk()
      if (chunk !== undefined) {
        // Its buffer holds more than this chunk, and goes to whoever reads.
        given.enqueue(chunk.slice())
        return
      }
      over()
      given.close()
      given.byobRequest?.respond(0)
    },
    cancel(reason) {
      over()
      stream.abort(reason)
    },
  }) as ReadableStream<Uint8Array>
}

/** Reads what is left of a response that nobody wants, and gives it up where that is much. */
export async function discard({ reader, stream }: Answered): Promise<void> {
  try {
    for (let left = MAX_DISCARD; left > 0; ) {
      const chunk = await reader.chunk()
      if (chunk === undefined) return
      left -= chunk.length
    }
    stream.abort(undefined)
  } catch {
    // Nobody wants to know.
  }
}
