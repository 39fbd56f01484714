/** How a verb's failure looks on the terminal: what went wrong, then what to do. */
import { EXIT } from '../handle.ts'
import type { CliIo } from './command.ts'

/** Prints and returns the exit code. An error without a remedy is a mistake of ours, and says so. */
export function reportFailure(verb: string, error: unknown, io: CliIo): number {
  if (hasRemedy(error)) {
    io.stderr(`isthmus ${verb}: ${sentence(error.message)}\n  What to do: ${sentence(error.remedy)}\n`)
    return error.exitCode
  }
  const reason = error instanceof Error ? error.message : String(error)
  const trace = io.env.ISTHMUS_TRACE === undefined || !(error instanceof Error) ? '' : `${error.stack ?? ''}\n`
  io.stderr(`isthmus ${verb}: this should not happen: ${sentence(reason)}\n${trace}`)
  io.stderr('  What to do: run isthmus doctor; ISTHMUS_TRACE=1 adds where it happened, for a bug report.\n')
  return EXIT.failed
}

/** With a full stop at its end. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

interface Remedied extends Error {
  readonly remedy: string
  readonly exitCode: number
}

/** StartFailure, ControlError and CommandFailure alike. */
function hasRemedy(error: unknown): error is Remedied {
  return (
    error instanceof Error &&
    typeof (error as Partial<Remedied>).remedy === 'string' &&
    typeof (error as Partial<Remedied>).exitCode === 'number'
  )
}
