import { EXIT } from '../handle.ts'
import { type CliIo, type Command, CommandFailure, type CommandInput, textOption } from './command.ts'
import { controlUrl, warnOfPlainHttp } from './login.ts'
import { CONTROL_SOCKET_OPTION, SERVICES_OPTION, STATE_OPTION, stateDirectory } from './options.ts'
import { prefixesOf } from './own.ts'

export const join: Command = {
  name: 'join',
  summary: 'make this machine the connector of a site, and run it',
  description:
    'Makes an identity key that never leaves this machine, spends a join token at the control plane, and runs the connector in the foreground as isthmus up does. Afterwards isthmus up is enough; the tunnels stay up while the control plane is away. Needs CAP_NET_ADMIN, mostly root.',
  arguments: [
    { name: '<url>', description: 'address of the control plane, like https://control.example.net' },
    { name: '<token>', description: 'what isthmus site add, or isthmus site token, has printed' },
  ],
  options: [
    { flags: '--name <name>', description: 'name of this connector; else the name of the site' },
    {
      flags: '--address <address>',
      description: 'our own outer address; else the one that leads to the control plane',
    },
    {
      flags: '--owns <prefix>',
      description: 'what this site may advertise at most, several times for several; else the prefixes of the site',
      repeatable: true,
    },
    { flags: '--no-start', description: 'join only; isthmus up runs it later' },
    SERVICES_OPTION,
    STATE_OPTION,
    CONTROL_SOCKET_OPTION,
  ],
  examples: [
    { command: 'sudo isthmus join https://control.example.net ist_join_...', what: 'join, and run until Ctrl-C' },
    { command: 'sudo isthmus join --no-start https://... ist_join_...', what: 'for systemd, which runs isthmus up' },
  ],
  exits: ['permission', 'portBusy', 'noTun', 'unreadableFile'],
  async action(input, io) {
    const { readEnrollment } = await import('../store/enrollment.ts')
    const directory = stateDirectory(input, io)
    const url = controlUrl(input.args[0]!)
    const enrolled = readEnrollment(directory)
    if (enrolled !== undefined && enrolled.url !== url) {
      throw new CommandFailure(
        `this machine belongs to a network of ${enrolled.url} already, as ${enrolled.connector} at ${enrolled.site}`,
        'leave that one first with isthmus leave, or give this one another --state-directory',
        EXIT.failed,
      )
    }
    const enrollment = enrolled ?? (await enroll(url, input, directory, io))
    if (enrolled !== undefined) io.stderr(`This machine is ${enrolled.connector} at ${enrolled.site} already.\n`)
    if (input.options.start === false) {
      io.stderr('What next: sudo isthmus up\n')
      return EXIT.ok
    }
    const { runManaged } = await import('./managed.ts')
    return runManaged(enrollment, directory, input, io)
  },
}

async function enroll(url: string, input: CommandInput, directory: string, io: CliIo) {
  const { joinNetwork } = await import('../io/managed/join.ts')
  const { ownAddresses } = await import('./managed.ts')
  const { VERSION } = await import('./version.ts')
  warnOfPlainHttp(url, 'can take the join token and use it first', io)
  const name = textOption(input, 'name')
  const address = textOption(input, 'address')
  const owns = input.options.owns as readonly string[] | undefined
  const enrollment = await joinNetwork({
    url,
    token: input.args[1]!,
    directory,
    software: VERSION,
    addresses: ownAddresses(),
    ...(name === undefined ? {} : { name }),
    ...(address === undefined ? {} : { address }),
    ...(owns === undefined ? {} : { owns: prefixesOf(owns) }),
  })
  io.stderr(`Joined: ${enrollment.connector} at ${enrollment.site}.\n`)
  return enrollment
}
