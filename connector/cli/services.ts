import type { ConnectorStatus, ServiceStatus } from '../../protocol/status.ts'
import { EXIT } from '../handle.ts'
import { type CliIo, type Command, CommandFailure, type CommandInput, textOption } from './command.ts'
import {
  CONTROL_SOCKET_OPTION,
  DEFAULT_CONTROL_SOCKET,
  JSON_OPTION,
  SERVICES_OPTION,
  STATE_OPTION,
  servicesPath,
} from './options.ts'

const check: Command = {
  name: 'check',
  summary: 'say everything that is wrong with services.yaml',
  description:
    'Reads services.yaml, the certificates and the secrets that it names, and reports all faults at once, each with line and column, cause and remedy. Changes nothing.',
  arguments: [{ name: '[file]', description: 'the file, as with --services' }],
  options: [SERVICES_OPTION, STATE_OPTION, JSON_OPTION],
  examples: [
    { command: 'isthmus services check', what: 'the file that isthmus up would read' },
    { command: 'isthmus services check new.yaml', what: 'another one, before it takes its place' },
  ],
  exits: ['badConfig', 'unreadableFile'],
  async action(input, io) {
    const { systemFiles } = await import('../config.ts')
    const { formatFault } = await import('../config/faults.ts')
    const { loadServices } = await import('../config/services.ts')
    const path = input.args[0] ?? servicesPath(input, io).path
    const loaded = loadServices(path, systemFiles)
    const faults = 'faults' in loaded ? loaded.faults : []
    const warnings = 'faults' in loaded ? [] : loaded.warnings
    if (input.options.json === true) {
      io.stdout(`${JSON.stringify({ ok: faults.length === 0, faults, warnings })}\n`)
    } else if ('faults' in loaded) {
      for (const fault of faults) io.stderr(`${formatFault(fault)}\n`)
      const count = faults.length === 1 ? 'One fault' : `${faults.length} faults`
      io.stderr(`${count}. Correct and run isthmus services check again.\n`)
    } else {
      for (const warning of warnings) io.stderr(`${formatFault(warning)} (warning)\n`)
      const names = loaded.plan.services.map(({ name }) => name).join(', ')
      io.stdout(`${path} is sound: services ${names || 'none'}. A running connector takes it up by itself.\n`)
    }
    if (faults.length === 0) return EXIT.ok
    return faults.every(({ kind }) => kind === 'file') ? EXIT.unreadableFile : EXIT.badConfig
  },
}

export const services: Command = {
  name: 'services',
  summary: 'what functions reach through this connector',
  description:
    'Shows the services of services.yaml as the running connector serves them: who may use each, what is open, and what went wrong last.',
  options: [JSON_OPTION, CONTROL_SOCKET_OPTION],
  examples: [
    { command: 'isthmus services', what: 'a table' },
    { command: "isthmus services --json | jq '.services[].name'", what: 'for programs' },
  ],
  exits: ['notRunning', 'permission'],
  commands: [check],
  async action(input, io) {
    const { controlClient } = await import('../ops/client.ts')
    const status = await controlClient(textOption(input, 'socket') ?? DEFAULT_CONTROL_SOCKET).status()
    print(status, input, io)
    return EXIT.ok
  },
}

function print({ functions, control }: ConnectorStatus, input: CommandInput, io: CliIo): void {
  if (functions === undefined) throw notServing(control !== undefined)
  if (input.options.json === true) {
    io.stdout(`${JSON.stringify(functions, null, 2)}\n`)
    return
  }
  if (functions.fault !== undefined) {
    io.stderr(`${functions.fault}\n  What to do: correct this; what was read before stays in force.\n`)
  }
  io.stdout(renderServices(functions.services))
}

function notServing(isManaged: boolean): CommandFailure {
  const remedy = isManaged
    ? 'write services.yaml into its state directory (docs/services.md shows a short one)'
    : 'join a network first: isthmus join'
  return new CommandFailure('this connector serves no functions', remedy, EXIT.failed)
}

/** One line for each, and below it what went wrong last. */
export function renderServices(list: readonly ServiceStatus[]): string {
  const head = ['SERVICE', 'KIND', 'TARGET', 'FUNCTIONS', 'OPEN', 'DONE', 'FAILED']
  const rows = list.map(({ name, kind, target, allow, open, outcomes }) => {
    const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0)
    const fine = (outcomes.ok ?? 0) + (outcomes.reset ?? 0)
    return [name, kind, target, allow.join(', ') || 'nobody', String(open), String(fine), String(total - fine)]
  })
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  const lines = rows.flatMap((row, i) => {
    const problem = list[i]!.lastProblem
    return problem === undefined
      ? [line(row)]
      : [line(row), `  last problem: ${problem.at} ${problem.code}: ${printable(problem.cause)}`]
  })
  return `${[line(head), ...lines].join('\n')}\n`
}

/** Host names of functions may stand in it: nothing in them may steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}
