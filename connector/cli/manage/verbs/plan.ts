import type { Command } from '../../command.ts'
import { managed } from './managed.ts'

export const plan: Command = managed({
  name: 'plan',
  summary: 'what a file would make of a network, and what is wrong with that; changes nothing',
  description:
    'Simulates the routes of all sites with the code that connectors decide with, as they are and as the file says. It tells which routes come, go and move at each site, and finds sites that would be cut off or lose prefixes, prefixes that get where they should not, overlaps, limits, loops, and packets that come back another way. With findings the exit code is not 0.',
  arguments: [{ name: '<file>', description: 'YAML or JSON, as isthmus network export prints; - for standard input' }],
  examples: [
    { command: 'isthmus plan acme.yaml', what: 'look before isthmus apply acme.yaml' },
    { command: "isthmus plan acme.yaml --json | jq '.findings'", what: 'for a job that checks changes' },
  ],
  exits: ['badConfig', 'findings'],
  async action(input, io) {
    const actions = await import('../plan.ts')
    return actions.plan(input, io)
  },
})
