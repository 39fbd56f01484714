import { z } from 'zod'
import { idSchema } from '../../protocol/control/ids.ts'
import {
  apiTokenDraftSchema,
  apiTokenInfoSchema,
  joinTokenDraftSchema,
  joinTokenInfoSchema,
} from '../../protocol/control/resources.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const secret = z.string().meta({ description: 'The token itself. It is shown this once, and only its hash is kept.' })

const apiTokens: readonly Operation[] = [
  operation(
    {
      id: 'tokens.create',
      tag: 'API tokens',
      params: inNetwork,
      body: apiTokenDraftSchema,
      answer: {
        status: 201,
        description: 'The token.',
        schema: apiTokenInfoSchema.extend({ token: secret }).meta({ id: 'NewApiToken' }),
        etag: true,
      },
      secret: true,
      refusals: ['duplicate-name'],
    },
    ({ services, call }, { body }) => services.tokens.create(call, body),
  ),
  operation(
    {
      id: 'tokens.list',
      tag: 'API tokens',
      params: inNetwork,
      query: pageQuery,
      answer: { status: 200, description: 'A page of tokens.', schema: pageAnswer(apiTokenInfoSchema, 'ApiTokenPage') },
    },
    ({ services, call }, { query }) => services.tokens.list(call, pageOfQuery(query)),
  ),
  operation(
    {
      id: 'tokens.get',
      tag: 'API tokens',
      params: inNetworkBy('token', 'token'),
      answer: { status: 200, description: 'What is known of it.', schema: apiTokenInfoSchema, etag: true },
    },
    ({ services, call }, { params }) => services.tokens.get(call, params.token),
  ),
  operation(
    {
      id: 'tokens.revoke',
      tag: 'API tokens',
      description: 'Takes effect with the next request. The record stays, and says when.',
      params: inNetworkBy('token', 'token'),
      answer: { status: 204, description: 'It is revoked.', schema: z.undefined() },
      match: true,
    },
    ({ services, call }, { params }) => services.tokens.revoke(call, params.token),
  ),
]

const joinTokens: readonly Operation[] = [
  operation(
    {
      id: 'joinTokens.create',
      tag: 'Join tokens',
      description: 'Lets one connector join the site, once.',
      params: inNetwork,
      body: joinTokenDraftSchema,
      answer: {
        status: 201,
        description: 'The join token.',
        schema: joinTokenInfoSchema.extend({ token: secret }).meta({ id: 'NewJoinToken' }),
        etag: true,
      },
      secret: true,
    },
    ({ services, call }, { body }) => services.joinTokens.create(call, body),
  ),
  operation(
    {
      id: 'joinTokens.list',
      tag: 'Join tokens',
      params: inNetwork,
      query: pageQuery.extend({ site: idSchema('site').optional() }),
      answer: {
        status: 200,
        description: 'A page of join tokens.',
        schema: pageAnswer(joinTokenInfoSchema, 'JoinTokenPage'),
      },
    },
    ({ services, call }, { query }) => services.joinTokens.list(call, pageOfQuery(query), query.site),
  ),
  operation(
    {
      id: 'joinTokens.get',
      tag: 'Join tokens',
      params: inNetworkBy('join', 'join'),
      answer: { status: 200, description: 'What is known of it.', schema: joinTokenInfoSchema, etag: true },
    },
    ({ services, call }, { params }) => services.joinTokens.get(call, params.join),
  ),
  operation(
    {
      id: 'joinTokens.revoke',
      tag: 'Join tokens',
      description: 'A connector that has joined with it stays.',
      params: inNetworkBy('join', 'join'),
      answer: { status: 204, description: 'It is revoked.', schema: z.undefined() },
      match: true,
    },
    ({ services, call }, { params }) => services.joinTokens.revoke(call, params.join),
  ),
]

export const tokenRoutes: readonly Operation[] = [...joinTokens, ...apiTokens]
