/**
 * Carries out runs at clouds, all of a network side by side: takes their leases, looks once for all of them, decides,
 * journals what begins, does it, journals how it ended, and looks again, until each of them waits or has ended.
 * Whoever dies in between leaves a journal and a lease: another one goes on from what is there when the lease is over.
 */

import { CloudFailure, type Seen } from '../domain/cloud/provider.ts'
import { isRunning } from '../domain/cloud/records.ts'
import type { CloudRunRecord, LastOutcome } from '../domain/cloud/types.ts'
import { Asking } from './asking.ts'
import { everyOf } from './candidates.ts'
import { accessOf, lookAt, subjectOf, within } from './cloud-access.ts'
import type { CloudJob, CloudStepping } from './cloud-stepping.ts'
import type { CloudParts } from './clouds.ts'
import { freshId } from './support.ts'
import type { Call, CloudAccess } from './types.ts'
import { Work } from './work.ts'

/** Longer than a look, or a call, may take. */
export const LEASE_MS = 60_000
/** How long one turn may take before others of the process get theirs. */
const BUDGET_MS = 20_000
const MOST_ROUNDS = 200
/** Runs that one commit takes further; networks and calls at once. */
const CHUNK = 25
const NETWORKS = 8
const CALLS = 16
/** Without the last one, a run waits until AWS shows what came of it. */
const MOST_OUTCOMES = 10_000
const CALM_MS = 1_000

export interface RunnerParts extends CloudParts {
  readonly stepping: CloudStepping
  /** What follows from the time in a network besides runs that are there: watching, and rotations by policy. */
  readonly before: (network: string, access: CloudAccess) => Promise<void>
}

export class CloudRunner {
  readonly #parts: RunnerParts
  /** Of this process, in leases; where there can be no other one, of those before it too. */
  readonly #owner: string
  /** How the last call of a run ended, until the next decision. */
  readonly #outcomes = new Map<string, LastOutcome>()
  readonly #asking = new Asking()
  readonly #calmUntil = new Map<string, number>()
  /** Turns that have not ended, by network. */
  readonly #running = new Map<string, Promise<void>>()

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#owner = parts.context.isAlone === true ? 'alone' : freshId(parts.context, 'cloudRun')
  }

  /** All networks that may; the first error is thrown at the end. */
  async tick(): Promise<void> {
    const { context } = this.#parts
    if (context.clouds === undefined) return
    let failure: unknown
    for (let after = ''; ; ) {
      const page = await context.repo.networks({ after, limit: 1000 })
      const now = context.clock()
      const allowed = page.filter(({ value }) => context.clouds!.allows(value) && !this.#isCalm(value.id, now))
      await side(NETWORKS, allowed, async ({ value }) => {
        await this.tickNetwork(value.id).catch((error: unknown) => {
          failure ??= error
          context.log.error({ network: value.id, error: String(error) }, 'runs at the cloud failed')
        })
      })
      if (page.length < 1000) break
      after = page.at(-1)!.value.id
    }
    if (failure !== undefined) throw failure
  }

  /** When the first of all runs, in networks that may, looks again; undefined when none is under way. */
  async nextTurn(): Promise<number | undefined> {
    const { context } = this.#parts
    if (context.clouds === undefined) return undefined
    const times: number[] = []
    for (let after = ''; ; ) {
      const page = await context.repo.networks({ after, limit: 1000 })
      for (const { value } of page) {
        if (!context.clouds.allows(value)) continue
        for await (const run of everyOf(context, value.id, 'cloudRun', 'active')) times.push(turnOf(run))
      }
      if (page.length < 1000) return times.length === 0 ? undefined : Math.min(...times)
      after = page.at(-1)!.value.id
    }
  }

  /** Once at a time, whoever asks: two turns of one process would take each other's leases for their own. */
  tickNetwork(network: string): Promise<void> {
    const running = this.#running.get(network)
    if (running !== undefined) return running
    const turn = this.#turn(network).finally(() => this.#running.delete(network))
    this.#running.set(network, turn)
    return turn
  }

  /** Where nothing is under way it is enough to look now and then: there may be many such networks. */
  #isCalm(network: string, now: number): boolean {
    return this.#parts.context.isLasting !== false && now < (this.#calmUntil.get(network) ?? 0)
  }

  async #turn(network: string): Promise<void> {
    const { context, before } = this.#parts
    const access = await accessOf(context, network)
    if (access === undefined) return
    const some = (await context.repo.count(network, 'cloud')) > 0
    if (some) await before(network, access)
    const isCalm = !some || (await context.repo.count(network, 'cloudRun', 'active')) === 0
    if (isCalm) {
      this.#calmUntil.set(network, context.clock() + CALM_MS)
      return
    }
    this.#calmUntil.delete(network)
    const call: Call = { actor: { id: 'system', network }, network }
    const until = this.#parts.context.clock() + BUDGET_MS
    let mine = await this.#claim(call)
    for (let round = 0; mine.length > 0; round++) {
      if (round >= MOST_ROUNDS || this.#parts.context.clock() >= until) {
        await this.#release(call, mine)
        return
      }
      mine = await this.#round(call, access, mine)
    }
  }

  /** Gives those that go on at once. */
  async #round(call: Call, access: CloudAccess, mine: readonly string[]): Promise<string[]> {
    const seen = await this.#look(call, access, mine)
    const jobs: CloudJob[] = []
    for (let at = 0; at < mine.length; at += CHUNK) {
      jobs.push(...(await this.#decide(call, mine.slice(at, at + CHUNK), seen)))
    }
    const ended: { readonly job: CloudJob; readonly outcome: LastOutcome }[] = []
    await side(CALLS, jobs, async (job) => {
      ended.push({ job, outcome: await this.#perform(call, access, job) })
    })
    const further: string[] = []
    for (let at = 0; at < ended.length; at += CHUNK)
      further.push(...(await this.#journal(call, ended.slice(at, at + CHUNK))))
    return further
  }

  /** Due ones that nobody else has; ours for the time of a lease. */
  async #claim(call: Call): Promise<string[]> {
    const { context, committer } = this.#parts
    const isDue = ({ nextAt, lease }: CloudRunRecord, now: number) => {
      return nextAt <= now && (lease === undefined || lease.until <= now || lease.owner === this.#owner)
    }
    const due: string[] = []
    for await (const run of everyOf(context, call.network, 'cloudRun', 'active')) {
      if (isDue(run, context.clock())) due.push(run.id)
    }
    const mine: string[] = []
    for (let at = 0; at < due.length; at += CHUNK) {
      const { value } = await committer.run(call, async () => {
        const work = new Work(context.repo, call.network)
        const now = context.clock()
        const taken: string[] = []
        for (const id of due.slice(at, at + CHUNK)) {
          const run = await work.get('cloudRun', id)
          if (run === undefined || !isRunning(run.state) || !isDue(run, now)) continue
          await work.put('cloudRun', { ...run, lease: { owner: this.#owner, until: now + LEASE_MS } })
          taken.push(id)
        }
        return work.decision({ value: taken })
      })
      mine.push(...value)
    }
    return mine
  }

  async #look(call: Call, access: CloudAccess, mine: readonly string[]): Promise<Map<string, Seen | CloudFailure>> {
    const { context } = this.#parts
    const work = new Work(context.repo, call.network)
    const subjects = []
    for (const id of mine) {
      const run = await work.get('cloudRun', id)
      const record = run && (await work.get('cloud', run.cloud))
      if (record !== undefined) subjects.push(subjectOf(record, call.network))
    }
    return subjects.length === 0 ? new Map() : lookAt(context, access, subjects)
  }

  /** Gives what is to be done at the cloud, journaled as begun. */
  async #decide(
    call: Call,
    ids: readonly string[],
    seen: ReadonlyMap<string, Seen | CloudFailure>,
  ): Promise<CloudJob[]> {
    const { context, committer, stepping } = this.#parts
    const { value } = await committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      const own = { owner: this.#owner, until: context.clock() + LEASE_MS }
      const step = await stepping.step(work, ids, { seen, lease: own, outcomes: this.#outcomes })
      work.onCommit(() => this.#ask(call.network, step.asks))
      return work.decision({ value: step.jobs })
    })
    for (const id of ids) this.#outcomes.delete(id)
    return value
  }

  async #perform(call: Call, access: CloudAccess, { region, action, secrets: names }: CloudJob): Promise<LastOutcome> {
    const { context, keys } = this.#parts
    const texts = await keys.open(call.network, names)
    const done = await within(context, action.type, 'unknown', () => access.provider.perform(region, action, texts))
    texts.clear()
    if (!(done instanceof CloudFailure)) return { ok: true, ...(done.id === undefined ? {} : { id: done.id }) }
    const { kind, code, message: cause, remedy } = done
    return { ok: false, kind, code, cause, remedy }
  }

  async #journal(
    call: Call,
    ended: readonly { readonly job: CloudJob; readonly outcome: LastOutcome }[],
  ): Promise<string[]> {
    const { context, committer, stepping } = this.#parts
    const { value } = await committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      const further: string[] = []
      for (const { job, outcome } of ended) {
        if (await stepping.ended(work, job, outcome, this.#owner)) further.push(job.run)
      }
      return work.decision({ value: further })
    })
    if (this.#outcomes.size > MOST_OUTCOMES) this.#outcomes.clear()
    for (const { job, outcome } of ended) this.#outcomes.set(job.run, outcome)
    return value
  }

  /** What is left goes on with the next turn, here or elsewhere. */
  async #release(call: Call, mine: readonly string[]): Promise<void> {
    const { context, committer } = this.#parts
    await committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      for (const id of mine) {
        const run = await work.get('cloudRun', id)
        if (run?.lease?.owner !== this.#owner) continue
        const { lease: _, ...rest } = run
        await work.put('cloudRun', rest)
      }
      return work.decision({ value: undefined })
    })
  }

  #ask(network: string, connectors: ReadonlySet<string>): void {
    const { hub, clock } = this.#parts.context
    const now = clock()
    const asked = [...connectors].filter((id) => this.#asking.isDue(id, now))
    for (const id of asked) this.#asking.note(id, now)
    if (asked.length > 0) hub.asked(network, asked)
  }
}

/** Somebody who died has it until the lease is over. */
export function turnOf({ nextAt, lease }: CloudRunRecord): number {
  return Math.max(nextAt, lease?.until ?? 0)
}

/** As many at once. */
async function side<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items[Symbol.iterator]()
  const worker = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
}
