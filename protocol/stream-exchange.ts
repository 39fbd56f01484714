/** What is said on a stream before the bytes: what the function wants, and whether it gets it. */
import { parseAddress } from './net.ts'
import { cutSentence, readStreamProblem, type StreamProblem } from './stream-problem.ts'

export type StreamOpening =
  | {
      readonly kind: 'tcp' | 'http'
      /** A service's name, `<name>.internal`, one of its further names, or a host or address of a whole network. */
      readonly host: string
      readonly port: number
      /** The connector speaks TLS to the service (tcp only; a service of kind https does so anyway). */
      readonly tls?: boolean
      /** For the connection, and for http until the head of the answer. The service's own limit where absent. */
      readonly timeoutMs?: number
    }
  | { readonly kind: 'start-tls'; readonly of: number; readonly after: number; readonly serverName?: string }

export type StreamAnswer =
  | { readonly ok: true; readonly remote?: string }
  | { readonly ok: false; readonly problem: StreamProblem }

/** Bytes of an opening or an answer, its length field not counted. */
export const MAX_OPENING = 4096
/** The longest `timeoutMs`: a day. */
export const MAX_TIMEOUT_MS = 86_400_000

const MAX_HOST = 253
const MAX_REMOTE = 300
const LENGTH_FIELD = 4
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
/** A last label like these makes many resolvers read a name as an IPv4 address: 127.1, 0x7f000001 (WHATWG URL, 3.5). */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/i

/** The length field and the opening. Throws TypeError for one that `openingFault` finds fault with. */
export function encodeOpening(opening: StreamOpening): Uint8Array {
  const fault = openingFault(opening)
  if (fault !== undefined) throw new TypeError(fault)
  return encode(opening)
}

/** The length field and the answer. The sentences of a problem are cut to what the other end keeps of them. */
export function encodeAnswer(answer: StreamAnswer): Uint8Array {
  if (answer.ok) return encode(answer)
  const { cause, remedy, ...rest } = answer.problem
  return encode({ ok: false, problem: { ...rest, cause: cutSentence(cause), remedy: cutSentence(remedy) } })
}

/** What is wrong with an opening, from wherever it comes; undefined where nothing is. */
export function openingFault(opening: unknown): string | undefined {
  if (!isRecord(opening)) return 'an opening is an object'
  switch (opening.kind) {
    case 'tcp':
    case 'http':
      return connectionFault(opening)
    case 'start-tls':
      return startTlsFault(opening)
    default:
      return 'kind: one of tcp, http, start-tls'
  }
}

/** Whether `text` is a host name of letters, digits and hyphens (RFC 1123 section 2.1) or an address, no brackets. */
export function isHost(text: string): boolean {
  if (text.length > MAX_HOST) return false
  if (parseAddress(text) !== undefined) return true
  const labels = (text.endsWith('.') ? text.slice(0, -1) : text).split('.')
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1)!)
}

export type ExchangeRead<T> =
  | { readonly type: 'more' }
  /** `rest`: what came behind it, a part of the bytes that were pushed. */
  | { readonly type: 'done'; readonly value: T; readonly rest: Uint8Array }
  | { readonly type: 'fault'; readonly cause: string }

/** Reads an opening or an answer that comes in pieces. After a fault there is nothing but this fault. */
class ExchangeReader<T> {
  readonly #parse: (value: unknown) => T | string
  readonly #length = new Uint8Array(LENGTH_FIELD)
  #body: Uint8Array | undefined
  #have = 0
  #result: T | undefined
  #fault: string | undefined

  protected constructor(parse: (value: unknown) => T | string) {
    this.#parse = parse
  }

  /** Takes the next bytes, which it does not keep. When it is done already, all of them are `rest`. */
  push(bytes: Uint8Array): ExchangeRead<T> {
    let at = 0
    if (this.#body === undefined) at = this.#readLength(bytes)
    if (this.#body !== undefined && this.#result === undefined && this.#fault === undefined) {
      const taken = Math.min(bytes.length - at, this.#body.length - this.#have)
      this.#body.set(bytes.subarray(at, at + taken), this.#have)
      this.#have += taken
      at += taken
      if (this.#have === this.#body.length) this.#finish(this.#body)
    }
    if (this.#fault !== undefined) return { type: 'fault', cause: this.#fault }
    if (this.#result === undefined) return { type: 'more' }
    return { type: 'done', value: this.#result, rest: bytes.subarray(at) }
  }

  #readLength(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length && this.#have < LENGTH_FIELD) this.#length[this.#have++] = bytes[at++]!
    if (this.#have < LENGTH_FIELD) return at
    const length = new DataView(this.#length.buffer).getUint32(0)
    if (length > MAX_OPENING) this.#fault = `${length} bytes, and ${MAX_OPENING} is the most`
    this.#body = new Uint8Array(Math.min(length, MAX_OPENING))
    this.#have = 0
    return at
  }

  #finish(body: Uint8Array): void {
    const value = parseJson(body)
    const result = value === undefined ? 'no JSON' : this.#parse(value)
    if (typeof result === 'string') this.#fault = result
    else this.#result = result
  }
}

export class OpeningReader extends ExchangeReader<StreamOpening> {
  constructor() {
    super(readOpening)
  }
}

export class AnswerReader extends ExchangeReader<StreamAnswer> {
  constructor() {
    super(readAnswer)
  }
}

function connectionFault({ host, port, tls, timeoutMs, kind }: Record<string, unknown>): string | undefined {
  if (typeof host !== 'string' || !isHost(host)) return 'host: a name of letters, digits and hyphens, or an address'
  if (!isInteger(port, 1, 65_535)) return 'port: 1 to 65535'
  if (tls !== undefined && typeof tls !== 'boolean') return 'tls: true or false'
  if (tls === true && kind === 'http') return 'tls: with tcp only'
  if (timeoutMs !== undefined && !isInteger(timeoutMs, 1, MAX_TIMEOUT_MS)) return `timeoutMs: 1 to ${MAX_TIMEOUT_MS}`
  return undefined
}

function startTlsFault({ of, after, serverName }: Record<string, unknown>): string | undefined {
  if (!isInteger(of, 1, 0xffff_ffff)) return 'of: the number of a stream'
  if (!isInteger(after, 0, Number.MAX_SAFE_INTEGER)) return 'after: a number of octets'
  if (serverName !== undefined && (typeof serverName !== 'string' || !isHost(serverName))) {
    return 'serverName: a name of letters, digits and hyphens'
  }
  return undefined
}

function readOpening(value: unknown): StreamOpening | string {
  const fault = openingFault(value)
  if (fault !== undefined) return fault
  const opening = value as StreamOpening
  if (opening.kind === 'start-tls') {
    const { kind, of, after, serverName } = opening
    return { kind, of, after, ...(serverName !== undefined && { serverName }) }
  }
  const { kind, host, port, tls, timeoutMs } = opening
  return { kind, host, port, ...(tls !== undefined && { tls }), ...(timeoutMs !== undefined && { timeoutMs }) }
}

function readAnswer(value: unknown): StreamAnswer | string {
  if (!isRecord(value)) return 'an answer is an object'
  if (value.ok === true) {
    const { remote } = value
    if (remote === undefined) return { ok: true }
    if (typeof remote !== 'string' || remote.length > MAX_REMOTE) return 'remote: an address and a port'
    return { ok: true, remote }
  }
  const problem = value.ok === false ? readStreamProblem(value.problem) : undefined
  return problem === undefined ? 'neither ok nor a problem' : { ok: false, problem }
}

function encode(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(value))
  const bytes = new Uint8Array(LENGTH_FIELD + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length)
  bytes.set(body, LENGTH_FIELD)
  return bytes
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

function isInteger(value: unknown, minimum: number, maximum: number): value is number {
  return Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
