/** From errors of sockets, TLS and undici to problems that a function is told. None shows an address or a certificate. */
import { type StreamProblem, type StreamProblemCode, streamProblem } from '../../../protocol/stream-problem.ts'

/** A problem on its way through code that only knows errors. */
export class StreamFailure extends Error {
  override readonly name = 'StreamFailure'
  readonly problem: StreamProblem

  constructor(problem: StreamProblem) {
    super(problem.cause)
    this.problem = problem
  }
}

/** `where`: what people call the service, a name that the function has used or may know. */
export function dialProblem(error: unknown, where: string): StreamProblem {
  if (error instanceof StreamFailure) return error.problem
  const code = codeOf(error)
  if (code === 'ECONNREFUSED') {
    const remedy = `See whether the service runs, and listens where services.yaml of the connector says.`
    return streamProblem('connect-refused', `Nothing accepts connections at ${where}.`, remedy)
  }
  if (TIMEOUT.has(code)) return connectTimeout(where)
  if (isTlsCode(code)) {
    const remedy = `Look at tls of the service in services.yaml of the connector: ca, certificate, server_name.`
    return streamProblem('tls-failed', `TLS with ${where} failed (${code}).`, remedy)
  }
  const remedy = 'See whether the connector has a route to the service.'
  return streamProblem('connect-failed', `${where} cannot be reached (${code}).`, remedy)
}

export function connectTimeout(where: string): StreamProblem {
  const remedy = 'See whether the service is up, and whether the connector has a route to it.'
  return streamProblem('connect-timeout', `${where} did not answer in time.`, remedy)
}

/** Of a connection that stood. */
export function lostProblem(error: unknown, where: string): StreamProblem {
  if (error instanceof StreamFailure) return error.problem
  const code = codeOf(error)
  if (TIMEOUT.has(code)) return problem('timed-out', `The connection to ${where} timed out.`, 'Try again.')
  if (isTlsCode(code))
    return problem('tls-failed', `TLS with ${where} failed (${code}).`, 'See the log of the service.')
  return problem('connection-reset', `${where} ended the connection (${code}).`, 'See the log of the service.')
}

/** Of an exchange that undici gave up before there was an answer, or in the middle of one. */
export function httpProblem(error: unknown, where: string): StreamProblem {
  if (error instanceof StreamFailure) return error.problem
  const code = codeOf(error)
  if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' || code === 'UND_ERR_INVALID_ARG') {
    return problem(
      'bad-request',
      'The request is not one that can be made in HTTP/1.1.',
      'Correct its method, path and headers.',
    )
  }
  if ((error as { name?: unknown } | null)?.name === 'HTTPParserError' || BAD_RESPONSE.has(code)) {
    return problem('bad-response', `The answer of ${where} is no proper HTTP (${code}).`, 'See the log of the service.')
  }
  return lostProblem(error, where)
}

export function problem(code: StreamProblemCode, cause: string, remedy: string): StreamProblem {
  return streamProblem(code, cause, remedy)
}

const TIMEOUT: ReadonlySet<string> = new Set(['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT'])

const BAD_RESPONSE: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  'UND_ERR_INFO',
])

/** Codes of OpenSSL's verification, which Node.js uses as they are, and those of the handshake. */
function isTlsCode(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO|CRL_|PATH_LENGTH|INVALID_PURPOSE|ERROR_IN_CERT)/.test(
    code,
  )
}

function codeOf(error: unknown): string {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: unknown }
  // Of several addresses that were tried, the first one's reason.
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0])
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'unknown reason'
}
