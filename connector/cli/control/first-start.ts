/** What the very first start of a control plane does and says. */
import type { CliIo, CommandInput } from '../command.ts'
import { type Credentials, credentialsPath, readCredentials, writeCredentials } from '../manage/credentials.ts'

/** Keeps the token for this user where that is wanted, and says what is next. */
export function firstStart(url: string, token: string, input: CommandInput, io: CliIo): void {
  const kept = keepLogin({ url, token }, input, io)
  const lines = [
    '',
    `  The control plane is at  ${url}`,
    `  Its admin token is       ${token}`,
    '  The token is shown this once, and only its hash is kept: put it into a safe place.',
    '',
    ...(kept ? [`  You are logged in: ${credentialsPath(io)} has it, for your eyes only.`] : []),
    '  What next, from another terminal:',
    '',
    ...(kept ? [] : [`    isthmus login ${url}`]),
    '    isthmus site add hq --prefix 10.1.0.0/16',
    '',
    '  It prints the command that makes a machine at that site its connector.',
    '',
  ]
  io.stderr(`${lines.join('\n')}\n`)
}

/** Another login is not replaced: it may be the only place where that token is. */
function keepLogin(credentials: Credentials, input: CommandInput, io: CliIo): boolean {
  const wanted = input.options.login ?? io.isTty
  if (wanted !== true || readCredentials(io) !== undefined) return false
  writeCredentials(io, credentials)
  return true
}
