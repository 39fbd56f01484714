import { z } from 'zod'
import { type AuditEvent, auditEventSchema } from '../../protocol/control/resources.ts'
import type { Audit } from '../service/audit.ts'
import type { Outcome, PageOf } from '../service/types.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Audit log'

const verificationSchema = z
  .discriminatedUnion('intact', [
    z.strictObject({ intact: z.literal(true), events: z.int().min(0), head: z.string() }),
    z.strictObject({ intact: z.literal(false), brokenAt: z.int().min(1), why: z.string() }),
  ])
  .meta({ id: 'Verification', description: 'Whether each event follows the one before it, as it was written.' })

export const auditRoutes: readonly Operation[] = [
  operation(
    {
      id: 'audit.list',
      tag,
      description: 'With `format=ndjson` the whole log, one event on each line, oldest first.',
      params: inNetwork,
      query: pageQuery.extend({ format: z.enum(['json', 'ndjson']).default('json') }),
      answer: {
        status: 200,
        description: 'A page of events, oldest first.',
        schema: pageAnswer(auditEventSchema, 'AuditPage'),
        ndjson: true,
      },
    },
    async ({ services, call }, { query }): Promise<Outcome<PageOf<AuditEvent>> | Response> => {
      if (query.format === 'json') return services.audit.list(call, pageOfQuery(query))
      return new Response(lines(services.audit, call.network), {
        headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
      })
    },
  ),
  operation(
    {
      id: 'audit.verify',
      tag,
      description: 'Whoever does not trust this installation exports the log and verifies it elsewhere.',
      params: inNetwork,
      answer: { status: 200, description: 'The verdict.', schema: verificationSchema },
    },
    ({ services, call }) => services.audit.verify(call),
  ),
]

function lines(audit: Audit, network: string): ReadableStream<Uint8Array> {
  const events = audit.events(network)
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await events.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value.map((event) => `${JSON.stringify(event)}\n`).join('')))
    },
    async cancel() {
      await events.return(undefined)
    },
  })
}
