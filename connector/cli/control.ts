import type { Command, CommandOption } from './command.ts'

export const PLACE_OPTIONS: readonly CommandOption[] = [
  {
    flags: '-d, --directory <path>',
    description:
      'where the store lies; else $ISTHMUS_CONTROL_DIRECTORY, /var/lib/isthmus-control for root, ~/.local/share/isthmus-control',
  },
  {
    flags: '--postgres <url>',
    description: 'PostgreSQL in place of a file; better $ISTHMUS_CONTROL_POSTGRES, which ps does not show',
  },
]

const backup: Command = {
  name: 'backup',
  summary: 'write the whole store of the control plane into a file',
  description:
    'All networks as of one moment, also while the control plane runs, as text with a checksum that any kind of store takes. Secrets in it are sealed: whoever restores it also needs the key-encryption keys (the file kek in the directory), which belong to another place than the backup.',
  arguments: [{ name: '<file>', description: 'must not be there yet; - for standard output' }],
  options: PLACE_OPTIONS,
  examples: [
    { command: 'isthmus control backup isthmus.backup', what: 'into a file' },
    { command: 'isthmus control backup - | zstd > isthmus.backup.zst', what: 'compressed' },
  ],
  exits: ['permission', 'unreadableFile'],
  async action(input, io) {
    const { writeBackup } = await import('./control/backup.ts')
    return writeBackup(input, io)
  },
}

const restore: Command = {
  name: 'restore',
  summary: 'fill an empty store from a backup',
  description:
    'Checks the backup and every audit log in it, and fills a store that is empty or not there. The control plane must not run on it meanwhile. A restore that was cut off may be repeated. Connectors that know newer documents than the backup are told so in their log, and go on with what they have.',
  arguments: [{ name: '<file>', description: 'the backup; - for standard input' }],
  options: PLACE_OPTIONS,
  examples: [{ command: 'isthmus control restore isthmus.backup', what: 'then put the file kek beside the store' }],
  exits: ['permission', 'unreadableFile'],
  async action(input, io) {
    const { readBackup } = await import('./control/backup.ts')
    return readBackup(input, io)
  },
}

const adminToken: Command = {
  name: 'admin-token',
  summary: 'make a new admin token, where the first was lost or has leaked',
  description:
    'Prints it once on standard output; only its hash is kept. A control plane that runs goes by the old one until it starts anew. Other tokens stay as they are.',
  options: PLACE_OPTIONS,
  examples: [{ command: 'isthmus control admin-token', what: 'then start the control plane anew, and isthmus login' }],
  exits: ['permission', 'unreadableFile'],
  async action(input, io) {
    const { printAdminToken } = await import('./control/admin-token.ts')
    return printAdminToken(input, io)
  },
}

export const control: Command = {
  name: 'control',
  summary: 'run the control plane: the API and its store on one port',
  description:
    'Enrolls connectors and has them rotate the keys of their tunnels, without ever holding those keys. The first start prints the admin token; on a terminal it also logs in this user, so that isthmus site add works at once. Tunnels stay up while it is away. Speaks plain HTTP: for more than a trial put a proxy with TLS before it, and name its address with --url. $ISTHMUS_CONTROL_KEYS may hold the key-encryption keys, which else lie beside the store.',
  options: [
    { flags: '--host <address>', description: 'address to listen on; else all of this machine' },
    { flags: '--port <number>', description: 'TCP port; 0 for any', default: '9701' },
    { flags: '--url <url>', description: 'where others reach it, like https://control.example.net' },
    {
      flags: '--trusted-proxies <addresses>',
      description: 'proxies whose X-Forwarded-For is believed, divided by commas',
    },
    {
      flags: '--aws <networks>',
      description:
        'networks that may have VPN connections to AWS, made with the AWS credentials of this process: names divided by commas, or all; else $ISTHMUS_AWS_NETWORKS, none',
    },
    { flags: '--aws-watch <seconds>', description: 'how often AWS is looked at for drift', default: '60' },
    {
      flags: '--aws-settle <seconds>',
      description: 'how long AWS may take to show what was made, before it is made again',
      default: '60',
    },
    { flags: '--login', description: 'log in this user at the first start, also without a terminal' },
    { flags: '--no-login', description: 'do not, also on a terminal' },
    { flags: '--log-level <level>', description: 'debug, info, warn or error', default: 'info' },
    ...PLACE_OPTIONS,
  ],
  examples: [
    { command: 'isthmus control', what: 'run until Ctrl-C' },
    { command: 'isthmus control --url https://control.example.net --host 127.0.0.1', what: 'behind a proxy with TLS' },
  ],
  exits: ['permission', 'portBusy', 'unreadableFile'],
  commands: [backup, restore, adminToken],
  async action(input, io) {
    const { serve } = await import('./control/serve.ts')
    return serve(input, io)
  },
}
