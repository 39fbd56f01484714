/** The IKE endpoint that a plan means. */
import { randomBytes } from 'node:crypto'
import type { Instant } from '../../protocol/machine.ts'
import { IkeEndpoint } from '../core/ike/endpoint.ts'
import type { ConnectorPlan } from '../plan.ts'
import { nodeCrypto } from './crypto-node.ts'

export function makeIke(plan: ConnectorPlan, now: Instant): IkeEndpoint {
  return new IkeEndpoint(
    {
      ports: plan.ports,
      resources: plan.workers,
      connections: plan.connections.map(({ ike }) => ike),
      limits: plan.limits,
      crypto: nodeCrypto,
      random: (length: number) => new Uint8Array(randomBytes(length)),
      keyLog: plan.keyLog !== undefined,
    },
    now,
  )
}
