/** Whether a function may reach a connector through the relay. */
import { Refusal } from '../domain/refusal.ts'
import { RateLimiter } from '../middleware/rate-limit.ts'
import type { Services } from '../service/services.ts'
import { CLOSINGS, type Closing } from './close.ts'
import { readOffer } from './offer.ts'
import type { Caller, ConnectorNames } from './types.ts'

export type Verdict = { readonly caller: Caller } | { readonly refused: Closing }

export interface CallRequest extends ConnectorNames {
  /** `Sec-WebSocket-Protocol`. */
  readonly protocols: string | undefined
  /** Where it came from, as far as the platform knows. */
  readonly seenAddress: string | undefined
}

export class Admission {
  readonly #services: () => Services
  /** Of functions, each by itself. */
  readonly #calls = new RateLimiter({ perSecond: 50, burst: 500 })
  /** By address: tokens that are no good. */
  readonly #failures = new RateLimiter({ perSecond: 1, burst: 30 })

  constructor(services: () => Services) {
    this.#services = services
  }

  /** Never rejects. The log says why somebody was refused; the token is nowhere. */
  async admit(request: CallRequest): Promise<Verdict> {
    const { network, connector } = request
    const verdict = await this.#judge(request)
    if ('refused' in verdict) {
      const { code, reason } = verdict.refused
      this.#services().context.log.info({ network, connector, code, reason }, 'a function was refused at the relay')
    }
    return verdict
  }

  async #judge({ network, connector, protocols, seenAddress }: CallRequest): Promise<Verdict> {
    const { grants, context } = this.#services()
    const offer = readOffer(protocols)
    if (offer === undefined) return this.#failed(CLOSINGS.malformed, seenAddress)
    try {
      const { claims } = await grants.admit(network, connector, offer.token)
      if (!this.#calls.take(claims.function, context.clock()).granted) return { refused: CLOSINGS.hasty }
      const caller = { network, connector, function: claims.function, issuedAt: claims.iat }
      return { caller: offer.first === undefined ? caller : { ...caller, first: offer.first } }
    } catch (error) {
      const code = error instanceof Refusal ? error.code : undefined
      if (code === 'not-found') return { refused: CLOSINGS.elsewhere }
      if (code === 'token-revoked') return this.#failed(CLOSINGS.withdrawn, seenAddress)
      if (code === 'bad-credentials') return this.#failed(CLOSINGS.token, seenAddress)
      context.log.error({ network, connector, error: String(error) }, 'a session token could not be looked up')
      return { refused: CLOSINGS.unavailable }
    }
  }

  /** Guessing costs; a function with a good token is never charged for the guesses of its neighbours. */
  #failed(closing: Closing, address: string | undefined): Verdict {
    const granted = this.#failures.take(address ?? 'unknown', this.#services().context.clock()).granted
    return { refused: granted ? closing : CLOSINGS.hasty }
  }
}
