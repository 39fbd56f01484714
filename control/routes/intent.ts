import { z } from 'zod'
import { idSchema } from '../../protocol/control/ids.ts'
import {
  intentDraftSchema,
  intentSchema,
  preferencesSchema,
  siteDraftSchema,
  siteSchema,
  tunnelDraftSchema,
  tunnelSchema,
} from '../../protocol/control/intent.ts'
import { MAX_LINK_MESSAGE, tunnelReportSchema } from '../../protocol/control/link.ts'
import { planResultSchema } from '../../protocol/control/plan.ts'
import { instantSchema } from '../../protocol/control/values.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const whole: readonly Operation[] = [
  operation(
    {
      id: 'intent.get',
      tag: 'Intent',
      params: inNetwork,
      query: z.strictObject({
        version: z.coerce
          .number()
          .int()
          .min(0)
          .optional()
          .meta({ description: 'An old version; the newest when absent.' }),
      }),
      answer: { status: 200, description: 'The intent.', schema: intentSchema, etag: true },
    },
    ({ services, call }, { query }) => services.intent.read(call, query.version),
  ),
  operation(
    {
      id: 'intent.replace',
      tag: 'Intent',
      description:
        'All sites and tunnels at once: what is not named is removed. All faults are told together. Refused where the plan has errors, unless `force` is true.',
      params: inNetwork,
      query: z.strictObject({
        force: z
          .enum(['true', 'false'])
          .default('false')
          .meta({ description: 'Also where the plan says that a site would be cut off.' }),
      }),
      body: intentDraftSchema,
      maxBody: MAX_LINK_MESSAGE,
      answer: { status: 200, description: 'The intent as it is now.', schema: intentSchema, etag: true },
      match: true,
      refusals: [
        'rollout-under-way',
        'duplicate-name',
        'prefix-overlap',
        'limit-reached',
        'site-in-use',
        'mesh-too-large',
        'plan-blocked',
      ],
    },
    ({ services, call }, { query, body }) => services.intent.replace(call, body, query.force === 'true'),
  ),
  operation(
    {
      id: 'intent.plan',
      tag: 'Intent',
      description:
        'Simulates the routes of the whole network by the code that connectors decide with, and compares them with those of the present intent. Changes nothing.',
      params: inNetwork,
      body: intentDraftSchema,
      maxBody: MAX_LINK_MESSAGE,
      answer: { status: 200, description: 'Routes that change, and what is wrong.', schema: planResultSchema },
      refusals: ['duplicate-name', 'prefix-overlap', 'limit-reached', 'site-in-use', 'mesh-too-large', 'stale'],
    },
    ({ services, call }, { body }) => services.intent.plan(call, body),
  ),
  operation(
    {
      id: 'preferences.get',
      tag: 'Intent',
      params: inNetwork,
      answer: { status: 200, description: 'The preferences.', schema: preferencesSchema, etag: true },
    },
    ({ services, call }) => services.intent.preferences(call),
  ),
  operation(
    {
      id: 'preferences.replace',
      tag: 'Intent',
      params: inNetwork,
      body: preferencesSchema,
      answer: { status: 200, description: 'The preferences as they are now.', schema: preferencesSchema, etag: true },
      match: true,
      refusals: ['rollout-under-way', 'mesh-too-large'],
    },
    ({ services, call }, { body }) => services.intent.setPreferences(call, body),
  ),
]

const sites: readonly Operation[] = [
  operation(
    {
      id: 'sites.create',
      tag: 'Sites',
      description: 'With the topology `mesh`, tunnels to every other site come with it.',
      params: inNetwork,
      body: siteDraftSchema,
      answer: { status: 201, description: 'The site.', schema: siteSchema, etag: true },
      refusals: ['rollout-under-way', 'duplicate-name', 'prefix-overlap', 'limit-reached', 'mesh-too-large'],
    },
    ({ services, call }, { body }) => services.intent.addSite(call, body),
  ),
  operation(
    {
      id: 'sites.list',
      tag: 'Sites',
      params: inNetwork,
      query: pageQuery,
      answer: { status: 200, description: 'A page of sites.', schema: pageAnswer(siteSchema, 'SitePage') },
    },
    ({ services, call }, { query }) => services.intent.list(call, 'site', pageOfQuery(query)),
  ),
  operation(
    {
      id: 'sites.get',
      tag: 'Sites',
      params: inNetworkBy('site', 'site'),
      answer: { status: 200, description: 'The site.', schema: siteSchema, etag: true },
    },
    ({ services, call }, { params }) => services.intent.getSite(call, params.site),
  ),
  operation(
    {
      id: 'sites.replace',
      tag: 'Sites',
      params: inNetworkBy('site', 'site'),
      body: siteDraftSchema,
      answer: { status: 200, description: 'The site as it is now.', schema: siteSchema, etag: true },
      match: true,
      refusals: ['rollout-under-way', 'duplicate-name', 'prefix-overlap'],
    },
    ({ services, call }, { params, body }) => services.intent.changeSite(call, params.site, body),
  ),
  operation(
    {
      id: 'sites.remove',
      tag: 'Sites',
      description: 'Only without tunnels and without a connector. Its unused join tokens are revoked.',
      params: inNetworkBy('site', 'site'),
      answer: { status: 204, description: 'It is removed.', schema: z.undefined() },
      match: true,
      refusals: ['rollout-under-way', 'site-in-use'],
    },
    ({ services, call }, { params }) => services.intent.removeSite(call, params.site),
  ),
]

const tunnelStatusSchema = z
  .strictObject({
    tunnel: idSchema('tunnel'),
    epoch: z.int().min(0).meta({ description: 'Of the key in use; 0 while there is none.' }),
    epochSince: instantSchema.optional(),
    rotation: idSchema('rotation').optional().meta({ description: 'The one that is under way.' }),
    waitingFor: z.string().optional().meta({ description: 'Whom or what that rotation waits for.' }),
    ends: z
      .array(
        z.strictObject({
          connector: idSchema('connector'),
          at: instantSchema.meta({ description: 'Of its last report that was stored.' }),
          report: tunnelReportSchema,
        }),
      )
      .max(2),
  })
  .meta({ id: 'TunnelStatus' })

const tunnels: readonly Operation[] = [
  operation(
    {
      id: 'tunnels.create',
      tag: 'Tunnels',
      params: inNetwork,
      body: tunnelDraftSchema,
      answer: { status: 201, description: 'The tunnel.', schema: tunnelSchema, etag: true },
      refusals: ['rollout-under-way', 'duplicate-name', 'limit-reached'],
    },
    ({ services, call }, { body }) => services.intent.addTunnel(call, body),
  ),
  operation(
    {
      id: 'tunnels.list',
      tag: 'Tunnels',
      params: inNetwork,
      query: pageQuery.extend({ site: idSchema('site').optional().meta({ description: 'Only those of this site.' }) }),
      answer: { status: 200, description: 'A page of tunnels.', schema: pageAnswer(tunnelSchema, 'TunnelPage') },
    },
    ({ services, call }, { query }) => services.intent.list(call, 'tunnel', pageOfQuery(query), query.site),
  ),
  operation(
    {
      id: 'tunnels.get',
      tag: 'Tunnels',
      params: inNetworkBy('tunnel', 'tunnel'),
      answer: { status: 200, description: 'The tunnel.', schema: tunnelSchema, etag: true },
    },
    ({ services, call }, { params }) => services.intent.getTunnel(call, params.tunnel),
  ),
  operation(
    {
      id: 'tunnels.status',
      tag: 'Tunnels',
      description: 'Its key, and the last that its ends have said.',
      params: inNetworkBy('tunnel', 'tunnel'),
      answer: { status: 200, description: 'The status.', schema: tunnelStatusSchema },
    },
    ({ services, call }, { params }) => services.rotations.tunnelStatus(call, params.tunnel),
  ),
  operation(
    {
      id: 'tunnels.replace',
      tag: 'Tunnels',
      description: 'Its two ends stay; they may change places, which says who initiates.',
      params: inNetworkBy('tunnel', 'tunnel'),
      body: tunnelDraftSchema,
      answer: { status: 200, description: 'The tunnel as it is now.', schema: tunnelSchema, etag: true },
      match: true,
      refusals: ['rollout-under-way', 'duplicate-name'],
    },
    ({ services, call }, { params, body }) => services.intent.changeTunnel(call, params.tunnel, body),
  ),
  operation(
    {
      id: 'tunnels.remove',
      tag: 'Tunnels',
      description: 'Its keys go with it.',
      params: inNetworkBy('tunnel', 'tunnel'),
      answer: { status: 204, description: 'It is removed.', schema: z.undefined() },
      match: true,
      refusals: ['rollout-under-way'],
    },
    ({ services, call }, { params }) => services.intent.removeTunnel(call, params.tunnel),
  ),
]

export const intentRoutes: readonly Operation[] = [...whole, ...sites, ...tunnels]
