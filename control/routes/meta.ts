/** What the API says of itself. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { AppOptions } from '../app.ts'
import type { AppEnv } from '../middleware/env.ts'
import { ALL_OPERATIONS } from './all.ts'
import { openApiDocument } from './openapi.ts'
import { referencePage } from './reference-page.ts'

export function metaRoutes(app: OpenAPIHono<AppEnv>, { services, version }: AppOptions): void {
  // Made when first asked for: a cold start must not pay for it.
  let document: ReturnType<typeof openApiDocument> | undefined
  let page: string | undefined
  const documented = () => {
    document ??= openApiDocument(ALL_OPERATIONS, version)
    return document
  }
  app.get('/v1/openapi.json', (c) => c.json(documented() as object, 200, { 'cache-control': 'public, max-age=300' }))
  app.get('/docs', (c) => {
    page ??= referencePage(documented())
    return c.html(page, 200, {
      'cache-control': 'public, max-age=300',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    })
  })
  app.get('/healthz', async (c) => {
    await services.context.repo.setting('health')
    return c.json({ status: 'ok', version }, 200, { 'cache-control': 'no-store' })
  })
}
