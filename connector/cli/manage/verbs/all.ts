/** The verbs that manage networks by the control plane, in the order of the help. */
import type { Verb } from '../../command.ts'
import { rotate, run } from './rotate.ts'
import { site } from './site.ts'

export const MANAGE_VERBS: readonly Verb[] = [site, rotate, run]
