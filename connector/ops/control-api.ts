/**
 * The local API on a Unix socket: what `isthmus status`, `down` and `rekey` talk to. Mode 0600: the file system
 * decides who may use it.
 */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { type Prefix, parsePrefix } from '../../protocol/net.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { type ConnectorHandle, EXIT, StartFailure } from '../handle.ts'
import { createHttpServer, json, type Routes } from './http.ts'
import type { Metrics } from './metrics.ts'
import { ApiError } from './problem.ts'

/** `sun_path` of unix(7), with its closing zero. */
const MAX_PATH_BYTES = 107

export interface ControlApi {
  /** Stops listening, ends open connections and removes the socket. Idempotent. */
  close(): Promise<void>
}

export interface ControlApiOptions {
  readonly handle: Pick<
    ConnectorHandle,
    | 'status'
    | 'initiate'
    | 'terminate'
    | 'rekey'
    | 'trust'
    | 'streams'
    | 'routes'
    | 'explainRoute'
    | 'resetNeighbour'
    | 'paths'
    | 'drain'
  >
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  /** POST /stop was answered; the owner ends the process. */
  readonly onStop: () => void
  readonly onError: (error: unknown) => void
}

/** Throws StartFailure: another connector answers on the socket, or its directory may not be written. */
export async function startControlApi(socketPath: string, options: ControlApiOptions): Promise<ControlApi> {
  const bytes = Buffer.byteLength(socketPath)
  if (bytes > MAX_PATH_BYTES) {
    const cause = `the path of the control socket has ${bytes} bytes, ${MAX_PATH_BYTES} at most are possible`
    throw new StartFailure('control-socket', cause, 'set control_socket to a shorter absolute path', EXIT.badConfig)
  }
  const server = createHttpServer(routesOf(options), options.onError)
  try {
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o755 })
    await listenAlone(server, socketPath)
  } catch (error) {
    throw error instanceof StartFailure ? error : socketFailure(socketPath, error)
  }
  server.on('error', options.onError)
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
    return closed
  }
  return { close }
}

function routesOf(options: ControlApiOptions): Routes {
  const { handle, metrics } = options
  const found = (ok: boolean, what: string) => {
    if (ok) return json({ ok: true })
    throw new ApiError(404, 'not-found', `there is no ${what}`, 'isthmus status lists the peers and their children')
  }
  return {
    'GET /status': () => json(handle.status()),
    'GET /streams': () => json({ streams: handle.streams?.() ?? [] }),
    'GET /healthz': () => ({ status: 200, contentType: 'text/plain', body: 'ok\n' }),
    'GET /metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
    'POST /initiate': (body) => {
      const peer = textField(body, 'connection')
      return found(handle.initiate(peer), `peer ${JSON.stringify(peer)}`)
    },
    'POST /terminate': (body) => {
      const peer = textField(body, 'connection')
      return found(handle.terminate(peer), `peer ${JSON.stringify(peer)}`)
    },
    'POST /rekey': (body) => {
      const peer = textField(body, 'connection')
      const what = textField(body, 'child', 'ike')
      refuseWithoutSa(handle.status(), peer)
      return found(handle.rekey(peer, what), `SA ${JSON.stringify(what)} with a peer ${JSON.stringify(peer)}`)
    },
    'POST /trust': async (body) => {
      if (handle.trust === undefined) {
        throw new ApiError(409, 'not-managed', 'this connector belongs to no network', 'its peers are in isthmus.yaml')
      }
      await handle.trust(textField(body, 'connector'), textField(body, 'key'))
      return json({ ok: true })
    },
    'POST /routes': (body) => json(handle.routes?.(prefixField(body, false), limitField(body)) ?? NO_ROUTES),
    'POST /routes/explain': (body) => {
      const prefix = prefixField(body, true)!
      return json(handle.explainRoute?.(prefix) ?? { prefix, candidates: [], advertised: [] })
    },
    'POST /bgp/reset': (body) => {
      const neighbour = textField(body, 'neighbour')
      return found(handle.resetNeighbour?.(neighbour) ?? false, `BGP neighbour ${JSON.stringify(neighbour)}`)
    },
    'GET /paths': () => json(handle.paths?.() ?? { paths: [], classes: [] }),
    'POST /drain': (body) => {
      const peer = textField(body, 'connection')
      return found(handle.drain?.(peer, onField(body)) ?? false, `peer ${JSON.stringify(peer)}`)
    },
    'POST /stop': () => {
      setImmediate(options.onStop)
      return json({ ok: true })
    },
  }
}

/** A rekey replaces what stands. An unknown peer is the handle's to refuse. */
function refuseWithoutSa(status: ConnectorStatus, peer: string): void {
  const tunnel = status.tunnels.find(({ name }) => name === peer)
  if (tunnel === undefined || tunnel.state === 'up' || tunnel.state === 'degraded') return
  const detail = `${peer} is ${tunnel.state}: there is no SA to rekey`
  throw new ApiError(409, 'not-established', detail, 'wait until isthmus status says that the tunnel is up')
}

function textField(body: unknown, name: string, fallback?: string): string {
  const value =
    typeof body === 'object' && body !== null && Object.hasOwn(body, name)
      ? (body as Record<string, unknown>)[name]
      : fallback
  if (typeof value === 'string' && value.length > 0 && value.length <= 256) return value
  throw new ApiError(400, 'bad-field', `the body has no text "${name}"`, `send { "${name}": "<name>" } as JSON`)
}

function onField(body: unknown): boolean {
  const { on = true } = (body ?? {}) as { readonly on?: unknown }
  if (typeof on === 'boolean') return on
  throw new ApiError(400, 'bad-field', '"on" is neither true nor false', 'send { "connection": "<peer>", "on": true }')
}

const NO_ROUTES = { total: 0, matching: 0, routes: [] }
const MOST_ROUTES = 10_000

function prefixField(body: unknown, needed: boolean): Prefix | undefined {
  const text = (body as { readonly prefix?: unknown } | undefined)?.prefix
  const prefix = typeof text === 'string' ? parsePrefix(text) : undefined
  if (prefix !== undefined || (text === undefined && !needed)) return prefix
  throw new ApiError(400, 'bad-field', 'the body has no prefix', 'send { "prefix": "10.2.0.0/16" } as JSON')
}

function limitField(body: unknown): number {
  const { limit = 1000 } = (body ?? {}) as { readonly limit?: unknown }
  if (Number.isInteger(limit) && Number(limit) >= 1 && Number(limit) <= MOST_ROUTES) return Number(limit)
  throw new ApiError(400, 'bad-field', 'the limit does not fit', `send a number from 1 to ${MOST_ROUTES}`)
}

/** Throws StartFailure when a connector answers on the socket: before anything is touched that the other one uses. */
export async function ensureAlone(socketPath: string): Promise<void> {
  if (!(await somebodyAnswers(socketPath))) return
  const remedy = `stop it first with isthmus down --socket ${socketPath}, or set another control_socket`
  const cause = `another connector is running: it answers on ${socketPath}`
  throw new StartFailure('already-running', cause, remedy, EXIT.portBusy)
}

/** Binds the socket; one that nobody answers on is left over from a crash and is replaced. */
async function listenAlone(server: Server, path: string): Promise<void> {
  const first = await tryListen(server, path)
  if (first === undefined) return
  if ((first as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw first
  await ensureAlone(path)
  // Connecting to a plain file is refused as well: only a socket may be taken for a left-over.
  if (!lstatSync(path).isSocket()) throw first
  unlinkSync(path)
  const second = await tryListen(server, path)
  if (second !== undefined) throw second
}

function tryListen(server: Server, path: string): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const onError = (error: Error) => resolve(error)
    server.once('error', onError)
    const restoreUmask = narrowUmask()
    server.listen(path, () => {
      server.off('error', onError)
      try {
        chmodSync(path, 0o600)
        resolve(undefined)
      } catch (error) {
        resolve(error as Error)
      }
    })
    restoreUmask()
  })
}

/** `listen` on a path binds before it returns: this closes the moment in which the socket would be open to all. */
function narrowUmask(): () => void {
  try {
    const before = process.umask(0o177)
    return () => {
      process.umask(before)
    }
  } catch {
    return () => {}
  }
}

function somebodyAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2_000, () => done(true))
    socket.once('connect', () => done(true))
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN'))
  })
}

function socketFailure(path: string, error: unknown): StartFailure {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const remedy = `run as root, or set control_socket to a path in a directory of your own`
    return new StartFailure(
      'control-socket',
      `the control socket ${path} may not be made (${code})`,
      remedy,
      EXIT.permission,
    )
  }
  const remedy = 'set control_socket to a path in a directory that exists and can be written'
  return new StartFailure(
    'control-socket',
    `the control socket ${path} could not be made (${code})`,
    remedy,
    EXIT.failed,
  )
}
