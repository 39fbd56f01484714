import { z } from 'zod'
import { MAX_LINK_MESSAGE } from '../../protocol/control/link.ts'
import { rolloutDetailSchema, rolloutDraftSchema, rolloutSchema } from '../../protocol/control/rollout.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Rollouts'

export const rolloutRoutes: readonly Operation[] = [
  operation(
    {
      id: 'rollouts.create',
      tag,
      description:
        'One site gets it first and is watched; then the others, in batches that double. Where something is wrong, all go back by themselves. Until it has ended, the desired state cannot be changed otherwise.',
      params: inNetwork,
      body: rolloutDraftSchema,
      maxBody: MAX_LINK_MESSAGE,
      answer: { status: 201, description: 'The rollout, which goes on by itself.', schema: rolloutSchema },
      refusals: [
        'rollout-under-way',
        'nothing-to-roll-out',
        'plan-blocked',
        'duplicate-name',
        'prefix-overlap',
        'limit-reached',
        'site-in-use',
        'mesh-too-large',
        'stale',
      ],
    },
    ({ services, call }, { body }) => services.rollouts.create(call, body),
  ),
  operation(
    {
      id: 'rollouts.list',
      tag,
      params: inNetwork,
      query: pageQuery.extend({ state: z.enum(['active', 'ended']).optional() }),
      answer: { status: 200, description: 'A page of rollouts.', schema: pageAnswer(rolloutSchema, 'RolloutPage') },
    },
    ({ services, call }, { query }) => services.rollouts.list(call, pageOfQuery(query), query.state),
  ),
  operation(
    {
      id: 'rollouts.get',
      tag,
      description: 'With its sites, and what each of them is waited for.',
      params: inNetworkBy('rollout', 'rollout'),
      answer: { status: 200, description: 'The rollout.', schema: rolloutDetailSchema },
    },
    ({ services, call }, { params }) => services.rollouts.get(call, params.rollout),
  ),
  operation(
    {
      id: 'rollouts.abort',
      tag,
      description: 'Sites that have it go back to what was before.',
      params: inNetworkBy('rollout', 'rollout'),
      answer: { status: 200, description: 'The rollout as it is now.', schema: rolloutSchema },
      refusals: ['rollout-finished'],
    },
    ({ services, call }, { params }) => services.rollouts.abort(call, params.rollout),
  ),
  operation(
    {
      id: 'rollouts.rollback',
      tag,
      description:
        'One that is under way goes back. After one that is done, and while nothing has changed since, another rollout takes the sites to the version before it.',
      params: inNetworkBy('rollout', 'rollout'),
      answer: { status: 200, description: 'The rollout that goes back.', schema: rolloutSchema },
      refusals: ['rollout-finished', 'rollout-superseded', 'rollout-under-way', 'site-in-use', 'nothing-to-roll-out'],
    },
    ({ services, call }, { params }) => services.rollouts.rollback(call, params.rollout),
  ),
]
