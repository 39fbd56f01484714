import type { Command, CommandArgument, CommandGroup, CommandOption } from '../../command.ts'
import { managed } from './managed.ts'

const ROLLOUT_ARGUMENT: CommandArgument = { name: '[rollout]', description: 'its id; the newest when left out' }
const HOW_OPTIONS: readonly CommandOption[] = [
  { flags: '--canary <site>', description: 'the site that goes first; else the one with the fewest tunnels' },
  { flags: '--batch <percent>', description: 'the most of all sites in one batch, 1 to 100', default: '25' },
  { flags: '--watch <duration>', description: 'how long the canary is watched, up to 1h', default: '60s' },
  { flags: '--watch-batch <duration>', description: 'how long each batch is watched, up to 1h', default: '30s' },
  { flags: '--max-loss <percent>', description: 'with more loss than this it goes back', default: '1' },
  { flags: '--no-wait', description: 'begin it, and leave it to itself' },
  { flags: '--yes', description: 'do not ask' },
]

export const apply: Command = managed({
  name: 'apply',
  summary: 'make a network as a file says: one site first, then the others, or back',
  description:
    'Shows what would change, and asks. Then one site, the canary, gets it and is watched; the others follow in batches that double. Where a tunnel or a BGP session does not come back, flaps, loses packets, or a connector is silent or refuses, all go back by themselves, and it is said why. Ctrl-C leaves it going on.',
  arguments: [{ name: '<file>', description: 'YAML or JSON, as isthmus network export prints; - for standard input' }],
  options: [...HOW_OPTIONS, { flags: '--force', description: 'also where the plan says that a site would be cut off' }],
  examples: [
    { command: 'isthmus apply acme.yaml', what: 'look at it, say yes, and see how it goes' },
    { command: 'isthmus apply acme.yaml --canary lab --watch 10m --yes', what: 'with more care, in a job' },
  ],
  exits: ['badConfig', 'wentBack', 'findings'],
  async action(input, io) {
    const actions = await import('../rollout.ts')
    return actions.apply(input, io)
  },
})

export const rollback: Command = managed({
  name: 'rollback',
  summary: 'go back to what was before the last isthmus apply, or to a version',
  description:
    'A rollout that is under way goes back at once. One that is done is taken back by another rollout, in the same steps, as long as nothing has changed since; with --to any old version comes back.',
  options: [
    { flags: '--to <version>', description: 'an old version; isthmus network export --version shows it' },
    ...HOW_OPTIONS,
    { flags: '--force', description: 'also where the plan says that a site would be cut off' },
  ],
  examples: [
    { command: 'isthmus rollback', what: 'undo the last one' },
    { command: 'isthmus rollback --to 12 --yes', what: 'as it was then' },
  ],
  exits: ['wentBack', 'findings'],
  async action(input, io) {
    const actions = await import('../rollout.ts')
    return actions.rollback(input, io)
  },
})

const status: Command = managed({
  name: 'status',
  summary: 'a rollout with its sites, and what each is waited for',
  description: 'The state, the sites that have the new version, and why it went back if it did.',
  arguments: [ROLLOUT_ARGUMENT],
  examples: [{ command: 'isthmus rollout status', what: 'the one that is under way, or the last one' }],
  async action(input, io) {
    const { rolloutStatus } = await import('../rollout.ts')
    return rolloutStatus(input, io)
  },
})

const list: Command = managed({
  name: 'list',
  summary: 'rollouts, the newest first',
  description: 'Who began them, how far they got, and why they went back.',
  options: [{ flags: '--all', description: 'all, not only the newest 50' }],
  examples: [{ command: 'isthmus rollout list', what: 'what was applied lately' }],
  async action(input, io) {
    const { listRollouts } = await import('../rollout.ts')
    return listRollouts(input, io)
  },
})

const watch: Command = managed({
  name: 'watch',
  summary: 'follow a rollout until it has ended',
  description: 'As isthmus apply does. Ctrl-C leaves it going on.',
  arguments: [ROLLOUT_ARGUMENT],
  examples: [{ command: 'isthmus rollout watch', what: 'the exit code tells how it ended' }],
  exits: ['wentBack'],
  async action(input, io) {
    const { watchRollout } = await import('../rollout.ts')
    return watchRollout(input, io)
  },
})

const abort: Command = managed({
  name: 'abort',
  summary: 'end a rollout: sites that have the new version go back',
  description: 'Sites that have not got it keep what they have. The old version is recorded as the newest.',
  arguments: [ROLLOUT_ARGUMENT],
  examples: [{ command: 'isthmus rollout abort', what: 'stop it now' }],
  async action(input, io) {
    const { abortRollout } = await import('../rollout.ts')
    return abortRollout(input, io)
  },
})

export const rollout: CommandGroup = {
  name: 'rollout',
  summary: 'changes on their way to the sites: begun by isthmus apply',
  description: 'A rollout takes a new version of what is wanted to one site, watches it, and goes on or back.',
  commands: [status, list, watch, abort],
}
