import { EXIT } from '../handle.ts'
import { type Command, CommandFailure } from './command.ts'
import { STATE_OPTION, stateDirectory } from './options.ts'

export const leave: Command = {
  name: 'leave',
  summary: 'forget the network that this machine has joined',
  description:
    'Deletes the identity, the keys and the last document from the state directory. The connector must be stopped. The control plane still knows it: isthmus connector revoke removes it there, and its peers drop the tunnels.',
  options: [{ flags: '--yes', description: 'do it; without, only what would be deleted is told' }, STATE_OPTION],
  examples: [{ command: 'sudo isthmus leave --yes', what: 'forget it all' }],
  exits: ['permission', 'portBusy', 'unreadableFile'],
  async action(input, io) {
    const { leaveNetwork, readEnrollment } = await import('../store/enrollment.ts')
    const { openState } = await import('../store/state.ts')
    const directory = stateDirectory(input, io)
    const enrollment = readEnrollment(directory)
    if (enrollment === undefined) {
      throw new CommandFailure(
        `${directory} belongs to no network`,
        'name another with --state-directory if there is one',
        EXIT.failed,
      )
    }
    const { connector, site, url } = enrollment
    if (input.options.yes !== true) {
      io.stderr(`This would forget ${connector} at ${site} of ${url}, with its identity key.\n`)
      io.stderr('  What to do: isthmus leave --yes\n')
      return EXIT.failed
    }
    // Holds the lock of a running connector, or refuses.
    const state = openState(directory)
    leaveNetwork(directory)
    state.close()
    io.stderr(`Left. What next: isthmus connector revoke ${connector}, where the network is managed.\n`)
    return EXIT.ok
  },
}
