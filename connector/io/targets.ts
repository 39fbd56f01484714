/** One target behind a peer that is asked by ICMP echo or by TCP connections, which are closed as soon as they stand. */
import { connect, type Socket } from 'node:net'
import type { Address } from '../../protocol/net.ts'
import type { PathReport } from '../core/probe/report.ts'
import { type TargetEffect, type TargetInput, TargetMachine } from '../core/probe/target.ts'
import type { ProbePlan } from '../plan.ts'
import { type Driver, drive } from './driver.ts'
import type { IcmpEcho } from './icmp-echo.ts'

export interface TargetParts {
  readonly plan: Extract<ProbePlan, { kind: 'icmp' | 'tcp' }>
  /** Absent: whatever the kernel takes. */
  readonly source: Address | undefined
  /** Where the plan is to ask by ICMP. */
  readonly echo: IcmpEcho | undefined
  readonly onReport: (report: PathReport) => void
  readonly onError: (error: unknown) => void
}

export class Target {
  readonly #parts: TargetParts
  readonly #driver: Driver<TargetInput>
  /** Connections that do not stand yet, by the number of the probe; the machine bounds them. */
  readonly #sockets = new Map<number, Socket>()

  constructor(parts: TargetParts) {
    this.#parts = parts
    this.#driver = drive<TargetInput, TargetEffect>(new TargetMachine(parts.plan), {
      perform: (effect) => this.#perform(effect),
      onError: (error) => parts.onError(error),
      onFault: (error) => parts.onError(error),
    })
  }

  start(): void {
    this.#driver.post({ type: 'time' })
  }

  stop(): void {
    this.#driver.stop()
    for (const socket of this.#sockets.values()) socket.destroy()
    this.#sockets.clear()
  }

  #perform(effect: TargetEffect): undefined {
    if (effect.type === 'report') this.#parts.onReport(effect.report)
    else if (effect.type === 'ask') this.#ask(effect.number)
    else {
      this.#sockets.get(effect.number)?.destroy()
      this.#sockets.delete(effect.number)
    }
  }

  #ask(number: number): void {
    const { plan, source, echo } = this.#parts
    const answered = (rttMs: number): void => this.#driver.post({ type: 'answered', number, rttMs })
    if (plan.kind === 'icmp') echo?.ask(plan.target, source, answered)
    else this.#connect(plan.target, plan.port, number, answered)
  }

  /** A refusal is an answer too. */
  #connect(host: Address, port: number, number: number, answered: (rttMs: number) => void): void {
    const { source } = this.#parts
    const sentAt = performance.now()
    const socket = connect({ host, port, ...(source === undefined ? {} : { localAddress: source }) })
    this.#sockets.set(number, socket)
    const done = (isAnswer: boolean): void => {
      this.#sockets.delete(number)
      socket.destroy()
      if (isAnswer) answered(performance.now() - sentAt)
    }
    socket.once('connect', () => done(true))
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'))
  }
}
