/** All services over one store. No HTTP, no platform. */
import { Audit } from './audit.ts'
import type { Auth } from './auth.ts'
import { Committer } from './commit.ts'
import { JoinTokens } from './join-tokens.ts'
import { Networks } from './networks.ts'
import { Policies } from './policies.ts'
import { Verifier } from './signatures.ts'
import { Tokens } from './tokens.ts'
import type { Context } from './types.ts'

export interface Services {
  readonly context: Context
  readonly networks: Networks
  readonly tokens: Tokens
  readonly joinTokens: JoinTokens
  readonly policies: Policies
  readonly audit: Audit
}

export interface ServiceOptions extends Context {
  /** Shared with `createAuth`, so that a key is imported once. */
  readonly verifier?: Verifier
  /** When a token was last used, as far as this process knows: `Auth.lastUsed`. */
  readonly lastUsed?: Auth['lastUsed']
}

export function createServices({
  lastUsed = () => undefined,
  verifier = new Verifier(),
  ...context
}: ServiceOptions): Services {
  const committer = new Committer(context)
  return {
    context,
    networks: new Networks(context, committer),
    tokens: new Tokens(context, committer, lastUsed),
    joinTokens: new JoinTokens(context, committer),
    policies: new Policies(context, committer),
    audit: new Audit(context),
  }
}
