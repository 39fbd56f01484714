/** All packet workers as the main thread holds them: each command to the one that it is for, their reports put together. */
import type { SocketAddress } from '../../protocol/net.ts'
import type { LanFormat } from '../../wasm/packet-engine.ts'
import type { Answer, Command, Counters, EngineChoice, WireSocket, WorkerLoad } from '../data/commands.ts'
import type { StartFailure } from '../handle.ts'
import { type Inboxes, openInboxes } from './inboxes.ts'
import { type EngineInfo, type PacketReport, PacketWorker, type ReadyEngine } from './packet-worker.ts'

/** What one of them tells, beside its load; IKE with the address that it came to. */
export type WorkersReport =
  | Exclude<PacketReport, { type: 'ike' | 'load' }>
  | (Extract<PacketReport, { type: 'ike' }> & { readonly local: SocketAddress })

export interface PacketWorkersOptions {
  /** The device's queues and the sockets, of each worker. */
  readonly queues: readonly number[]
  readonly sockets: readonly (readonly WireSocket[])[]
  readonly lanFormat: LanFormat
  readonly engine: EngineChoice
  readonly onReport: (report: WorkersReport) => void
  /** One of them ended without having been told to: the others cannot go on either. Told once. */
  readonly onFailure: (failure: StartFailure) => void
}

const IDLE: WorkerLoad = { handedOver: 0 }
const NOTHING: Omit<Counters, 'children'> = { drops: {}, segmentsRefused: 0 }

export class PacketWorkers {
  readonly #options: PacketWorkersOptions
  readonly #workers: PacketWorker[] = []
  readonly #inboxes: Inboxes | undefined
  readonly #loads: WorkerLoad[]
  readonly #counters: Omit<Counters, 'children'>[]
  #isFailed = false
  #isStopping = false

  constructor(options: PacketWorkersOptions) {
    const { queues } = options
    this.#options = options
    this.#inboxes = queues.length > 1 ? openInboxes(queues.length) : undefined
    this.#loads = queues.map(() => IDLE)
    this.#counters = queues.map(() => NOTHING)
  }

  /**
   * Starts the threads; resolves with the engines, by worker, when all are ready. The first one measures who is to do
   * AES, undisturbed, and the others do as it does. Rejects with a StartFailure, or when stopped.
   */
  async start(): Promise<readonly EngineInfo[]> {
    const first = await this.#startOne(0).engine
    if (this.#isStopping) throw new Error('the packet workers are stopping')
    const others = this.#options.queues.slice(1).map((_, i) => this.#startOne(i + 1, first.aes).engine)
    const made = [first, ...(await Promise.all(others))]
    return made.map(({ kind, build, why }) => ({ kind, build, why }))
  }

  #startOne(worker: number, aes?: ReadyEngine['aes']): PacketWorker {
    const { queues, sockets, lanFormat, engine, onFailure } = this.#options
    const share = this.#inboxes?.shares[worker]
    const started = new PacketWorker({
      tunFd: queues[worker]!,
      lanFormat,
      engine,
      sockets: sockets[worker]!,
      ...(aes === undefined ? {} : { aes }),
      ...(share === undefined ? {} : { share }),
      onReport: (report) => this.#take(worker, report),
      onFailure: (failure) => {
        if (!this.#isFailed) onFailure(failure)
        this.#isFailed = true
      },
    })
    this.#workers.push(started)
    return started
  }

  /** Commands to one worker are carried out in the order of the calls. Rejects when it refuses, or has ended. */
  call(worker: number, command: Command, transfer: readonly ArrayBuffer[] = []): Promise<Answer> {
    const target = this.#workers[worker]
    if (target === undefined) return Promise.reject(new RangeError(`there is no packet worker ${worker}`))
    return target.call(command, transfer)
  }

  /** Of each, as last told. */
  get loads(): readonly WorkerLoad[] {
    return this.#loads
  }

  /** Of all together. */
  get drops(): Counters['drops'] {
    const sum: Counters['drops'] = {}
    for (const { drops } of this.#counters) {
      for (const [name, count] of Object.entries(drops) as [keyof typeof sum, number][]) {
        sum[name] = (sum[name] ?? 0) + count
      }
    }
    return sum
  }

  get segmentsRefused(): number {
    return this.#counters.reduce((sum, { segmentsRefused }) => sum + segmentsRefused, 0)
  }

  /** Ends all threads. Returns whether they are gone; if not, their descriptors must stay open. Idempotent. */
  async stop(): Promise<boolean> {
    this.#isStopping = true
    const gone = await Promise.all(this.#workers.map((worker) => worker.stop()))
    const allGone = gone.every((each) => each)
    if (allGone) this.#inboxes?.close()
    return allGone
  }

  #take(worker: number, report: PacketReport): void {
    const { sockets, onReport } = this.#options
    switch (report.type) {
      case 'load':
        this.#loads[worker] = { handedOver: report.handedOver, ...defined(report.busy) }
        return
      case 'ike':
        onReport({ ...report, local: sockets[worker]![report.socket]!.local })
        return
      case 'counters':
        this.#counters[worker] = { drops: report.drops, segmentsRefused: report.segmentsRefused }
        onReport(report)
        return
      default:
        onReport(report)
    }
  }
}

function defined(busy: number | undefined): { busy?: number } {
  return busy === undefined ? {} : { busy }
}
