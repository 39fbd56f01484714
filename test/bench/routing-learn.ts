/** A full table from one neighbour, half of it better from another one that goes; and the same octets for GoBGP. */
import { join } from 'node:path'
import { writeFeed } from './routing-feed.ts'
import { type FlowResult, startFlow } from './routing-flow.ts'
import { startGoBgpLearner } from './routing-gobgp.ts'
import {
  type BenchLab,
  createBenchLab,
  type Isthmus,
  insideOf,
  joinWay,
  kernelRoutes,
  type Memory,
  memoryOf,
  startFarEnd,
  startFeeder,
  startNear,
  timeWhen,
  type Way,
  whenUp,
} from './routing-lab.ts'

export interface LearnFigures {
  /** From the neighbour's first octet until every prefix leads into its tunnel, in the engines and in the kernel. */
  readonly enginesMs: number
  readonly kernelMs: number
  /** When both have all; the most so far is in `peakMb`. */
  readonly memory: Memory
  readonly meanwhile: FlowResult
  /** From the end of the session with the better neighbour until every prefix of its leads to the other one. */
  readonly withdrawnMs: number
  readonly whileWithdrawn: FlowResult
}

export interface GoBgpFigures {
  readonly learnedMs: number
  readonly memory: Memory
}

export interface Table {
  readonly ipv4: number
  readonly ipv6: number
}

const FIRST: Way = { ns: 'first', number: 0, as: 65_001 }
const SECOND: Way = { ns: 'second', number: 1, as: 65_002 }
const LIMIT_MS = 120_000
const RATE = 1_000

export class LearnBench {
  readonly #lab: BenchLab
  readonly #table: Table

  private constructor(lab: BenchLab, table: Table) {
    this.#lab = lab
    this.#table = table
  }

  static async create(table: Table): Promise<LearnBench> {
    const lab = await createBenchLab()
    await lab.world.ns('us')
    for (const way of [FIRST, SECOND]) await joinWay(lab, way)
    for (const ns of ['gobgp', 'feeder']) await lab.world.ns(ns)
    const { us, them } = insideOf(FIRST)
    await lab.world.link('gobgp', 'feeder', {
      addresses: [
        [`${us[4]}/30`, `${us[6]}/126`],
        [`${them[4]}/30`, `${them[6]}/126`],
      ],
    })
    const { ipv4, ipv6 } = table
    await writeFeed(join(lab.directory, FIRST.ns), feedsOf(FIRST, table, [3, 6]))
    await writeFeed(join(lab.directory, SECOND.ns), feedsOf(SECOND, { ipv4: ipv4 / 2, ipv6: ipv6 / 2 }, [2, 2]))
    return new LearnBench(lab, table)
  }

  close(): Promise<void> {
    return this.#lab.close()
  }

  async measureGoBgp(): Promise<GoBgpFigures> {
    const gobgp = await startGoBgpLearner(this.#lab, 'gobgp', FIRST)
    try {
      const feeder = await this.#feeder(FIRST, 'feeder')
      const began = await feeder.tell()
      const all = this.#table.ipv4 + this.#table.ipv6
      const learned = await timeWhen('GoBGP to learn all', async () => (await gobgp.accepted()) >= all, LIMIT_MS, 200)
      const memory = memoryOf(gobgp.process.pid)
      await feeder.kill()
      return { learnedMs: learned - began, memory }
    } finally {
      await gobgp.stop()
    }
  }

  async measureIsthmus(): Promise<LearnFigures> {
    const { world } = this.#lab
    const ends = [await startFarEnd(this.#lab, FIRST), await startFarEnd(this.#lab, SECOND)]
    const us = await startNear(this.#lab, [FIRST, SECOND])
    try {
      await whenUp(us)
      const { pid } = await us.status()
      const all = this.#table.ipv4 + this.#table.ipv6
      const own = (await routesTo(us, FIRST.ns)) + all
      const ownInKernel = kernelRoutes(pid) + all
      const feeder = await this.#feeder(FIRST)
      const flow = await startFlow(world, endOf(SECOND, 'us'), endOf(SECOND, 'them'), 7000, RATE)
      const began = await feeder.tell()
      const engines = await timeWhen('the engines', async () => (await routesTo(us, FIRST.ns)) >= own, LIMIT_MS)
      const kernel = await timeWhen('the kernel', () => kernelRoutes(pid) >= ownInKernel, LIMIT_MS)
      const meanwhile = await flow.stop()
      const memory = memoryOf(pid)
      const withdrawal = await this.#withdraw(us, own)
      const peakMb = memoryOf(pid).peakMb
      const figures = { enginesMs: engines - began, kernelMs: kernel - began, memory: { ...memory, peakMb } }
      return { ...figures, meanwhile, ...withdrawal }
    } finally {
      await Promise.all([us, ...ends].map((end) => end.stop()))
    }
  }

  async #withdraw(us: Isthmus, all: number): Promise<Pick<LearnFigures, 'withdrawnMs' | 'whileWithdrawn'>> {
    const half = (this.#table.ipv4 + this.#table.ipv6) / 2
    const before = await routesTo(us, SECOND.ns)
    const feeder = await this.#feeder(SECOND)
    await feeder.tell()
    const hasMoved = async () =>
      (await routesTo(us, SECOND.ns)) >= before + half && (await us.status()).bgp?.pendingRoutes === 0
    await timeWhen('half of the table to move', hasMoved, LIMIT_MS)
    const flow = await startFlow(this.#lab.world, endOf(FIRST, 'us'), endOf(FIRST, 'them'), 7000, RATE)
    const began = Date.now()
    await feeder.kill()
    const back = await timeWhen('it to move back', async () => (await routesTo(us, FIRST.ns)) >= all, LIMIT_MS)
    return { withdrawnMs: back - began, whileWithdrawn: await flow.stop() }
  }

  #feeder(way: Way, ns = way.ns) {
    const { us, them } = insideOf(way)
    return startFeeder(this.#lab, ns, join(this.#lab.directory, way.ns), [them[4], us[4]], way.as)
  }
}

async function routesTo(us: Isthmus, peer: string): Promise<number> {
  return (await us.status()).tunnels.find(({ name }) => name === peer)?.routes ?? 0
}

function endOf(way: Way, side: 'us' | 'them') {
  return { ns: side === 'us' ? 'us' : way.ns, address: insideOf(way)[side][4] }
}

function feedsOf(way: Way, { ipv4, ipv6 }: Table, path: readonly [number, number]) {
  const common = { peerAs: way.as, nextHop: insideOf(way).them, from: 0, perSet: 6, path }
  return [
    { ...common, family: 4, to: ipv4 },
    { ...common, family: 6, to: ipv6 },
  ] as const
}
