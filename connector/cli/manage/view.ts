/** Tables and lists of fields for people. Words may come from elsewhere: none of them steers the terminal. */
import { styleText } from 'node:util'
import { formatDuration } from '../../config/units.ts'
import type { CliIo } from '../command.ts'

export type Style = 'red' | 'yellow' | 'green' | 'bold' | 'dim'
export interface Styled {
  readonly text: string
  readonly style: Style
}
export type Cell = string | Styled

export interface Column {
  readonly title: string
  readonly align?: 'right'
  /** Gives way where the terminal is narrow; its cells end in an ellipsis then. */
  readonly shrinks?: true
}

const GAP = '  '
const LEAST = 6

export function paint(io: Pick<CliIo, 'color'>, style: Style, text: string): string {
  return io.color ? styleText(style, text, { validateStream: false }) : text
}

/** Lines that fit a terminal; whole where they go into a file or to another program. Ends in a line break. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], io: CliIo): string {
  const texts = rows.map((row) => columns.map((_, at) => printable(textOf(row[at] ?? ''))))
  const natural = columns.map(({ title }, at) => Math.max(title.length, ...texts.map((row) => row[at]!.length)))
  const widths = io.isTty ? fitted(columns, natural, io.columns) : natural
  const line = (cells: readonly string[], style: (at: number) => Style | undefined): string => {
    const parts = cells.map((text, at) => {
      const cut = clipped(text, widths[at]!)
      const last = at === columns.length - 1
      const padded = columns[at]!.align === 'right' ? cut.padStart(widths[at]!) : last ? cut : cut.padEnd(widths[at]!)
      const dress = style(at)
      return dress === undefined ? padded : padded.replace(cut, () => paint(io, dress, cut))
    })
    return parts.join(GAP).trimEnd()
  }
  const head = line(
    columns.map(({ title }) => title),
    () => 'dim',
  )
  const body = texts.map((row, index) => line(row, (at) => styleOf(rows[index]![at] ?? '')))
  return `${[head, ...body].join('\n')}\n`
}

/** `label  value` in lines; fields without a value are left out. */
export function renderFields(fields: readonly (readonly [string, Cell | undefined])[], io: CliIo): string {
  const shown = fields.filter((field): field is readonly [string, Cell] => field[1] !== undefined)
  const width = Math.max(...shown.map(([label]) => label.length))
  const lines = shown.map(([label, value]) => {
    const text = printable(textOf(value))
    const style = styleOf(value)
    return `  ${paint(io, 'dim', label.padEnd(width))}  ${style === undefined ? text : paint(io, style, text)}\n`
  })
  return lines.join('')
}

/** How long before `now` something was: `5m`, `3h 2m`; never negative, whatever the clocks say. */
export function since(at: number, now: number): string {
  return formatDuration(Math.max(0, now - at))
}

export function ago(at: number | undefined, now: number): string {
  if (at === undefined) return 'never'
  return now - at < 1000 ? 'just now' : `${since(at, now)} ago`
}

/** `2026-01-05 12:00:00`, UTC. */
export function moment(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}

/** In the order in which people look for them. */
export function byName<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return [...items].sort((left, right) => left.name.localeCompare(right.name, 'en', { numeric: true }))
}

export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** `1 tunnel`, `2 tunnels`. */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`
}

export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

/** Breaks at blanks; a word longer than the line stands alone. */
export function wrapped(text: string, indent: string, io: CliIo): string[] {
  const room = Math.max(40, io.columns)
  const lines: string[] = []
  let line = ''
  for (const word of printable(text).split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > room) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line]
}

export function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** Takes from the widest of those that may shrink, until all fit or none can give more. */
function fitted(columns: readonly Column[], natural: readonly number[], room: number): number[] {
  const widths = [...natural]
  let excess = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1) - room
  for (; excess > 0; excess--) {
    let widest = -1
    for (const [at, width] of widths.entries()) {
      if (columns[at]!.shrinks && width > LEAST && width > (widths[widest] ?? 0)) widest = at
    }
    if (widest < 0) break
    widths[widest]! -= 1
  }
  return widths
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function styleOf(cell: Cell): Style | undefined {
  return typeof cell === 'string' ? undefined : cell.style
}
