/** Rotations as people see and stop them. */
import type { TunnelReport } from '../../protocol/control/link.ts'
import type { Rotation } from '../../protocol/control/rotation.ts'
import { abortRefusal, waitingFor } from '../domain/rotation.ts'
import type { ConnectorParts } from './connectors.ts'
import { mustGet, mustMatch, optional, pageOf } from './support.ts'
import type { Call, Outcome, PageOf, PageQuery } from './types.ts'
import { Work } from './work.ts'

export interface RotationFilter {
  readonly tunnel?: string | undefined
  readonly run?: string | undefined
  readonly state?: 'queued' | 'active' | 'done' | 'aborted' | undefined
}

export interface TunnelStatus {
  readonly tunnel: string
  readonly epoch: number
  readonly epochSince?: number
  readonly rotation?: string
  readonly waitingFor?: string
  readonly ends: { readonly connector: string; readonly at: number; readonly report: TunnelReport }[]
}

export class Rotations {
  readonly #parts: ConnectorParts

  constructor(parts: ConnectorParts) {
    this.#parts = parts
  }

  async list(call: Call, query: PageQuery, { tunnel, run, state }: RotationFilter): Promise<Outcome<PageOf<Rotation>>> {
    const inRun = run === undefined || state === undefined ? run : `${run}/${state}`
    const ref = tunnel ?? inRun ?? state
    const keep = (rotation: Rotation) => rotation
    return { value: await pageOf(this.#parts.context, call.network, 'rotation', query, keep, ref) }
  }

  get(call: Call, id: string): Promise<Outcome<Rotation>> {
    return mustGet(this.#parts.context, call.network, 'rotation', id)
  }

  async abort(call: Call, id: string): Promise<Outcome<Rotation>> {
    const { context, committer, intents, documents, rotating, runs } = this.#parts
    return committer.run(call, async () => {
      const before = await mustGet(context, call.network, 'rotation', id)
      mustMatch(call, before.revision)
      const refused = abortRefusal(before.value)
      if (refused !== undefined) throw refused
      const work = new Work(context.repo, call.network)
      const topology = await intents.topology(call.network)
      const value = await rotating.step(work, topology, id, `aborted by ${call.actor.id}`)
      work.audit({
        action: 'rotations.abort',
        target: id,
        before: { state: before.value.state },
        after: { state: value.state },
      })
      await runs.advance(work, topology)
      await documents.finish(work, topology)
      return work.decision({ value, revision: before.revision + 1 })
    })
  }

  /** The key of a tunnel, what it waits for, and the last that its ends have said. */
  async tunnelStatus(call: Call, tunnel: string): Promise<Outcome<TunnelStatus>> {
    const { context, intents, rotating } = this.#parts
    await mustGet(context, call.network, 'tunnel', tunnel)
    const work = new Work(context.repo, call.network)
    const topology = await intents.topology(call.network)
    const keys = await rotating.keys(work, tunnel)
    const ends = await rotating.ends(work, topology, tunnel)
    const rotation = keys.rotation === undefined ? undefined : await work.get('rotation', keys.rotation)
    const stored = await Promise.all(ends.map((end) => end && work.get('end', `${tunnel}/${end.connector}`)))
    return {
      value: {
        tunnel,
        epoch: keys.current,
        ...optional('epochSince', keys.currentSince),
        ...optional('rotation', keys.rotation),
        ...optional('waitingFor', rotation && waitingFor({ rotation, keys, ends })),
        ends: stored.flatMap((end) =>
          end === undefined ? [] : [{ connector: end.connector, at: end.at, report: end.report }],
        ),
      },
    }
  }
}
