/** Bodies of requests: read whole, up to a limit, before anything is made of them. */

export type BodyRead = { readonly bytes: Uint8Array<ArrayBuffer> } | { readonly fault: 'too-large' }

/** Reads at most `limit` bytes; what a Content-Length announces as more is not begun. */
export async function readBody(request: Request, limit: number): Promise<BodyRead> {
  const announced = Number(request.headers.get('content-length') ?? 0)
  if (announced > limit) return { fault: 'too-large' }
  if (request.body === null) return { bytes: new Uint8Array(0) }
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > limit) {
      await reader.cancel().catch(() => {})
      return { fault: 'too-large' }
    }
    parts.push(value)
  }
  return { bytes: joined(parts, length) }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Nesting of arrays and objects that any of our documents could need, with room. */
const MAX_DEPTH = 32

/** The JSON text in `bytes`, or why it is none. */
export function parseJson(bytes: Uint8Array): { readonly value: unknown } | { readonly fault: string } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { fault: 'the body is not UTF-8' }
  }
  if (text.trim() === '') return { fault: 'the body is empty' }
  if (tooDeep(text)) return { fault: `the body nests deeper than ${MAX_DEPTH} levels` }
  try {
    return { value: JSON.parse(text) }
  } catch (error) {
    return { fault: `the body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'}` }
  }
}

function tooDeep(text: string): boolean {
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (quoted) {
      if (c === 0x5c) i++
      else if (c === 0x22) quoted = false
    } else if (c === 0x22) quoted = true
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > MAX_DEPTH) return true
    } else if (c === 0x7d || c === 0x5d) depth--
  }
  return false
}
