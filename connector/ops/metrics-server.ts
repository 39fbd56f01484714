/** Metrics and health over HTTP: /metrics, /healthz (the process works), /readyz (traffic can pass). */
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createHttpServer, json, type Routes } from './http.ts'
import type { Metrics } from './metrics.ts'

export interface MetricsServer {
  /** As bound: tells the port where 0 was asked for. */
  readonly port: number
  /** Idempotent. */
  close(): Promise<void>
}

export interface MetricsServerOptions {
  readonly address: string
  readonly port: number
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  readonly status: () => ConnectorStatus
  readonly onError: (error: unknown) => void
}

/** Cause and remedy where the port cannot be had: the tunnels work without it. */
export interface MetricsRefusal {
  readonly cause: string
  readonly remedy: string
}

export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer | MetricsRefusal> {
  const { address, port } = options
  const server = createHttpServer(routesOf(options), options.onError)
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve)
    server.listen({ host: address, port, exclusive: true }, () => resolve(undefined))
  })
  if (error !== undefined) return refusal(address, port, error.code ?? 'unknown')
  server.on('error', options.onError)
  // The connector lives and ends without regard to who scrapes it.
  server.unref()
  const bound = server.address()
  let closed: Promise<void> | undefined
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      return closed
    },
  }
}

/** Ready: the device works and every tunnel is up, or idle because its peer calls us. */
export function readiness(status: ConnectorStatus): { ready: boolean; tunnels: Record<string, string> } {
  const waiting = status.tunnels.filter(({ state }) => state !== 'up' && state !== 'idle')
  const tunnels = Object.fromEntries(status.tunnels.map(({ name, state }) => [name, state]))
  return { ready: status.tun.state === 'up' && waiting.length === 0, tunnels }
}

function routesOf({ metrics, status }: MetricsServerOptions): Routes {
  return {
    'GET /metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
    'GET /healthz': () => {
      status()
      return { status: 200, contentType: 'text/plain; charset=utf-8', body: 'ok\n' }
    },
    'GET /readyz': () => {
      const answer = readiness(status())
      return json(answer, answer.ready ? 200 : 503)
    },
  }
}

function refusal(address: string, port: number, code: string): MetricsRefusal {
  const place = `${address} port ${port}`
  if (code === 'EADDRINUSE') {
    const remedy = `set metrics.port to a free one, or metrics.enabled to false; "ss -ltnp sport = :${port}" shows who has it`
    return { cause: `metrics are not served: another program has ${place}`, remedy }
  }
  if (code === 'EADDRNOTAVAIL') {
    return {
      cause: `metrics are not served: ${address} is not an address of this host`,
      remedy: 'set metrics.address to one that is',
    }
  }
  return { cause: `metrics are not served: ${place} refused (${code})`, remedy: 'set metrics.address and metrics.port' }
}
