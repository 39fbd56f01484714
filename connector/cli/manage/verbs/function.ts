import type { Command, CommandArgument, CommandGroup } from '../../command.ts'
import { managed } from './managed.ts'

const FUNCTION_ARGUMENT: CommandArgument = { name: '<function>', description: 'name or id' }

const list: Command = managed({
  name: 'list',
  summary: 'functions: what they may reach, and when they last asked',
  description: 'Every function of the network. When it last asked for a grant is what this control plane remembers.',
  options: [{ flags: '--all', description: 'those that are revoked too' }],
  examples: [{ command: 'isthmus function list', what: 'who may reach what' }],
  async action(input, io) {
    const { listFunctions } = await import('../function.ts')
    return listFunctions(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one function, and who offers what it may reach',
  description: 'What is known of a function; for each service that it may reach, the connectors that offer it.',
  arguments: [FUNCTION_ARGUMENT],
  examples: [{ command: 'isthmus function show shop', what: 'also why it does not reach hq/erp' }],
  async action(input, io) {
    const { showFunction } = await import('../function.ts')
    return showFunction(input, io)
  },
})

const add: Command = managed({
  name: 'add',
  summary: 'make a function, and print its token',
  description:
    'A function is a program elsewhere that reaches services through the connector of a site: a Worker, a Lambda, any Node process. Its token is printed once, as one word with the address of the control plane; only its hash is kept. The connector must allow the function too.',
  arguments: [
    { name: '<name>', description: 'lower-case letters, digits, dots and dashes; connectors allow it by it' },
  ],
  options: [
    { flags: '--allow <site/service>', description: 'what it may reach, like hq/erp', repeatable: true },
    { flags: '--expires <duration>', description: 'in whole days, 1d to 3660d; it does not expire when left out' },
  ],
  examples: [
    { command: 'isthmus function add shop --allow hq/erp', what: 'prints what goes into ISTHMUS_TOKEN' },
    {
      command: 'isthmus function add shop --allow hq/erp --allow hq/db --expires 90d',
      what: 'two services, for a while',
    },
  ],
  async action(input, io) {
    const { addFunction } = await import('../function.ts')
    return addFunction(input, io)
  },
})

const allow: Command = managed({
  name: 'allow',
  summary: 'let a function reach more services',
  description: 'Adds to what it may reach; its next grant has it. What it may reach already stays.',
  arguments: [FUNCTION_ARGUMENT, { name: '[site/service...]', description: 'like hq/erp' }],
  examples: [{ command: 'isthmus function allow shop hq/db branch/files', what: 'these two besides' }],
  async action(input, io) {
    const { allowFunction } = await import('../function.ts')
    return allowFunction(input, io)
  },
})

const deny: Command = managed({
  name: 'deny',
  summary: 'let a function reach fewer services',
  description:
    'Takes away from what it may reach. Its next grant lacks it, and the relay ends its sessions, so that it asks for one. On a straight way what it was granted is good for ten minutes; allow in the services.yaml of the connector ends that at once.',
  arguments: [FUNCTION_ARGUMENT, { name: '[site/service...]', description: 'like hq/erp; a site alone for all of it' }],
  examples: [
    { command: 'isthmus function deny shop hq/db', what: 'not the database any more' },
    { command: 'isthmus function deny shop branch', what: 'nothing at branch any more' },
  ],
  async action(input, io) {
    const { denyFunction } = await import('../function.ts')
    return denyFunction(input, io)
  },
})

const renew: Command = managed({
  name: 'renew',
  summary: 'print another token of a function; the one before ends',
  description:
    'For a token that was lost, has leaked or expires. The new one is good for as long as the first one was.',
  arguments: [FUNCTION_ARGUMENT],
  examples: [{ command: 'isthmus function renew shop', what: 'the old token is refused from now on' }],
  async action(input, io) {
    const { renewFunction } = await import('../function.ts')
    return renewFunction(input, io)
  },
})

const revoke: Command = managed({
  name: 'revoke',
  summary: 'let a function reach nothing any more',
  description:
    'It gets no more grants, and the relay ends its sessions; on a straight way what it was granted is good for ten minutes. There is no way back; its name is free again.',
  arguments: [FUNCTION_ARGUMENT],
  examples: [{ command: 'isthmus function revoke shop', what: 'it is not used any more' }],
  async action(input, io) {
    const { revokeFunction } = await import('../function.ts')
    return revokeFunction(input, io)
  },
})

export const functions: CommandGroup = {
  name: 'function',
  summary: 'programs elsewhere that reach services at sites',
  description: 'Functions reach services through connectors, by name, and nothing that was not allowed to them.',
  commands: [list, show, add, allow, deny, renew, revoke],
}
