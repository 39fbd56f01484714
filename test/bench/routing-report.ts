/** From the figures of all parts to rows, each with its goal. */
import type { FailoverFigures, Watch } from './routing-failover.ts'
import type { FlowResult } from './routing-flow.ts'
import type { HubFigures, Road } from './routing-hub.ts'
import type { GoBgpFigures, LearnFigures } from './routing-learn.ts'
import { median } from './tunnel-report.ts'

export interface PlanFigures {
  readonly shape: string
  readonly sites: number
  readonly prefixes: number
  /** Milliseconds: the fastest, the middle and the slowest run. */
  readonly ms: readonly [number, number, number]
}

export interface Figures {
  readonly learn?: { readonly isthmus: readonly LearnFigures[]; readonly gobgp: readonly GoBgpFigures[] }
  readonly failover?: Readonly<Record<Watch, FailoverFigures>> & { readonly drain: readonly FlowResult[] }
  readonly hub?: Readonly<Record<Road, readonly HubFigures[]>>
  readonly plan?: readonly PlanFigures[]
}

export interface Row {
  readonly what: string
  readonly figure: string
  readonly goal?: string
  /** Absent without a goal. */
  readonly reached?: boolean
}

export function rowsOf({ learn, failover, hub, plan }: Figures): readonly Row[] {
  return [
    ...(learn === undefined ? [] : learnRows(learn)),
    ...(failover === undefined ? [] : failoverRows(failover)),
    ...(hub === undefined ? [] : hubRows(hub)),
    ...(plan ?? []).map(({ shape, sites, prefixes, ms }) =>
      atMost(`plan, ${shape}: ${sites} sites, ${prefixes} prefixes`, ms[1], 2_000, ' ms'),
    ),
  ]
}

function learnRows({ isthmus, gobgp }: NonNullable<Figures['learn']>): Row[] {
  const of = (pick: (figures: LearnFigures) => number) => median(isthmus.map(pick))
  const flows = isthmus.flatMap(({ meanwhile, whileWithdrawn }) => [meanwhile, whileWithdrawn])
  const ratios = gobgp.map(({ learnedMs }, i) => isthmus[i]!.enginesMs / learnedMs)
  return [
    { what: 'learn: all in the engines', figure: `${seconds(of(({ enginesMs }) => enginesMs))} s` },
    { what: 'learn: all in the kernel', figure: `${seconds(of(({ kernelMs }) => kernelMs))} s` },
    ...(gobgp.length === 0
      ? []
      : [
          { what: 'learn: all in GoBGP', figure: `${seconds(median(gobgp.map(({ learnedMs }) => learnedMs)))} s` },
          atMost('learn: engines / GoBGP', median(ratios), 2, 'x', 2),
          { what: 'memory of GoBGP', figure: `${median(gobgp.map(({ memory }) => memory.residentMb)).toFixed(0)} MB` },
        ]),
    atMost(
      'learn: resident memory',
      of(({ memory }) => memory.residentMb),
      600,
      ' MB',
    ),
    { what: 'of it the engine', figure: `${of(({ memory }) => memory.engineMb).toFixed(0)} MB` },
    { what: 'resident memory, the most at any time', figure: `${of(({ memory }) => memory.peakMb).toFixed(0)} MB` },
    atMost('withdraw: half of all moved', of(({ withdrawnMs }) => withdrawnMs) / 1000, 5, ' s', 2),
    atMost(`lost meanwhile of ${total(flows, 'sent')}`, total(flows, 'lost'), 0, ''),
  ]
}

function failoverRows({ bfd, probes, drain }: NonNullable<Figures['failover']>): Row[] {
  const cut = (name: string, { ms, lostPackets }: FailoverFigures, goal: number): Row[] => [
    atMost(`failover, ${name}: longest of ${ms.length}`, Math.max(...ms), goal, ' ms'),
    { what: `failover, ${name}: median`, figure: `${median(ms).toFixed(0)} ms, ${median(lostPackets)} packets` },
  ]
  return [
    ...cut('BFD 300 ms x 3', bfd, 1_000),
    ...cut('fast probes', probes, 300),
    atMost(`drain: lost of ${total(drain, 'sent')}`, total(drain, 'lost'), 0, ''),
  ]
}

function hubRows({ tunnel, hub }: NonNullable<Figures['hub']>): Row[] {
  const ratios = hub.map(({ gbps }, i) => gbps / tunnel[i]!.gbps)
  const cpuOf = (figures: readonly HubFigures[], site: 'a' | 'b' | 'hub') =>
    median(figures.map(({ cpu }) => cpu[site]!))
  const busiest = Math.max(cpuOf(tunnel, 'a'), cpuOf(tunnel, 'hub'))
  const figure = (figures: readonly HubFigures[]) => `${median(figures.map(({ gbps }) => gbps)).toFixed(2)} Gbit/s`
  return [
    { what: 'one tunnel', figure: figure(tunnel) },
    { what: 'over a hub', figure: figure(hub) },
    atLeast('over a hub / one tunnel, all on these cores', 100 * median(ratios), 80, ' %'),
    { what: 'processor time for a GB: an end of one tunnel', figure: `${busiest.toFixed(2)} s` },
    { what: 'processor time for a GB: the hub', figure: `${cpuOf(hub, 'hub').toFixed(2)} s` },
    atLeast('cost of an end / cost of the hub', (100 * busiest) / cpuOf(hub, 'hub'), 80, ' %'),
  ]
}

function atMost(what: string, figure: number, goal: number, unit: string, digits = 0): Row {
  return { what, figure: `${figure.toFixed(digits)}${unit}`, goal: `<= ${goal}${unit}`, reached: figure <= goal }
}

function atLeast(what: string, figure: number, goal: number, unit: string): Row {
  return { what, figure: `${figure.toFixed(0)}${unit}`, goal: `>= ${goal}${unit}`, reached: figure >= goal }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

function total(flows: readonly FlowResult[], key: 'sent' | 'lost'): number {
  return flows.reduce((sum, flow) => sum + flow[key], 0)
}

export function printRows(rows: readonly Row[]): void {
  const cells = rows.map(({ what, figure, goal = '', reached }) => [
    what,
    figure,
    goal,
    reached === false ? 'missed' : '',
  ])
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((line) => line[column]!.length)))
  for (const [what, figure, goal, missed] of cells) {
    const line = `${what!.padEnd(widths[0]!)}  ${figure!.padStart(widths[1]!)}  ${goal!.padEnd(widths[2]!)}  ${missed}`
    process.stdout.write(`${line.trimEnd()}\n`)
  }
}
