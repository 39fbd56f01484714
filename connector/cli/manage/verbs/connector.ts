import type { Command, CommandGroup } from '../../command.ts'
import { CONNECTOR_ARGUMENT, managed, YES_OPTION } from './managed.ts'

const list: Command = managed({
  name: 'list',
  summary: 'connectors: linked, or since when not',
  description:
    'Every connector of the network with its site, its state, where its peers reach it, and the services that it offers to functions.',
  options: [{ flags: '--all', description: 'those that are revoked too' }],
  examples: [{ command: 'isthmus connector list', what: 'who is there' }],
  async action(input, io) {
    const { listConnectors } = await import('../connector.ts')
    return listConnectors(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one connector: state, addresses, services, identity key',
  description: 'What is known of a connector. Its identity key is what its peers have pinned: see isthmus trust.',
  arguments: [CONNECTOR_ARGUMENT],
  examples: [{ command: 'isthmus connector show hq', what: 'all about it' }],
  async action(input, io) {
    const { showConnector } = await import('../connector.ts')
    return showConnector(input, io)
  },
})

const revoke: Command = managed({
  name: 'revoke',
  summary: 'put a connector out of the network, at once and for good',
  description:
    'Its link and its requests end at once, and its peers drop its tunnels. Where another connector stands by at the site, it takes the tunnels. There is no way back: another one may join the site with a new join token.',
  arguments: [CONNECTOR_ARGUMENT],
  options: [YES_OPTION],
  examples: [{ command: 'isthmus connector revoke branch --yes', what: 'stolen, sold or replaced' }],
  async action(input, io) {
    const { revokeConnector } = await import('../connector.ts')
    return revokeConnector(input, io)
  },
})

export const connector: CommandGroup = {
  name: 'connector',
  summary: 'the gateways that have joined',
  description:
    'A connector is the machine at a site that carries its tunnels, and through which functions reach services there. It joins with isthmus join.',
  commands: [list, show, revoke],
}
