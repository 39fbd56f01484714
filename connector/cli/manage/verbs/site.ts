import type { Command, CommandGroup, CommandOption } from '../../command.ts'
import { managed, SITE_ARGUMENT } from './managed.ts'

const PREFIX_OPTION: CommandOption = {
  flags: '--prefix <prefix>',
  description: 'a network at this site, like 10.1.0.0/16',
  repeatable: true,
}
const ENDPOINT_OPTION: CommandOption = {
  flags: '--endpoint <address>',
  description: 'where it is reached from outside, address or address:port; found out by itself when left out',
}
const EXPIRES_OPTION: CommandOption = {
  flags: '--expires <duration>',
  description: 'how long the join token is good, 1m to 30d',
  default: '24h',
}

const add: Command = managed({
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
  ],
  examples: [
    { command: 'isthmus site add hq --prefix 10.1.0.0/16', what: 'prints what to run on its gateway' },
    { command: 'isthmus site add lab --prefix 10.3.0.0/16 --prefix 2001:db8:3::/48', what: 'with two networks' },
  ],
  async action(input, io) {
    const { addSite } = await import('../site.ts')
    return addSite(input, io)
  },
})

const list: Command = managed({
  name: 'list',
  summary: 'sites with their networks and connectors',
  description: 'Every site of the network, its prefixes, and whether its connector is there.',
  examples: [{ command: 'isthmus site list', what: 'all of them' }],
  async action(input, io) {
    const { listSites } = await import('../site.ts')
    return listSites(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one site: networks, connector, tunnels, open join tokens',
  description: 'What is known of a site.',
  arguments: [SITE_ARGUMENT],
  examples: [{ command: 'isthmus site show hq', what: 'all about hq' }],
  async action(input, io) {
    const { showSite } = await import('../site.ts')
    return showSite(input, io)
  },
})

const set: Command = managed({
  name: 'set',
  summary: 'change the networks, the name or the endpoint of a site',
  description:
    'What is not named stays. --prefix replaces all prefixes of the site; connectors follow at once, and traffic of prefixes that stay goes on.',
  arguments: [SITE_ARGUMENT],
  options: [
    { ...PREFIX_OPTION, description: 'a network at this site; all of them together replace the present ones' },
    { flags: '--rename <name>', description: 'a new name' },
    ENDPOINT_OPTION,
    { flags: '--no-endpoint', description: 'find out by itself where it is reached' },
  ],
  examples: [
    { command: 'isthmus site set hq --prefix 10.1.0.0/16 --prefix 10.9.0.0/24', what: 'these two from now on' },
    { command: 'isthmus site set hq --endpoint 192.0.2.1', what: 'behind a NAT that forwards' },
  ],
  async action(input, io) {
    const { setSite } = await import('../site.ts')
    return setSite(input, io)
  },
})

const token: Command = managed({
  name: 'token',
  summary: 'make another join token for a site',
  description:
    'For a gateway that has not joined in time, that takes the place of one that was revoked, or that stands by: a site has up to four connectors, of which the oldest carries its tunnels, and all serve functions. The token lets one connector join this site, once.',
  arguments: [SITE_ARGUMENT],
  options: [EXPIRES_OPTION],
  examples: [{ command: 'isthmus site token hq --expires 1h', what: 'prints what to run on the gateway' }],
  async action(input, io) {
    const { makeJoinToken } = await import('../site.ts')
    return makeJoinToken(input, io)
  },
})

const remove: Command = managed({
  name: 'remove',
  summary: 'remove a site that has no tunnels and no connector',
  description:
    'Its open join tokens are revoked, and no function may reach it any more. Remove its tunnels and revoke its connectors first.',
  arguments: [SITE_ARGUMENT],
  examples: [{ command: 'isthmus site remove lab', what: 'it is gone' }],
  async action(input, io) {
    const { removeSite } = await import('../site.ts')
    return removeSite(input, io)
  },
})

export const site: CommandGroup = {
  name: 'site',
  summary: 'the sites of a network, and how their gateways join',
  description: 'Sites are places with a gateway and networks behind it.',
  commands: [list, show, add, set, token, remove],
}
