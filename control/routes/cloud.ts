import {
  cloudDraftSchema,
  cloudLookSchema,
  cloudPlanRequestSchema,
  cloudPlanSchema,
  cloudRunDraftSchema,
  cloudRunSchema,
  cloudSchema,
} from '../../protocol/control/cloud.ts'
import { idSchema } from '../../protocol/control/ids.ts'
import type { RefusalCode } from '../service/refusals.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Clouds'

/** Of everything that asks the provider while the caller waits. */
const PROVIDER: readonly RefusalCode[] = [
  'cloud-not-enabled',
  'cloud-credentials',
  'cloud-forbidden',
  'cloud-quota',
  'cloud-refused',
  'cloud-unavailable',
]

const clouds: readonly Operation[] = [
  operation(
    {
      id: 'clouds.create',
      tag,
      description:
        'Nothing is built yet: a run of the kind apply does. Site and policy are named by name or identifier.',
      params: inNetwork,
      body: cloudDraftSchema,
      answer: { status: 201, description: 'The connection.', schema: cloudSchema, etag: true },
      refusals: ['cloud-not-enabled', 'duplicate-name', 'limit-reached'],
    },
    ({ services, call }, { body }) => services.clouds.create(call, body),
  ),
  operation(
    {
      id: 'clouds.list',
      tag,
      params: inNetwork,
      query: pageQuery.extend({ site: idSchema('site').optional() }),
      answer: { status: 200, description: 'A page of connections.', schema: pageAnswer(cloudSchema, 'CloudPage') },
    },
    ({ services, call }, { query }) => services.clouds.list(call, pageOfQuery(query), query.site),
  ),
  operation(
    {
      id: 'clouds.get',
      tag,
      description: 'With the state of both tunnels as the provider and the connector told last.',
      params: inNetworkBy('cloud', 'cloud'),
      answer: { status: 200, description: 'The connection.', schema: cloudSchema, etag: true },
    },
    ({ services, call }, { params }) => services.clouds.get(call, params.cloud),
  ),
  operation(
    {
      id: 'clouds.replace',
      tag,
      description: 'At the provider nothing changes before a run.',
      params: inNetworkBy('cloud', 'cloud'),
      body: cloudDraftSchema,
      answer: { status: 200, description: 'The connection as it is now.', schema: cloudSchema, etag: true },
      match: true,
      refusals: ['cloud-not-enabled', 'cloud-built', 'cloud-run-under-way', 'duplicate-name'],
    },
    ({ services, call }, { params, body }) => services.clouds.replace(call, params.cloud, body),
  ),
  operation(
    {
      id: 'clouds.remove',
      tag,
      description: 'Only one of which nothing is left at the provider; a run of the kind destroy removes it too.',
      params: inNetworkBy('cloud', 'cloud'),
      answer: { status: 204, description: 'It is gone.' },
      match: true,
      refusals: ['cloud-in-use', 'cloud-run-under-way'],
    },
    ({ services, call }, { params }) => services.clouds.remove(call, params.cloud),
  ),
  operation(
    {
      id: 'clouds.plan',
      tag,
      description:
        'Looks at the provider, and changes nothing. The draft is of the connection that has its name, or a new one.',
      params: inNetwork,
      body: cloudPlanRequestSchema,
      answer: { status: 200, description: 'Steps, drift, findings and what it costs.', schema: cloudPlanSchema },
      refusals: [...PROVIDER, 'cloud-built'],
    },
    ({ services, call }, { body }) => services.clouds.plan(call, body.draft, body.prices),
  ),
  operation(
    {
      id: 'clouds.drift',
      tag,
      description: 'Looks at the provider now.',
      params: inNetworkBy('cloud', 'cloud'),
      answer: { status: 200, description: 'What differs from what is wanted.', schema: cloudLookSchema },
      refusals: PROVIDER,
    },
    ({ services, call }, { params }) => services.clouds.drift(call, params.cloud),
  ),
]

const runs: readonly Operation[] = [
  operation(
    {
      id: 'cloudRuns.create',
      tag,
      description:
        'It goes on by itself, one at a time for each connection. A token of the role rotation may start the kind rotate only.',
      params: inNetworkBy('cloud', 'cloud'),
      body: cloudRunDraftSchema,
      answer: { status: 201, description: 'The run.', schema: cloudRunSchema },
      refusals: ['cloud-not-enabled', 'cloud-run-under-way'],
    },
    ({ services, call }, { params, body }) => services.cloudRuns.create(call, params.cloud, body),
  ),
  operation(
    {
      id: 'cloudRuns.list',
      tag,
      params: inNetworkBy('cloud', 'cloud'),
      query: pageQuery,
      answer: { status: 200, description: 'A page of runs.', schema: pageAnswer(cloudRunSchema, 'CloudRunPage') },
    },
    ({ services, call }, { params, query }) => services.cloudRuns.list(call, params.cloud, pageOfQuery(query)),
  ),
  operation(
    {
      id: 'cloudRuns.get',
      tag,
      description:
        'With its journal; of a rotation that has ended, with the evidence, signed by the `evidenceKey` of the network.',
      params: inNetworkBy('cloudRun', 'cloudRun'),
      answer: { status: 200, description: 'The run.', schema: cloudRunSchema, etag: true },
    },
    ({ services, call }, { params }) => services.cloudRuns.get(call, params.cloudRun),
  ),
  operation(
    {
      id: 'cloudRuns.abort',
      tag,
      description: 'What is there at the provider stays. A rotation ends with a key that both ends have.',
      params: inNetworkBy('cloudRun', 'cloudRun'),
      answer: { status: 200, description: 'The run as it is now.', schema: cloudRunSchema },
      refusals: ['run-finished'],
    },
    ({ services, call }, { params }) => services.cloudRuns.abort(call, params.cloudRun),
  ),
]

export const cloudRoutes: readonly Operation[] = [...clouds, ...runs]
