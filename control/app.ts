/** The API: routes, and what stands before them. It runs on Workers, Lambda and Node alike. */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context as Hono } from 'hono'
import type { AppEnv } from './middleware/env.ts'
import { Gate, type Limits } from './middleware/gate.ts'
import { answerProblem } from './middleware/problem.ts'
import { RateLimiter } from './middleware/rate-limit.ts'
import { requestId } from './middleware/request-id.ts'
import { requestLog } from './middleware/request-log.ts'
import { ALL_OPERATIONS } from './routes/all.ts'
import { metaRoutes } from './routes/meta.ts'
import { methodOf, type OpenLink, type OpenRelay, pathOf } from './routes/operation.ts'
import { handlerOf } from './routes/pipeline.ts'
import type { Auth } from './service/auth.ts'
import { refusal } from './service/refusals.ts'
import type { Services } from './service/services.ts'
import type { Log } from './service/types.ts'

export interface AppOptions {
  readonly services: Services
  readonly auth: Auth
  readonly log: Log
  /** Of the release; shown in the OpenAPI document. */
  readonly version: string
  readonly limits?: Limits
  /** Where a request came from, as the platform tells: not a header that the caller could write. */
  readonly clientAddress?: (c: Hono) => string | undefined
  /** Opens the link of a connector that has been admitted; absent where there are no WebSockets. */
  readonly openLink?: OpenLink
  /** Opens the sockets of the relay; absent where there is none. */
  readonly openRelay?: OpenRelay
}

export function defaultLimits(): Limits {
  return {
    token: new RateLimiter({ perSecond: 50, burst: 200 }),
    connector: new RateLimiter({ perSecond: 10, burst: 60 }),
    relay: new RateLimiter({ perSecond: 100, burst: 1200 }),
    anonymous: new RateLimiter({ perSecond: 1, burst: 30 }),
  }
}

export function createApp(options: AppOptions): OpenAPIHono<AppEnv> {
  const { services, log } = options
  const { clock, random, repo } = services.context
  const app = new OpenAPIHono<AppEnv>({ strict: true })
  app.use(requestId(random))
  app.use(requestLog(log, clock))
  app.onError((error, c) => answerProblem(c, error, log, clock()))
  app.notFound((c) => answerProblem(c, absent(c), log, clock()))
  const gate = new Gate({
    auth: options.auth,
    limits: options.limits ?? defaultLimits(),
    clock,
    clientAddress: options.clientAddress ?? (() => undefined),
    networkExists: async (network) => (await repo.get(network, 'network', network)) !== undefined,
  })
  for (const operation of ALL_OPERATIONS) {
    app.on(
      methodOf(operation),
      [pathOf(operation).replaceAll(/\{(\w+)\}/g, ':$1')],
      handlerOf(operation, { ...options, gate }),
    )
  }
  metaRoutes(app, options)
  return app
}

/** A path that exists for other methods is another mistake than one that does not exist. */
function absent(c: Hono<AppEnv>): Error {
  const path = c.req.path.split('/')
  const methods = ALL_OPERATIONS.filter((operation) => fits(pathOf(operation).split('/'), path)).map(methodOf)
  if (methods.length === 0)
    return refusal('not-found', 'there is no such path', { remedy: 'See /docs for those that are.' })
  return refusal('method-not-allowed', `here are: ${[...new Set(methods)].join(', ')}`)
}

function fits(template: readonly string[], path: readonly string[]): boolean {
  return template.length === path.length && template.every((step, i) => step.startsWith('{') || step === path[i])
}
