/** Rotations at work: what the domain decides for one tunnel, done to the records of one decision. */
import type { Rotation } from '../../protocol/control/rotation.ts'
import { newKeys, type TunnelKeys } from '../domain/keys.ts'
import { movedCounts } from '../domain/planner.ts'
import { reviewTunnel } from '../domain/review.ts'
import { beginRotation, isEnded, queuedRotation, stepRotation } from '../domain/rotation.ts'
import type { Ends, EndView } from '../domain/rotation-ends.ts'
import type { Documents } from './documents.ts'
import type { EvidenceSigner } from './evidence-signer.ts'
import type { Topology } from './planned-view.ts'
import { freshId } from './support.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

/** What `reviewTunnel`, `beginRotation` and `stepRotation` have in common. */
interface Step {
  readonly rotation: Rotation | undefined
  readonly keys: TunnelKeys
  readonly documents: boolean
}

export class Rotating {
  readonly #context: Context
  readonly #documents: Documents
  readonly #signer: EvidenceSigner

  constructor(context: Context, documents: Documents, signer: EvidenceSigner) {
    this.#context = context
    this.#documents = documents
    this.#signer = signer
  }

  /** What the situation of a tunnel calls for: the next steps of its rotation, or a first key. */
  async settle(work: Work, topology: Topology, tunnel: string): Promise<void> {
    const ends = await this.ends(work, topology, tunnel)
    const keys = await this.keys(work, tunnel)
    const rotation = keys.rotation === undefined ? undefined : await work.get('rotation', keys.rotation)
    const now = this.#context.clock()
    const review = reviewTunnel({ rotation, keys, ends, now })
    if (review.changed) await this.#take(work, topology, tunnel, review, rotation)
    if (review.establish === undefined) return
    const request = {
      id: freshId(this.#context, 'rotation'),
      tunnel,
      trigger: 'establish',
      startedBy: 'system',
    } as const
    const fresh = queuedRotation({ ...request, now }, review.keys)
    work.create('rotation', fresh)
    await this.begin(work, topology, fresh)
  }

  /** Begins a queued rotation where nothing is in its way, and says what became of it. */
  async begin(work: Work, topology: Topology, rotation: Rotation): Promise<Rotation> {
    const ends = await this.ends(work, topology, rotation.tunnel)
    const keys = await this.keys(work, rotation.tunnel)
    const step = beginRotation({ rotation, keys, ends, now: this.#context.clock() })
    if (!step.changed) return rotation
    const { state, to: epoch } = step.rotation
    for (const end of ends) if (end !== undefined) await this.#setBaseline(work, step.rotation, end.connector)
    const after = { tunnel: rotation.tunnel, trigger: rotation.trigger, epoch }
    if (!isEnded(state))
      work.audit({ actor: rotation.startedBy, action: 'rotations.begin', target: rotation.id, after })
    return (await this.#take(work, topology, rotation.tunnel, step, rotation))!
  }

  /** Goes as far as what the ends have said allows. `abort`: the reason for which somebody gives it up. */
  async step(work: Work, topology: Topology, id: string, abort?: string): Promise<Rotation> {
    const rotation = await work.mustGet('rotation', id)
    const ends = await this.ends(work, topology, rotation.tunnel)
    const keys = await this.keys(work, rotation.tunnel)
    const step = stepRotation({ rotation, keys, ends, now: this.#context.clock() }, abort)
    return step.changed ? (await this.#take(work, topology, rotation.tunnel, step, rotation))! : rotation
  }

  /** The tunnel is removed: its keys go, and what was under way ends. */
  async forget(work: Work, tunnel: string, reason: string): Promise<void> {
    const { repo, clock } = this.#context
    for (let after = ''; ; ) {
      const page = await repo.list(work.network, 'rotation', { ref: tunnel, limit: 1000, after })
      for (const rotation of work.adopt('rotation', page)) {
        if (isEnded(rotation.state)) continue
        const { deadline: _, ...rest } = rotation
        const now = clock()
        const ended: Rotation = { ...rest, state: 'aborted', stateSince: now, finishedAt: now, reason }
        await work.put('rotation', await this.#finish(work, ended, rotation))
        await this.#count(work, rotation, ended)
      }
      if (page.length < 1000) break
      after = page.at(-1)!.value.id
    }
    await work.remove('keys', tunnel)
    const ends = await repo.list(work.network, 'end', { ref: tunnel, limit: 1000 })
    for (const end of work.adopt('end', ends)) await work.remove('end', end.id)
  }

  /** In the order of the tunnel's sites. */
  async ends(work: Work, topology: Topology, tunnel: string): Promise<Ends> {
    const sites = topology.tunnel(tunnel)?.sites
    if (sites === undefined) return [undefined, undefined]
    return [await this.#end(work, tunnel, sites[0]), await this.#end(work, tunnel, sites[1])]
  }

  async keys(work: Work, tunnel: string): Promise<TunnelKeys> {
    return (await work.get('keys', tunnel)) ?? newKeys(tunnel)
  }

  async #end(work: Work, tunnel: string, site: string): Promise<EndView | undefined> {
    const connector = await this.#documents.connectorOf(work, site)
    if (connector === undefined) return undefined
    const end = await work.get('end', `${tunnel}/${connector.id}`)
    return {
      connector: connector.id,
      documentVersion: connector.documentVersion,
      carriedOut: end?.version ?? 0,
      epochs: end?.epochs ?? [],
    }
  }

  async #take(
    work: Work,
    topology: Topology,
    tunnel: string,
    step: Step,
    before: Rotation | undefined,
  ): Promise<Rotation | undefined> {
    await work.put('keys', step.keys)
    let { rotation } = step
    if (rotation !== undefined && before !== undefined) {
      if (isEnded(rotation.state) && !isEnded(before.state)) rotation = await this.#finish(work, rotation, before)
      await work.put('rotation', rotation)
      await this.#count(work, before, rotation)
    }
    if (step.documents) await this.#documents.renew(work, topology.tunnel(tunnel)?.sites ?? [])
    return rotation
  }

  async #finish(work: Work, rotation: Rotation, before: Rotation): Promise<Rotation> {
    const evidence = before.state === 'queued' ? undefined : await this.#signer.evidenceOf(work, rotation)
    const finished: Rotation = evidence === undefined ? rotation : { ...rotation, evidence }
    // What was never begun is told by the end of its run.
    if (before.state === 'queued' && rotation.run !== undefined) return finished
    const { tunnel, state, to: epoch, reason } = rotation
    work.audit({
      actor: 'system',
      action: `rotations.${state}`,
      target: rotation.id,
      before: { state: before.state },
      after: { tunnel, state, epoch, ...(reason === undefined ? {} : { reason }) },
    })
    return finished
  }

  /** Keeps the counts of its run, which then may go on. */
  async #count(work: Work, { run: id, state: from }: Rotation, { state: to }: Rotation): Promise<void> {
    const run = id === undefined ? undefined : await work.get('run', id)
    if (run === undefined || from === to) return
    await work.put('run', { ...run, counts: movedCounts(run.counts, from, to) })
    work.runsToAdvance.add(run.id)
  }

  async #setBaseline(work: Work, rotation: Rotation, connector: string): Promise<void> {
    const end = await work.get('end', `${rotation.tunnel}/${connector}`)
    if (end === undefined) return
    const baseline = { rotation: rotation.id, traffic: end.report.traffic, startedAt: end.startedAt }
    await work.put('end', { ...end, baseline })
  }
}
