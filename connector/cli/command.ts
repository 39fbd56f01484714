/** What a verb of `isthmus` is: one value, from which the parser, the help text and docs/cli.md are made. */
import type { EXIT } from '../handle.ts'

export interface Command {
  readonly name: string
  /** Half a line, for the list of verbs. */
  readonly summary: string
  /** What it does, in a few sentences. */
  readonly description: string
  readonly arguments?: readonly CommandArgument[]
  readonly options?: readonly CommandOption[]
  readonly examples: readonly { readonly command: string; readonly what: string }[]
  /** Besides `ok`, `failed` and `usage`, which every verb has. */
  readonly exits?: readonly (keyof typeof EXIT)[]
  /** Verbs below this one, where it does something by itself too. */
  readonly commands?: readonly Verb[]
  /** Imports what is heavy when it runs. Resolves to the exit code; rejects with an error that has a remedy. */
  action(input: CommandInput, io: CliIo): Promise<number>
}

/** A word that only has verbs below it: `site` of `isthmus site add`. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly commands: readonly Verb[]
}

export type Verb = Command | CommandGroup

export function isGroup(verb: Verb): verb is CommandGroup {
  return !('action' in verb)
}

/** What can be run, each by all its words: `site add`. In the order of the help. */
export function everyCommand(verbs: readonly Verb[], before = ''): { words: string; command: Command }[] {
  return verbs.flatMap((verb) => {
    const words = `${before}${verb.name}`
    const below = everyCommand(verb.commands ?? [], `${words} `)
    return isGroup(verb) ? below : [{ words, command: verb }, ...below]
  })
}

export interface CommandArgument {
  /** `<name>` is needed, `[name]` is not; the last may be `[name...]`, any number of them. */
  readonly name: string
  readonly description: string
}

export interface CommandOption {
  /** As commander takes them: `--count <n>`. */
  readonly flags: string
  readonly description: string
  readonly default?: string
  /** May be given several times, each time with one value. */
  readonly repeatable?: true
}

export interface CommandInput {
  readonly args: readonly (string | undefined)[]
  /** What was given for the argument `[name...]`. */
  readonly rest?: readonly string[]
  /** By the camel-cased long name; text, several texts where it is repeatable, or true for a flag. */
  readonly options: CommandOptions
}

export type CommandOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/** The terminal and its surroundings; tests hand in their own. */
export interface CliIo {
  stdout(text: string): void
  stderr(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isTty: boolean
  readonly columns: number
  readonly color: boolean
  /** For requests to the control plane; the platform's when absent. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  /** Milliseconds since 1970; the platform's when absent. */
  readonly now?: () => number
  /** Whether a person says yes; the platform's terminal when absent. */
  readonly ask?: (question: string) => Promise<boolean>
  /** Waits for so many milliseconds, or until `signal`; with the platform's timer when absent. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** Ends a verb: cause, remedy and exit code, printed alike for all. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly remedy: string
  readonly exitCode: number

  constructor(cause: string, remedy: string, exitCode: number) {
    super(cause)
    this.remedy = remedy
    this.exitCode = exitCode
  }
}

export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name]
  return typeof value === 'string' ? value : undefined
}

/** Of a repeatable option; none when it was not given. */
export function listOption(input: CommandInput, name: string): readonly string[] {
  const value = input.options[name]
  return Array.isArray(value) ? value : []
}
