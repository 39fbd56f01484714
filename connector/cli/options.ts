/** Options that several verbs share, and what they mean. */
import { existsSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { EXIT } from '../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, type CommandOption, textOption } from './command.ts'

export const CONFIG_OPTION: CommandOption = {
  flags: '-c, --config <file>',
  description: 'the configuration; else $ISTHMUS_CONFIG, ./isthmus.yaml, /etc/isthmus/isthmus.yaml',
}

export const SOCKET_OPTION: CommandOption = {
  flags: '-s, --socket <path>',
  description: 'control socket of the connector; else the one in the configuration',
}

export const JSON_OPTION: CommandOption = { flags: '--json', description: 'print one JSON document for programs' }

const SYSTEM_CONFIG = '/etc/isthmus/isthmus.yaml'

export function configPath(input: CommandInput, io: CliIo): string {
  const named = textOption(input, 'config') ?? (io.env.ISTHMUS_CONFIG || undefined)
  if (named !== undefined) return named
  return existsSync('isthmus.yaml') ? 'isthmus.yaml' : SYSTEM_CONFIG
}

export async function socketPath(input: CommandInput, io: CliIo): Promise<string> {
  const named = textOption(input, 'socket')
  if (named !== undefined) return named
  const { controlSocketOf } = await import('../config.ts')
  return controlSocketOf(configPath(input, io))
}

/** A number option in its range; `fallback` when it was not given. */
export function numberOption(
  input: CommandInput,
  name: string,
  range: { min: number; max: number; fallback: number },
): number {
  const text = textOption(input, name)
  if (text === undefined) return range.fallback
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= range.min && value <= range.max) return value
  const remedy = `give a number from ${range.min} to ${range.max}`
  throw new CommandFailure(`--${name} ${JSON.stringify(text)} does not fit`, remedy, EXIT.usage)
}

export const DEFAULT_STATE_DIRECTORY = '/var/lib/isthmus'
export const DEFAULT_CONTROL_SOCKET = '/run/isthmus/control.sock'

export const STATE_OPTION: CommandOption = {
  flags: '-d, --state-directory <path>',
  description: `where identity and keys are kept; else $ISTHMUS_STATE, ${DEFAULT_STATE_DIRECTORY}`,
}

export const SERVICES_OPTION: CommandOption = {
  flags: '--services <file>',
  description:
    'what functions reach here; else $ISTHMUS_SERVICES, services.yaml in the state directory, /etc/isthmus/services.yaml',
}

const SYSTEM_SERVICES = '/etc/isthmus/services.yaml'

/** Where `services.yaml` is; `named`: by a person, so that it should be there. */
export function servicesPath(input: CommandInput, io: CliIo): { readonly path: string; readonly named: boolean } {
  const named = textOption(input, 'services') ?? (io.env.ISTHMUS_SERVICES || undefined)
  if (named !== undefined) return { path: resolve(named), named: true }
  const own = join(stateDirectory(input, io), 'services.yaml')
  return { path: !existsSync(own) && existsSync(SYSTEM_SERVICES) ? SYSTEM_SERVICES : own, named: false }
}

export const CONTROL_SOCKET_OPTION: CommandOption = {
  flags: '-s, --socket <path>',
  description: `control socket of this connector; else ${DEFAULT_CONTROL_SOCKET}`,
}

export function stateDirectory(input: CommandInput, io: CliIo): string {
  const named = textOption(input, 'stateDirectory') ?? (io.env.ISTHMUS_STATE || undefined) ?? DEFAULT_STATE_DIRECTORY
  return isAbsolute(named) ? named : resolve(named)
}
