import type { Command, CommandArgument, CommandOption } from '../../command.ts'
import { JSON_OPTION } from '../../options.ts'
import { CONTROL_OPTIONS, MANAGE_EXITS } from '../options.ts'

/** A verb that asks the control plane: with the options and exit codes that all of them have. */
export function managed(verb: Command): Command {
  const { options = [], exits = [] } = verb
  return { ...verb, options: [...options, JSON_OPTION, ...CONTROL_OPTIONS], exits: [...MANAGE_EXITS, ...exits] }
}

export const YES_OPTION: CommandOption = {
  flags: '--yes',
  description: 'do it; without, it is only told what would be',
}

export const SITE_ARGUMENT: CommandArgument = { name: '<site>', description: 'name or id' }
export const CONNECTOR_ARGUMENT: CommandArgument = { name: '<connector>', description: 'name or id' }
export const TUNNEL_ARGUMENT: CommandArgument = { name: '<tunnel>', description: 'name or id' }
export const POLICY_ARGUMENT: CommandArgument = { name: '<policy>', description: 'name or id' }
