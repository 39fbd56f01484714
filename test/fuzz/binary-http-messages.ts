/** Binary HTTP messages for tests: read whole, and written by hand, so that they may be wrong. */
import { readFileSync } from 'node:fs'
import {
  type BinaryHttpEvent,
  type FieldLine,
  RequestDecoder,
  type RequestHead,
  ResponseDecoder,
  type ResponseHead,
} from '../../protocol/binary-http.ts'

type Event = BinaryHttpEvent<RequestHead | ResponseHead>

export interface Message {
  readonly informational: readonly ResponseHead[]
  readonly head: RequestHead | ResponseHead
  readonly content: Uint8Array
  readonly trailers: readonly FieldLine[]
}

export interface Vector {
  readonly name: string
  readonly kind: 'request' | 'response'
  readonly hex: string
  readonly head: RequestHead | ResponseHead
  readonly informational: readonly ResponseHead[]
  readonly content: string
  readonly trailers: readonly FieldLine[]
  /** Octets at the end that mean nothing. */
  readonly cut: number
}

export interface Vectors {
  readonly messages: readonly Vector[]
  readonly varints: readonly (readonly [hex: string, value: number])[]
  readonly hugeVarint: string
}

export const VECTORS: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/binary-http.json', import.meta.url), 'utf8'),
)

export function octets(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

/** All events of a message that comes in these pieces. */
export function events(decoder: RequestDecoder | ResponseDecoder, pieces: readonly Uint8Array[]): Event[] {
  return [...pieces.flatMap((piece): readonly Event[] => decoder.push(piece)), ...decoder.finish()]
}

/** The message, or its fault. Throws where the events come in an order that they must not have. */
export function messageOf(all: readonly Event[]): Message | { readonly fault: string } {
  const order = all.map(({ type }) => type).join(' ')
  if (!/^(informational )*(head (data )*(trailers )?(end|fault)|fault)$/.test(order))
    throw new Error(`events: ${order}`)
  const last = all.at(-1)!
  if (last.type === 'fault') return { fault: last.cause }
  return {
    informational: all.flatMap((event) => (event.type === 'informational' ? [event.head] : [])),
    head: all.flatMap((event) => (event.type === 'head' ? [event.head] : []))[0]!,
    content: Buffer.concat(all.flatMap((event) => (event.type === 'data' ? [event.bytes] : []))),
    trailers: all.flatMap((event) => (event.type === 'trailers' ? event.fields : [])),
  }
}

export function decode(kind: 'request' | 'response', ...pieces: readonly Uint8Array[]): Message | { fault: string } {
  return messageOf(events(kind === 'request' ? new RequestDecoder() : new ResponseDecoder(), pieces))
}

/** What a test wants different from a good GET of indeterminate length. */
export interface Raw {
  readonly method?: string
  readonly scheme?: string
  readonly authority?: string
  readonly path?: string
  readonly fields?: readonly FieldLine[]
  readonly content?: string
  readonly trailers?: readonly FieldLine[]
}

export function rawRequest(raw: Raw): Uint8Array {
  const { method = 'GET', scheme = 'http', authority = 'erp.internal', path = '/' } = raw
  const control = [method, scheme, authority, path].flatMap(text)
  return Uint8Array.from([2, ...control, ...section(raw.fields), ...chunks(raw.content), ...section(raw.trailers)])
}

export function rawResponse(status: number, raw: Pick<Raw, 'fields' | 'content' | 'trailers'>): Uint8Array {
  return Uint8Array.from([
    3,
    ...varint(status),
    ...section(raw.fields),
    ...chunks(raw.content),
    ...section(raw.trailers),
  ])
}

export function text(value: string): number[] {
  return [...varint(value.length), ...Buffer.from(value, 'latin1')]
}

/** Of lengths below 2^30. */
export function varint(value: number): number[] {
  if (value < 64) return [value]
  if (value < 16_384) return [0x40 | (value >> 8), value & 0xff]
  return [0x80 | (value >> 24), (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]
}

function section(fields: readonly FieldLine[] = []): number[] {
  return [...fields.flat().flatMap(text), 0]
}

function chunks(content = ''): number[] {
  return content === '' ? [0] : [...text(content), 0]
}
