import type { Command, CommandGroup } from '../../command.ts'
import { JSON_OPTION } from '../../options.ts'
import { CONTROL_OPTIONS, MANAGE_EXITS } from '../options.ts'

const PREFIX_OPTION = {
  flags: '--prefix <prefix>',
  description: 'a network at this site, like 10.1.0.0/16',
  repeatable: true,
} as const
const ENDPOINT_OPTION = {
  flags: '--endpoint <address>',
  description: 'where it is reached from outside, address or address:port; found out by itself when left out',
} as const
const EXPIRES_OPTION = {
  flags: '--expires <duration>',
  description: 'how long the join token is good, 1m to 30d',
  default: '24h',
} as const

const add: Command = {
  name: 'add',
  summary: 'add a site, and print the command that joins its gateway',
  description:
    'Adds a site with its networks, and makes a join token for it: one command on the gateway of the site does the rest. Where the installation has no network yet, it makes the first one.',
  arguments: [{ name: '<name>', description: 'lower-case letters, digits, dots and dashes' }],
  options: [
    PREFIX_OPTION,
    ENDPOINT_OPTION,
    EXPIRES_OPTION,
    { flags: '--no-join-token', description: 'only the site; isthmus site token makes one later' },
    JSON_OPTION,
    ...CONTROL_OPTIONS,
  ],
  examples: [
    { command: 'isthmus site add hq --prefix 10.1.0.0/16', what: 'prints what to run on its gateway' },
    { command: 'isthmus site add lab --prefix 10.3.0.0/16 --prefix 2001:db8:3::/48', what: 'with two networks' },
  ],
  exits: MANAGE_EXITS,
  async action(input, io) {
    const { addSite } = await import('../site.ts')
    return addSite(input, io)
  },
}

export const site: CommandGroup = {
  name: 'site',
  summary: 'the sites of a network, and how their gateways join',
  description: 'Sites are places with a gateway and networks behind it.',
  commands: [add],
}
