import { EXIT } from '../handle.ts'
import type { Command } from './command.ts'
import { textOption } from './command.ts'
import { CONTROL_SOCKET_OPTION, DEFAULT_CONTROL_SOCKET } from './options.ts'

export const trust: Command = {
  name: 'trust',
  summary: "accept a peer's new identity key",
  description:
    'A connector keeps the identity key of each peer as it first saw it, and refuses another one that the control plane names later. Where the peer was really set up anew, compare its key with the one that isthmus status shows there, then accept it here.',
  arguments: [
    { name: '<connector>', description: 'id of the peer, con_...' },
    { name: '<key>', description: 'its identity key, 43 characters' },
  ],
  options: [CONTROL_SOCKET_OPTION],
  examples: [{ command: 'sudo isthmus trust con_0123... 3p7bfX...', what: 'accept that key from now on' }],
  exits: ['notRunning', 'permission'],
  async action(input, io) {
    const { controlRequest } = await import('../ops/client.ts')
    const socket = textOption(input, 'socket') ?? DEFAULT_CONTROL_SOCKET
    const [connector, key] = input.args
    await controlRequest(socket, 'POST', '/trust', { connector, key })
    io.stderr('Accepted. What next: isthmus status shows the tunnel come up.\n')
    return EXIT.ok
  },
}
