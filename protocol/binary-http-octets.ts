/** The octets of a message that comes in pieces, for a reader that is written as if all of them were there. */
import { decodeVarint, varintLength } from './binary-http-varint.ts'

/** Thrown in a reader and caught by the decoder that runs it: the message is invalid (RFC 9292 section 4). */
export class Invalid extends Error {
  readonly code: 'malformed' | 'too-large'

  constructor(code: 'malformed' | 'too-large', cause: string) {
    super(cause)
    this.code = code
  }
}

/** What a reader does: it yields where it needs more octets, or to hear that there are none. */
export type Steps<T> = Generator<undefined, T, undefined>

const NONE = new Uint8Array(0)

export class Octets {
  #bytes: Uint8Array = NONE
  #at = 0
  #before = 0
  #finished = false

  /** Octets that were taken. */
  get taken(): number {
    return this.#before + this.#at
  }

  /** The next piece. The reader has taken all of the one before it when it yields. */
  push(bytes: Uint8Array): void {
    this.#before += this.#at
    this.#bytes = bytes
    this.#at = 0
  }

  finish(): void {
    this.push(NONE)
    this.#finished = true
  }

  /** Whether the message ends here. */
  *ended(): Steps<boolean> {
    while (this.#at === this.#bytes.length) {
      if (this.#finished) return true
      yield
    }
    return false
  }

  /** From one octet to `most` of them, a part of the piece at hand. */
  *some(most: number): Steps<Uint8Array> {
    if (yield* this.ended()) throw new Invalid('malformed', 'the message is cut off')
    const end = Math.min(this.#bytes.length, this.#at + most)
    const part = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return part
  }

  /** Exactly `length` octets: a part of the piece at hand, or a copy of parts. The caller has bounded the length. */
  *take(length: number): Steps<Uint8Array> {
    if (length === 0) return NONE
    const first = yield* this.some(length)
    if (first.length === length) return first
    const whole = new Uint8Array(length)
    whole.set(first)
    let have = first.length
    while (have < length) {
      const part = yield* this.some(length - have)
      whole.set(part, have)
      have += part.length
    }
    return whole
  }

  *varint(): Steps<number> {
    const first = (yield* this.some(1))[0]!
    if (first < 0x40) return first
    const bytes = new Uint8Array(varintLength(first))
    bytes[0] = first
    if (bytes.length > 1) bytes.set(yield* this.take(bytes.length - 1), 1)
    const value = decodeVarint(bytes)
    if (value === undefined) throw new Invalid('too-large', 'an integer beyond 2^53')
    return value
  }
}

/** One character for each octet. TextDecoder has no such encoding: its latin1 is windows-1252. */
export function byteString(bytes: Uint8Array): string {
  let text = ''
  if (bytes.length < 64) {
    for (const octet of bytes) text += String.fromCharCode(octet)
    return text
  }
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  }
  return text
}
