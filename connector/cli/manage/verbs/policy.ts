import type { Command, CommandGroup, CommandOption } from '../../command.ts'
import { managed, POLICY_ARGUMENT } from './managed.ts'

const SETTINGS: readonly CommandOption[] = [
  { flags: '--tunnel <tunnel>', description: 'only this tunnel, by name or id; all when left out', repeatable: true },
  { flags: '--max-age <duration>', description: 'rotate keys that are older, 4s to 366d' },
  { flags: '--cron <expression>', description: 'rotate at these times, UTC: "0 3 1 * *" is at 3 on each first' },
  {
    flags: '--window <window>',
    description: 'begin only within: "0 3 * * 0 for 2h" is Sundays from 3 to 5, UTC',
    repeatable: true,
  },
  { flags: '--no-canary', description: 'begin with as many at once as may be' },
  { flags: '--max-concurrent <n>', description: 'rotations at once, 1 to 1000; 10 for a new policy' },
  { flags: '--keep-going', description: 'begin the next ones also when one has failed' },
]

const list: Command = managed({
  name: 'list',
  summary: 'by which rules keys are rotated',
  description: 'Every policy with its rule, its windows, and its last run.',
  examples: [{ command: 'isthmus policy list', what: 'all of them' }],
  async action(input, io) {
    const { listPolicies } = await import('../policy.ts')
    return listPolicies(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one policy',
  description: 'What it rotates, when, and in which order.',
  arguments: [POLICY_ARGUMENT],
  examples: [{ command: 'isthmus policy show monthly', what: 'all about it' }],
  async action(input, io) {
    const { showPolicy } = await import('../policy.ts')
    return showPolicy(input, io)
  },
})

const add: Command = managed({
  name: 'add',
  summary: 'have keys rotated by age, by the calendar, or both',
  description:
    'The control plane begins runs by itself when keys are old enough or the time has come: a canary first, then some at once, until one fails.',
  arguments: [{ name: '<name>', description: 'lower-case letters, digits, dots and dashes' }],
  options: [...SETTINGS, { flags: '--disable', description: 'only make it; isthmus policy set --enable starts it' }],
  examples: [
    { command: 'isthmus policy add monthly --max-age 30d', what: 'no key older than a month' },
    { command: 'isthmus policy add sundays --max-age 7d --window "0 3 * * 0 for 2h"', what: 'only at night' },
  ],
  async action(input, io) {
    const { addPolicy } = await import('../policy.ts')
    return addPolicy(input, io)
  },
})

const set: Command = managed({
  name: 'set',
  summary: 'change a policy, or switch it on or off',
  description: 'What is not named stays.',
  arguments: [POLICY_ARGUMENT],
  options: [
    { flags: '--rename <name>', description: 'a new name' },
    ...SETTINGS,
    { flags: '--all-tunnels', description: 'every tunnel of the network' },
    { flags: '--no-max-age', description: 'no longer by age' },
    { flags: '--no-cron', description: 'no longer by the calendar' },
    { flags: '--no-window', description: 'begin at any time' },
    { flags: '--canary', description: 'a canary first' },
    { flags: '--stop-on-failure', description: 'begin no more when one has failed' },
    { flags: '--enable', description: 'switch it on' },
    { flags: '--disable', description: 'switch it off' },
  ],
  examples: [
    { command: 'isthmus policy set monthly --max-age 14d', what: 'more often' },
    { command: 'isthmus policy set monthly --disable', what: 'not for now' },
  ],
  async action(input, io) {
    const { setPolicy } = await import('../policy.ts')
    return setPolicy(input, io)
  },
})

const remove: Command = managed({
  name: 'remove',
  summary: 'remove a policy',
  description: 'Runs that it has begun go on.',
  arguments: [POLICY_ARGUMENT],
  examples: [{ command: 'isthmus policy remove monthly', what: 'it is gone' }],
  async action(input, io) {
    const { removePolicy } = await import('../policy.ts')
    return removePolicy(input, io)
  },
})

export const policy: CommandGroup = {
  name: 'policy',
  summary: 'when keys are rotated by themselves',
  description: 'Policies rotate keys by age, by the calendar, or both, within maintenance windows.',
  commands: [list, show, add, set, remove],
}
