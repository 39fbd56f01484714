import type { Command, CommandGroup, CommandOption } from '../../command.ts'
import { managed, TUNNEL_ARGUMENT, YES_OPTION } from './managed.ts'

const MTU_OPTION: CommandOption = {
  flags: '--mtu <bytes>',
  description: 'MTU of the path between the ends, 576 to 9216; found out by itself when left out',
}

const list: Command = managed({
  name: 'list',
  summary: 'tunnels with their states and the ages of their keys',
  description: 'A tunnel is up when both of its ends say so.',
  options: [{ flags: '--all', description: 'ask for the states of all, not only of the first 200' }],
  examples: [{ command: 'isthmus tunnel list', what: 'which are up' }],
  async action(input, io) {
    const { listTunnels } = await import('../tunnel.ts')
    return listTunnels(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one tunnel: what both ends say, its key, its rotation',
  description: 'With the counters of both ends, and whom a rotation that is under way waits for.',
  arguments: [TUNNEL_ARGUMENT],
  examples: [{ command: 'isthmus tunnel show hq-branch', what: 'all about it' }],
  async action(input, io) {
    const { showTunnel } = await import('../tunnel.ts')
    return showTunnel(input, io)
  },
})

const add: Command = managed({
  name: 'add',
  summary: 'make a tunnel between two sites',
  description:
    'Only needed where the topology is none: in a mesh every two sites have one. The ends agree on its key by themselves. The first site initiates where both can be reached.',
  arguments: [
    { name: '<name>', description: 'lower-case letters, digits, dots and dashes' },
    { name: '<first>', description: 'name or id of a site' },
    { name: '<second>', description: 'name or id of another site' },
  ],
  options: [MTU_OPTION],
  examples: [{ command: 'isthmus tunnel add hq-lab hq lab', what: 'join these two' }],
  async action(input, io) {
    const { addTunnel } = await import('../tunnel.ts')
    return addTunnel(input, io)
  },
})

const set: Command = managed({
  name: 'set',
  summary: 'change the name, the path MTU or the direction of a tunnel',
  description: 'What is not named stays. Its two ends stay too; --swap only says which of them initiates.',
  arguments: [TUNNEL_ARGUMENT],
  options: [
    { flags: '--rename <name>', description: 'a new name' },
    MTU_OPTION,
    { flags: '--no-mtu', description: 'find the MTU of the path out by itself' },
    { flags: '--swap', description: 'let the other end initiate' },
  ],
  examples: [{ command: 'isthmus tunnel set hq-branch --mtu 1400', what: 'a path with a smaller MTU' }],
  async action(input, io) {
    const { setTunnel } = await import('../tunnel.ts')
    return setTunnel(input, io)
  },
})

const remove: Command = managed({
  name: 'remove',
  summary: 'end a tunnel, and forget its keys',
  description: 'Both ends drop it at once. In a mesh it comes again only when one of its sites is added anew.',
  arguments: [TUNNEL_ARGUMENT],
  options: [YES_OPTION],
  examples: [{ command: 'isthmus tunnel remove hq-lab --yes', what: 'it is gone' }],
  async action(input, io) {
    const { removeTunnel } = await import('../tunnel.ts')
    return removeTunnel(input, io)
  },
})

export const tunnel: CommandGroup = {
  name: 'tunnel',
  summary: 'the tunnels between sites',
  description: 'A tunnel joins two sites. Its key is made by its ends, and the control plane never sees it.',
  commands: [list, show, add, set, remove],
}
