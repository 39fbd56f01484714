import type { Command, CommandGroup } from '../../command.ts'
import { managed } from './managed.ts'

const RUN_ARGUMENT = { name: '<run>', description: 'like run_0123456789abcdefghjk; isthmus run list shows them' }

export const rotate: Command = managed({
  name: 'rotate',
  summary: 'rotate the keys of tunnels, without losing a packet',
  description:
    'Both ends make a new key, take it into use beside the old one, and forget the old one when traffic passes under the new. One tunnel goes first; the others follow when it has ended well. With --wait it shows how they go, and at the end what the signed evidence says.',
  arguments: [{ name: '[tunnel...]', description: 'names or ids of tunnels' }],
  options: [
    { flags: '--all', description: 'every tunnel of the network' },
    { flags: '--dry-run', description: 'only tell which keys would be rotated, in which order' },
    { flags: '--wait', description: 'until the run has ended; Ctrl-C leaves it running' },
    { flags: '--no-canary', description: 'begin with as many at once as may be' },
    { flags: '--max-concurrent <n>', description: 'rotations at once, 1 to 1000', default: '10' },
    { flags: '--keep-going', description: 'begin the next ones also when one has failed' },
  ],
  examples: [
    { command: 'isthmus rotate hq-branch --wait', what: 'one key now, and see what came of it' },
    { command: 'isthmus rotate --all --dry-run', what: 'what would be rotated' },
    { command: 'isthmus rotate --all --wait --json', what: 'for a job' },
  ],
  exits: ['notRotated', 'notGenuine'],
  async action(input, io) {
    const actions = await import('../rotate.ts')
    return actions.rotate(input, io)
  },
})

const list: Command = managed({
  name: 'list',
  summary: 'runs, the newest first',
  description: 'Runs by people and by policies, what came of them, and who has begun them.',
  options: [{ flags: '--all', description: 'all, not only the newest 50' }],
  examples: [{ command: 'isthmus run list', what: 'what was rotated lately' }],
  async action(input, io) {
    const { listRuns } = await import('../run.ts')
    return listRuns(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'a run with its rotations and their evidence',
  description:
    'Each rotation with the fingerprints of the old and the new key, the packets that were sent and lost meanwhile, and whether its signed evidence verifies.',
  arguments: [RUN_ARGUMENT],
  examples: [{ command: 'isthmus run show run_0123456789abcdefghjk', what: 'what came of it' }],
  async action(input, io) {
    const { showRun } = await import('../run.ts')
    return showRun(input, io)
  },
})

const watch: Command = managed({
  name: 'watch',
  summary: 'follow a run until it has ended',
  description: 'As isthmus rotate --wait does. Ctrl-C leaves the run running.',
  arguments: [RUN_ARGUMENT],
  examples: [{ command: 'isthmus run watch run_0123456789abcdefghjk', what: 'the exit code tells how it ended' }],
  exits: ['notRotated', 'notGenuine'],
  async action(input, io) {
    const { watchOne } = await import('../run.ts')
    return watchOne(input, io)
  },
})

const abort: Command = managed({
  name: 'abort',
  summary: 'end a run: what waits is dropped, what is under way goes back',
  description:
    'Rotations that wait are not begun. Those under way go back to the old key where both ends have it yet; tunnels stay up either way.',
  arguments: [RUN_ARGUMENT],
  examples: [{ command: 'isthmus run abort run_0123456789abcdefghjk', what: 'stop it now' }],
  async action(input, io) {
    const { abortRun } = await import('../run.ts')
    return abortRun(input, io)
  },
})

export const run: CommandGroup = {
  name: 'run',
  summary: 'runs of key rotations: begun by isthmus rotate or by a policy',
  description:
    'A run rotates the keys of many tunnels: a canary first, then some at once, until all are done or one has failed.',
  commands: [list, show, watch, abort],
}
