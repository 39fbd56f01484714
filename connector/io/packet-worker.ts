/** The main thread's end of the packet worker: starts it, sends commands and waits for their answers, ends it. */
import { Worker } from 'node:worker_threads'
import type { LanFormat } from '../../wasm/packet-engine.ts'
import {
  type Answer,
  type Command,
  type EngineChoice,
  type Report,
  SIGNAL_BYTES,
  SIGNAL_COMMANDS,
  SIGNAL_IKE_BACKLOG,
  SIGNAL_STOP,
  type WireSocket,
  type WorkerShare,
  type WorkerStart,
} from '../data/commands.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { libc, O_CLOEXEC, O_NONBLOCK, Scratch } from './ffi.ts'

const READY_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 3000
const YOUNG_MB = 8

/** What the worker tells, except what this class answers for itself. */
export type PacketReport = Exclude<Report, { type: 'done' | 'refused' | 'failed' | 'stopped' | 'ready' }>

export interface PacketWorkerOptions {
  readonly tunFd: number
  readonly lanFormat: LanFormat
  readonly sockets: readonly WireSocket[]
  readonly engine: EngineChoice
  readonly aes?: WorkerStart['aes']
  /** Absent where it is the only one. */
  readonly share?: WorkerShare
  readonly onReport: (report: PacketReport) => void
  /** The worker ended without having been told to. Its SAs are lost: their counters are nonces and start no second time. */
  readonly onFailure: (failure: StartFailure) => void
}

export type EngineInfo = Pick<Extract<Report, { type: 'ready' }>, 'kind' | 'build' | 'why'>

/** As it was made, with what it measured. */
export type ReadyEngine = Omit<Extract<Report, { type: 'ready' }>, 'type'>

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

export class PacketWorker {
  readonly engine: Promise<ReadyEngine>
  readonly #options: PacketWorkerOptions
  readonly #worker: Worker
  readonly #signals: Int32Array
  readonly #eventFd: number
  readonly #one = new Scratch(8)
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #nextSeq = 1
  #state: 'running' | 'stopping' | 'ended' = 'running'
  #settleReady: { resolve: (made: ReadyEngine) => void; reject: (error: Error) => void } | undefined

  constructor(options: PacketWorkerOptions) {
    this.#options = options
    const signals = new SharedArrayBuffer(SIGNAL_BYTES)
    this.#signals = new Int32Array(signals)
    this.#one.view.setBigUint64(0, 1n, true)
    this.#eventFd = libc().eventfd(0, O_NONBLOCK | O_CLOEXEC)
    const { tunFd, lanFormat, sockets, engine, aes, share } = options
    this.engine = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    this.engine.catch(() => {})
    this.#worker = new Worker(new URL('../data/worker.ts', import.meta.url), {
      // Packets make no garbage, and commands little.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      name: `isthmus-packets-${share?.worker ?? 0}`,
      workerData: {
        ...{ tunFd, lanFormat, sockets, eventFd: this.#eventFd, signals, engine },
        ...(aes === undefined ? {} : { aes }),
        ...(share === undefined ? {} : { share }),
      } satisfies WorkerStart,
    })
    this.#worker.on('message', (report: Report) => this.#take(report))
    this.#worker.on('error', (error: unknown) => this.#fail(error instanceof Error ? error.message : String(error)))
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail('it ended')
        resolve()
      })
    })
    const timer = setTimeout(() => this.#fail(`no engine within ${READY_TIMEOUT_MS / 1000} s`), READY_TIMEOUT_MS)
    this.engine.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  }

  /** Commands are carried out in the order of the calls. Rejects when the worker refuses, or has ended. */
  call(command: Command, transfer: readonly ArrayBuffer[] = []): Promise<Answer> {
    if (this.#state !== 'running') return Promise.reject(new Error('the packet worker has ended'))
    const seq = this.#nextSeq++
    this.#worker.postMessage({ seq, command }, transfer)
    Atomics.add(this.#signals, SIGNAL_COMMANDS, 1)
    this.#wake()
    return new Promise((resolve, reject) => this.#waiting.set(seq, { resolve, reject }))
  }

  /** Ends the thread. Returns whether it is gone; if not, its descriptors must stay open. Idempotent. */
  async stop(): Promise<boolean> {
    if (this.#state === 'running') {
      this.#state = 'stopping'
      this.#rejectAll(new Error('the packet worker is stopping'))
    }
    Atomics.store(this.#signals, SIGNAL_STOP, 1)
    this.#wake()
    const gone = await within(STOP_TIMEOUT_MS, this.#exited)
    if (!gone) await within(STOP_TIMEOUT_MS, this.#worker.terminate())
    if (gone && this.#state !== 'ended') {
      this.#state = 'ended'
      libc().close(this.#eventFd)
    }
    return gone
  }

  #wake(): void {
    libc().write(this.#eventFd, this.#one.address, 8)
  }

  #take(report: Report): void {
    switch (report.type) {
      case 'ready': {
        const { type: _, ...made } = report
        this.#settleReady?.resolve(made)
        return
      }
      case 'done':
      case 'refused': {
        const waiting = this.#waiting.get(report.seq)
        this.#waiting.delete(report.seq)
        if (report.type === 'done') waiting?.resolve(report.answer)
        else waiting?.reject(new Error(report.reason))
        return
      }
      case 'failed':
        this.#fail(report.cause)
        return
      case 'stopped':
        return
      case 'ike':
        Atomics.sub(this.#signals, SIGNAL_IKE_BACKLOG, 1)
        this.#options.onReport(report)
        return
      default:
        this.#options.onReport(report)
    }
  }

  #fail(cause: string): void {
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    const failure = new StartFailure(
      'packet-path',
      `The packet path failed: ${cause}.`,
      'Start the connector again; if it happens again, report it with the log.',
      EXIT.failed,
    )
    this.#settleReady?.reject(failure)
    this.#rejectAll(failure)
    this.#options.onFailure(failure)
  }

  #rejectAll(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const done = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return done
}
