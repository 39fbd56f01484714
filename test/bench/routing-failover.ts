/**
 * Two connectors with two tunnels between them, and a router in the middle of the first one that forwards no packet of it
 * any more: no link goes down, and nobody is told.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { controlRequest } from '../../connector/ops/client.ts'
import type { PathRow, PathsStatus } from '../../protocol/paths.ts'
import { until } from '../system/until.ts'
import { type FlowResult, startFlows } from './routing-flow.ts'
import { type BenchLab, createBenchLab, SECRET, type Spawned } from './routing-lab.ts'

export const WATCHES = ['bfd', 'probes'] as const
export type Watch = (typeof WATCHES)[number]

export interface FailoverFigures {
  /** Of both directions the longer one: from the last packet before the cut to the first one after it. */
  readonly ms: readonly number[]
  readonly lostPackets: readonly number[]
}

const MAIN = join(import.meta.dirname, '../../connector/main.ts')
const SIDES = ['a', 'b'] as const
type Side = (typeof SIDES)[number]
const RATE = 1_000
/** Between the second failure of a path and the first one, so that it is used again after two seconds. */
const SETTLE_MS = 1_000

const KEYS: Readonly<Record<Watch, (tunnel: number, own: number) => string>> = {
  bfd: (tunnel, own) => `probe: off, inside: [169.254.2${tunnel}.${own}/30], bfd: { interval: 300ms, multiplier: 3 }`,
  probes: () => 'probe: fast',
}

export class FailoverBench {
  readonly #lab: BenchLab
  readonly #watch: Watch
  readonly #ends: Spawned[] = []

  private constructor(lab: BenchLab, watch: Watch) {
    this.#lab = lab
    this.#watch = watch
  }

  static async create(watch: Watch): Promise<FailoverBench> {
    const lab = await createBenchLab()
    const bench = new FailoverBench(lab, watch)
    try {
      await bench.#connect()
      return bench
    } catch (error) {
      await bench.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end.stop()))
    await this.#lab.close()
  }

  /** Cuts the first path so many times. */
  async cut(times: number): Promise<FailoverFigures> {
    const ms: number[] = []
    const lostPackets: number[] = []
    for (let i = 0; i < times; i++) {
      const flows = await this.#flows()
      await this.#exec(
        'middle',
        "printf 'table ip cut { chain f { type filter hook forward priority 0; drop; }; }' | nft -f -",
      )
      await this.#when('both to have moved', ({ passing }) => !passing)
      await pause(SETTLE_MS)
      const results = await Promise.all(flows.map((flow) => flow.stop()))
      ms.push(Math.max(...results.map(({ gapMs }) => gapMs)))
      lostPackets.push(results.reduce((sum, { lost }) => sum + lost, 0))
      await this.#exec('middle', 'nft delete table ip cut')
      await this.#when('both to be back', ({ passing }) => passing)
    }
    return { ms, lostPackets }
  }

  /** Drains the first tunnel and takes it back; of both directions. */
  async drain(): Promise<readonly FlowResult[]> {
    const flows = await this.#flows()
    await this.#verb('a', 'drain', 'one')
    await until('it to be drained', async () => (await this.#first('a'))?.state === 'drained', 20_000)
    await pause(SETTLE_MS)
    await this.#verb('a', 'undrain', 'one')
    await until('it to be used', async () => (await this.#first('a'))?.state === 'up', 20_000)
    await pause(SETTLE_MS)
    return Promise.all(flows.map((flow) => flow.stop()))
  }

  async #flows() {
    const end = (ns: Side) => ({ ns, address: `10.8.${ns === 'a' ? 1 : 2}.1` })
    const flows = await startFlows(this.#lab.world, end('a'), end('b'), RATE)
    await pause(SETTLE_MS)
    return flows
  }

  async #connect(): Promise<void> {
    const { world } = this.#lab
    for (const ns of ['a', 'b', 'middle']) await world.ns(ns)
    await world.link('a', 'middle', { names: ['one', 'to-a'], addresses: [['192.0.2.1/30'], ['192.0.2.2/30']] })
    await world.link('b', 'middle', { names: ['one', 'to-b'], addresses: [['192.0.2.5/30'], ['192.0.2.6/30']] })
    await world.link('a', 'b', { names: ['two', 'two'], addresses: [['198.51.100.1/30'], ['198.51.100.2/30']] })
    await this.#exec('middle', 'sysctl -qw net.ipv4.ip_forward=1')
    await this.#exec('a', 'ip route add 192.0.2.4/30 via 192.0.2.2')
    await this.#exec('b', 'ip route add 192.0.2.0/30 via 192.0.2.6')
    for (const side of ['b', 'a'] as const) this.#ends.push(this.#start(side))
    await this.#when('both tunnels to be watched', ({ state, passing }) => state === 'up' && passing).catch(
      (error: Error) => {
        throw new Error(`${error.message}\n${this.#ends.map((end) => end.output().slice(-2000)).join('\n')}`)
      },
    )
  }

  #start(side: Side): Spawned {
    const folder = this.#folder(side)
    mkdirSync(folder)
    writeFileSync(join(folder, 'psk'), SECRET, { mode: 0o600 })
    writeFileSync(join(folder, 'isthmus.yaml'), this.#configuration(side))
    return this.#lab.world.spawn(side, [process.execPath, MAIN, 'up', '--config', join(folder, 'isthmus.yaml')])
  }

  #configuration(side: Side): string {
    const [own, other] = side === 'a' ? [1, 2] : [2, 1]
    const outer = { one: { 1: '192.0.2.1', 2: '192.0.2.5' }, two: { 1: '198.51.100.1', 2: '198.51.100.2' } } as const
    const inside = (tunnel: number, end: number) => (this.#watch === 'bfd' ? `, 169.254.2${tunnel}.${end}/32` : '')
    const networks = (end: number, tunnel: number) => `[10.8.${end}.0/24${inside(tunnel, end)}]`
    const peer = (name: 'one' | 'two', tunnel: number) =>
      `  ${name}: { address: ${outer[name][other as 1 | 2]}, local_address: ${outer[name][own as 1 | 2]}, id: ${name}-${other}, ` +
      `local_id: ${name}-${own}, networks: ${networks(other!, tunnel)}, secret: { file: psk }, ${KEYS[this.#watch](tunnel, own!)} }\n`
    const ownNetworks = `[10.8.${own}.0/24${inside(0, own!)}${inside(1, own!)}]`
    return `site: ${side}
address: ${outer.one[own as 1 | 2]}
networks: ${ownNetworks}
tun: { addresses: [10.8.${own}.1] }
peers:
${peer('one', 0)}${peer('two', 1)}groups: { all: { order: [one, two] } }
state_directory: ${this.#folder(side)}/state
control_socket: ${this.#folder(side)}/s
metrics: { enabled: false }
log: { format: json }
`
  }

  #folder(side: Side): string {
    return join(this.#lab.directory, side)
  }

  #exec(ns: string, line: string) {
    return this.#lab.world.exec(ns, line)
  }

  #verb(side: Side, ...words: string[]) {
    const config = join(this.#folder(side), 'isthmus.yaml')
    return this.#lab.world.exec(side, [process.execPath, MAIN, ...words, '--config', config])
  }

  async #first(side: Side): Promise<PathRow | undefined> {
    const answer = await controlRequest(join(this.#folder(side), 's'), 'GET', '/paths').catch(() => undefined)
    return (answer as PathsStatus | undefined)?.paths.find(({ peer }) => peer === 'one')
  }

  async #when(what: string, holds: (row: PathRow) => boolean): Promise<void> {
    await until(
      what,
      async () => {
        const rows = await Promise.all(SIDES.map((side) => this.#first(side)))
        return rows.every((row) => row !== undefined && holds(row))
      },
      60_000,
    )
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
