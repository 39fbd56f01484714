/**
 * What a message must obey, so that it means the same to everybody who passes it on: RFC 9110, RFC 9113 section 8.2
 * and 8.3, RFC 9292 section 3.6 and 6. Decoders and encoders ask the same rules.
 */
import {
  BINARY_HTTP_LIMITS,
  type BinaryHttpLimits,
  type FieldLine,
  type RequestHead,
  type ResponseHead,
} from './binary-http-types.ts'
import { varintSize } from './binary-http-varint.ts'

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** RFC 9110 section 5.5: visible characters, octets from 0x80, and blanks between them. */
const FIELD_VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/
/** RFC 3986 section 3.2 without userinfo, which RFC 9113 section 8.3.1 forbids. */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::\d{1,5})?$/
/** What URL parsers leave as it is, and nothing that ends a request line, or begins a fragment. */
const PATH = /^\/[\x21\x22\x24-\x7e]*$/
const DIGITS = /^\d{1,16}$/

/** RFC 9113 section 8.2.2: they speak of one connection, and who heeds them reads another message than who does not. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** RFC 9110 section 6.5.1: what frames, routes, authenticates or describes the content comes too late in trailers. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'host',
  'set-cookie',
  'te',
])

/** What is wrong with a field line; undefined where nothing is. */
export function fieldFault([name, value]: FieldLine): string | undefined {
  if (name.startsWith(':')) return 'a pseudo-field among the fields'
  if (!FIELD_NAME.test(name)) return 'a field name that is no token in lower case'
  if (CONNECTION_FIELDS.has(name)) return `the field ${name}, which is of one connection`
  if (!FIELD_VALUE.test(value)) return `a value of ${name} with control characters or blanks at its ends`
  if (name === 'te' && value.toLowerCase() !== 'trailers') return 'a value of te other than trailers'
  return undefined
}

/** These three ask for the limits too: what they pass, an encoder writes and a decoder with such limits takes. */
export function requestFault(head: RequestHead, limits: BinaryHttpLimits = BINARY_HTTP_LIMITS): string | undefined {
  if (!TOKEN.test(head.method)) return 'a method that is no token'
  if (head.method === 'CONNECT') return 'the method CONNECT'
  if (!SCHEME.test(head.scheme)) return 'no scheme'
  if (head.authority !== '' && !AUTHORITY.test(head.authority)) return 'an authority that is no host and port'
  if (!PATH.test(head.path) && !(head.path === '*' && head.method === 'OPTIONS')) {
    return 'a path that does not begin with a slash, or with characters that none has'
  }
  return headerFault(head.fields) ?? hostFault(head) ?? sizeFault(requestSize(head), head.fields, limits)
}

export function responseFault(head: ResponseHead, limits: BinaryHttpLimits = BINARY_HTTP_LIMITS): string | undefined {
  const { status, fields } = head
  if (!Number.isInteger(status) || status < 100 || status > 599) return 'a status that is none'
  if (status === 101) return 'the status 101, which changes the protocol'
  return headerFault(fields) ?? sizeFault(responseSize(head), fields, limits)
}

export function trailersFault(
  fields: readonly FieldLine[],
  limits: BinaryHttpLimits = BINARY_HTTP_LIMITS,
): string | undefined {
  for (const field of fields) {
    const fault = fieldFault(field)
    if (fault !== undefined) return fault
    if (NOT_IN_TRAILERS.has(field[0])) return `the field ${field[0]} among the trailers`
  }
  return sizeFault(sectionSize(fields), fields, limits)
}

/** Bytes of a request of indeterminate length, up to its content; and so on. */
export function requestSize({ method, scheme, authority, path, fields }: RequestHead): number {
  return 1 + textSize(method) + textSize(scheme) + textSize(authority) + textSize(path) + sectionSize(fields)
}

/** With the framing indicator, which only the first response of a message has. */
export function responseSize({ status, fields }: ResponseHead): number {
  return 1 + varintSize(status) + sectionSize(fields)
}

export function sectionSize(fields: readonly FieldLine[]): number {
  return fields.reduce((sum, [name, value]) => sum + textSize(name) + textSize(value), 1)
}

function textSize(text: string): number {
  return varintSize(text.length) + text.length
}

/** RFC 9110 section 6.4.1: no content, and a content-length, where there is one, speaks of another response. */
export function hasNoContent(status: number, toHead: boolean): boolean {
  return toHead || status === 204 || status === 304
}

/** The value of content-length. Fields that were checked have at most one, in digits. */
export function contentLength(fields: readonly FieldLine[]): number | undefined {
  const field = fields.find(([name]) => name === 'content-length')
  return field === undefined ? undefined : Number(field[1])
}

/** Without the fields that speak of one connection and those that a Connection field names (RFC 9110 section 7.6.1). */
export function endToEndFields(fields: readonly FieldLine[]): FieldLine[] {
  const named = new Set(
    fields
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(',').map((option) => option.trim().toLowerCase())),
  )
  return fields.filter(([name]) => {
    const lower = name.toLowerCase()
    return lower !== 'te' && !CONNECTION_FIELDS.has(lower) && !named.has(lower)
  })
}

function headerFault(fields: readonly FieldLine[]): string | undefined {
  let lengths = 0
  for (const field of fields) {
    const fault = fieldFault(field)
    if (fault !== undefined) return fault
    if (field[0] !== 'content-length') continue
    if (++lengths > 1) return 'more than one content-length'
    if (!DIGITS.test(field[1]) || !Number.isSafeInteger(Number(field[1]))) return 'a content-length that is no number'
  }
  return undefined
}

function hostFault({ authority, fields }: RequestHead): string | undefined {
  const hosts = fields.filter(([name]) => name === 'host')
  if (hosts.length > 1) return 'more than one host field'
  const host = hosts[0]?.[1]
  if (host === undefined || host === '') return undefined
  if (!AUTHORITY.test(host)) return 'a host field that is no host and port'
  const agree = authority === '' || authority.toLowerCase() === host.toLowerCase()
  return agree ? undefined : 'a host field other than the authority'
}

function sizeFault(size: number, fields: readonly FieldLine[], limits: BinaryHttpLimits): string | undefined {
  if (size > limits.maxHead) return `a head of more than ${limits.maxHead} bytes`
  if (fields.length > limits.maxFields) return `more than ${limits.maxFields} fields`
  const long = fields.some(([name, value]) => name.length + value.length > limits.maxFieldLine)
  return long ? `a field of more than ${limits.maxFieldLine} bytes` : undefined
}
