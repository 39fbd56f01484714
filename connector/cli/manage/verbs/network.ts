import type { Command, CommandGroup, CommandOption } from '../../command.ts'
import { managed, YES_OPTION } from './managed.ts'

const TOPOLOGY_OPTION: CommandOption = {
  flags: '--topology <topology>',
  description: 'mesh: a new site gets a tunnel to every other one; none: tunnels are made one by one',
}

const status: Command = managed({
  name: 'status',
  summary: 'is all well; what is wrong, and what to do about it',
  description:
    'Sites and their connectors, tunnels as both of their ends report them, the ages of their keys, rotations that are under way, and every problem with its remedy. The exit code tells a script the same.',
  options: [{ flags: '--all', description: 'look at every tunnel, not only at the first 200' }],
  examples: [
    { command: 'isthmus network status', what: 'the page to look at in the morning' },
    { command: "isthmus network status --json | jq '.problems'", what: 'for monitoring' },
  ],
  exits: ['tunnelDown', 'notRunning', 'notRotated'],
  async action(input, io) {
    const { networkStatus } = await import('../status.ts')
    return networkStatus(input, io)
  },
})

const list: Command = managed({
  name: 'list',
  summary: 'the networks of the installation',
  description: 'With the admin token all of them; with another token the one that it is good for.',
  examples: [{ command: 'isthmus network list', what: 'names and ids' }],
  async action(input, io) {
    const { listNetworks } = await import('../network.ts')
    return listNetworks(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'id, topology and evidence key of a network',
  description: 'The evidence key signs the evidence of rotations: who keeps it elsewhere can verify that later.',
  examples: [{ command: 'isthmus network show', what: 'of the network that is meant' }],
  async action(input, io) {
    const { showNetwork } = await import('../network.ts')
    return showNetwork(input, io)
  },
})

const add: Command = managed({
  name: 'add',
  summary: 'make a network; needs the admin token',
  description: 'Networks are tenants: nothing crosses from one to another. The first one comes with the first site.',
  arguments: [{ name: '<name>', description: 'lower-case letters, digits, dots and dashes' }],
  options: [TOPOLOGY_OPTION],
  examples: [{ command: 'isthmus network add acme', what: 'another tenant' }],
  async action(input, io) {
    const { addNetwork } = await import('../network.ts')
    return addNetwork(input, io)
  },
})

const set: Command = managed({
  name: 'set',
  summary: 'change the topology',
  description:
    'Tunnels that are there stay, and none is made now: mesh gives each new site a tunnel to every other one.',
  options: [TOPOLOGY_OPTION],
  examples: [{ command: 'isthmus network set --topology none', what: 'tunnels one by one from now on' }],
  async action(input, io) {
    const { setNetwork } = await import('../network.ts')
    return setNetwork(input, io)
  },
})

const exportVerb: Command = managed({
  name: 'export',
  summary: 'the desired state as YAML: sites, tunnels, preferences',
  description:
    'What isthmus network apply takes. Every change has made a version; an old one is printed so that applying it now brings it back. --json has each as it was.',
  options: [{ flags: '--version <n>', description: 'an old version; the newest when left out' }],
  examples: [
    { command: 'isthmus network export > acme.yaml', what: 'to be kept, edited and applied' },
    { command: 'isthmus network export --version 12 | isthmus network apply -', what: 'back to it' },
  ],
  async action(input, io) {
    const { exportIntent } = await import('../network.ts')
    return exportIntent(input, io)
  },
})

const apply: Command = managed({
  name: 'apply',
  summary: 'replace the desired state by what a file says',
  description:
    'All sites and tunnels at once: what has a known name is changed, what is new is made, what is not named is removed, which needs --yes. All faults are told together, and then nothing is changed.',
  arguments: [{ name: '<file>', description: 'YAML or JSON; - for standard input' }],
  options: [YES_OPTION, { flags: '--force', description: 'also where isthmus plan says that a site would be cut off' }],
  examples: [{ command: 'isthmus network apply acme.yaml', what: 'make it so' }],
  exits: ['badConfig'],
  async action(input, io) {
    const { applyIntent } = await import('../network.ts')
    return applyIntent(input, io)
  },
})

const remove: Command = managed({
  name: 'remove',
  summary: 'remove a network that has no sites and no tunnels',
  description: 'Its tokens and policies go with it; its audit log stays in the store.',
  arguments: [{ name: '<name>', description: 'name or id' }],
  options: [YES_OPTION],
  examples: [{ command: 'isthmus network remove acme --yes', what: 'it is gone' }],
  async action(input, io) {
    const { removeNetwork } = await import('../network.ts')
    return removeNetwork(input, io)
  },
})

export const network: CommandGroup = {
  name: 'network',
  summary: 'networks: is all well, and what is wanted of them',
  description: 'A network is its sites and the tunnels between them.',
  commands: [status, list, show, add, set, exportVerb, apply, remove],
}
