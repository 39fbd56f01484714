import { z } from 'zod'
import { connectorDocumentSchema } from '../../protocol/control/document.ts'
import { idSchema } from '../../protocol/control/ids.ts'
import { joinAnswerSchema, joinRequestSchema } from '../../protocol/control/join.ts'
import { connectorReportSchema, linkEventSchema, MAX_LINK_MESSAGE } from '../../protocol/control/link.ts'
import { connectorSchema } from '../../protocol/control/resources.ts'
import { instantSchema } from '../../protocol/control/values.ts'
import { matches, unchanged } from '../middleware/etag.ts'
import { refusal } from '../service/refusals.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const forPeople: readonly Operation[] = [
  operation(
    {
      id: 'connectors.list',
      tag: 'Connectors',
      params: inNetwork,
      query: pageQuery.extend({ site: idSchema('site').optional().meta({ description: 'Only those of this site.' }) }),
      answer: {
        status: 200,
        description: 'A page of connectors, those that are revoked too.',
        schema: pageAnswer(connectorSchema, 'ConnectorPage'),
      },
    },
    ({ services, call }, { query }) => services.connectors.list(call, pageOfQuery(query), query.site),
  ),
  operation(
    {
      id: 'connectors.get',
      tag: 'Connectors',
      params: inNetworkBy('connector', 'connector'),
      answer: { status: 200, description: 'The connector.', schema: connectorSchema, etag: true },
    },
    ({ services, call }, { params }) => services.connectors.get(call, params.connector),
  ),
  operation(
    {
      id: 'connectors.revoke',
      tag: 'Connectors',
      description:
        'At once for its link and its requests; its peers are told to end its tunnels. There is no way back.',
      params: inNetworkBy('connector', 'connector'),
      answer: { status: 200, description: 'The connector as it is now.', schema: connectorSchema, etag: true },
    },
    ({ services, call }, { params }) => services.connectors.revoke(call, params.connector),
  ),
]

const reportSchema = z
  .strictObject({ report: connectorReportSchema, events: z.array(linkEventSchema).max(1000).default([]) })
  .meta({ id: 'ReportRequest' })
const takenSchema = z
  .strictObject({
    version: z.int().min(0).meta({ description: 'Of the document that the connector is to carry out.' }),
    now: instantSchema,
  })
  .meta({ id: 'ReportAnswer' })

const forConnectors: readonly Operation[] = [
  operation(
    {
      id: 'connector.join',
      tag: 'For connectors',
      description:
        'Whoever repeats it with the same token and the same key, because the answer was lost, gets the answer again.',
      body: joinRequestSchema,
      answer: { status: 200, description: 'The place in the network, and what to do there.', schema: joinAnswerSchema },
      refusals: [
        'bad-signature',
        'clock-skew',
        'join-token-unknown',
        'join-token-used',
        'join-token-expired',
        'join-token-revoked',
        'rollout-under-way',
        'site-has-connector',
        'identity-in-use',
        'duplicate-name',
      ],
    },
    ({ services, call }, { body }) => services.joining.join(call, body),
  ),
  operation(
    {
      id: 'connector.document',
      tag: 'For connectors',
      params: inNetworkBy('connector', 'connector'),
      answer: { status: 200, description: 'The document.', schema: connectorDocumentSchema, etag: true },
    },
    async ({ services, call }, { params }) => {
      if (call.noneMatch !== undefined) {
        const version = await services.documents.version(call.network, params.connector)
        if (matches(call.noneMatch, version)) return unchanged(version)
      }
      const value = await services.documents.current(call.network, params.connector)
      return { value, revision: value.version }
    },
  ),
  operation(
    {
      id: 'connector.report',
      tag: 'For connectors',
      params: inNetworkBy('connector', 'connector'),
      body: reportSchema,
      maxBody: MAX_LINK_MESSAGE,
      answer: { status: 200, description: 'It is taken.', schema: takenSchema },
      refusals: ['bad-signature', 'document-from-the-future'],
    },
    ({ services, call }, { body }) => services.reports.take(call, body.report, body.events),
  ),
  operation(
    {
      id: 'connector.link',
      tag: 'For connectors',
      description: 'JSON text messages over a WebSocket; the connector speaks first. See the schemas of `link`.',
      params: inNetwork,
      answer: { status: 101, description: 'The link is open.' },
      refusals: ['websocket-required'],
    },
    async ({ call, http, openLink }): Promise<Response> => {
      const upgrade = http.req.header('upgrade')?.toLowerCase() === 'websocket'
      if (!upgrade || openLink === undefined) {
        throw refusal('websocket-required', upgrade ? 'there are no links here' : 'the request does not upgrade')
      }
      return openLink(http, { network: call.network, connector: call.actor.connector! })
    },
  ),
]

export const connectorRoutes: readonly Operation[] = [...forPeople, ...forConnectors]
