/** Every operation that is served, in the order of the reference. */
import { auditRoutes } from './audit.ts'
import { cloudRoutes } from './cloud.ts'
import { connectorRoutes } from './connectors.ts'
import { functionRoutes } from './functions.ts'
import { intentRoutes } from './intent.ts'
import { networkRoutes } from './networks.ts'
import type { Operation } from './operation.ts'
import { policyRoutes } from './policies.ts'
import { relayRoutes } from './relay.ts'
import { rolloutRoutes } from './rollouts.ts'
import { rotationRoutes } from './rotations.ts'
import { tokenRoutes } from './tokens.ts'

export const ALL_OPERATIONS: readonly Operation[] = [
  ...networkRoutes,
  ...intentRoutes,
  ...connectorRoutes,
  ...relayRoutes,
  ...tokenRoutes,
  ...functionRoutes,
  ...policyRoutes,
  ...rotationRoutes,
  ...rolloutRoutes,
  ...cloudRoutes,
  ...auditRoutes,
]
