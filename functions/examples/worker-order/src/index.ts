/** A Worker that answers GET /orders/42 from the ERP in the server room. */
import { IsthmusError, site } from 'isthmus/functions'

interface Env {
  /** Secret: what `isthmus function add orders --allow hq/erp` printed. */
  readonly ISTHMUS_TOKEN: string
  /** Name of the site. */
  readonly SITE: string
  /** Address of the ERP as the connector declares it. */
  readonly ERP: string
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const order = /^\/orders\/(\d{1,18})$/.exec(new URL(request.url).pathname)?.[1]
    if (order === undefined) return problem(404, 'not-found', 'Orders are at /orders/<number>.')
    if (request.method !== 'GET') return problem(405, 'method-not-allowed', 'Orders can only be read.')
    try {
      const erp = site(env.SITE, { token: env.ISTHMUS_TOKEN })
      const answer = await erp.fetch(`${env.ERP}/orders/${order}`, { signal: AbortSignal.timeout(20_000) })
      if (answer.status === 404) return problem(404, 'not-found', `There is no order ${order}.`)
      if (!answer.ok) return problem(502, 'erp-failed', `The ERP answered with status ${answer.status}.`)
      return Response.json(await answer.json())
    } catch (error) {
      if (error instanceof IsthmusError) return problem(error.retry === 'never' ? 502 : 503, error.code, error.message)
      if (error instanceof Error && error.name === 'TimeoutError')
        return problem(504, 'timed-out', 'The ERP is too slow.')
      throw error
    }
  },
}

function problem(status: number, code: string, detail: string): Response {
  const headers = { 'content-type': 'application/problem+json' }
  return Response.json({ status, code, detail }, { status, headers })
}
