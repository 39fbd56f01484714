/** Where the control plane is and who asks: options before environment before the file that `isthmus login` writes. */

import { readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { idSchema } from '../../../protocol/control/ids.ts'
import { EXIT } from '../../handle.ts'
import { writeAtomically } from '../../store/files.ts'
import { type CliIo, CommandFailure, type CommandInput, textOption } from '../command.ts'

const credentialsSchema = z.strictObject({
  url: z.url(),
  token: z.string().min(1).max(256),
  /** The network that verbs mean when none is named. */
  network: idSchema('network').optional(),
})
export type Credentials = z.infer<typeof credentialsSchema>

export interface Access {
  readonly url: string
  readonly token: string
  /** Name or id, as it was given. */
  readonly network?: string
}

/** Throws a CommandFailure where something is missing. */
export function accessOf(input: CommandInput, io: CliIo): Access {
  const saved = readCredentials(io)
  const url = textOption(input, 'url') ?? (io.env.ISTHMUS_URL || undefined) ?? saved?.url
  if (url === undefined) throw notLoggedIn('it is not known where the control plane is')
  // A token belongs to the control plane that gave it: it is not sent to another one.
  const savedHere = saved !== undefined && sameOrigin(saved.url, url) ? saved : undefined
  const token = textOption(input, 'token') ?? (io.env.ISTHMUS_TOKEN || undefined) ?? savedHere?.token
  if (token === undefined) throw notLoggedIn(`there is no token for ${url}`)
  if (token.startsWith('ist_function_')) throw ofFunction()
  const network = textOption(input, 'network') ?? (io.env.ISTHMUS_NETWORK || undefined) ?? savedHere?.network
  return { url, token, ...(network === undefined ? {} : { network }) }
}

/** Undefined where nobody has logged in. Throws a CommandFailure for a file that makes no sense. */
export function readCredentials(io: CliIo): Credentials | undefined {
  const path = credentialsPath(io)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new CommandFailure(`${path} may not be read`, 'make it yours, mode 0600', EXIT.unreadableFile)
  }
  const parsed = credentialsSchema.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  throw new CommandFailure(
    `${path} does not make sense`,
    'delete it, and log in again: isthmus login',
    EXIT.unreadableFile,
  )
}

/** For the owner's eyes only. */
export function writeCredentials(io: CliIo, credentials: Credentials): string {
  const path = credentialsPath(io)
  writeAtomically(path, `${JSON.stringify(credentials, undefined, 2)}\n`)
  return path
}

export function forgetCredentials(io: CliIo): void {
  rmSync(credentialsPath(io), { force: true })
}

export function credentialsPath(io: CliIo): string {
  const base = io.env.XDG_CONFIG_HOME || join(io.env.HOME || homedir(), '.config')
  return join(base, 'isthmus', 'credentials.json')
}

function sameOrigin(left: string, right: string): boolean {
  return URL.canParse(left) && URL.canParse(right) && new URL(left).origin === new URL(right).origin
}

function notLoggedIn(cause: string): CommandFailure {
  return new CommandFailure(cause, 'log in with isthmus login <url>, or set ISTHMUS_URL and ISTHMUS_TOKEN', EXIT.usage)
}

/** Functions find theirs in the same variable. It may manage nothing, and is not sent for that. */
function ofFunction(): CommandFailure {
  const remedy = 'use an API token: unset ISTHMUS_TOKEN to use the one of isthmus login'
  return new CommandFailure('the token is one of a function', remedy, EXIT.usage)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
