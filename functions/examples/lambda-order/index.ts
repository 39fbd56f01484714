/** A Lambda function behind an HTTP API that answers GET /orders/42 from the ERP in the server room. */
import { IsthmusError, type Site, site } from 'isthmus/functions'

/** What of an event of an HTTP API (payload format 2.0) is used. */
interface HttpEvent {
  readonly rawPath: string
  readonly requestContext: { readonly http: { readonly method: string } }
}

interface HttpAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Made once for each instance: its session stays open between invocations. The token is $ISTHMUS_TOKEN. */
let erp: Site | undefined

export async function handler({ rawPath, requestContext }: HttpEvent): Promise<HttpAnswer> {
  const order = /^\/orders\/(\d{1,18})$/.exec(rawPath)?.[1]
  if (order === undefined) return problem(404, 'not-found', 'Orders are at /orders/<number>.')
  if (requestContext.http.method !== 'GET') return problem(405, 'method-not-allowed', 'Orders can only be read.')
  const { SITE = 'hq', ERP = 'http://erp.internal:8000' } = process.env
  try {
    erp ??= site(SITE)
    const answer = await erp.fetch(`${ERP}/orders/${order}`, { signal: AbortSignal.timeout(20_000) })
    if (answer.status === 404) return problem(404, 'not-found', `There is no order ${order}.`)
    if (!answer.ok) return problem(502, 'erp-failed', `The ERP answered with status ${answer.status}.`)
    return json(200, await answer.json())
  } catch (error) {
    if (error instanceof IsthmusError) return problem(error.retry === 'never' ? 502 : 503, error.code, error.message)
    if (error instanceof Error && error.name === 'TimeoutError')
      return problem(504, 'timed-out', 'The ERP is too slow.')
    throw error
  }
}

function problem(status: number, code: string, detail: string): HttpAnswer {
  return json(status, { status, code, detail }, 'application/problem+json')
}

function json(statusCode: number, value: unknown, type = 'application/json'): HttpAnswer {
  return { statusCode, headers: { 'content-type': type }, body: JSON.stringify(value) }
}
