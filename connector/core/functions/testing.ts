/** What the tests of functions share: services, and a function that asks for them. */
import { prefix } from '../../../protocol/net.ts'
import type { SessionIdentity } from '../../../protocol/stream-session-types.ts'
import type { FunctionLimits, NetworkService, TargetService } from './plan.ts'

export const TIMEOUTS = { connect: 10_000, response: 60_000, idle: 300_000, total: 3_600_000 }

export const LIMITS: FunctionLimits = {
  sessions: 64,
  sessionsPerFunction: 32,
  handshakes: 16,
  streams: 1024,
  streamsPerSession: 512,
  streamsPerSecond: 10_000,
  memory: 64 << 20,
}

const BASE = { allow: ['orders'], timeouts: TIMEOUTS, maxConnections: 64, tls: {} }

export function targetService(changes: Partial<TargetService> = {}): TargetService {
  return {
    ...BASE,
    name: 'erp',
    kind: 'http',
    host: '10.1.0.20',
    port: 8000,
    hosts: ['erp.corp.example'],
    headers: [],
    warm: 0,
    ...changes,
  }
}

export function networkService(changes: Partial<NetworkService> = {}): NetworkService {
  return {
    ...BASE,
    name: 'lan',
    kind: 'network',
    networks: [prefix('10.1.0.0/24')],
    ports: [
      { start: 443, end: 443 },
      { start: 8000, end: 8010 },
    ],
    ...changes,
  }
}

export function identityOf(...services: string[]): SessionIdentity {
  return { function: 'fn_00000000000000000000', name: 'orders', services, expiresAt: Number.MAX_SAFE_INTEGER }
}
