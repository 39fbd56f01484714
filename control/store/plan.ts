/** What a batch means in SQL: statements in portable SQL, each with the conflict that its failure tells of. Pure. */

import { isPart, nameOf, refsOf } from './kinds.ts'
import { FOREVER } from './migrations.ts'
import type { NetworkRecord } from './repo.ts'
import { type Batch, type Change, Conflict, type Entry, type Kind, type Records, type Replay } from './repo.ts'
import { Dangling, type SqlValue, type Statement, Unique } from './sql.ts'

/** Arguments of a `Conflict`; the error itself is made when it happens. */
type Meaning = ConstructorParameters<typeof Conflict>

export interface Step extends Statement {
  readonly conflict: Meaning
  /** Where breaking uniqueness tells of something else. */
  readonly unique?: Meaning
}

type Put = Extract<Change, { readonly type: 'put' }>
type Intent = NonNullable<Batch['intent']>

/** Parameters of one statement; a Durable Object takes 100. */
const MAX_IDS = 90
const GONE: Meaning = ['revision', 'network']

/** `present`: the network's record; needed when the batch has an intent or puts the network. */
export function stepsOf(network: string, batch: Batch, present: Entry<'network'> | undefined): Step[] {
  refuseNonsense(network, batch)
  // One order for all writers: then none of them waits for another in a circle.
  const changes = batch.changes.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
  const puts = changes.filter((change): change is Put => change.type === 'put')
  const removes = changes.filter((change) => change.type === 'remove')
  const own = puts.find((change) => change.kind === 'network')
  const rest = puts.filter((change) => change.kind !== 'network')
  const founded = own !== undefined && present === undefined
  return [
    ...(founded ? foundingSteps(network, own as PutNetwork, batch.intent) : []),
    ...auditSteps(network, batch.audit ?? []),
    ...(founded ? [] : networkSteps(network, own as PutNetwork | undefined, batch.intent, present)),
    ...removes.filter(({ kind }) => kind !== 'network').flatMap((change) => removeSteps(network, change, batch.intent)),
    ...nameSteps(network, rest),
    ...rest.flatMap((change) => putSteps(network, change, batch.intent)),
    ...(batch.replay === undefined ? [] : [replayStep(network, batch.replay)]),
    ...removes.filter(({ kind }) => kind === 'network').flatMap((change) => leaveSteps(network, change)),
  ]
}

/** The conflict that an error of `Sql.batch` at `step` means. */
export function conflictOf(error: unknown, step: Step): Conflict {
  if (error instanceof Dangling) return new Conflict(...GONE)
  return new Conflict(...(error instanceof Unique && step.unique !== undefined ? step.unique : step.conflict))
}

type PutNetwork = { readonly value: NetworkRecord; readonly revision?: number }

function idOf(change: Change): string {
  return change.type === 'put' ? change.value.id : change.id
}

function placeOf(change: Change): string {
  return `${change.kind} ${idOf(change)}`
}

function refuseNonsense(network: string, batch: Batch): void {
  const seen = new Set<string>()
  for (const change of batch.changes) {
    const id = idOf(change)
    const key = placeOf(change)
    if (seen.has(key)) throw new RangeError(`a batch changes ${key} twice`)
    seen.add(key)
    if (change.kind === 'network' && id !== network) throw new RangeError(`${id} is another network than ${network}`)
    if (isPart(change.kind) && batch.intent === undefined) throw new RangeError(`${key} without an intent version`)
    if (change.kind === 'network' && change.type === 'remove' && batch.intent !== undefined) {
      throw new RangeError('a network that goes has no new intent')
    }
  }
  const events = batch.audit ?? []
  events.forEach((event, index) => {
    const before = events[index - 1]
    if (before !== undefined && (event.seq !== before.seq + 1 || event.previous !== before.hash)) {
      throw new RangeError(`audit event ${event.seq} does not follow ${before.seq}`)
    }
  })
}

function foundingSteps(network: string, { value, revision }: PutNetwork, intent: Intent | undefined): Step[] {
  if (revision !== undefined && revision !== 0) throw new Conflict(...GONE)
  if (intent !== undefined || value.intentVersion !== 0) throw new RangeError('a network begins with intent 0')
  return [
    { sql: 'INSERT INTO networks (id) VALUES (?)', params: [network], changes: 1, conflict: GONE },
    insertRecord(network, 'network', value),
    {
      sql: 'INSERT INTO intents (network, version, at, actor, preferences) VALUES (?, 0, ?, ?, ?)',
      params: [network, value.createdAt, 'system', JSON.stringify(value.preferences)],
      changes: 1,
      conflict: GONE,
    },
  ]
}

/** The network's own record carries the number of its intent; whoever writes one of them writes both. */
function networkSteps(
  network: string,
  put: PutNetwork | undefined,
  intent: Intent | undefined,
  present: Entry<'network'> | undefined,
): Step[] {
  if (put === undefined && intent === undefined) return []
  if (present === undefined) throw new Conflict(...GONE)
  if (put?.revision !== undefined && put.revision !== present.revision) throw new Conflict(...GONE)
  const { intentVersion, preferences } = present.value
  if (intent !== undefined && intent.version !== intentVersion + 1) throw new Conflict('intent')
  const value: NetworkRecord = {
    ...(put?.value ?? present.value),
    intentVersion: intent?.version ?? intentVersion,
    preferences: intent === undefined ? preferences : (put?.value.preferences ?? preferences),
  }
  const conflict: Meaning = intent === undefined ? GONE : ['intent']
  const steps: Step[] = [updateRecord(network, 'network', value, present.revision, conflict)]
  if (intent !== undefined) {
    steps.push({
      sql: 'INSERT INTO intents (network, version, at, actor, preferences) VALUES (?, ?, ?, ?, ?)',
      params: [network, intent.version, intent.at, intent.actor, JSON.stringify(value.preferences)],
      changes: 1,
      conflict,
    })
  }
  return steps
}

function auditSteps(network: string, events: NonNullable<Batch['audit']>): Step[] {
  const conflict: Meaning = ['audit']
  return events.map((event, index) => {
    const row = [network, event.seq, event.hash, JSON.stringify(event)]
    if (index > 0) {
      const sql = 'INSERT INTO audit (network, seq, hash, body) VALUES (?, ?, ?, ?)'
      return { sql, params: row, changes: 1, conflict }
    }
    if (event.seq === 1) {
      return {
        sql: `INSERT INTO audit (network, seq, hash, body) SELECT id, CAST(? AS BIGINT), ?, ? FROM networks WHERE id = ?`,
        params: [...row.slice(1), network],
        changes: 1,
        conflict,
      }
    }
    return {
      sql: `INSERT INTO audit (network, seq, hash, body) SELECT head.network, CAST(? AS BIGINT), ?, ?
        FROM audit AS head JOIN networks ON networks.id = head.network
        WHERE head.network = ? AND head.seq = ? AND head.hash = ?`,
      params: [...row.slice(1), network, event.seq - 1, event.previous],
      changes: 1,
      conflict,
    }
  })
}

function removeSteps(network: string, change: Extract<Change, { type: 'remove' }>, intent: Intent | undefined): Step[] {
  const { kind, id, revision } = change
  const conflict: Meaning = ['revision', kind]
  const sql = 'DELETE FROM records WHERE network = ? AND kind = ? AND id = ?'
  const steps: Step[] = [
    revision === undefined
      ? { sql, params: [network, kind, id], conflict }
      : { sql: `${sql} AND revision = ?`, params: [network, kind, id, revision], changes: 1, conflict },
  ]
  if (intent !== undefined && isPart(kind)) steps.push(endPart(network, kind, id, intent.version))
  return steps
}

/** Frees the names of records that are about to get new ones, so that two may exchange theirs. */
function nameSteps(network: string, puts: readonly Put[]): Step[] {
  const named = puts.filter((change) => nameOf(change.kind, change.value as never) !== null)
  return [...Map.groupBy(named, ({ kind }) => kind)].flatMap(([kind, all]) => {
    if (all.length < 2) return []
    const changes = all.filter(({ revision }) => revision !== 0)
    const steps: Step[] = []
    for (let at = 0; at < changes.length; at += MAX_IDS) {
      const ids = changes.slice(at, at + MAX_IDS).map(({ value }) => value.id)
      const marks = ids.map(() => '?').join(', ')
      steps.push({
        sql: `UPDATE records SET name = NULL WHERE network = ? AND kind = ? AND id IN (${marks})`,
        params: [network, kind, ...ids],
        conflict: ['name', kind],
      })
    }
    return steps
  })
}

function putSteps(network: string, change: Put, intent: Intent | undefined): Step[] {
  const { kind, value, revision } = change
  const steps: Step[] = []
  if (revision === 0) steps.push(insertRecord(network, kind, value))
  else if (revision === undefined) steps.push(upsertRecord(network, kind, value))
  else steps.push(updateRecord(network, kind, value, revision, ['revision', kind]))
  steps.push(...refSteps(network, kind, value, revision === 0))
  if (intent !== undefined && isPart(kind)) {
    if (revision !== 0) steps.push(endPart(network, kind, value.id, intent.version))
    steps.push({
      sql: 'INSERT INTO parts (network, kind, id, since, until, body) VALUES (?, ?, ?, ?, ?, ?)',
      params: [network, kind, value.id, intent.version, FOREVER, JSON.stringify(value)],
      changes: 1,
      conflict: ['intent'],
    })
  }
  return steps
}

function refSteps<K extends Kind>(network: string, kind: K, value: Records[K], fresh: boolean): Step[] {
  const refs = refsOf(kind, value)
  if (refs.length === 0) return []
  const conflict: Meaning = ['revision', kind]
  const insert: Step = {
    sql: `INSERT INTO refs (network, kind, ref, id) VALUES ${refs.map(() => '(?, ?, ?, ?)').join(', ')}
      ON CONFLICT (network, kind, ref, id) DO NOTHING`,
    params: refs.flatMap((ref) => [network, kind, ref, value.id]),
    conflict,
  }
  if (fresh) return [insert]
  const marks = refs.map(() => '?').join(', ')
  const stale = `DELETE FROM refs WHERE network = ? AND kind = ? AND id = ? AND ref NOT IN (${marks})`
  return [{ sql: stale, params: [network, kind, value.id, ...refs], conflict }, insert]
}

function columns<K extends Kind>(network: string, kind: K, value: Records[K]): SqlValue[] {
  return [network, kind, value.id, nameOf(kind, value), JSON.stringify(value)]
}

const INSERT = 'INSERT INTO records (network, kind, id, name, body, revision) VALUES (?, ?, ?, ?, ?, 1)'

function insertRecord<K extends Kind>(network: string, kind: K, value: Records[K]): Step {
  return {
    sql: `${INSERT} ON CONFLICT (network, kind, id) DO NOTHING`,
    params: columns(network, kind, value),
    changes: 1,
    conflict: ['revision', kind],
    unique: ['name', kind],
  }
}

function upsertRecord<K extends Kind>(network: string, kind: K, value: Records[K]): Step {
  return {
    sql: `${INSERT} ON CONFLICT (network, kind, id)
      DO UPDATE SET revision = records.revision + 1, name = excluded.name, body = excluded.body`,
    params: columns(network, kind, value),
    changes: 1,
    conflict: ['revision', kind],
    unique: ['name', kind],
  }
}

function updateRecord<K extends Kind>(
  network: string,
  kind: K,
  value: Records[K],
  revision: number,
  conflict: Meaning,
): Step {
  return {
    sql: `UPDATE records SET revision = revision + 1, name = ?, body = ?
      WHERE network = ? AND kind = ? AND id = ? AND revision = ?`,
    params: [nameOf(kind, value), JSON.stringify(value), network, kind, value.id, revision],
    changes: 1,
    conflict,
    unique: ['name', kind],
  }
}

function endPart(network: string, kind: Kind, id: string, version: number): Step {
  return {
    sql: 'UPDATE parts SET until = ? WHERE network = ? AND until = ? AND kind = ? AND id = ?',
    params: [version, network, FOREVER, kind, id],
    conflict: ['intent'],
  }
}

function replayStep(network: string, replay: Replay): Step {
  return {
    sql: `INSERT INTO replays (network, actor, idempotency, expires, body) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (network, actor, idempotency)
      DO UPDATE SET expires = excluded.expires, body = excluded.body WHERE replays.expires <= ?`,
    params: [network, replay.actor, replay.key, replay.expiresAt, JSON.stringify(replay), replay.at],
    changes: 1,
    conflict: ['replay'],
  }
}

function leaveSteps(network: string, change: Extract<Change, { type: 'remove' }>): Step[] {
  const gone: Step = {
    sql: 'DELETE FROM networks WHERE id = ?',
    params: [network],
    ...(change.revision === undefined ? {} : { changes: 1 }),
    conflict: GONE,
  }
  if (change.revision === undefined) return [gone]
  return [...removeSteps(network, change, undefined), gone]
}
