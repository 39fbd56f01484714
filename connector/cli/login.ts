import { EXIT } from '../handle.ts'
import { type CliIo, type Command, CommandFailure, type CommandInput, textOption } from './command.ts'

export const login: Command = {
  name: 'login',
  summary: 'keep the address and a token of the control plane for this user',
  description:
    'Tries the token, and keeps it with the address in ~/.config/isthmus/credentials.json, mode 0600, so that the verbs for networks need neither. ISTHMUS_URL and ISTHMUS_TOKEN come before it. Without --token, asks on the terminal, or reads standard input.',
  arguments: [{ name: '<url>', description: 'address of the control plane, like https://control.example.net' }],
  options: [
    { flags: '--token <token>', description: 'an API token, or the admin token; - reads standard input' },
    {
      flags: '--network <network>',
      description: 'name or id of the network that the verbs mean, where there are several',
    },
  ],
  examples: [
    { command: 'isthmus login https://control.example.net', what: 'asks for the token' },
    { command: 'isthmus login https://control.example.net --token - < token', what: 'from a file' },
  ],
  exits: ['noControl', 'unreadableFile'],
  async action(input, io) {
    const { credentialsPath, writeCredentials } = await import('./manage/credentials.ts')
    const { tryToken } = await import('./login/try-token.ts')
    const url = controlUrl(input.args[0]!)
    warnOfPlainHttp(url, 'can take the token and use it', io)
    const token = await tokenOf(input, io)
    const { network, what } = await tryToken(url, token, textOption(input, 'network'), io)
    writeCredentials(io, { url, token, ...(network === undefined ? {} : { network }) })
    io.stderr(`Logged in to ${url}: ${what}. ${credentialsPath(io)} has the token, for your eyes only.\n`)
    return EXIT.ok
  },
}

export const logout: Command = {
  name: 'logout',
  summary: 'forget the token that login has kept',
  description: 'Removes it from this machine. The token itself stays valid: isthmus token revoke ends it.',
  examples: [{ command: 'isthmus logout', what: 'forget it' }],
  async action(_input, io) {
    const { forgetCredentials } = await import('./manage/credentials.ts')
    forgetCredentials(io)
    io.stderr('Logged out.\n')
    return EXIT.ok
  },
}

/** Scheme, host and port; a path would be the API's. Throws a CommandFailure for anything else. */
export function controlUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '')
    return url.origin
  const remedy = 'write it like https://control.example.net'
  throw new CommandFailure(`${JSON.stringify(text)} is no address of a control plane`, remedy, EXIT.usage)
}

/** Not for what stays on this machine. */
export function warnOfPlainHttp(url: string, danger: string, io: CliIo): void {
  if (!url.startsWith('http:') || /^http:\/\/(localhost|127\.|\[::1\])/.test(url)) return
  io.stderr(`Warning: over plain http whoever listens ${danger}. Prefer https.\n`)
}

async function tokenOf(input: CommandInput, io: CliIo): Promise<string> {
  const { askHidden, readStandardInput } = await import('./login/ask.ts')
  const given = textOption(input, 'token')
  const interactive = given === undefined && process.stdin.isTTY === true
  const token = interactive
    ? await askHidden('Token: ', io)
    : given === undefined || given === '-'
      ? await readStandardInput()
      : given
  if (/^ist_(admin|owner|operator|viewer|rotation)_[0-9A-Za-z_-]{43,}$/.test(token)) return token
  const remedy = /^ist_(join|function)_/.test(token)
    ? `${token.startsWith('ist_join_') ? 'a join token is for isthmus join' : 'a function has that one'}; make an API token with isthmus token add`
    : 'give one that isthmus token add, or the first start of isthmus control, has printed'
  throw new CommandFailure('this is no API token', remedy, EXIT.usage)
}
