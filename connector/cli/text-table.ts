/** Text in columns, for terminals. */

/** Each column as wide as its widest cell, two spaces between. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, printable(cell).length)
  }
  return rows.map((row) =>
    row
      .map((cell, i) => printable(cell).padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

/** A neighbour's words may end up here: nothing of them steers the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}
