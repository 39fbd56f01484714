/** Who may pass: authentication, the roles table, the border between networks, rate limits. */
import type { Context as Hono } from 'hono'
import { allowed, type OperationId, type Principal as Role } from '../domain/roles.ts'
import type { Auth, Principal } from '../service/auth.ts'
import { Later, refusal } from '../service/refusals.ts'
import type { Actor, Call } from '../service/types.ts'
import type { AppEnv } from './env.ts'
import { targetOf } from './idempotency.ts'
import type { Grant, RateLimiter } from './rate-limit.ts'

export interface Limits {
  /** Of people, jobs and functions, each token by itself. */
  readonly token: RateLimiter
  readonly connector: RateLimiter
  /** Of connectors: sockets that they open to the relay, one for each function. */
  readonly relay: RateLimiter
  /** Of whoever has not authenticated, by address: joins, and attempts that failed. */
  readonly anonymous: RateLimiter
}

export interface GateOptions {
  readonly auth: Auth
  readonly limits: Limits
  readonly clock: () => number
  /** Where the request came from: the platform knows. */
  readonly clientAddress: (c: Hono) => string | undefined
  /** Whether there is such a network: asked for the owner of the installation only. */
  readonly networkExists: (network: string) => Promise<boolean>
}

export interface Admitted {
  readonly call: Call
  /** What the proof of a connector says of the body: SHA-256, base64url. */
  readonly body?: string
}

const ANYBODY: Actor = { id: 'system', network: '' }

export class Gate {
  readonly #options: GateOptions

  constructor(options: GateOptions) {
    this.#options = options
  }

  /** Throws a Refusal for whoever may not carry out `operation` on the network that the path names. */
  async admit(c: Hono<AppEnv>, operation: OperationId): Promise<Admitted> {
    const network = c.req.param('network') ?? ''
    const seenAddress = this.#options.clientAddress(c)
    const rest = { requestId: c.get('requestId'), ...(seenAddress === undefined ? {} : { seenAddress }) }
    if (allowed(operation, 'anybody')) {
      // A relay charges whom the session token names, and an address only for tokens that are no good.
      if (operation !== 'relay.call') this.#charge(c, this.#options.limits.anonymous, seenAddress ?? 'unknown')
      return { call: { actor: ANYBODY, network, ...rest } }
    }
    const principal = await this.#authenticate(c, seenAddress ?? 'unknown')
    const { actor } = principal
    c.set('actor', actor.id)
    this.#charge(c, this.#limiterOf(actor, operation), actor.id)
    if (!principal.admin && network !== '' && actor.network !== network) {
      throw refusal('foreign-network', 'they reach only the network that they were made for')
    }
    const caller = principal.admin ? 'admin' : roleOf(actor)
    if (!allowed(operation, caller)) throw refusal('forbidden', `the role ${caller} may not do ${operation}`)
    this.#ownPath(c, actor)
    if (principal.admin && network !== '' && !(await this.#options.networkExists(network))) {
      throw refusal('not-found', `there is no network ${network.slice(0, 40)}`)
    }
    const call = { actor: { ...actor, network }, network, ...rest }
    return principal.body === undefined ? { call } : { call, body: principal.body }
  }

  #limiterOf(actor: Actor, operation: OperationId): RateLimiter {
    const { token, connector, relay } = this.#options.limits
    if (actor.connector === undefined) return token
    return operation === 'relay.serve' ? relay : connector
  }

  async #authenticate(c: Hono<AppEnv>, address: string): Promise<Principal> {
    const { auth, limits, clock } = this.#options
    const request = { authorization: c.req.header('authorization'), method: c.req.method, target: targetOf(c) }
    try {
      return await auth.authenticate(request)
    } catch (error) {
      // Guessing costs; a caller with a valid token is never charged for the guesses of its neighbours.
      const grant = limits.anonymous.take(address, clock())
      if (!grant.granted) throw limited(c, limits.anonymous, grant)
      throw error
    }
  }

  #charge(c: Hono<AppEnv>, limiter: RateLimiter, caller: string): void {
    const grant = limiter.take(caller, this.#options.clock())
    if (!grant.granted) throw limited(c, limiter, grant)
    tell(c, limiter, grant)
  }

  /** A connector reads and writes what is its own. */
  #ownPath(c: Hono<AppEnv>, actor: Actor): void {
    const named = c.req.param('connector')
    if (actor.connector !== undefined && named !== undefined && named !== actor.connector) {
      throw refusal('forbidden', 'a connector may not ask for another one')
    }
  }
}

function roleOf(actor: Actor): Role {
  if (actor.connector !== undefined) return 'connector'
  return actor.function === undefined ? actor.role! : 'function'
}

function limited(c: Hono<AppEnv>, limiter: RateLimiter, grant: Grant): Error {
  tell(c, limiter, grant)
  return new Later('rate-limited', `ask again in ${grant.seconds} s`, grant.seconds)
}

/** Header fields of draft-ietf-httpapi-ratelimit-headers. */
function tell(c: Hono<AppEnv>, limiter: RateLimiter, grant: Grant): void {
  const { perSecond, burst } = limiter.limit
  c.set('rateLimit', {
    policy: `"default";q=${burst};w=${Math.max(1, Math.ceil(burst / perSecond))}`,
    state: `"default";r=${grant.remaining};t=${grant.seconds}`,
  })
}
