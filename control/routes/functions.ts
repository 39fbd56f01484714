import { z } from 'zod'
import {
  functionChangeSchema,
  functionDraftSchema,
  functionInfoSchema,
  grantRequestSchema,
  grantSchema,
} from '../../protocol/control/grant.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, inNetworkBy, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Functions'

const newFunctionSchema = functionInfoSchema
  .extend({ token: z.string().meta({ description: 'Its token. It is shown this once, and only its hash is kept.' }) })
  .meta({ id: 'NewFunction' })

const forPeople: readonly Operation[] = [
  operation(
    {
      id: 'functions.create',
      tag,
      description: 'Sites are named by name or identifier.',
      params: inNetwork,
      body: functionDraftSchema,
      answer: { status: 201, description: 'The function, with its token.', schema: newFunctionSchema, etag: true },
      secret: true,
      refusals: ['duplicate-name'],
    },
    ({ services, call }, { body }) => services.functions.create(call, body),
  ),
  operation(
    {
      id: 'functions.list',
      tag,
      params: inNetwork,
      query: pageQuery,
      answer: {
        status: 200,
        description: 'A page of functions, those that are revoked too.',
        schema: pageAnswer(functionInfoSchema, 'FunctionPage'),
      },
    },
    ({ services, call }, { query }) => services.functions.list(call, pageOfQuery(query)),
  ),
  operation(
    {
      id: 'functions.get',
      tag,
      params: inNetworkBy('function', 'function'),
      answer: { status: 200, description: 'The function.', schema: functionInfoSchema, etag: true },
    },
    ({ services, call }, { params }) => services.functions.get(call, params.function),
  ),
  operation(
    {
      id: 'functions.replace',
      tag,
      description:
        'Grants from now on follow it. What a function was granted before, it may use for up to ten minutes more.',
      params: inNetworkBy('function', 'function'),
      body: functionChangeSchema,
      answer: { status: 200, description: 'The function as it is now.', schema: functionInfoSchema, etag: true },
      match: true,
      refusals: ['duplicate-name', 'function-revoked'],
    },
    ({ services, call }, { params, body }) => services.functions.replace(call, params.function, body),
  ),
  operation(
    {
      id: 'functions.renew',
      tag,
      description: 'The token before ends at once. The new one is good for as long as the first one was.',
      params: inNetworkBy('function', 'function'),
      answer: { status: 200, description: 'The function, with its new token.', schema: newFunctionSchema, etag: true },
      secret: true,
      refusals: ['function-revoked'],
    },
    ({ services, call }, { params }) => services.functions.renew(call, params.function),
  ),
  operation(
    {
      id: 'functions.revoke',
      tag,
      description: 'It gets no more grants. The record stays, and says when.',
      params: inNetworkBy('function', 'function'),
      answer: { status: 204, description: 'It is revoked.', schema: z.undefined() },
      match: true,
    },
    ({ services, call }, { params }) => services.functions.revoke(call, params.function),
  ),
]

const forFunctions: readonly Operation[] = [
  operation(
    {
      id: 'grants.create',
      tag: 'For functions',
      description:
        'With the token of the function. The session token is good for ten minutes, and only with the private half of `publicKey`.',
      params: inNetwork,
      body: grantRequestSchema,
      answer: { status: 200, description: 'The grant.', schema: grantSchema },
      refusals: ['unknown-site'],
    },
    ({ services, call }, { body }) => services.grants.create(call, body),
  ),
]

export const functionRoutes: readonly Operation[] = [...forPeople, ...forFunctions]
