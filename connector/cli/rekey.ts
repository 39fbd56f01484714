import { EXIT } from '../handle.ts'
import type { Command } from './command.ts'
import { CONFIG_OPTION, SOCKET_OPTION, socketPath } from './options.ts'

export const rekey: Command = {
  name: 'rekey',
  summary: 'agree on new keys with a peer at once',
  description:
    'Starts a rekey without waiting for its time: of the IKE SA, or of a child when one is named. Traffic keeps flowing on the old keys until the new ones are in use.',
  arguments: [
    { name: '<peer>', description: 'name of the peer' },
    { name: '[child]', description: 'name of the child; the IKE SA when left out' },
  ],
  options: [SOCKET_OPTION, CONFIG_OPTION],
  examples: [
    { command: 'isthmus rekey branch', what: 'the IKE SA' },
    { command: 'isthmus rekey branch net', what: 'the keys of the traffic' },
  ],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const { controlClient } = await import('../ops/client.ts')
    const [peer = '', child = 'ike'] = input.args
    await controlClient(await socketPath(input, io)).rekey(peer, child)
    const what = child === 'ike' ? 'The IKE SA' : `Child ${child}`
    io.stdout(`${what} with ${peer} is being rekeyed. Next: isthmus status shows the new age.\n`)
    return EXIT.ok
  },
}
