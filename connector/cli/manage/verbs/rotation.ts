import type { Command, CommandGroup } from '../../command.ts'
import { managed } from './managed.ts'

const ROTATION_ARGUMENT = { name: '<rotation>', description: 'like rot_0123456789abcdefghjk' }

const list: Command = managed({
  name: 'list',
  summary: 'rotations, the newest first',
  description:
    'With the fingerprints of the keys, the packets sent and lost meanwhile, and whether the evidence verifies.',
  options: [
    { flags: '--tunnel <tunnel>', description: 'of this tunnel only, by name or id' },
    { flags: '--active', description: 'only those that are under way' },
    { flags: '--all', description: 'all, not only the newest 50' },
  ],
  examples: [{ command: 'isthmus rotation list --tunnel hq-branch', what: 'every key that it had' }],
  async action(input, io) {
    const { listRotations } = await import('../rotation.ts')
    return listRotations(input, io)
  },
})

const show: Command = managed({
  name: 'show',
  summary: 'one rotation, and what its signed evidence says',
  description:
    'Verifies the evidence by the evidence key of the network. Who does not want to trust the control plane for that key keeps it elsewhere, and names it.',
  arguments: [ROTATION_ARGUMENT],
  options: [{ flags: '--evidence-key <key>', description: 'verify by this key, as isthmus network show once told it' }],
  examples: [
    { command: 'isthmus rotation show rot_0123456789abcdefghjk', what: 'who, when, which keys, what was lost' },
  ],
  exits: ['notGenuine'],
  async action(input, io) {
    const { showRotation } = await import('../rotation.ts')
    return showRotation(input, io)
  },
})

const abort: Command = managed({
  name: 'abort',
  summary: 'go back to the old key',
  description: 'Until both ends forget the old key; then there is no way back, and none is needed.',
  arguments: [ROTATION_ARGUMENT],
  examples: [{ command: 'isthmus rotation abort rot_0123456789abcdefghjk', what: 'the old key goes on working' }],
  async action(input, io) {
    const { abortRotation } = await import('../rotation.ts')
    return abortRotation(input, io)
  },
})

export const rotation: CommandGroup = {
  name: 'rotation',
  summary: 'rotations one by one, and their evidence',
  description: 'Each change of the key of one tunnel, with evidence that the network has signed.',
  commands: [list, show, abort],
}
