import { z } from 'zod'
import { networkDraftSchema, networkSchema } from '../../protocol/control/resources.ts'
import { type Operation, operation } from './operation.ts'
import { inNetwork, pageAnswer, pageOfQuery, pageQuery } from './shapes.ts'

const tag = 'Networks'

export const networkRoutes: readonly Operation[] = [
  operation(
    {
      id: 'networks.create',
      tag,
      description: 'Only with the admin token of the installation, which is the owner of every network.',
      body: networkDraftSchema,
      answer: { status: 201, description: 'The network.', schema: networkSchema, etag: true },
      refusals: ['duplicate-name'],
    },
    ({ services, call }, { body }) => services.networks.create(call, body),
  ),
  operation(
    {
      id: 'networks.list',
      tag,
      query: pageQuery,
      answer: { status: 200, description: 'A page of networks.', schema: pageAnswer(networkSchema, 'NetworkPage') },
    },
    ({ services }, { query }) => services.networks.list(pageOfQuery(query)),
  ),
  operation(
    {
      id: 'networks.get',
      tag,
      params: inNetwork,
      answer: { status: 200, description: 'The network.', schema: networkSchema, etag: true },
    },
    ({ services, call }) => services.networks.get(call),
  ),
  operation(
    {
      id: 'networks.remove',
      tag,
      description: 'All that belongs to it goes, but its audit log stays in the store.',
      params: inNetwork,
      answer: { status: 204, description: 'It is removed.', schema: z.undefined() },
      match: true,
      refusals: ['network-in-use'],
    },
    ({ services, call }) => services.networks.remove(call),
  ),
]
