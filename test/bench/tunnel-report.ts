/** From the figures of all rounds to rows with medians and ratios. */
import type { PathKind } from './tunnel-paths.ts'

export interface Figures {
  readonly tcpGbps: number
  /** Thousands of 64-byte IP packets per second received, one direction, best of the offered rates. */
  readonly udpKpps: number
  /** As `udpKpps`, of packets of 1,400 bytes. */
  readonly udpLargeKpps: number
  readonly rttMsP50: number
}

export interface RoundFigures extends Figures {
  readonly round: number
  readonly path: PathKind
  readonly suite: string
}

export interface Row extends Figures {
  readonly path: PathKind
  readonly suite: string
  /** Median of the ratios within each round, of Isthmus with this row's suite to this row; null on its own rows. */
  readonly isthmusTcpRatio: number | null
}

export interface Report {
  readonly wire: boolean
  readonly rounds: number
  readonly rows: readonly Row[]
  /** Peers that are not installed: not measured, not invented. */
  readonly missing: readonly string[]
}

export function toReport(rounds: readonly RoundFigures[], missing: readonly string[], wire: boolean): Report {
  const keys = [...new Set(rounds.map(({ path, suite }) => `${path} ${suite}`))]
  const rows = keys.map((key): Row => {
    const own = rounds.filter(({ path, suite }) => `${path} ${suite}` === key)
    const { path, suite } = own[0]!
    const ratios = own.flatMap((figures) => {
      const ours = rounds.find(
        (other) => other.round === figures.round && other.path === 'isthmus' && other.suite === suite,
      )
      return path === 'isthmus' || ours === undefined ? [] : [ours.tcpGbps / figures.tcpGbps]
    })
    return {
      path,
      suite: path === 'wireguard-go' ? 'chacha20poly1305' : suite,
      tcpGbps: median(own.map(({ tcpGbps }) => tcpGbps)),
      udpKpps: median(own.map(({ udpKpps }) => udpKpps)),
      udpLargeKpps: median(own.map(({ udpLargeKpps }) => udpLargeKpps)),
      rttMsP50: median(own.map(({ rttMsP50 }) => rttMsP50)),
      isthmusTcpRatio: ratios.length === 0 ? null : median(ratios),
    }
  })
  return { wire, rounds: Math.max(0, ...rounds.map(({ round }) => round + 1)), rows, missing }
}

export function printTable(report: Report): void {
  const cells = report.rows.map((row) => [
    row.path,
    row.suite,
    row.tcpGbps.toFixed(2),
    row.udpKpps.toFixed(0),
    row.udpLargeKpps.toFixed(0),
    row.rttMsP50.toFixed(3),
    row.isthmusTcpRatio === null ? '' : `${row.isthmusTcpRatio.toFixed(1)}x`,
  ])
  const table = [['path', 'suite', 'TCP Gbit/s', '64 B kpps', '1400 B kpps', 'RTT ms', 'isthmus / this'], ...cells]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)))
  for (const line of table) {
    const padded = line.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    )
    process.stdout.write(`${padded.join('  ')}\n`)
  }
  process.stdout.write(
    `medians of ${report.rounds} interleaved rounds${report.wire ? ', links without UDP segmentation' : ''}\n`,
  )
  if (report.missing.length > 0) process.stdout.write(`not installed, not measured: ${report.missing.join(', ')}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
