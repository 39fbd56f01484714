/** A few lines on a terminal that are drawn over again. */
import type { CliIo } from '../command.ts'
import { clipped, printable } from './view.ts'

export class Redraw {
  readonly #io: CliIo
  #drawn = 0

  constructor(io: CliIo) {
    this.#io = io
  }

  /** In place of those that were drawn last; none takes them away. */
  draw(lines: readonly string[]): void {
    const back = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\x1b[J`
    // A line that breaks would make the count of lines wrong.
    const text = lines.map((line) => `${clipped(printableExceptStyle(line), this.#io.columns - 1)}\n`).join('')
    this.#io.stderr(back + text)
    this.#drawn = lines.length
  }
}

function printableExceptStyle(line: string): string {
  return line.includes('\x1b[') ? line : printable(line)
}
