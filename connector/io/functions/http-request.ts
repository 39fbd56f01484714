/** From a request in Binary HTTP to the one that is made: what of it goes to the service, and what is set here. */
import type { FieldLine, RequestHead } from '../../../protocol/binary-http.ts'
import { endToEndFields } from '../../../protocol/binary-http.ts'
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { ServicePlan } from '../../core/functions/plan.ts'
import { type Asked, plainHost } from '../../core/functions/policy.ts'
import { problem } from './failure.ts'

export interface OutgoingRequest {
  readonly method: string
  readonly path: string
  /** Name, value, name, value, with `host` among them. */
  readonly headers: string[]
  /** Of `content-length`. */
  readonly length: number | undefined
}

/** Besides those of `endToEndFields`: what is between us and the function, or would have to be answered by us. */
const OURS: ReadonlySet<string> = new Set(['expect', 'host', 'proxy-authenticate', 'proxy-authorization', 'trailer'])

/** Makes the request, or says what is wrong with it. The head is one that the decoder has passed. */
export function outgoingRequest(
  head: RequestHead,
  asked: Asked,
  service: ServicePlan,
): OutgoingRequest | StreamProblem {
  if (head.method === 'TRACE') return bad('The method TRACE is not passed on.')
  if (head.scheme !== 'http' && head.scheme !== 'https')
    return bad(`The scheme ${head.scheme} is neither http nor https.`)
  if (head.path === '*') return bad('OPTIONS of a whole server is not passed on.')
  const authority = head.authority || head.fields.find(([name]) => name === 'host')?.[1] || ''
  if (authority !== '' && !speaksOf(authority, asked)) {
    return bad('The URL of the request has another host than its stream.')
  }
  const set: readonly FieldLine[] = service.kind === 'network' ? [] : service.headers
  const replaced = new Set(set.map(([name]) => name))
  const passed = endToEndFields(head.fields).filter(([name]) => !OURS.has(name) && !replaced.has(name))
  const hostHeader = service.kind === 'network' ? undefined : service.hostHeader
  const host = hostHeader ?? (authority === '' ? inBrackets(asked.host) : authority)
  const length = passed.find(([name]) => name === 'content-length')?.[1]
  return {
    method: head.method,
    path: head.path,
    headers: ['host', host, ...passed.flat(), ...set.flat()],
    length: length === undefined ? undefined : Number(length),
  }
}

/** Methods that may be made again where a connection failed before anything of an answer (RFC 9110 section 9.2.1). */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** Methods that mostly have content; of others an end is waited for before it is thought that there is some. */
export function expectsContent(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

function speaksOf(authority: string, asked: Asked): boolean {
  const [, host, port] = /^(.*?)(?::(\d{1,5}))?$/.exec(authority)!
  return plainHost(host!) === plainHost(asked.host) && (port === undefined || Number(port) === asked.port)
}

function inBrackets(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function bad(cause: string): StreamProblem {
  return problem('bad-request', cause, 'Correct the request.')
}
