/**
 * The control plane on Cloudflare Workers: a Durable Object for each network, and one that knows which there are. The
 * Worker itself only finds out whom a request is for.
 */
import { idSchema } from '../../protocol/control/ids.ts'
import { parseJoinToken } from '../domain/tokens.ts'
import { NO_HUB } from '../link/hub.ts'
import { parseJson, readBody } from '../middleware/body.ts'
import { PROBLEM_TYPE, problemOf } from '../middleware/problem.ts'
import { MAX_BODY } from '../routes/pipeline.ts'
import { memoryNonces } from '../service/nonces.ts'
import { refusal } from '../service/refusals.ts'
import { type Assembly, assemble, randomBytes } from './common.ts'
import { EMPTY_REPO } from './empty-repo.ts'
import { LOG, settingsOf } from './workers-common.ts'
import { isRelayUpgrade, relayUpgrade } from './workers-relay.ts'
import type { DirectoryStub, Stub, WorkerEnv } from './workers-types.ts'

export { DirectoryObject } from './workers-directory.ts'
export { NetworkObject } from './workers-network.ts'
export { RelayObject } from './workers-relay.ts'

export default {
  async fetch(request: Request, env: WorkerEnv): Promise<Response> {
    try {
      return await answer(request, env)
    } catch (error) {
      return failed(request, error)
    }
  },

  async scheduled(_event: unknown, env: WorkerEnv): Promise<void> {
    await directory(env).tick()
  },
}

const networkId = idSchema('network')
const PATH = /^\/v1\/networks\/([^/]+)(\/|$)/

/** What belongs to no network. Made once for an instance of the Worker. */
let general: Promise<Assembly> | undefined

async function answer(request: Request, env: WorkerEnv): Promise<Response> {
  general ??= generalOf(env)
  const { app } = await general
  const { pathname } = new URL(request.url)
  if (pathname === '/v1/join' && request.method === 'POST') return join(request, env)
  if (pathname === '/v1/networks' || pathname === '/healthz') return directory(env).fetch(request)
  const named = networkId.safeParse(PATH.exec(pathname)?.[1])
  if (!named.success) return app.fetch(request)
  if (isRelayUpgrade(request, pathname)) return relayUpgrade(request, env, named.data)
  return network(env, named.data).fetch(request)
}

function generalOf(env: WorkerEnv): Promise<Assembly> {
  const made = assemble({
    ...settingsOf(env),
    repo: EMPTY_REPO,
    hub: NO_HUB,
    nonces: memoryNonces(),
    clientAddress: (c) => c.req.header('cf-connecting-ip'),
  })
  made.catch(() => {
    general = undefined
  })
  return made
}

/** A join token tells its network. One that tells none is refused where it would be, had it come along a path. */
async function join(request: Request, env: WorkerEnv): Promise<Response> {
  const read = await readBody(request, MAX_BODY)
  if ('fault' in read) throw refusal('too-large', `it may have ${MAX_BODY} bytes`)
  const again = new Request(request.url, { method: 'POST', headers: request.headers, body: read.bytes })
  const parsed = parseJson(read.bytes)
  const token = 'value' in parsed ? (parsed.value as { token?: unknown } | null)?.token : undefined
  const named = typeof token === 'string' ? parseJoinToken(token) : undefined
  if (named !== undefined) return network(env, named.network).fetch(again)
  return (await general!).app.fetch(again)
}

function network(env: WorkerEnv, id: string): Stub {
  return env.NETWORKS.get(env.NETWORKS.idFromName(id))
}

function directory(env: WorkerEnv): DirectoryStub {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName('directory'))
}

/** Nobody could be asked, or whoever was asked broke down: the app never throws. */
function failed(request: Request, error: unknown): Response {
  const requestId = request.headers.get('cf-ray') ?? toHex(randomBytes(8))
  const { problem, retryAfter } = problemOf(error, requestId)
  const fields = { requestId, code: problem.code, error: String(error) }
  if (problem.status >= 500) LOG.error(fields, 'a request failed')
  else LOG.info(fields, 'a request was refused')
  const headers = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store', 'x-request-id': requestId }
  const later = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  return new Response(JSON.stringify(problem), { status: problem.status, headers: { ...headers, ...later } })
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
