/** The figures of the functions' benchmark, what they are to reach, and the table. */

export interface FunctionsReport {
  /** Milliseconds: medians of requests in turns, on one machine. */
  readonly loopback: { readonly tcp: number; readonly straight: number; readonly relayed: number }
  /** Milliseconds more than straight TCP, median of the differences within a turn. */
  readonly added: { readonly straight: number; readonly relayed: number }
  /** On the path of 20 ms. Round trips beyond the service's own time, medians. */
  readonly far: {
    readonly rttMs: number
    /** The first request of a session, of a process that runs; the first ones of a process. */
    readonly cold: number
    readonly firstStraight: number
    readonly firstRelayed: number
    /** The request for the grant that a process needs once in ten minutes. */
    readonly grant: number
    readonly resumed: number
    readonly warmStraight: number
    readonly warmRelayed: number
  }
  /** Megabytes per second of one stream, medians, and the ratio to a bare WebSocket, median of the rounds. */
  readonly throughput: Readonly<Record<'down' | 'up', Throughput>>
  readonly fair: { readonly streams: number; readonly leastOfMean: number; readonly mostOfMean: number }
  /** Bytes on the connector, its connection to the service included: JavaScript heap and buffers; resident. */
  readonly idle: { readonly streams: number; readonly heapPerStream: number; readonly residentPerStream: number }
}

/** `forwarded`: a WebSocket behind which there is the same connection to a service, without a session. */
export type Path = 'bare' | 'forwarded' | 'straight' | 'relayed'

export interface Throughput extends Readonly<Record<Path, number>> {
  readonly straightToBare: number
  readonly straightToForwarded: number
  readonly relayedToForwarded: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function printTable(report: FunctionsReport): void {
  const { loopback, added, far, throughput, fair, idle } = report
  const rows: Row[] = [
    ['request straight to the service, p50', ms(loopback.tcp), ''],
    ['  through a session, added', ms(added.straight), '<= 0.5 ms'],
    ['  over the relay, added', ms(added.relayed), '<= 1 ms'],
    ['path of 20 ms: round trip', ms(far.rttMs), ''],
    ['  first request of a cold session', trips(far.cold), '<= 2.2'],
    ['  first request of a cold process', trips(far.firstStraight), ''],
    ['  the same over the relay', trips(far.firstRelayed), ''],
    ['  the grant before it, once in ten minutes', trips(far.grant), ''],
    ['  first request of a resumed session', trips(far.resumed), ''],
    ['  warm request', trips(far.warmStraight), '<= 1.1'],
    ['  warm request over the relay', trips(far.warmRelayed), ''],
    ...throughputRows('down', throughput.down),
    ...throughputRows('up', throughput.up),
    [
      `${fair.streams} streams at once: shares`,
      `${percent(fair.leastOfMean)} to ${percent(fair.mostOfMean)} of the mean`,
      'fair',
    ],
    [
      `an idle stream of ${idle.streams}, on the connector`,
      `${kilobytes(idle.heapPerStream)} of heap, ${kilobytes(idle.residentPerStream)} resident`,
      '<= 8 KB',
    ],
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const [what, value, goal] of rows) {
    process.stdout.write(`${what.padEnd(widths[0]!)}  ${value.padEnd(widths[1]!)}  ${goal}`.trimEnd().concat('\n'))
  }
}

type Row = [string, string, string]

function throughputRows(direction: string, of: Throughput): Row[] {
  const straight = `${rate(of.straight)}, ${percent(of.straightToForwarded)} of the forwarded, ${percent(of.straightToBare)} of the bare`
  return [
    [`${direction}: a bare WebSocket`, rate(of.bare), ''],
    [`  one with the service's connection behind it`, rate(of.forwarded), ''],
    ['  one stream, straight', straight, '>= 60 %'],
    ['  one stream, relayed', `${rate(of.relayed)}, ${percent(of.relayedToForwarded)} of the forwarded`, ''],
  ]
}

const ms = (value: number): string => `${value.toFixed(2)} ms`
const trips = (value: number): string => `${value.toFixed(2)} round trips`
const percent = (value: number): string => `${(value * 100).toFixed(0)} %`
const rate = (value: number): string => `${value.toFixed(0)} MB/s`
const kilobytes = (value: number): string => `${(value / 1024).toFixed(1)} KB`
