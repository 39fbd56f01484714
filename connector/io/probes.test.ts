import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import type { ProbeSettings } from '../core/probe/machine.ts'
import type { PathReport } from '../core/probe/report.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { ConnectorPlan, PlannedConnection, ProbePlan } from '../plan.ts'
import { Probes } from './probes.ts'
import { freePort } from './testing/free-port.ts'

const AUTO: ProbePlan = { kind: 'auto', intervalMs: 50, multiplier: 4, mtu: true }
const UP: PathReport = { state: 'up', mtu: { pathMtu: 1440, searching: false, why: 'w' } }

function connection(name: string, probe?: ProbePlan, changes: Partial<PlannedConnection> = {}): PlannedConnection {
  const ike = { name, localAddress: address('192.0.2.1') }
  const made = { ike, pathMtu: 1500, ...(probe === undefined ? {} : { probe }), ...changes }
  return made as unknown as PlannedConnection
}

class Bench {
  readonly asked: [string, ProbeSettings | undefined][] = []
  readonly mtus: [string, number | undefined][] = []
  readonly reports: [string, PathReport][] = []
  readonly events: ConnectorEvent[] = []
  readonly probes = new Probes({
    children: {
      setProbe: async (name, settings) => void this.asked.push([name, settings]),
      setMeasuredMtu: async (name, mtu) => void this.mtus.push([name, mtu]),
      nameOf: (tunnel) => ['a', 'b'][tunnel],
    },
    emit: (event) => this.events.push(event),
  })

  constructor() {
    this.probes.onReport = (name, report) => this.reports.push([name, report])
  }

  apply(...connections: PlannedConnection[]): void {
    const tun = { name: 'isthmus0', mtu: 1400, addresses: [address('127.0.0.1')] }
    this.probes.apply({ connections, tun } satisfies Pick<ConnectorPlan, 'connections' | 'tun'>)
  }

  /** Resolves with the first report that fits. */
  async until(holds: (report: PathReport) => boolean): Promise<PathReport> {
    for (;;) {
      const found = this.reports.find(([, report]) => holds(report))
      if (found !== undefined) return found[1]
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

describe('probes within ESP', () => {
  it('are asked for as planned, and again only where the plan has changed', () => {
    const bench = new Bench()
    bench.apply(connection('a', AUTO), connection('b'))
    const mtu = { start: 1500, floor: 576, ceiling: 1528 }
    expect(bench.asked).toEqual([
      ['a', { intervalMs: 50, multiplier: 4, patient: true, mtu }],
      ['b', undefined],
    ])
    bench.apply(connection('a', AUTO), connection('b'))
    expect(bench.asked).toHaveLength(2)
    const remoteAddress = address('2001:db8::2')
    bench.apply(
      connection('a', { ...AUTO, kind: 'esp', mtu: false }),
      connection('b', AUTO, { ike: { name: 'b', localAddress: address('2001:db8::1'), remoteAddress } as never }),
    )
    expect(bench.asked.slice(2)).toEqual([
      ['a', { intervalMs: 50, multiplier: 4, patient: false }],
      ['b', { intervalMs: 50, multiplier: 4, patient: true, mtu: { ...mtu, floor: 1280 } }],
    ])
  })

  it('have the engines follow the path MTU, and are told to whoever listens', () => {
    const bench = new Bench()
    bench.apply(connection('a', AUTO))
    bench.mtus.length = 0
    bench.probes.take(0, UP)
    bench.probes.take(0, { ...UP, rttMs: 5 })
    expect(bench.mtus).toEqual([['a', 1440]])
    expect(bench.reports).toHaveLength(2)
    expect(bench.probes.of('a')).toMatchObject({ state: 'up', rttMs: 5 })
    bench.apply(connection('a', { ...AUTO, mtu: false }))
    expect(bench.mtus.at(-1)).toEqual(['a', undefined])
    expect(bench.probes.of('a')).toBeUndefined()
  })

  it('say nothing of a connection that is gone, or that is not known', () => {
    const bench = new Bench()
    bench.apply(connection('a', AUTO))
    bench.probes.take(1, UP)
    bench.probes.take(7, UP)
    bench.apply()
    bench.probes.take(0, UP)
    expect(bench.reports).toEqual([])
  })
})

describe('targets behind a peer', () => {
  let bench: Bench | undefined
  let server: Server | undefined
  afterEach(async () => {
    await bench?.probes.stop()
    server?.close()
  })
  const tcp = (port: number): ProbePlan => ({
    ...{ kind: 'tcp', target: address('127.0.0.1'), port, intervalMs: 20, multiplier: 3 },
  })

  it('are up where a TCP connection stands', async () => {
    const port = await freePort()
    server = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve))
    bench = new Bench()
    bench.apply(connection('a', tcp(port)))
    const report = await bench.until(({ state, rttMs }) => state === 'up' && rttMs !== undefined)
    expect(report.rttMs).toBeLessThan(5000)
    expect(bench.asked).toEqual([['a', undefined]])
  })

  it('are up where it is refused', async () => {
    bench = new Bench()
    bench.apply(connection('a', tcp(await freePort())))
    await bench.until(({ state }) => state === 'up')
  })

  it('are up where ICMP echo is answered, and asked no more when the plan has changed', async () => {
    bench = new Bench()
    const icmp: ProbePlan = { kind: 'icmp', target: address('127.0.0.1'), intervalMs: 20, multiplier: 3 }
    bench.apply(connection('a', icmp))
    // Requests that wait for the thread to begin may be given up before.
    const answers = ({ counts }: PathReport) => (counts === undefined ? 0 : counts.out.sent - counts.out.lost)
    const report = await bench.until((each) => each.state === 'up' && answers(each) > 1)
    expect(report.rttMs).toBeGreaterThan(0)
    bench.apply(connection('a'))
    expect(bench.probes.of('a')).toBeUndefined()
    expect(bench.events).toEqual([])
  })
})
