/** What all sessions of a connector share. */
import type { StreamProblem } from '../../../protocol/stream-problem.ts'
import type { Admission } from '../../core/functions/admission.ts'
import type { ServicePlan } from '../../core/functions/plan.ts'
import type { ServicePolicy } from '../../core/functions/policy.ts'
import type { FlowRecord, FlowRecords } from '../../core/functions/records.ts'
import type { Dialer } from './dial.ts'
import { problem } from './failure.ts'
import type { HttpPools } from './http-pools.ts'
import type { ServedStream } from './stream.ts'

export interface ServingContext {
  /** The one in force; another one after the file has changed. */
  readonly policy: ServicePolicy
  readonly admission: Admission
  readonly dialer: Dialer
  readonly pools: HttpPools
  readonly places: Places
  readonly records: FlowRecords
  /** Those whose session is done with them, and whose service is not. */
  readonly lingering: Set<ServedStream>
  /** Milliseconds since 1970 by the control plane's clock. */
  controlTime(): number
  /** `wasOpen`: it counted among the open streams of its service. */
  record(record: FlowRecord, wasOpen: boolean): void
}

/** Connections of streams of bytes, by service. */
export class Places {
  readonly #taken = new Map<string, number>()

  taken(service: string): number {
    return this.#taken.get(service) ?? 0
  }

  /** A place, to be given back by a call, or why there is none. */
  take({ name, maxConnections }: ServicePlan): (() => void) | StreamProblem {
    const taken = this.#taken.get(name) ?? 0
    if (taken >= maxConnections) {
      const remedy = 'Try again in a moment, or raise max_connections of the service.'
      return problem('overloaded', `The service ${name} has ${maxConnections} connections.`, remedy)
    }
    this.#taken.set(name, taken + 1)
    return () => {
      const left = this.#taken.get(name)! - 1
      if (left > 0) this.#taken.set(name, left)
      else this.#taken.delete(name)
    }
  }
}
