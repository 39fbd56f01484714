/** A small HTTP server core that the local API and the metrics port share: a table of routes over `node:http`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ApiError } from './problem.ts'

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** `body` is the parsed JSON of a POST, undefined when there was none. */
export type Route = (body: unknown) => Answer | Promise<Answer>
/** By `METHOD /path`. */
export type Routes = Readonly<Record<string, Route>>

const MAX_BODY_BYTES = 16 * 1024

export function json(body: unknown, status = 200): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` }
}

/** Not listening yet. Requests that dawdle, headers that swell and bodies over 16 KiB are cut off. */
export function createHttpServer(routes: Routes, onError: (error: unknown) => void): Server {
  const server = createServer(
    { maxHeaderSize: 8 * 1024, requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 1_000 },
    (request, response) => {
      respond(routes, request, response, onError).catch((error: unknown) => {
        onError(error)
        response.destroy()
      })
    },
  )
  server.maxConnections = 64
  return server
}

async function respond(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  onError: (error: unknown) => void,
): Promise<void> {
  const answer = await answerTo(routes, request, onError)
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    ...(answer.status === 413 ? { connection: 'close' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}

async function answerTo(routes: Routes, request: IncomingMessage, onError: (error: unknown) => void): Promise<Answer> {
  try {
    const path = (request.url ?? '/').split('?')[0]!
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
    const route = Object.hasOwn(routes, `${method} ${path}`) ? routes[`${method} ${path}`] : undefined
    if (route === undefined) throw unknownRoute(routes, method, path)
    return await route(method === 'POST' ? await readJson(request) : undefined)
  } catch (error) {
    if (!(error instanceof ApiError)) onError(error)
    const { document } = error instanceof ApiError ? error : INTERNAL
    return { status: document.status, contentType: 'application/problem+json', body: `${JSON.stringify(document)}\n` }
  }
}

const INTERNAL = new ApiError(500, 'internal', 'the connector could not answer', 'look into its log')

function unknownRoute(routes: Routes, method: string, path: string): ApiError {
  const known = Object.keys(routes)
  const allowed = known.filter((key) => key.split(' ')[1] === path).map((key) => key.split(' ')[0])
  if (allowed.length > 0) {
    return new ApiError(405, 'method-not-allowed', `${path} does not take ${method}`, `use ${allowed.join(' or ')}`)
  }
  return new ApiError(404, 'no-such-path', `there is no such path here`, `use one of ${known.join(', ')}`)
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES)
      throw new ApiError(413, 'too-large', `the body has over ${MAX_BODY_BYTES} bytes`, 'send less')
    chunks.push(chunk)
  }
  if (size === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new ApiError(400, 'not-json', 'the body is not JSON', 'send a JSON object')
  }
}
