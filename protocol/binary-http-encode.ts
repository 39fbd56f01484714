/** Writes messages of indeterminate length (RFC 9292 section 3.2) piece by piece, and none that the decoders refuse. */
import {
  contentLength,
  hasNoContent,
  requestFault,
  requestSize,
  responseFault,
  responseSize,
  sectionSize,
  trailersFault,
} from './binary-http-rules.ts'
import type { FieldLine, RequestHead, ResponseHead } from './binary-http-types.ts'
import { varintSize, writeVarint } from './binary-http-varint.ts'

const FRAMING_REQUEST = 2
const FRAMING_RESPONSE = 3

/**
 * The content and the end, the same for both. All throw TypeError for what would make the message invalid; who does
 * not know that it is in order asks `requestFault`, `responseFault` and `trailersFault` first.
 */
class MessageEncoder {
  #state: 'head' | 'content' | 'done' = 'head'
  /** Bytes that a content-length promises and that did not come yet. */
  #left: number | undefined

  /** One chunk: its length, and the bytes themselves, not copied. Nothing for no bytes: such a chunk would be the end. */
  data(bytes: Uint8Array): Uint8Array[] {
    if (this.#state !== 'content') throw new TypeError('content outside its place')
    if (bytes.length === 0) return []
    if (this.#left !== undefined) this.#left -= bytes.length
    if (this.#left !== undefined && this.#left < 0) throw new TypeError('more content than content-length says')
    const prefix = new Uint8Array(varintSize(bytes.length))
    writeVarint(prefix, 0, bytes.length)
    return [prefix, bytes]
  }

  /** The end of the content, and the trailers. */
  end(trailers: readonly FieldLine[] = []): Uint8Array {
    if (this.#state !== 'content') throw new TypeError('an end outside its place')
    if (this.#left !== undefined && this.#left > 0) throw new TypeError('less content than content-length says')
    refuse(trailersFault(trailers))
    this.#state = 'done'
    const bytes = new Uint8Array(1 + sectionSize(trailers))
    writeSection(bytes, 1, trailers)
    return bytes
  }

  protected expectHead(): void {
    if (this.#state !== 'head') throw new TypeError('a second head')
  }

  protected begin(left: number | undefined): void {
    this.expectHead()
    this.#state = 'content'
    this.#left = left
  }
}

export class RequestEncoder extends MessageEncoder {
  /** The first octets of the message. */
  head(head: RequestHead): Uint8Array {
    refuse(requestFault(head))
    this.begin(contentLength(head.fields))
    const bytes = new Uint8Array(requestSize(head))
    bytes[0] = FRAMING_REQUEST
    let at = 1
    for (const text of [head.method, head.scheme, head.authority, head.path]) at = writeText(bytes, at, text)
    writeSection(bytes, at, head.fields)
    return bytes
  }
}

export class ResponseEncoder extends MessageEncoder {
  readonly #toHead: boolean
  #framed = false

  /** `toHead`: the request was a HEAD, so that there is no content, whatever content-length says. */
  constructor(options: { readonly toHead?: boolean } = {}) {
    super()
    this.#toHead = options.toHead ?? false
  }

  /** A response of status 100 to 199, before the head. */
  informational(head: ResponseHead): Uint8Array {
    this.expectHead()
    refuse(responseFault(head))
    if (head.status > 199) throw new TypeError('an informational response with a final status')
    return this.#write(head)
  }

  head(head: ResponseHead): Uint8Array {
    refuse(responseFault(head))
    if (head.status < 200) throw new TypeError('a final response with an informational status')
    this.begin(hasNoContent(head.status, this.#toHead) ? 0 : contentLength(head.fields))
    return this.#write(head)
  }

  #write(head: ResponseHead): Uint8Array {
    const bytes = new Uint8Array(responseSize(head))
    bytes[0] = FRAMING_RESPONSE
    writeSection(bytes, writeVarint(bytes, 1, head.status), head.fields)
    const first = !this.#framed
    this.#framed = true
    return first ? bytes : bytes.subarray(1)
  }
}

function refuse(fault: string | undefined): void {
  if (fault !== undefined) throw new TypeError(fault)
}

/** The rules leave no character beyond U+00FF: one octet each. */
function writeText(bytes: Uint8Array, offset: number, text: string): number {
  let at = writeVarint(bytes, offset, text.length)
  for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index)
  return at
}

/** The field lines and the terminator, an octet that is zero already. */
function writeSection(bytes: Uint8Array, offset: number, fields: readonly FieldLine[]): void {
  let at = offset
  for (const [name, value] of fields) at = writeText(bytes, writeText(bytes, at, name), value)
}
