/** Runs at clouds, one decision further: what the domain decides, done to the records of one batch. */
import type { CloudStep } from '../../protocol/control/cloud.ts'
import { changedBy, keyName } from '../domain/cloud/changes.ts'
import { buildCloudEvidence } from '../domain/cloud/evidence.ts'
import { driftSeen, movedTo } from '../domain/cloud/look.ts'
import { decide } from '../domain/cloud/machine.ts'
import { type CloudAction, CloudFailure, type Seen } from '../domain/cloud/provider.ts'
import { isRunning } from '../domain/cloud/records.ts'
import { resourcesAfter } from '../domain/cloud/resources.ts'
import type { CloudFacts } from '../domain/cloud/situation.ts'
import type { CloudChange, CloudRecord, CloudRunRecord, Decision, LastOutcome } from '../domain/cloud/types.ts'
import type { CloudViewRecord } from '../store/repo.ts'
import { CloudSituations, type NetworkClouds } from './cloud-situations.ts'
import { noteDrift, seenBy, viewOf } from './cloud-watch.ts'
import { type CloudParts, forgetCloud } from './clouds.ts'
import type { EvidenceSigner } from './evidence-signer.ts'
import { optional } from './support.ts'
import type { Work } from './work.ts'

/** One call at the cloud, journaled as begun. */
export interface CloudJob {
  readonly run: string
  readonly cloud: string
  readonly region: string
  readonly action: CloudAction
  /** Names of the keys that it gives to the cloud. */
  readonly secrets: readonly string[]
}

export interface StepInput {
  /** By connection. */
  readonly seen: ReadonlyMap<string, Seen | CloudFailure>
  readonly lease: { readonly owner: string; readonly until: number }
  /** By run. */
  readonly outcomes: ReadonlyMap<string, LastOutcome>
}

export interface SteppingParts extends Omit<CloudParts, 'watch'> {
  readonly signer: EvidenceSigner
}

/** Changes of our own side that one decision goes through; more would be a machine that turns on the spot. */
const MOST_CHANGES = 100
const MOST_STEPS = 1_900
/** Of one step, before the run is given up. */
const MOST_ATTEMPTS = 60
const BACKOFF_MS = 1_000
const MOST_BACKOFF_MS = 30_000
/** How long a cloud that cannot be looked at is waited for, and how often it is tried. */
const BLIND_MS = 10 * 60_000
const BLIND_AGAIN_MS = 5_000
const BLIND = 'AWS to answer'
/** A run that looks again so soon waits for its connector. */
const ASK_WITHIN_MS = 1_000
const OTHER_TEXT = 1_024
const RESOURCE_TEXT = 128

interface Look {
  readonly seen: Seen
  readonly facts: CloudFacts
}

/** A run within one decision. */
interface Turn {
  run: CloudRunRecord
  record: CloudRecord
  view: CloudViewRecord
  /** What the connector is told has changed within this decision. */
  told: boolean
}

export class CloudStepping {
  readonly #parts: SteppingParts
  readonly #situations: CloudSituations

  constructor(parts: SteppingParts) {
    this.#parts = parts
    this.#situations = new CloudSituations(parts)
  }

  /** Takes each of the runs as far as it goes without the cloud. `asks`: connectors whose word is waited for. */
  async step(work: Work, runs: readonly string[], input: StepInput): Promise<{ jobs: CloudJob[]; asks: Set<string> }> {
    const clouds = await this.#situations.read(work)
    const jobs: CloudJob[] = []
    const asks = new Set<string>()
    for (const id of runs) {
      const run = await work.get('cloudRun', id)
      if (run === undefined || !isRunning(run.state) || run.lease?.owner !== input.lease.owner) continue
      const job = await this.#one(work, clouds, { ...run, lease: input.lease }, input, asks)
      if (job !== undefined) jobs.push(job)
    }
    await this.#parts.documents.finish(work, clouds.topology)
    return { jobs, asks }
  }

  /** Journals how a call ended. Whether the run goes on at once. */
  async ended(work: Work, job: CloudJob, outcome: LastOutcome, owner: string): Promise<boolean> {
    const run = await work.get('cloudRun', job.run)
    const record = await work.get('cloud', job.cloud)
    // Who came after us has seen at the cloud what we did.
    if (run === undefined || record === undefined || run.lease?.owner !== owner) return false
    const now = this.#parts.context.clock()
    const { type } = job.action
    const step = run.steps.at(-1)
    const after = { action: type, resource: step?.resource, outcome: outcome.ok ? 'done' : outcome.kind }
    work.audit({ actor: 'system', action: 'cloudRuns.step', target: run.id, after })
    if (outcome.ok) {
      const resources = resourcesAfter(record.resources, job.action, optional('id', outcome.id))
      await work.put('cloud', { ...record, resources: [...resources] })
    }
    const repeats = !outcome.ok && (outcome.kind === 'later' || outcome.kind === 'unknown')
    if (repeats) {
      const { lease: _, ...rest } = run
      const wait = Math.min(MOST_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(10, (step?.attempts ?? 1) - 1))
      await work.put('cloudRun', { ...rest, nextAt: now + wait })
      return false
    }
    const state = outcome.ok || outcome.kind === 'exists' || outcome.kind === 'gone' ? 'done' : 'failed'
    await work.put('cloudRun', { ...run, steps: closed(run.steps, state, now) })
    return true
  }

  async #one(
    work: Work,
    clouds: NetworkClouds,
    run: CloudRunRecord,
    { seen: all, outcomes }: StepInput,
    asks: Set<string>,
  ): Promise<CloudJob | undefined> {
    const record = clouds.records.get(run.cloud)
    const seen = all.get(run.cloud)
    if (record === undefined) {
      await work.put('cloudRun', over(run, 'failed', this.#now, { code: 'gone', cause: 'The connection is gone.' }))
      return undefined
    }
    const turn: Turn = { run, record, view: await viewOf(work, record), told: false }
    if (seen === undefined || seen instanceof CloudFailure) {
      await this.#blind(work, turn, seen)
      return undefined
    }
    turn.view = seenBy(record, turn.view, seen, this.#now)
    const moved = run.kind === 'destroy' ? undefined : movedTo(record, seen)
    if (moved !== undefined) await this.#change(work, turn, { type: 'outside', outside: moved }, [record.name, 'moved'])
    const facts = await clouds.facts(turn.record)
    let last = outcomes.get(run.id)
    for (let at = 0; at < MOST_CHANGES; at++) {
      const sight = await clouds.sight(turn.record, turn.view)
      const { decision, memory, progress } = decide({
        record: turn.record,
        run: turn.run,
        seen,
        sight: turn.told ? { ...sight, current: false } : sight,
        facts,
        now: this.#now,
        ...optional('last', last),
      })
      last = undefined
      turn.run = { ...turn.run, memory, progress }
      clouds.records.set(turn.record.id, turn.record)
      if (decision.type === 'change') {
        await this.#change(work, turn, decision.change, [decision.resource, decision.detail])
        clouds.records.set(turn.record.id, turn.record)
        continue
      }
      if (decision.type === 'wait') {
        const soon = decision.againMs - this.#now <= ASK_WITHIN_MS
        if (soon && sight.connector !== undefined) asks.add(sight.connector)
      }
      return this.#settle(work, turn, decision, { seen, facts })
    }
    await this.#put(work, turn, { nextAt: this.#now + BACKOFF_MS })
    return undefined
  }

  async #settle(
    work: Work,
    turn: Turn,
    decision: Exclude<Decision, { type: 'change' }>,
    look: Look,
  ): Promise<CloudJob | undefined> {
    switch (decision.type) {
      case 'do':
        return this.#begin(work, turn, decision)
      case 'wait': {
        const { for: waitingFor, untilMs: deadline, againMs: nextAt } = decision
        await this.#put(work, turn, { waitingFor: waitingFor.slice(0, OTHER_TEXT), deadline, nextAt })
        return undefined
      }
      case 'done':
        await this.#finish(work, turn, over(turn.run, decision.outcome, this.#now), look)
        return undefined
      case 'fail':
        await this.#finish(work, turn, over(turn.run, 'failed', this.#now, decision), look)
        return undefined
    }
  }

  /** Journals the step before it is done. */
  async #begin(
    work: Work,
    turn: Turn,
    { action, resource, detail }: Extract<Decision, { type: 'do' }>,
  ): Promise<CloudJob | undefined> {
    const { record } = turn
    turn.run = { ...turn.run, steps: begun(turn.run.steps, { action: action.type, resource, detail }, this.#now) }
    const attempts = turn.run.steps.at(-1)!.attempts
    if (attempts > MOST_ATTEMPTS || turn.run.steps.length > MOST_STEPS) {
      const cause = `${action.type} was tried ${attempts} times, and AWS does not do it.`
      const why = { code: 'cloud-unavailable', cause, remedy: 'See whether AWS has a fault, and start the run again.' }
      await this.#finish(work, turn, over(turn.run, 'failed', this.#now, why), undefined)
      return undefined
    }
    if (action.type === 'modify-tunnel') turn.view = withIdle(turn.view, record, action.outside)
    const { waitingFor: _, deadline: __, ...run } = turn.run
    await work.put('cloudRun', run)
    await work.put('cloudView', turn.view)
    const { id, region } = record
    return { run: run.id, cloud: id, region, action, secrets: secretsOf(action) }
  }

  async #change(work: Work, turn: Turn, change: CloudChange, [resource, detail]: [string, string]): Promise<void> {
    const { keys, documents } = this.#parts
    const { record } = turn
    let fingerprint = ''
    if (change.type === 'make-key') {
      const { external, lastKey } = record.tunnels[change.tunnel]!
      fingerprint = await keys.make(work, `${external}/${keyName(lastKey + 1)}`)
    }
    const after = changedBy(record, change, { fingerprint }, this.#now)
    await keys.forget(work, record, after)
    await work.put('cloud', after)
    turn.record = after
    const steps = begun(turn.run.steps, { action: change.type, resource, detail }, this.#now)
    turn.run = { ...turn.run, steps: closed(steps, 'done', this.#now) }
    if (change.type === 'resolve' || change.type === 'resources') return
    documents.refresh(work, after.site)
    turn.told = true
  }

  /** The cloud could not be looked at: what only a person can change, ends a run that has not begun to rotate. */
  async #blind(work: Work, turn: Turn, failure: CloudFailure | undefined): Promise<void> {
    const { run } = turn
    const passes = failure === undefined || failure.kind === 'later' || failure.kind === 'unknown'
    const patience = passes || (run.kind === 'rotate' && run.steps.length > 0) ? BLIND_MS : 0
    const deadline = (run.waitingFor === BLIND ? run.deadline : undefined) ?? this.#now + patience
    if (this.#now < deadline) {
      await this.#put(work, turn, { waitingFor: BLIND, deadline, nextAt: this.#now + BLIND_AGAIN_MS })
      return
    }
    const { kind = 'later', message: cause = 'AWS did not answer.', remedy = 'Start the run again.' } = failure ?? {}
    await this.#finish(work, turn, over(run, 'failed', this.#now, { code: `cloud-${kind}`, cause, remedy }), undefined)
  }

  /** It goes on later, by whoever is there then. */
  async #put(work: Work, turn: Turn, more: Partial<CloudRunRecord>): Promise<void> {
    const { lease: _, waitingFor: __, deadline: ___, ...rest } = turn.run
    await work.put('cloudRun', { ...rest, ...more })
    await work.put('cloudView', turn.view)
  }

  async #finish(work: Work, turn: Turn, run: CloudRunRecord, look: Look | undefined): Promise<void> {
    const { record, view } = turn
    const evidence = run.kind === 'rotate' ? await this.#evidence(work, record, run, view) : undefined
    await work.put('cloudRun', { ...run, ...optional('evidence', evidence) })
    const { error, kind, state, steps } = run
    work.audit({
      actor: 'system',
      action: `cloudRuns.${state}`,
      target: run.id,
      before: { state: turn.run.state },
      after: { cloud: record.name, kind, steps: steps.length, ...optional('error', error) },
    })
    const told = { network: work.network, cloud: record.id, run: run.id, kind, state, ...optional('code', error?.code) }
    work.onCommit(() => this.#parts.context.log.info(told, 'a run at the cloud has ended'))
    if (kind === 'destroy' && state === 'done') {
      await forgetCloud(work, this.#parts.keys, record)
      this.#parts.documents.refresh(work, record.site)
      return
    }
    const { run: _, earlierOptions, ...rest } = record
    const drift = look === undefined ? view.drift : driftSeen(record, look.seen, look.facts)
    // The provider has the present ones by now.
    const isGiven = kind !== 'rotate' && state === 'done' && !drift.some(({ code }) => code === 'option-changed')
    const kept = isGiven ? undefined : earlierOptions
    if (kept !== earlierOptions) this.#parts.documents.refresh(work, record.site)
    const idle: CloudRecord = { ...rest, destroying: false, ...optional('earlierOptions', kept) }
    turn.record = idle
    await work.put('cloud', idle)
    const after = { ...view, drift }
    await work.put('cloudView', after)
    noteDrift(work, idle, view, after)
  }

  async #evidence(
    work: Work,
    record: CloudRecord,
    run: CloudRunRecord,
    { rotation, said }: CloudViewRecord,
  ): Promise<string | undefined> {
    if (rotation?.run !== run.id) return undefined
    const evidence = buildCloudEvidence(work.network, run, record, rotation, said)
    return evidence && this.#parts.signer.signed(work, evidence)
  }

  get #now(): number {
    return this.#parts.context.clock()
  }
}

/** The run at its end. */
function over(
  { lease: _, waitingFor: __, deadline: ___, ...run }: CloudRunRecord,
  state: 'done' | 'aborted' | 'failed',
  now: number,
  error?: { readonly code: string; readonly cause: string; readonly remedy?: string },
): CloudRunRecord {
  const ended = { ...run, state, finishedAt: now, ...(state === 'done' ? { progress: 1 } : {}) }
  if (error === undefined) return ended
  const { code, cause, remedy = 'Nothing.' } = error
  const told = { code: code.slice(0, 64), cause: cause.slice(0, OTHER_TEXT), remedy: remedy.slice(0, OTHER_TEXT) }
  return { ...ended, error: told }
}

/** The journal with this step begun: again, where it is the one that was begun last and has not ended. */
function begun(steps: CloudRunRecord['steps'], step: CloudStep, now: number): CloudRunRecord['steps'] {
  const { action } = step
  const resource = step.resource.slice(0, RESOURCE_TEXT)
  const detail = step.detail.slice(0, OTHER_TEXT)
  const last = steps.at(-1)
  const open = last?.state === 'begun' ? last : undefined
  const again = open?.action === action && open.resource === resource
  // Another one comes after it: so what the cloud shows is that it was done, or is not needed any more.
  const before = open === undefined || again ? steps : closed(steps, 'done', now)
  const rest = again ? before.slice(0, -1) : before
  const attempts = again ? open.attempts + 1 : 1
  return [...rest, { action, resource, detail, state: 'begun', begunAt: now, attempts }]
}

function closed(steps: CloudRunRecord['steps'], state: 'done' | 'failed', now: number): CloudRunRecord['steps'] {
  const last = steps.at(-1)
  if (last?.state !== 'begun') return steps
  return [...steps.slice(0, -1), { ...last, state, endedAt: now }]
}

function secretsOf(action: CloudAction): string[] {
  if (action.type === 'create-vpn-connection') return action.tunnels.map(({ secret }) => secret)
  return action.type === 'modify-tunnel' && action.secret !== undefined ? [action.secret] : []
}

/** For how long the tunnel was idle when the cloud was asked to change it the first time. */
function withIdle(view: CloudViewRecord, record: CloudRecord, outside: string): CloudViewRecord {
  const { rotation, said } = view
  const external = record.tunnels.find((tunnel) => tunnel.outside === outside)?.external
  const idleMs = said?.externals.find((each) => each.external === external)?.idleMs
  if (rotation === undefined || idleMs === undefined) return view
  const tunnels = rotation.tunnels.map((tunnel) =>
    tunnel.external === external && tunnel.idleMs === undefined ? { ...tunnel, idleMs } : tunnel,
  )
  return { ...view, rotation: { ...rotation, tunnels } }
}
