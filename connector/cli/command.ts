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
  /** Imports what is heavy when it runs. Resolves to the exit code; rejects with an error that has a remedy. */
  action(input: CommandInput, io: CliIo): Promise<number>
}

export interface CommandArgument {
  /** `<name>` is needed, `[name]` is not. */
  readonly name: string
  readonly description: string
}

export interface CommandOption {
  /** As commander takes them: `--count <n>`. */
  readonly flags: string
  readonly description: string
  readonly default?: string
}

export interface CommandInput {
  readonly args: readonly (string | undefined)[]
  /** By the camel-cased long name; text, or true for a flag. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>
}

/** The terminal and its surroundings; tests hand in their own. */
export interface CliIo {
  stdout(text: string): void
  stderr(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isTty: boolean
  readonly columns: number
  readonly color: boolean
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
