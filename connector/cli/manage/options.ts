/** What verbs of the control plane take and give alike. */

import type { Endpoint } from '../../../protocol/control/intent.ts'
import { parseAddress } from '../../../protocol/net.ts'
import { parseDuration } from '../../config/units.ts'
import { EXIT } from '../../handle.ts'
import {
  type CliIo,
  type Command,
  CommandFailure,
  type CommandInput,
  type CommandOption,
  textOption,
} from '../command.ts'

export const CONTROL_OPTIONS: readonly CommandOption[] = [
  { flags: '--url <url>', description: 'the control plane; else $ISTHMUS_URL, or where isthmus login went' },
  {
    flags: '--token <token>',
    description: 'API token; better $ISTHMUS_TOKEN, which ps does not show; else the one of isthmus login',
  },
  { flags: '--network <network>', description: 'name or id; else $ISTHMUS_NETWORK, or the only one' },
]

/** Of every verb that asks the control plane. */
export const MANAGE_EXITS: NonNullable<Command['exits']> = ['permission', 'unreadableFile', 'noControl']

/** One JSON document, for programs. */
export function printJson(io: CliIo, value: unknown): void {
  io.stdout(`${JSON.stringify(value, undefined, 2)}\n`)
}

/** Milliseconds of an option, in its range. */
export function durationOption(
  input: CommandInput,
  name: string,
  { min, max, fallback }: { min: string; max: string; fallback: string },
): number {
  const text = textOption(input, name) ?? fallback
  const value = parseDuration(text)
  if (value !== undefined && value >= parseDuration(min)! && value <= parseDuration(max)!) return value
  const remedy = `give a duration from ${min} to ${max}, like ${fallback}`
  throw new CommandFailure(`--${name} ${JSON.stringify(text)} does not fit`, remedy, EXIT.usage)
}

type EndpointDraft = Pick<Endpoint, 'address'> & Partial<Endpoint>

/** `192.0.2.1`, `192.0.2.1:500`, `2001:db8::1` or `[2001:db8::1]:500`. The port is the one for IKE. */
export function endpointOption(input: CommandInput): EndpointDraft | undefined {
  const text = textOption(input, 'endpoint')
  if (text === undefined) return undefined
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = parseAddress(bracketed ?? plain ?? text)
  if (address === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) {
    const remedy = 'write an IP address, like 192.0.2.1, 192.0.2.1:500 or [2001:db8::1]:500'
    throw new CommandFailure(`--endpoint ${JSON.stringify(text)} does not fit`, remedy, EXIT.usage)
  }
  return port === undefined ? { address } : { address, port: Number(port) }
}

/** Throws a CommandFailure unless --yes was given. `again`: the whole command with it. */
export function confirm(input: CommandInput, what: string, again: string): void {
  if (input.options.yes !== true) throw new CommandFailure(what, `if that is meant: ${again}`, EXIT.usage)
}

export function nothingToChange(verb: string): CommandFailure {
  const remedy = `give one of the options that isthmus ${verb} set --help shows`
  return new CommandFailure('there is nothing to change', remedy, EXIT.usage)
}
