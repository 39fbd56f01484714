/** Where the control plane keeps what it knows, and how its failures look to people. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { StorePlace } from '../../../control/entry/node-backup.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'

const ROOT_DIRECTORY = '/var/lib/isthmus-control'

export function storePlace(input: CommandInput, io: CliIo): StorePlace {
  const postgres = textOption(input, 'postgres') ?? (io.env.ISTHMUS_CONTROL_POSTGRES || undefined)
  const named = textOption(input, 'directory') ?? (io.env.ISTHMUS_CONTROL_DIRECTORY || undefined)
  const directory = resolve(named ?? defaultDirectory(io))
  return postgres === undefined ? { directory } : { directory, postgres }
}

function defaultDirectory(io: CliIo): string {
  if (process.getuid?.() === 0) return ROOT_DIRECTORY
  return join(io.env.XDG_DATA_HOME || join(io.env.HOME || homedir(), '.local/share'), 'isthmus-control')
}

/** What a store or a port refuses, with an exit code; anything else as it is. */
export function asFailure(error: unknown, listening = ''): unknown {
  if (!(error instanceof Error)) return error
  const { code, remedy } = error as Error & { code?: string; remedy?: string }
  if (error.name === 'StoreFailure' && remedy !== undefined) {
    const exit = code === 'access' || code === 'input' ? EXIT.unreadableFile : EXIT.failed
    return new CommandFailure(error.message, remedy, exit)
  }
  switch (code) {
    case 'EADDRINUSE':
      return new CommandFailure(`${listening} is taken`, 'end what has it, or choose another --port', EXIT.portBusy)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new CommandFailure(`${listening} is not of this machine`, 'choose another --host', EXIT.usage)
    case 'EACCES':
    case 'EPERM':
      return new CommandFailure(`${listening || error.message} is not allowed`, 'run it as root', EXIT.permission)
    default:
      return error
  }
}
