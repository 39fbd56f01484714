/** From the words on the command line to a verb, and from its outcome to an exit code. */
import { CommanderError, Command as Parser } from 'commander'
import { EXIT } from '../handle.ts'
import { type CliIo, type Command, type CommandOptions, isGroup, type Verb } from './command.ts'
import { COMMANDS } from './commands.ts'
import { reportFailure } from './failure.ts'
import { VERSION } from './version.ts'

export const DESCRIPTION =
  'Site-to-site VPN: joins networks with IKEv2 and ESP. Start with isthmus demo, then docs/config.md.'

/** `words` without the program's name. Never rejects. */
export async function runCli(words: readonly string[], io: CliIo, verbs: readonly Verb[] = COMMANDS): Promise<number> {
  let code: number = EXIT.ok
  let running = words[0] ?? ''
  const parser = buildParser(io, verbs, async (verb, action) => {
    running = verb
    code = await action()
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
    return reportFailure(running, error, io)
  }
}

type Run = (verb: string, action: () => Promise<number>) => Promise<void>

function buildParser(io: CliIo, verbs: readonly Verb[], run: Run): Parser {
  const parser = new Parser('isthmus').description(DESCRIPTION)
  dress(parser, io)
  parser.version(VERSION, '-V, --version', 'print the version')
  parser.showHelpAfterError('What to do: isthmus --help lists the verbs, isthmus <verb> --help explains one.')
  parser.addHelpText('after', '\nisthmus <verb> --help shows options, examples and exit codes.')
  addVerbs(parser, verbs, '', io, run)
  return parser
}

function addVerbs(parent: Parser, verbs: readonly Verb[], before: string, io: CliIo, run: Run): void {
  // Options of a verb with others below it end where the name of one of those stands.
  parent.enablePositionalOptions()
  for (const verb of verbs) {
    const words = `${before}${verb.name}`
    const parser = parent.command(verb.name).summary(verb.summary).description(verb.description)
    dress(parser, io)
    parser.showHelpAfterError(`What to do: isthmus ${words} --help shows what fits.`)
    if (isGroup(verb))
      parser.addHelpText('after', `\nisthmus ${words} <verb> --help shows options, examples and exit codes.`)
    else addCommand(parser, verb, words, io, run)
    if (verb.commands !== undefined) addVerbs(parser, verb.commands, `${words} `, io, run)
  }
}

function addCommand(parser: Parser, command: Command, words: string, io: CliIo, run: Run): void {
  for (const { name, description } of command.arguments ?? []) parser.argument(name, description)
  for (const { flags, description, default: preset, repeatable } of command.options ?? []) {
    if (repeatable) parser.option(flags, description, (value: string, all: string[] = []) => [...all, value])
    else parser.option(flags, description, preset)
  }
  parser.addHelpText('after', afterHelp(command))
  parser.action(async (...received: unknown[]) => {
    const given = received.slice(0, command.arguments?.length ?? 0)
    const args = given.map((arg) => (typeof arg === 'string' ? arg : undefined))
    const rest = given.flatMap((arg) => (Array.isArray(arg) ? (arg as string[]) : []))
    await run(words, () => command.action({ args, rest, options: parser.opts<CommandOptions>() }, io))
  })
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
  const codes = exitsOf(command)
  const digits = Math.max(...codes.map(([code]) => String(code).length))
  const exits = codes.map(([code, meaning]) => `  ${String(code).padStart(digits)}  ${meaning}`)
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
  noControl: 'the control plane cannot be reached, or cannot serve now',
  notRotated: 'a key was not rotated',
  notGenuine: 'what should prove itself does not: evidence or audit log',
  wentBack: 'a change went back, or was not carried out',
  findings: 'something is wrong with what was looked at',
}

export function exitsOf(command: Command): [number, string][] {
  const names: (keyof typeof EXIT)[] = ['ok', 'failed', 'usage', ...(command.exits ?? [])]
  const exits = names.map((name): [number, string] => [EXIT[name], EXIT_MEANINGS[name]])
  return exits.sort(([one], [other]) => one - other)
}
