/** Bodies of requests: what is known of them before they are sent, and whether they can be sent twice. */

export interface Body {
  readonly kind: 'none' | 'bytes' | 'stream'
  /** Of `bytes`. */
  readonly bytes?: Uint8Array
  /** Bytes that it has, where that is known. */
  readonly length?: number
  /** Opens it, once, or as often as wanted where it is `replayable`. */
  open?(): ReadableStreamDefaultReader<Uint8Array>
  readonly replayable: boolean
  /** Whether something was read of it. */
  readonly used: boolean
}

export const NO_BODY: Body = { kind: 'none', replayable: true, used: false }

/** A body up to this size that is there at once goes as one piece, and can be sent again. */
const SMALL = 1 << 20

/** `given`: what `init` had as body; `length`: the value of content-length. */
export async function bodyOf(request: Request, given: unknown, length: string | null): Promise<Body> {
  if (request.body === null) return NO_BODY
  if (given instanceof Blob && given.size > SMALL) return blobBody(given)
  if (given != null && !isStreaming(given)) return bytesBody(new Uint8Array(await request.arrayBuffer()))
  return settled(request.body, length)
}

function isStreaming(given: unknown): boolean {
  if (given instanceof ReadableStream) return true
  const known = typeof given === 'string' || given instanceof Blob || given instanceof ArrayBuffer
  const other = ArrayBuffer.isView(given) || given instanceof URLSearchParams || given instanceof FormData
  return !known && !other
}

function bytesBody(bytes: Uint8Array): Body {
  return { kind: 'bytes', bytes, length: bytes.length, replayable: true, used: false }
}

function blobBody(blob: Blob): Body {
  return {
    kind: 'stream',
    length: blob.size,
    replayable: true,
    used: false,
    open: () => blob.stream().getReader() as ReadableStreamDefaultReader<Uint8Array>,
  }
}

/**
 * A stream, or bytes where all of it is there already, as with a Request that was made of a text: `fetch` itself
 * knows that, and we can only see it.
 */
async function settled(stream: ReadableStream<Uint8Array>, length: string | null): Promise<Body> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  const turn = new Promise<'later'>((resolve) => setTimeout(() => resolve('later'), 0))
  for (;;) {
    const next = reader.read()
    const result = size > SMALL ? 'later' : await Promise.race([next, turn])
    if (result === 'later') return streamBody(reader, chunks, next, length)
    if (result.done) return bytesBody(joined(chunks, size))
    chunks.push(bytesOf(result.value))
    size += result.value.length
  }
}

type Read = ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>

function streamBody(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  before: Uint8Array[],
  next: Read,
  length: string | null,
): Body {
  // It is awaited when the body is sent; until then its failure is nobody's.
  next.catch(() => undefined)
  let used = false
  let pending: Read | undefined = next
  const wrapped = {
    read: (): Read => {
      used = true
      const chunk = before.shift()
      if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk })
      const read = pending ?? reader.read()
      pending = undefined
      return read
    },
    cancel: (reason: unknown) => reader.cancel(reason),
  } as ReadableStreamDefaultReader<Uint8Array>
  return {
    kind: 'stream',
    replayable: false,
    get used() {
      return used
    },
    ...(length !== null && /^\d{1,15}$/.test(length) ? { length: Number(length) } : {}),
    open: () => wrapped,
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** A chunk of a body, which must be bytes. Throws TypeError for another. */
export function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk)
  throw new TypeError('a chunk of a stream is no bytes')
}
