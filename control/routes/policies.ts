import { z } from 'zod'
import { policyDraftSchema, policySchema } from '../../protocol/control/rotation.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Rotation policies'

export const policyRoutes: readonly Operation[] = [
  operation(
    {
      id: 'policies.create',
      tag,
      params: inNetwork,
      body: policyDraftSchema,
      answer: { status: 201, description: 'The policy.', schema: policySchema, etag: true },
      refusals: ['duplicate-name'],
    },
    ({ services, call }, { body }) => services.policies.create(call, body),
  ),
  operation(
    {
      id: 'policies.list',
      tag,
      params: inNetwork,
      query: pageQuery,
      answer: { status: 200, description: 'A page of policies.', schema: pageAnswer(policySchema, 'PolicyPage') },
    },
    ({ services, call }, { query }) => services.policies.list(call, pageOfQuery(query)),
  ),
  operation(
    {
      id: 'policies.get',
      tag,
      params: inNetworkBy('policy', 'policy'),
      answer: { status: 200, description: 'The policy.', schema: policySchema, etag: true },
    },
    ({ services, call }, { params }) => services.policies.get(call, params.policy),
  ),
  operation(
    {
      id: 'policies.replace',
      tag,
      params: inNetworkBy('policy', 'policy'),
      body: policyDraftSchema,
      answer: { status: 200, description: 'The policy as it is now.', schema: policySchema, etag: true },
      match: true,
      refusals: ['duplicate-name'],
    },
    ({ services, call }, { params, body }) => services.policies.replace(call, params.policy, body),
  ),
  operation(
    {
      id: 'policies.remove',
      tag,
      description: 'Runs that it has begun go on.',
      params: inNetworkBy('policy', 'policy'),
      answer: { status: 204, description: 'It is removed.', schema: z.undefined() },
      match: true,
    },
    ({ services, call }, { params }) => services.policies.remove(call, params.policy),
  ),
]
