import type { Command } from './command.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'

export const peerConfig: Command = {
  name: 'peer-config',
  summary: 'what to enter at the other end, where that is not Isthmus: strongSwan, AWS, Azure, Cloudflare, ...',
  description:
    'Prints the settings of a peer of isthmus.yaml in the words of the other vendor: a whole swanctl.conf for strongSwan, the fields of the console for clouds, the suite that both have, what that vendor does not do, and what isthmus.yaml still needs. Nothing is sent anywhere, and the key is not even read unless it is to be shown. Vendors: strongswan, aws, azure, cloudflare, fortinet, google.',
  arguments: [{ name: '<vendor>', description: 'strongswan, aws, azure, cloudflare, fortinet or google' }],
  options: [
    { flags: '--peer <name>', description: 'a peer of the configuration; the only one when left out' },
    { flags: '--show-secret', description: 'print the pre-shared key where it is to be entered' },
    CONFIG_OPTION,
    JSON_OPTION,
  ],
  examples: [
    { command: 'isthmus peer-config azure --peer cloud', what: 'what the portal asks for' },
    {
      command: 'sudo isthmus peer-config strongswan --show-secret > swanctl.conf',
      what: 'a file for the other gateway, with the key in it',
    },
  ],
  exits: ['badConfig', 'unreadableFile', 'findings'],
  async action(input, io) {
    const run = await import('./peer-config/run.ts')
    return run.peerConfig(input, io)
  },
}
