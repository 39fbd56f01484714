/** What of a standard request goes over the wire. */
import { endToEndFields, type FieldLine, type RequestHead } from '../../protocol/binary-http.ts'
import { type Body, bodyOf, NO_BODY } from './body.ts'

/** A request for one URL; a redirect makes another of it. */
export interface Outgoing {
  readonly url: URL
  readonly method: string
  /** Without those of one connection, host and content-length. */
  readonly fields: readonly FieldLine[]
  readonly body: Body
}

/** With what does not change by redirects. */
export interface Prepared {
  readonly first: Outgoing
  readonly redirect: Request['redirect']
  readonly signal: AbortSignal | null
  /** The caller asked for an encoding, and is to have it as it comes. */
  readonly encodingAsked: boolean
}

/** RFC 9110 section 9.2. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const IDEMPOTENT = new Set([...SAFE, 'PUT', 'DELETE'])
/** Of one connection, or said elsewhere. */
const DROPPED = new Set(['host', 'content-length', 'expect', 'te', 'trailer'])
/** RFC 9110 section 8; a request without its body has none of them. */
const OF_THE_BODY = new Set(['content-type', 'content-encoding', 'content-language', 'content-location'])

export function isSafe({ method }: Outgoing): boolean {
  return SAFE.has(method)
}

export function isIdempotent({ method }: Outgoing): boolean {
  return IDEMPOTENT.has(method)
}

/** Reads a request as `fetch` does. Rejects with a TypeError for what is none, or none of http. */
export async function prepare(input: string | URL | Request, init: RequestInit | undefined): Promise<Prepared> {
  const signal = init?.signal !== undefined ? init.signal : isRequest(input) ? input.signal : null
  signal?.throwIfAborted()
  const request = new Request(isRequest(input) ? input : String(input), forRequest(init))
  const url = new URL(request.url)
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`fetch of a site takes http and https, not ${url.protocol}`)
  if (url.username !== '' || url.password !== '') throw new TypeError('a URL with credentials cannot be fetched')
  const length = request.headers.get('content-length')
  const fields = fieldsOf(request.headers)
  return {
    first: { url, method: request.method, fields, body: await bodyOf(request, init?.body, length) },
    redirect: request.redirect,
    signal: signal ?? null,
    encodingAsked: request.headers.has('accept-encoding'),
  }
}

function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && 'headers' in input
}

/**
 * What matters of `init`, read by name, because it may be a Request itself. The signal is followed by ourselves; a body
 * that streams needs its word on some runtimes.
 */
function forRequest(init: RequestInit | undefined): RequestInit {
  if (init === undefined) return {}
  const { method, headers, body, redirect } = init
  return {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(redirect === undefined ? {} : { redirect }),
    ...(body == null ? {} : ({ body, duplex: 'half' } as RequestInit)),
  }
}

function fieldsOf(headers: Headers): FieldLine[] {
  const fields = endToEndFields([...headers] as FieldLine[]).filter(([name]) => !DROPPED.has(name))
  const add = (name: string, value: string) => {
    if (!headers.has(name)) fields.push([name, value])
  }
  add('accept', '*/*')
  add('accept-encoding', 'identity')
  add('user-agent', 'isthmus')
  return fields
}

/** As a head of Binary HTTP. */
export function headOf({ url, method, fields, body }: Outgoing): RequestHead {
  const length: FieldLine[] = body.length === undefined ? [] : [['content-length', String(body.length)]]
  const empty = body.kind === 'none' && (method === 'POST' || method === 'PUT')
  return {
    method,
    scheme: url.protocol.slice(0, -1),
    authority: url.host,
    path: url.pathname + url.search,
    fields: [...fields, ...(empty ? ([['content-length', '0']] as FieldLine[]) : length)],
  }
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** Without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** The request that follows a redirect of this status (Fetch, HTTP-redirect fetch). */
export function redirected(request: Outgoing, url: URL, status: number): Outgoing {
  const { method } = request
  const toGet =
    ((status === 301 || status === 302) && method === 'POST') ||
    (status === 303 && method !== 'GET' && method !== 'HEAD')
  const sameOrigin = url.origin === request.url.origin
  const fields = request.fields.filter(
    ([name]) => !(toGet && OF_THE_BODY.has(name)) && (sameOrigin || (name !== 'authorization' && name !== 'cookie')),
  )
  return { url, method: toGet ? 'GET' : method, fields, body: toGet ? NO_BODY : request.body }
}
