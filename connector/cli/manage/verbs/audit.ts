import type { Command, CommandGroup } from '../../command.ts'
import { managed } from './managed.ts'

const list: Command = managed({
  name: 'list',
  summary: 'who did what, the newest last',
  description: 'The last events of the audit log of the network. --json has what was there before and after.',
  options: [{ flags: '--last <n>', description: 'how many, 1 to 100000', default: '30' }],
  examples: [{ command: 'isthmus audit list --last 100', what: 'the last hundred' }],
  async action(input, io) {
    const { listEvents } = await import('../audit.ts')
    return listEvents(input, io)
  },
})

const exportVerb: Command = managed({
  name: 'export',
  summary: 'the whole audit log, one event on each line (NDJSON)',
  description:
    'Oldest first, each event with the hash of the one before it. Keep the number and the hash of the last event, which it prints: nobody can cut the log off before that one later.',
  arguments: [{ name: '[file]', description: 'must not be there yet; standard output when left out' }],
  examples: [
    { command: 'isthmus audit export audit.ndjson', what: 'into a file' },
    { command: 'isthmus audit export | jq .action', what: 'for other programs' },
  ],
  async action(input, io) {
    const { exportEvents } = await import('../audit.ts')
    return exportEvents(input, io)
  },
})

const verify: Command = managed({
  name: 'verify',
  summary: 'whether the audit log is whole, as it was written',
  description:
    'Fetches the log, or reads an export of it, and checks here that each event follows the one before it. With --head also that an event is in it which somebody has kept.',
  arguments: [{ name: '[file]', description: 'an export; the log of the control plane when left out' }],
  options: [{ flags: '--head <event>', description: 'number:hash of an event that must be in it' }],
  examples: [
    { command: 'isthmus audit verify', what: 'the log as it is now' },
    {
      command: 'isthmus audit verify audit.ndjson --network net_0123456789abcdefghjk',
      what: 'without any control plane',
    },
  ],
  exits: ['notGenuine'],
  async action(input, io) {
    const { verifyLog } = await import('../audit.ts')
    return verifyLog(input, io)
  },
})

export const audit: CommandGroup = {
  name: 'audit',
  summary: 'who did what, and whether that record is whole',
  description: 'The audit log of a network is a chain: a change anywhere in it breaks it from there on.',
  commands: [list, exportVerb, verify],
}
