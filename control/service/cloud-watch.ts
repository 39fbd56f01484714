/** Looks at what is there at the cloud, now and then: status of the tunnels, drift, outer addresses that have moved. */
import { changedBy } from '../domain/cloud/changes.ts'
import { driftSeen, movedTo, providerView } from '../domain/cloud/look.ts'
import { CloudFailure, type Seen } from '../domain/cloud/provider.ts'
import { isBuilt } from '../domain/cloud/records.ts'
import type { CloudRecord } from '../domain/cloud/types.ts'
import { sameValue } from '../domain/intent.ts'
import type { CloudViewRecord } from '../store/repo.ts'
import { everyOf } from './candidates.ts'
import { lookAt, subjectOf } from './cloud-access.ts'
import { CloudSituations, type NetworkClouds, type SituationParts } from './cloud-situations.ts'
import type { Committer } from './commit.ts'
import type { Call, CloudAccess } from './types.ts'
import { Work } from './work.ts'

export const WATCH_MS = 60_000
/** Connections that one commit takes. */
const CHUNK = 50

export interface WatchParts extends SituationParts {
  readonly committer: Committer
}

export class CloudWatch {
  readonly #parts: WatchParts

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  /** Those whose time has come, all of them in one look for each region. */
  async tick(network: string, access: CloudAccess): Promise<void> {
    const { context } = this.#parts
    const now = context.clock()
    const due: CloudRecord[] = []
    const asked = new Map<string, number>()
    for await (const { id, askedAt } of everyOf(context, network, 'cloudView')) asked.set(id, askedAt ?? 0)
    for await (const record of everyOf(context, network, 'cloud')) {
      // One with a run is looked at by the run.
      if (!isBuilt(record) || record.run !== undefined) continue
      if (now - (asked.get(record.id) ?? 0) >= (access.watchMs ?? WATCH_MS)) due.push(record)
    }
    if (due.length > 0) await this.look(network, access, due)
  }

  /** Looks now. Gives the first failure; what could be seen is stored all the same. */
  async look(network: string, access: CloudAccess, records: readonly CloudRecord[]): Promise<CloudFailure | undefined> {
    const { context } = this.#parts
    const subjects = records.map((record) => subjectOf(record, network))
    const found = await lookAt(context, access, subjects)
    for (let at = 0; at < records.length; at += CHUNK) {
      const ids = records.slice(at, at + CHUNK).map(({ id }) => id)
      await this.#store({ actor: { id: 'system', network }, network }, ids, found)
    }
    const failures = [...found.values()].filter((each) => each instanceof CloudFailure)
    for (const { code, message, remedy } of new Map(failures.map((each) => [each.code, each])).values()) {
      context.log.warn({ network, code, cause: message, remedy }, 'the cloud cannot be looked at')
    }
    return failures[0]
  }

  #store(call: Call, ids: readonly string[], found: ReadonlyMap<string, Seen | CloudFailure>): Promise<unknown> {
    const { context, committer, documents } = this.#parts
    return committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      const clouds = await new CloudSituations(this.#parts).read(work)
      for (const id of ids) {
        const record = await work.get('cloud', id)
        const seen = found.get(id)
        if (record === undefined || seen === undefined) continue
        const view = { ...(await viewOf(work, record)), askedAt: context.clock() }
        if (seen instanceof CloudFailure) await work.put('cloudView', view)
        else if (record.run !== undefined) await work.put('cloudView', seenBy(record, view, seen, context.clock()))
        else await this.#compare(work, clouds, await this.#follow(work, record, seen), { view, seen })
      }
      await documents.finish(work, clouds.topology)
      return work.decision({ value: undefined })
    })
  }

  /** The connector goes where the provider has moved the other ends. */
  async #follow(work: Work, record: CloudRecord, seen: Seen): Promise<CloudRecord> {
    const outside = movedTo(record, seen)
    if (outside === undefined) return record
    const moved = changedBy(record, { type: 'outside', outside }, { fingerprint: '' }, this.#parts.context.clock())
    await work.put('cloud', moved)
    this.#parts.documents.refresh(work, record.site)
    const before = { outside: record.tunnels.map((tunnel) => tunnel.outside) }
    work.audit({ action: 'clouds.moved', target: record.id, before, after: { outside } })
    return moved
  }

  async #compare(
    work: Work,
    clouds: NetworkClouds,
    record: CloudRecord,
    { view, seen }: { readonly view: CloudViewRecord; readonly seen: Seen },
  ): Promise<void> {
    const after: CloudViewRecord = {
      ...seenBy(record, view, seen, this.#parts.context.clock()),
      drift: driftSeen(record, seen, await clouds.facts(record)),
    }
    await work.put('cloudView', after)
    noteDrift(work, record, view, after)
    if (sameValue(namesOf(view), namesOf(after))) return
    const { log } = this.#parts.context
    const fields = { network: work.network, cloud: record.id, drift: namesOf(after) }
    work.onCommit(() => log.warn(fields, 'the cloud differs from what is wanted, otherwise than before'))
  }
}

/** What is known of it by now; of one that nobody has looked at yet, nothing. */
export async function viewOf(work: Work, { id, site }: CloudRecord): Promise<CloudViewRecord> {
  return (await work.get('cloudView', id)) ?? { id, site, drift: [], provider: [] }
}

/** The view after a look; what differs stays as it was told last. */
export function seenBy(record: CloudRecord, view: CloudViewRecord, seen: Seen, now: number): CloudViewRecord {
  return { ...view, site: record.site, askedAt: now, lookedAt: now, provider: providerView(record, seen) }
}

/** Once for each change of what differs. */
export function noteDrift(work: Work, record: CloudRecord, before: CloudViewRecord, after: CloudViewRecord): void {
  const [was, is] = [namesOf(before), namesOf(after)]
  if (sameValue(was, is)) return
  work.audit({ actor: 'system', action: 'clouds.drift', target: record.id, before: was, after: is })
}

function namesOf({ drift }: CloudViewRecord): string[] {
  return drift.map(({ code, resource }) => `${code} ${resource}`).sort()
}
