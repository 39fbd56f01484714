/** The verbs that manage networks by the control plane, in the order of the help. */
import type { Verb } from '../../command.ts'
import { connector } from './connector.ts'
import { rotate, run } from './rotate.ts'
import { site } from './site.ts'
import { token } from './token.ts'
import { tunnel } from './tunnel.ts'

export const MANAGE_VERBS: readonly Verb[] = [site, connector, tunnel, token, rotate, run]
