/** One line for each request. Paths only: a query is nobody's secret, but it is not ours to keep either. */
import type { MiddlewareHandler } from 'hono'
import type { Log } from '../service/types.ts'
import type { AppEnv } from './env.ts'

export function requestLog(log: Log, clock: () => number): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const begun = clock()
    await next()
    log.info(
      {
        requestId: c.get('requestId'),
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        ms: clock() - begun,
        ...(c.get('actor') === undefined ? {} : { actor: c.get('actor') }),
      },
      'request',
    )
  }
}
