/** `fetch` of a site: one request, its redirects, and its repetitions where they do no harm. */
import type { Timeouts } from './api.ts'
import { failure, type IsthmusError } from './error.ts'
import { type Answered, ExchangeFailure, exchange } from './exchange.ts'
import { isIdempotent, type Outgoing, type Prepared, prepare, redirected } from './request.ts'
import { discard, responseOf } from './response.ts'
import type { SiteState } from './site-state.ts'
import { Tries } from './tries.ts'

export const CONNECT_MS = 10_000
/** Fetch, HTTP-redirect fetch. */
const MAX_REDIRECTS = 20
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** As `Site.fetch`. */
export async function siteFetch(
  site: SiteState,
  input: string | URL | Request,
  init: RequestInit | undefined,
  timeouts: Timeouts,
): Promise<Response> {
  const prepared = await prepare(input, init)
  let request = prepared.first
  for (let redirects = 0; ; redirects++) {
    const answered = await answer(site, request, prepared, timeouts)
    const target = targetOf(answered, request, prepared)
    if (target === undefined) {
      return responseOf(answered, {
        url: withoutFragment(request.url),
        redirected: redirects > 0,
        toHead: request.method === 'HEAD',
        signal: prepared.signal,
        raw: prepared.encodingAsked,
      })
    }
    void discard(answered)
    if (redirects >= MAX_REDIRECTS) throw redirectFailure(`More than ${MAX_REDIRECTS} redirects lead on and on.`)
    const { status } = answered.head
    if (status !== 303 && request.body.kind === 'stream' && !request.body.replayable) {
      throw redirectFailure('A redirect asks for the body again, which was a stream and is gone.')
    }
    request = redirected(request, target, status)
  }
}

/** Where a response leads, or undefined where it is the last one. */
function targetOf({ head }: Answered, request: Outgoing, { redirect }: Prepared): URL | undefined {
  if (!REDIRECTS.has(head.status) || redirect === 'manual') return undefined
  if (redirect === 'error') throw redirectFailure('The response is a redirect, and the request says redirect: error.')
  const location = head.fields.find(([name]) => name === 'location')?.[1]
  if (location === undefined) return undefined
  if (!URL.canParse(location, request.url)) throw redirectFailure('A redirect leads to no URL.')
  const target = new URL(location, request.url)
  if (!/^https?:$/.test(target.protocol)) throw redirectFailure(`A redirect leads to ${target.protocol}, not http.`)
  if (target.hash === '') target.hash = request.url.hash
  return target
}

function redirectFailure(cause: string): IsthmusError {
  return failure('bad-response', cause, 'Look at the location header of the service, or ask with redirect: manual.')
}

function withoutFragment(url: URL): string {
  const plain = new URL(url)
  plain.hash = ''
  return plain.href
}

/** The response to one request, at the second or third try where it may be tried again. */
async function answer(site: SiteState, request: Outgoing, { signal }: Prepared, timeouts: Timeouts): Promise<Answered> {
  const tries = new Tries(site, signal)
  for (;;) {
    try {
      return await exchange(site.pool(), request, {
        avoid: tries.avoid,
        signal,
        connectMs: timeouts.connect ?? CONNECT_MS,
        responseMs: timeouts.response,
      })
    } catch (thrown) {
      if (!(thrown instanceof ExchangeFailure)) throw thrown
      const again = request.body.replayable || !request.body.used
      await tries.next(thrown.error, thrown.session, again, again && isIdempotent(request))
    }
  }
}
