import type { Command, CommandGroup } from '../../command.ts'
import { managed } from './managed.ts'

const list: Command = managed({
  name: 'list',
  summary: 'API tokens, or join tokens, without their secrets',
  description: 'Which tokens there are, what they may, until when, and when each was used last.',
  options: [{ flags: '--join', description: 'the tokens by which connectors join' }],
  examples: [
    { command: 'isthmus token list', what: 'of people and jobs' },
    { command: 'isthmus token list --join', what: 'of connectors that are to join' },
  ],
  async action(input, io) {
    const { listTokens } = await import('../token.ts')
    return listTokens(input, io)
  },
})

const add: Command = managed({
  name: 'add',
  summary: 'make an API token for a person or a job',
  description:
    'It is printed once, and only its hash is kept. owner: everything, tokens too. operator: everything but tokens and the end of the network. viewer: reads. rotation: starts and watches rotations.',
  arguments: [{ name: '<name>', description: 'whose it is: lower-case letters, digits, dots and dashes' }],
  options: [
    { flags: '--role <role>', description: 'owner, operator, viewer or rotation' },
    { flags: '--expires <duration>', description: 'in whole days, 1d to 3660d; it does not expire when left out' },
  ],
  examples: [
    { command: 'isthmus token add ada --role operator --expires 365d', what: 'for a colleague' },
    { command: 'isthmus token add nightly --role rotation', what: 'for a job that rotates keys' },
  ],
  async action(input, io) {
    const { addToken } = await import('../token.ts')
    return addToken(input, io)
  },
})

const revoke: Command = managed({
  name: 'revoke',
  summary: 'make a token worthless',
  description: 'An API token by its name or id, a join token by its id. It takes effect with the next request.',
  arguments: [{ name: '<token>', description: 'name or id, never the secret' }],
  examples: [
    { command: 'isthmus token revoke ada', what: 'she has left' },
    { command: 'isthmus token revoke join_0123456789abcdefghjk', what: 'nobody joins with it any more' },
  ],
  async action(input, io) {
    const { revokeToken } = await import('../token.ts')
    return revokeToken(input, io)
  },
})

export const token: CommandGroup = {
  name: 'token',
  summary: 'who may use the API, and what',
  description: 'Tokens of people and jobs belong to one network and have one role. Connectors have none: they sign.',
  commands: [list, add, revoke],
}
