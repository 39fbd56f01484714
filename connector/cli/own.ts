import { prefixFault } from '../../protocol/control/values.ts'
import { parsePrefix } from '../../protocol/net.ts'
import { EXIT } from '../handle.ts'
import { type Command, CommandFailure } from './command.ts'
import { STATE_OPTION, stateDirectory } from './options.ts'

export const own: Command = {
  name: 'own',
  summary: 'say which prefixes this site may advertise',
  description:
    'A managed connector advertises nothing by BGP but what its own site owns, whatever the control plane asks for, and takes no part of it from others. That is what the site had when it joined, until this says otherwise. Without prefixes it prints them. They hold from the next start on.',
  arguments: [{ name: '[prefixes...]', description: 'all that the site owns, in place of what was there' }],
  options: [STATE_OPTION],
  examples: [
    { command: 'sudo isthmus own', what: 'print what this site owns' },
    { command: 'sudo isthmus own 10.1.0.0/16 10.9.0.0/16', what: 'these two, and no others' },
  ],
  exits: ['permission', 'unreadableFile'],
  async action(input, io) {
    const { readEnrollment, readManagedState, writeEnrollment } = await import('../store/enrollment.ts')
    const directory = stateDirectory(input, io)
    const enrollment = readEnrollment(directory)
    if (enrollment === undefined) {
      throw new CommandFailure(
        `${directory} belongs to no network`,
        'join one with isthmus join, or name another directory with --state-directory',
        EXIT.failed,
      )
    }
    const { rest = [] } = input
    if (rest.length === 0) {
      const owns = enrollment.owns ?? readManagedState(directory)?.document?.site.prefixes ?? []
      for (const prefix of owns) io.stdout(`${prefix}\n`)
      if (owns.length === 0) io.stderr('It may advertise nothing. What next: isthmus own <prefixes>\n')
      return EXIT.ok
    }
    writeEnrollment(directory, { ...enrollment, owns: prefixesOf(rest) })
    io.stderr('Written. What next: start the connector again, systemctl restart isthmus or isthmus up.\n')
    return EXIT.ok
  },
}

/** In canonical form. Throws a CommandFailure that names all that are none. */
export function prefixesOf(words: readonly string[]): string[] {
  const faults = words.flatMap((word) => {
    const fault = prefixFault(word)
    return fault === undefined ? [] : [`${word}: ${fault}`]
  })
  if (faults.length > 0) throw new CommandFailure(faults.join('; '), 'write them like 10.1.0.0/16', EXIT.usage)
  return [...new Set(words.map((word) => parsePrefix(word)!))]
}
