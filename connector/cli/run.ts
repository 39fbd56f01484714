/** From the words on the command line to a verb, and from its outcome to an exit code. */
import { CommanderError, Command as Parser } from 'commander'
import { EXIT } from '../handle.ts'
import type { CliIo, Command } from './command.ts'
import { COMMANDS } from './commands.ts'
import { reportFailure } from './failure.ts'
import { VERSION } from './version.ts'

export const DESCRIPTION =
  'Site-to-site VPN: joins networks with IKEv2 and ESP. Start with isthmus demo, then docs/config.md.'

/** `words` without the program's name. Never rejects. */
export async function runCli(words: readonly string[], io: CliIo, commands = COMMANDS): Promise<number> {
  let code: number = EXIT.ok
  const parser = buildParser(io, commands, (result) => {
    code = result
  })
  if (words.length === 0) {
    io.stderr(parser.helpInformation())
    return EXIT.usage
  }
  try {
    await parser.parseAsync([...words], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportFailure(words[0]!, error, io)
  }
}

function buildParser(io: CliIo, commands: readonly Command[], setCode: (code: number) => void): Parser {
  const parser = new Parser('isthmus').description(DESCRIPTION)
  dress(parser, io)
  parser.version(VERSION, '-V, --version', 'print the version')
  parser.showHelpAfterError('What to do: isthmus --help lists the verbs, isthmus <verb> --help explains one.')
  parser.addHelpText('after', '\nisthmus <verb> --help shows options, examples and exit codes.')
  for (const command of commands) {
    const verb = parser.command(command.name).summary(command.summary).description(command.description)
    dress(verb, io)
    verb.showHelpAfterError(`What to do: isthmus ${command.name} --help shows what fits.`)
    for (const { name, description } of command.arguments ?? []) verb.argument(name, description)
    for (const option of command.options ?? []) verb.option(option.flags, option.description, option.default)
    verb.addHelpText('after', afterHelp(command))
    verb.action(async (...received: unknown[]) => {
      const count = command.arguments?.length ?? 0
      const args = received.slice(0, count).map((arg) => (typeof arg === 'string' ? arg : undefined))
      setCode(await command.action({ args, options: verb.opts<Record<string, string | boolean | undefined>>() }, io))
    })
  }
  return parser
}

/** Errors are thrown, words go through `io`. */
function dress(parser: Parser, io: CliIo): void {
  parser.exitOverride()
  parser.configureOutput({
    writeOut: (text) => io.stdout(text),
    writeErr: (text) => io.stderr(text),
    getOutHelpWidth: () => io.columns,
    getErrHelpWidth: () => io.columns,
    getOutHasColors: () => io.color,
    getErrHasColors: () => io.color,
  })
}

function afterHelp(command: Command): string {
  const width = Math.max(...command.examples.map((example) => example.command.length))
  const examples = command.examples.map(({ command: line, what }) => `  ${line.padEnd(width)}  ${what}`)
  const exits = exitsOf(command).map(([code, meaning]) => `  ${code}  ${meaning}`)
  return `\nExamples:\n${examples.join('\n')}\n\nExit codes:\n${exits.join('\n')}`
}

export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done',
  failed: 'failed for a reason that has no code of its own',
  usage: 'the command line does not fit',
  badConfig: 'the configuration has faults',
  permission: 'a right is missing, mostly root',
  portBusy: 'a port, the control socket or the state directory belongs to another program',
  noTun: 'there is no TUN device',
  unreadableFile: 'a file is missing or may not be read',
  notRunning: 'no connector is running',
  tunnelDown: 'a tunnel is not up, or nothing answers through it',
}

export function exitsOf(command: Command): [number, string][] {
  const names: (keyof typeof EXIT)[] = ['ok', 'failed', 'usage', ...(command.exits ?? [])]
  return names.map((name) => [EXIT[name], EXIT_MEANINGS[name]])
}
