/** TCP from a spoke over a hub to another spoke, by engine transit, against TCP over one tunnel; and what each costs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { controlClient } from '../../connector/ops/client.ts'
import { until } from '../system/until.ts'
import { type BenchLab, createBenchLab, SECRET, type Spawned } from './routing-lab.ts'

export const ROADS = ['tunnel', 'hub'] as const
export type Road = (typeof ROADS)[number]

export interface HubFigures {
  readonly gbps: number
  /** Seconds of processor time for each gigabyte of payload, of each connector on the way. */
  readonly cpu: Readonly<Partial<Record<Site, number>>>
}

const MAIN = join(import.meta.dirname, '../../connector/main.ts')
const NUMBERS = { hub: 3, a: 1, b: 2 } as const
export type Site = keyof typeof NUMBERS
const SITES = ['hub', 'a', 'b'] as const
/** Of the clock of /proc. */
const TICKS = 100

export class HubBench {
  readonly #lab: BenchLab
  readonly #ends = new Map<Site, Spawned>()

  private constructor(lab: BenchLab) {
    this.#lab = lab
  }

  static async create(): Promise<HubBench> {
    const bench = new HubBench(await createBenchLab())
    try {
      await bench.#connect()
      return bench
    } catch (error) {
      await bench.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#ends.values()].map((end) => end.stop()))
    await this.#lab.close()
  }

  /** One tunnel: to the hub's own address. Over the hub: to that of b. */
  async measure(road: Road, seconds: number): Promise<HubFigures> {
    const sites: readonly Site[] = road === 'tunnel' ? ['a', 'hub'] : ['a', 'hub', 'b']
    const target = road === 'tunnel' ? '10.8.3.1' : '10.8.2.1'
    const before = sites.map((site) => this.#cpuSeconds(site))
    const command = ['iperf3', '-c', target, '-B', '10.8.1.1', '-J', '-t', String(seconds)]
    const { stdout } = await this.#lab.world.exec('a', command)
    const { sum_received: received } = (
      JSON.parse(stdout) as { end: { sum_received: { bytes: number; bits_per_second: number } } }
    ).end
    const cpu = sites.map((site, i) => [site, (this.#cpuSeconds(site) - before[i]!) / (received.bytes / 1e9)])
    return { gbps: received.bits_per_second / 1e9, cpu: Object.fromEntries(cpu) }
  }

  async #connect(): Promise<void> {
    const { world } = this.#lab
    for (const site of SITES) await world.ns(site)
    await world.link('a', 'hub', { addresses: [['192.0.2.1/30'], ['192.0.2.2/30']] })
    await world.link('b', 'hub', { addresses: [['203.0.113.1/30'], ['203.0.113.2/30']] })
    for (const site of SITES) this.#ends.set(site, this.#start(site))
    await until('all tunnels to be up', async () => {
      const all = await Promise.all(
        SITES.map((site) =>
          controlClient(join(this.#folder(site), 's'))
            .status()
            .catch(() => undefined),
        ),
      )
      return all.every((status) => status?.tunnels.every(({ state }) => state === 'up') === true)
    })
    for (const site of ['hub', 'b'] as const) {
      const address = `10.8.${NUMBERS[site]}.1`
      await world.spawn(site, ['iperf3', '-s', '--forceflush', '-B', address]).waitFor(/listening/)
    }
  }

  #start(site: Site): Spawned {
    const folder = this.#folder(site)
    mkdirSync(folder)
    writeFileSync(join(folder, 'psk'), SECRET, { mode: 0o600 })
    writeFileSync(
      join(folder, 'isthmus.yaml'),
      `${this.#configuration(site)}state_directory: ${folder}/state
control_socket: ${folder}/s
metrics: { enabled: false }
log: { format: json }
`,
    )
    return this.#lab.world.spawn(site, [process.execPath, MAIN, 'up', '--config', join(folder, 'isthmus.yaml')])
  }

  #configuration(site: Site): string {
    const own = NUMBERS[site]
    const outer = { a: '192.0.2', b: '203.0.113' } as const
    const spoke = (name: 'a' | 'b', other: number) =>
      `  ${name}: { address: ${outer[name]}.1, local_address: ${outer[name]}.2, id: ${name}, local_id: hub, networks: [10.8.${NUMBERS[name]}.0/24], ` +
      `transit: true, children: { net: { local: [10.8.${other}.0/24, 10.8.3.0/24] } }, secret: { file: psk } }\n`
    const hub = (name: 'a' | 'b', other: number) =>
      `  hub: { address: ${outer[name]}.2, id: hub, local_id: ${name}, networks: [10.8.${other}.0/24, 10.8.3.0/24], secret: { file: psk } }\n`
    const address = site === 'b' ? `${outer.b}.1` : site === 'a' ? `${outer.a}.1` : `${outer.a}.2`
    const peers = site === 'hub' ? spoke('a', 2) + spoke('b', 1) : hub(site, site === 'a' ? 2 : 1)
    return `site: ${site}\naddress: ${address}\nnetworks: [10.8.${own}.0/24]\ntun: { addresses: [10.8.${own}.1] }\npeers:\n${peers}`
  }

  #folder(site: Site): string {
    return join(this.#lab.directory, site)
  }

  /** In user and kernel mode, of all threads. */
  #cpuSeconds(site: Site): number {
    const text = readFileSync(`/proc/${this.#ends.get(site)!.pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS
  }
}
