/**
 * Reads messages of known and of indeterminate length (RFC 9292 section 3) as they come, cut anywhere. Heads and
 * trailers are collected up to their limits, content never is.
 */
import { byteString, Invalid, Octets, type Steps } from './binary-http-octets.ts'
import { contentLength, hasNoContent, requestFault, responseFault, trailersFault } from './binary-http-rules.ts'
import {
  BINARY_HTTP_LIMITS,
  type BinaryHttpEvent,
  type BinaryHttpLimits,
  type FieldLine,
  type RequestHead,
  type ResponseHead,
} from './binary-http-types.ts'

export interface DecoderOptions {
  readonly limits?: Partial<BinaryHttpLimits>
}

/** The octets are counted as they come, which in the other forms of a message are not as many as in ours. */
const UNBOUNDED: BinaryHttpLimits = {
  maxHead: Number.POSITIVE_INFINITY,
  maxFields: Number.POSITIVE_INFINITY,
  maxFieldLine: Number.POSITIVE_INFINITY,
  maxInformational: Number.POSITIVE_INFINITY,
}

abstract class MessageDecoder<Head extends { readonly fields: readonly FieldLine[] }> {
  protected readonly octets = new Octets()
  protected readonly limits: BinaryHttpLimits
  /** Section 3.3: 0 and 2 for requests, 1 and 3 for responses. */
  readonly #kind: 0 | 1
  readonly #steps: Steps<void>
  #events: BinaryHttpEvent<Head>[] = []
  #over = false
  /** Where the head or the trailers at hand began. */
  #headAt = 0

  protected constructor(kind: 0 | 1, options: DecoderOptions) {
    this.#kind = kind
    this.limits = { ...BINARY_HTTP_LIMITS, ...options.limits }
    this.#steps = this.#message()
  }

  /** What the next octets say. The `data` events hold parts of them; nothing else is kept. */
  push(bytes: Uint8Array): readonly BinaryHttpEvent<Head>[] {
    if (this.#over) return []
    this.octets.push(bytes)
    return this.#run()
  }

  /** No more octets come (FIN). The last event is `end` or `fault`, unless there was a fault before. */
  finish(): readonly BinaryHttpEvent<Head>[] {
    if (this.#over) return []
    this.octets.finish()
    return this.#run()
  }

  /** Control data and header section of the message, after whatever comes before them. */
  protected abstract head(known: boolean): Steps<Head>

  /** Bytes of content that the head promises. */
  protected abstract promised(head: Head): number | undefined

  protected emit(event: BinaryHttpEvent<Head>): void {
    this.#events.push(event)
  }

  /** A head begins here, as far as its limit is concerned. */
  protected beginHead(): void {
    this.#headAt = this.octets.taken
  }

  protected *text(): Steps<string> {
    return byteString(yield* this.#bounded(yield* this.octets.varint()))
  }

  /** Section 3.6. The last ones of a message may be missing (section 3.8): then there are no fields. */
  protected *section(known: boolean, mayBeMissing: boolean): Steps<FieldLine[]> {
    if (mayBeMissing && (yield* this.octets.ended())) return []
    const fields: FieldLine[] = []
    if (!known) {
      for (;;) {
        const nameLength = yield* this.octets.varint()
        if (nameLength === 0) return fields
        fields.push(yield* this.#field(nameLength, fields.length))
      }
    }
    const length = yield* this.octets.varint()
    this.#bound(length)
    const end = this.octets.taken + length
    while (this.octets.taken < end) {
      const nameLength = yield* this.octets.varint()
      if (nameLength === 0) throw new Invalid('malformed', 'a field without a name')
      fields.push(yield* this.#field(nameLength, fields.length))
    }
    if (this.octets.taken > end) throw new Invalid('malformed', 'a field that goes beyond its section')
    return fields
  }

  #run(): readonly BinaryHttpEvent<Head>[] {
    this.#events = []
    try {
      if (this.#steps.next().done) this.#over = true
    } catch (error) {
      if (!(error instanceof Invalid)) throw error
      this.#over = true
      this.emit({ type: 'fault', code: error.code, cause: error.message })
    }
    return this.#events
  }

  *#message(): Steps<void> {
    const framing = yield* this.octets.varint()
    if (framing > 3 || framing % 2 !== this.#kind) throw new Invalid('malformed', `the framing indicator ${framing}`)
    const known = framing < 2
    const head = yield* this.head(known)
    this.emit({ type: 'head', head })
    yield* this.#content(known, this.promised(head))
    this.beginHead()
    const trailers = yield* this.section(known, true)
    valid(trailersFault(trailers, UNBOUNDED))
    if (trailers.length > 0) this.emit({ type: 'trailers', fields: trailers })
    while (!(yield* this.octets.ended())) {
      const padding = yield* this.octets.some(Number.MAX_SAFE_INTEGER)
      if (padding.some((octet) => octet !== 0)) throw new Invalid('malformed', 'padding that is not zero')
    }
    this.emit({ type: 'end' })
  }

  /** Sections 3.7 and 3.8: content may be missing, its terminator may not. */
  *#content(known: boolean, promised: number | undefined): Steps<void> {
    let left = promised ?? Number.POSITIVE_INFINITY
    let more = !(yield* this.octets.ended())
    while (more) {
      const length = yield* this.octets.varint()
      if (length > left) throw new Invalid('malformed', 'more content than the head promises')
      left -= length
      yield* this.#data(length)
      more = !known && length > 0
    }
    if (promised !== undefined && left > 0) throw new Invalid('malformed', 'less content than the head promises')
  }

  *#data(length: number): Steps<void> {
    for (let left = length; left > 0; ) {
      const bytes = yield* this.octets.some(left)
      left -= bytes.length
      this.emit({ type: 'data', bytes })
    }
  }

  *#field(nameLength: number, before: number): Steps<FieldLine> {
    if (before >= this.limits.maxFields) throw new Invalid('too-large', `more than ${this.limits.maxFields} fields`)
    const name = yield* this.#bounded(nameLength)
    const valueLength = yield* this.octets.varint()
    if (nameLength + valueLength > this.limits.maxFieldLine) {
      throw new Invalid('too-large', `a field of more than ${this.limits.maxFieldLine} bytes`)
    }
    return [byteString(name), byteString(yield* this.#bounded(valueLength))]
  }

  *#bounded(length: number): Steps<Uint8Array> {
    this.#bound(length)
    return yield* this.octets.take(length)
  }

  #bound(length: number): void {
    if (this.octets.taken - this.#headAt + length > this.limits.maxHead) {
      throw new Invalid('too-large', `a head of more than ${this.limits.maxHead} bytes`)
    }
  }
}

export class RequestDecoder extends MessageDecoder<RequestHead> {
  constructor(options: DecoderOptions = {}) {
    super(0, options)
  }

  /** Section 3.4. */
  protected override *head(known: boolean): Steps<RequestHead> {
    const method = yield* this.text()
    const scheme = yield* this.text()
    const authority = yield* this.text()
    const path = yield* this.text()
    const head = { method, scheme, authority, path, fields: yield* this.section(known, true) }
    valid(requestFault(head, UNBOUNDED))
    return head
  }

  protected override promised(head: RequestHead): number | undefined {
    return contentLength(head.fields)
  }
}

export class ResponseDecoder extends MessageDecoder<ResponseHead> {
  readonly #toHead: boolean

  /** `toHead`: the request was a HEAD, so that there is no content, whatever content-length says. */
  constructor(options: DecoderOptions & { readonly toHead?: boolean } = {}) {
    super(1, options)
    this.#toHead = options.toHead ?? false
  }

  /** Section 3.5. */
  protected override *head(known: boolean): Steps<ResponseHead> {
    for (let informational = 0; ; informational++) {
      const status = yield* this.octets.varint()
      const interim = status < 200
      const head = { status, fields: yield* this.section(known, !interim) }
      valid(responseFault(head, UNBOUNDED))
      if (!interim) return head
      if (informational >= this.limits.maxInformational)
        throw new Invalid('too-large', 'endless informational responses')
      this.emit({ type: 'informational', head })
      this.beginHead()
    }
  }

  protected override promised(head: ResponseHead): number | undefined {
    return hasNoContent(head.status, this.#toHead) ? 0 : contentLength(head.fields)
  }
}

function valid(fault: string | undefined): void {
  if (fault !== undefined) throw new Invalid('malformed', fault)
}
