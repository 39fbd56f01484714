import type { Command, CommandArgument, CommandGroup, CommandOption } from '../../command.ts'
import { managed } from './managed.ts'

const FILE_ARGUMENT: CommandArgument = {
  name: '<file>',
  description: 'YAML or JSON, one connection or several, divided by ---; docs/aws.md shows one; - for standard input',
}
const NAME_ARGUMENT: CommandArgument = { name: '<name>', description: 'the connection, by name or id' }
const PRICES_OPTION: CommandOption = {
  flags: '--prices <file>',
  description: 'YAML or JSON: prices and amounts that the costs are made from; docs/aws.md has them all',
}
const NO_WAIT_OPTION: CommandOption = { flags: '--no-wait', description: 'begin it, and leave it to itself' }
const YES_OPTION: CommandOption = { flags: '--yes', description: 'do not ask' }

const plan: Command = managed({
  name: 'plan',
  summary: 'what would be made at AWS, what speaks against it, and what it costs; changes nothing',
  description:
    'Looks at AWS and tells each step that isthmus cloud aws apply would take, what AWS has that differs from what is wanted, overlaps and other findings, and the costs of a month. With findings the exit code is not 0.',
  arguments: [FILE_ARGUMENT],
  options: [PRICES_OPTION],
  examples: [
    { command: 'isthmus cloud aws plan aws.yaml', what: 'look before isthmus cloud aws apply aws.yaml' },
    { command: "isthmus cloud aws plan aws.yaml --json | jq '.perMonth'", what: 'dollars' },
  ],
  exits: ['badConfig', 'findings'],
  async action(input, io) {
    const { planClouds } = await import('../cloud-plan.ts')
    return planClouds(input, io)
  },
})

const apply: Command = managed({
  name: 'apply',
  summary: 'make VPN connections to AWS as a file says, and bring both tunnels of each up',
  description:
    'Shows the plan, and asks. Each step is written down before it is begun, so that the run goes on after a crash of whatever; the same file again makes nothing twice. It has ended well when both tunnels carry packets. Ctrl-C leaves it going on.',
  arguments: [FILE_ARGUMENT],
  options: [PRICES_OPTION, NO_WAIT_OPTION, YES_OPTION],
  examples: [
    { command: 'isthmus cloud aws apply aws.yaml', what: 'look at it, say yes, and see how it goes' },
    { command: 'isthmus cloud aws apply aws.yaml --yes --json', what: 'in a job' },
  ],
  exits: ['badConfig', 'wentBack', 'findings'],
  async action(input, io) {
    const { applyClouds } = await import('../cloud-apply.ts')
    return applyClouds(input, io)
  },
})

const status: Command = managed({
  name: 'status',
  summary: 'which tunnels are up at both ends, BGP, the age of keys, what differs, the last run',
  description:
    'What the connector says of both tunnels beside what AWS says, since when, and what was found when AWS was last looked at. The exit code tells a script the same.',
  arguments: [{ name: '[name]', description: 'by name or id; a line of each when left out' }],
  examples: [
    { command: 'isthmus cloud aws status', what: 'all of them, or all about the only one' },
    { command: "isthmus cloud aws status aws --json | jq '.cloud.tunnels'", what: 'for monitoring' },
  ],
  exits: ['tunnelDown', 'findings'],
  async action(input, io) {
    const { cloudStatus } = await import('../cloud-status.ts')
    return cloudStatus(input, io)
  },
})

const drift: Command = managed({
  name: 'drift',
  summary: 'look at AWS now: what differs from what is wanted; --fix puts it right',
  description:
    'An option that somebody changed, a route, a tag or a whole connection that is gone, an endpoint that AWS has moved: each with what the repair does, or what a person has to do. The repair makes what is missing and sets what was changed, one tunnel at a time.',
  arguments: [NAME_ARGUMENT],
  options: [{ flags: '--fix', description: 'put right what can be' }, NO_WAIT_OPTION],
  examples: [
    { command: 'isthmus cloud aws drift aws', what: 'exit code 14 when something differs' },
    { command: 'isthmus cloud aws drift aws --fix', what: 'as it is wanted again' },
  ],
  exits: ['wentBack', 'findings'],
  async action(input, io) {
    const { cloudDrift } = await import('../cloud-runs.ts')
    return cloudDrift(input, io)
  },
})

const rotate: Command = managed({
  name: 'rotate',
  summary: 'give both tunnels new pre-shared keys, one after the other, without losing a packet',
  description:
    'Traffic leaves the first tunnel by BGP; when nothing has passed for a while, AWS gets the new key, the tunnel comes up with it and is probed, traffic comes back, and the second follows. At the end it says what the signed evidence says. A policy named in the file does the same by the calendar.',
  arguments: [NAME_ARGUMENT],
  options: [
    {
      flags: '--accept-loss',
      description: 'also where packets may be lost: static routing, or only one tunnel is up',
    },
    NO_WAIT_OPTION,
  ],
  examples: [{ command: 'isthmus cloud aws rotate aws', what: 'new keys now, and see that nothing is missing' }],
  exits: ['notRotated', 'notGenuine'],
  async action(input, io) {
    const { rotateCloud } = await import('../cloud-runs.ts')
    return rotateCloud(input, io)
  },
})

const destroy: Command = managed({
  name: 'destroy',
  summary: 'remove a connection, and at AWS all that was made for it',
  description:
    'Lists what goes and what stays, and asks. What was there before, and what carries no tag of ours, is never removed.',
  arguments: [NAME_ARGUMENT],
  options: [NO_WAIT_OPTION, YES_OPTION],
  examples: [{ command: 'isthmus cloud aws destroy aws', what: 'it costs nothing any more' }],
  exits: ['wentBack'],
  async action(input, io) {
    const { destroyCloud } = await import('../cloud-runs.ts')
    return destroyCloud(input, io)
  },
})

const watch: Command = managed({
  name: 'watch',
  summary: 'follow what is under way at a connection until it has ended',
  description: 'As the verb that began it does. Ctrl-C leaves it going on.',
  arguments: [NAME_ARGUMENT],
  examples: [{ command: 'isthmus cloud aws watch aws', what: 'the exit code tells how it ended' }],
  exits: ['notRotated', 'notGenuine', 'wentBack'],
  async action(input, io) {
    const { watchCloud } = await import('../cloud-runs.ts')
    return watchCloud(input, io)
  },
})

const abort: Command = managed({
  name: 'abort',
  summary: 'end what is under way at a connection',
  description:
    'What was made at AWS stays, and is listed; apply goes on from it, destroy removes it. A rotation ends with a key that both ends have, and with both tunnels in use.',
  arguments: [NAME_ARGUMENT],
  examples: [{ command: 'isthmus cloud aws abort aws', what: 'stop it now' }],
  async action(input, io) {
    const { abortCloud } = await import('../cloud-runs.ts')
    return abortCloud(input, io)
  },
})

const aws: CommandGroup = {
  name: 'aws',
  summary: 'VPN connections to AWS from one file: made, watched, rotated, removed',
  description:
    'The control plane calls EC2 with its own credentials, and the connector of the site has both tunnels. docs/aws.md goes from nothing to traffic and back.',
  commands: [plan, apply, status, drift, rotate, destroy, watch, abort],
}

const list: Command = managed({
  name: 'list',
  summary: 'connections to clouds, a line of each',
  description: 'Their state, their tunnels that are up, the age of the oldest key, and how much differs at the cloud.',
  examples: [{ command: 'isthmus cloud list', what: 'all of the network' }],
  async action(input, io) {
    const { listClouds } = await import('../cloud-status.ts')
    return listClouds(input, io)
  },
})

export const cloud: CommandGroup = {
  name: 'cloud',
  summary: 'VPN connections to cloud providers',
  description: 'A site and a cloud, joined by two tunnels at the connector of the site.',
  commands: [aws, list],
}
