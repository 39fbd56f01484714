/** An id for each request, in answer, log and audit: the caller's own, when it is fit to be written down. */
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from './env.ts'

const FIT = /^[\w.-]{1,64}$/

/** `random` gives that many fresh random bytes. */
export function requestId(random: (length: number) => Uint8Array): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const given = c.req.header('x-request-id')
    const id = given !== undefined && FIT.test(given) ? given : hex(random(8))
    c.set('requestId', id)
    await next()
    c.res.headers.set('x-request-id', id)
    const limit = c.get('rateLimit')
    if (limit !== undefined) {
      c.res.headers.set('ratelimit-policy', limit.policy)
      c.res.headers.set('ratelimit', limit.state)
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
