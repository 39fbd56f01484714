/** The verbs that manage networks by the control plane, in the order of the help. */
import type { Verb } from '../../command.ts'
import { audit } from './audit.ts'
import { cloud } from './cloud.ts'
import { connector } from './connector.ts'
import { functions } from './function.ts'
import { network } from './network.ts'
import { plan } from './plan.ts'
import { policy } from './policy.ts'
import { apply, rollback, rollout } from './rollout.ts'
import { rotate, run } from './rotate.ts'
import { rotation } from './rotation.ts'
import { site } from './site.ts'
import { token } from './token.ts'
import { tunnel } from './tunnel.ts'

export const MANAGE_VERBS: readonly Verb[] = [
  network,
  site,
  connector,
  tunnel,
  plan,
  apply,
  rollback,
  rollout,
  cloud,
  token,
  functions,
  policy,
  rotate,
  run,
  rotation,
  audit,
]
