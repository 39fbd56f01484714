/** From slices of time to the rows of `bench:engine`: medians, and ratios within a round. */
import type { AeadSuite } from '../../wasm/packet-engine.ts'
import type { Operation } from './engine-subjects.ts'

/** The engine's ways, with `aead-` in front the AEAD alone; `node` is node:crypto packet by packet. */
export type Mode = 'relaxed' | 'strict' | 'auto' | 'offload' | 'aead-relaxed' | 'aead-strict' | 'aead-offload' | 'node'

/** What is measured side by side: one suite, size and operation. */
export interface Case {
  readonly suite: AeadSuite
  /** Bytes of the inner packet. */
  readonly size: number
  readonly op: Operation
}

/** Nanoseconds per packet of one round, a few slices for each mode; `openssl` is null when it is not installed. */
export interface Round {
  readonly modes: Partial<Record<Mode, readonly number[]>>
  readonly openssl: number | null
}

export interface Row extends Case {
  readonly mode: Mode
  readonly nsPerPacket: number
  /** Inner packet bits per nanosecond. */
  readonly gbps: number
  /** How many times as fast as node:crypto per packet, and as `openssl speed`: medians over the rounds. */
  readonly vsNode: number
  readonly vsOpenssl: number | null
}

export function toRows(measured: Case, rounds: readonly Round[]): Row[] {
  const modes = Object.keys(rounds[0]?.modes ?? {}) as Mode[]
  return modes.map((mode) => {
    const nsPerPacket = median(rounds.flatMap((round) => round.modes[mode]!))
    const ratio = (other: (round: Round) => number) =>
      rounded(median(rounds.map((round) => other(round) / median(round.modes[mode]!))), 3)
    return {
      ...measured,
      mode,
      nsPerPacket: rounded(nsPerPacket, 1),
      gbps: rounded((measured.size * 8) / nsPerPacket, 3),
      vsNode: ratio((round) => median(round.modes.node!)),
      vsOpenssl: rounds.every(({ openssl }) => openssl !== null) ? ratio(({ openssl }) => openssl!) : null,
    }
  })
}

export function toTable(rows: readonly Row[]): string {
  const head = ['suite', 'size', 'op', 'mode', 'ns/packet', 'Gb/s', 'x node', 'x openssl']
  const lines = rows.map((row) => [
    row.suite,
    String(row.size),
    row.op,
    row.mode,
    row.nsPerPacket.toFixed(0),
    row.gbps.toFixed(2),
    row.vsNode.toFixed(2),
    row.vsOpenssl?.toFixed(2) ?? '-',
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const words = 4
  const format = (line: string[]) =>
    line.map((cell, i) => (i === 0 || i < words ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return [head, ...lines].map((line) => `${format(line).trimEnd()}\n`).join('')
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
