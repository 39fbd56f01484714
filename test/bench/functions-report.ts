/** The figures of the functions' benchmark, what they are to reach, and the table. */

export interface FunctionsReport {
  /** Milliseconds: medians of requests in turns, on one machine. */
  readonly loopback: { readonly tcp: number; readonly straight: number; readonly relayed: number }
  /** Milliseconds more than straight TCP, median of the differences within a turn. */
  readonly added: { readonly straight: number; readonly relayed: number }
  /** On the path of 20 ms. Round trips beyond the service's own time, medians. */
  readonly far: {
    readonly rttMs: number
    readonly coldStraight: number
    readonly coldRelayed: number
    /** The request for the grant that a process needs once in ten minutes. */
    readonly grant: number
    readonly resumed: number
    readonly warmStraight: number
    readonly warmRelayed: number
  }
  /** Megabytes per second of one stream, medians, and the ratio to a bare WebSocket, median of the rounds. */
  readonly throughput: Readonly<Record<'down' | 'up', Throughput>>
  readonly fair: { readonly streams: number; readonly leastOfMean: number; readonly mostOfMean: number }
  readonly idle: { readonly streams: number; readonly bytesPerStream: number }
}

export interface Throughput {
  readonly bare: number
  readonly straight: number
  readonly relayed: number
  readonly straightRatio: number
  readonly relayedRatio: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function printTable(report: FunctionsReport): void {
  const { loopback, added, far, throughput, fair, idle } = report
  const rows: [string, string, string][] = [
    ['request straight to the service, p50', ms(loopback.tcp), ''],
    ['  through a session, added', ms(added.straight), '<= 0.5 ms'],
    ['  over the relay, added', ms(added.relayed), '<= 1 ms'],
    ['path of 20 ms: round trip', ms(far.rttMs), ''],
    ['  first request of a cold session', trips(far.coldStraight), '<= 2.2'],
    ['  the same over the relay', trips(far.coldRelayed), ''],
    ['  the grant before it, once in ten minutes', trips(far.grant), ''],
    ['  first request of a resumed session', trips(far.resumed), ''],
    ['  warm request', trips(far.warmStraight), '<= 1.1'],
    ['  warm request over the relay', trips(far.warmRelayed), ''],
    ['one stream down, straight', rate(throughput.down.straight, throughput.down.straightRatio), '>= 60 %'],
    ['one stream down, relayed', rate(throughput.down.relayed, throughput.down.relayedRatio), ''],
    ['one stream up, straight', rate(throughput.up.straight, throughput.up.straightRatio), '>= 60 %'],
    ['one stream up, relayed', rate(throughput.up.relayed, throughput.up.relayedRatio), ''],
    [
      `${fair.streams} streams at once: shares`,
      `${percent(fair.leastOfMean)} to ${percent(fair.mostOfMean)} of the mean`,
      'fair',
    ],
    [`an idle stream of ${idle.streams}, on the connector`, `${(idle.bytesPerStream / 1024).toFixed(1)} KB`, '<= 8 KB'],
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const [what, value, goal] of rows) {
    process.stdout.write(`${what.padEnd(widths[0]!)}  ${value.padEnd(widths[1]!)}  ${goal}`.trimEnd().concat('\n'))
  }
}

const ms = (value: number): string => `${value.toFixed(2)} ms`
const trips = (value: number): string => `${value.toFixed(2)} round trips`
const percent = (value: number): string => `${(value * 100).toFixed(0)} %`
const rate = (value: number, ratio: number): string => `${value.toFixed(0)} MB/s, ${percent(ratio)} of a bare WebSocket`
