/** ICMP echo for probes, in one thread for all targets: how long an answer took is measured where it came in. */
import { Worker } from 'node:worker_threads'
import type { Address } from '../../protocol/net.ts'
import { libc, O_CLOEXEC, O_NONBLOCK, Scratch } from './ffi.ts'
import type { EchoReport, EchoRequest, EchoStart } from './icmp-thread.ts'

/** Requests whose answers are waited for; beyond that the oldest are forgotten. */
const MOST_OPEN = 4096

export class IcmpEcho {
  readonly #worker: Worker
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #eventFd = libc().eventfd(0, O_NONBLOCK | O_CLOEXEC)
  readonly #one = new Scratch(8)
  readonly #open = new Map<number, (rttMs: number) => void>()
  readonly #exited: Promise<void>
  #next = 0

  constructor(onError: (error: unknown) => void) {
    this.#one.view.setBigUint64(0, 1n, true)
    const workerData = { eventFd: this.#eventFd, stop: this.#stop.buffer } satisfies EchoStart
    this.#worker = new Worker(new URL('./icmp-thread.ts', import.meta.url), { name: 'isthmus-echo', workerData })
    this.#worker.unref()
    this.#worker.on('message', (report: EchoReport) => {
      if (report.type === 'failed') onError(new Error(`no ICMP socket for probes: ${report.reason}`))
      else this.#answered(report.id, report.rttMs)
    })
    this.#worker.on('error', onError)
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
  }

  /** One request; `answered` is called once at most. */
  ask(address: Address, source: Address | undefined, answered: (rttMs: number) => void): void {
    const id = this.#next++
    this.#open.set(id, answered)
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MOST_OPEN) break
      this.#open.delete(oldest)
    }
    this.#worker.postMessage({ id, address, source } satisfies EchoRequest)
    this.#wake()
  }

  /** Resolves when the thread has ended. */
  async stop(): Promise<void> {
    Atomics.store(this.#stop, 0, 1)
    this.#wake()
    await this.#exited
    libc().close(this.#eventFd)
  }

  #answered(id: number, rttMs: number): void {
    const answered = this.#open.get(id)
    this.#open.delete(id)
    answered?.(rttMs)
  }

  #wake(): void {
    libc().write(this.#eventFd, this.#one.address, 8)
  }
}
