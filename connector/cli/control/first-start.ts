/** What the very first start of a control plane does and says. */
import type { ControlPlane } from '../../../control/entry/node.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { textOption } from '../command.ts'
import { credentialsPath, readCredentials, writeCredentials } from '../manage/credentials.ts'

/** Makes a network where there is none yet, keeps the token for this user where that is wanted, and says what is next. */
export async function firstStart(
  plane: ControlPlane,
  token: string,
  url: string,
  input: CommandInput,
  io: CliIo,
): Promise<void> {
  const network = await firstNetwork(plane, textOption(input, 'network') ?? 'main')
  const kept = keepLogin({ url, token, ...(network === undefined ? {} : { network }) }, input, io)
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

async function firstNetwork({ services }: ControlPlane, name: string): Promise<string | undefined> {
  const present = await services.networks.list({ limit: 1 })
  if (present.value.items.length > 0) return undefined
  const made = await services.networks.create({ actor: { id: 'system', network: '' }, network: '' }, { name })
  return made.value.id
}

/** Another login is not replaced: it may be the only place where that token is. */
function keepLogin(credentials: Parameters<typeof writeCredentials>[1], input: CommandInput, io: CliIo): boolean {
  const wanted = input.options.login ?? io.isTty
  if (wanted !== true || readCredentials(io) !== undefined) return false
  writeCredentials(io, credentials)
  return true
}
