/** One decision in the making: what it has read, and what it will change. What it reads again, it sees changed. */
import type { Batch, Change, Entry, Kind, Records, Repo } from '../store/repo.ts'
import type { AuditEntry, Decision } from './commit.ts'
import { refusal } from './refusals.ts'
import type { Outcome } from './types.ts'

interface Held {
  /** In the store; 0: it is not there. */
  readonly revision: number
  value: unknown
  changed: boolean
}

export class Work {
  readonly network: string
  readonly #repo: Repo
  readonly #held = new Map<string, Held>()
  readonly #kinds = new Map<string, Kind>()
  readonly #audit: AuditEntry[] = []
  readonly #committed: (() => void)[] = []
  /** Connectors whose documents have new versions. */
  readonly #told = new Set<string>()
  /** Site to its connectors that are not revoked, the oldest first, as far as they were looked up. */
  readonly connectorsAt = new Map<string, readonly string[]>()
  /** Sites whose documents may have changed. */
  readonly sitesToRefresh = new Set<string>()
  /** Connectors whose own documents may have changed. */
  readonly connectorsToRefresh = new Set<string>()
  /** Sites to which a rollout has given something else. */
  readonly sitesGiven = new Set<string>()
  /** Runs of which a rotation has ended within this decision. */
  readonly runsToAdvance = new Set<string>()
  /** Rotations that this decision has queued, by run, in their order: no list has them yet. */
  readonly fresh = new Map<string, readonly string[]>()
  #intent: Batch['intent']

  constructor(repo: Repo, network: string) {
    this.#repo = repo
    this.network = network
  }

  async get<K extends Kind>(kind: K, id: string): Promise<Records[K] | undefined> {
    return (await this.#hold(kind, id)).value as Records[K] | undefined
  }

  async mustGet<K extends Kind>(kind: K, id: string): Promise<Records[K]> {
    const value = await this.get(kind, id)
    if (value === undefined) throw refusal('not-found', `there is no ${kind} ${id}`)
    return value
  }

  /** In the store, before this decision; 0 when it is not there. */
  async revision(kind: Kind, id: string): Promise<number> {
    return (await this.#hold(kind, id)).revision
  }

  /** Entries that a list gave, as this decision has them by now. */
  adopt<K extends Kind>(kind: K, entries: readonly Entry<K>[]): Records[K][] {
    return entries.flatMap(({ value, revision }) => {
      const key = keyOf(kind, value.id)
      const held = this.#held.get(key) ?? { revision, value, changed: false }
      this.#held.set(key, held)
      this.#kinds.set(key, kind)
      return held.value === undefined ? [] : [held.value as Records[K]]
    })
  }

  async put<K extends Kind>(kind: K, value: Records[K]): Promise<void> {
    const held = await this.#hold(kind, value.id)
    held.value = value
    held.changed = true
  }

  /** Puts a record whose id was made just now. */
  create<K extends Kind>(kind: K, value: Records[K]): void {
    const key = keyOf(kind, value.id)
    this.#held.set(key, { revision: 0, value, changed: true })
    this.#kinds.set(key, kind)
  }

  async remove(kind: Kind, id: string): Promise<void> {
    const held = await this.#hold(kind, id)
    held.value = undefined
    held.changed = true
  }

  audit(entry: AuditEntry): void {
    this.#audit.push(entry)
  }

  setIntent(intent: NonNullable<Batch['intent']>): void {
    this.#intent = intent
  }

  tell(connector: string): void {
    this.#told.add(connector)
  }

  get told(): readonly string[] {
    return [...this.#told]
  }

  /** Runs once the decision is committed. */
  onCommit(run: () => void): void {
    this.#committed.push(run)
  }

  decision<T>(outcome: Outcome<T>): Decision<T> {
    return {
      outcome,
      changes: this.#changes(),
      audit: this.#audit,
      ...(this.#intent === undefined ? {} : { intent: this.#intent }),
      committed: () => {
        for (const run of this.#committed) run()
      },
    }
  }

  #changes(): Change[] {
    const changes: Change[] = []
    for (const [key, { revision, value, changed }] of this.#held) {
      if (!changed) continue
      const kind = this.#kinds.get(key)!
      if (value !== undefined) changes.push({ type: 'put', kind, value, revision } as Change)
      else if (revision > 0) changes.push({ type: 'remove', kind, id: key.slice(kind.length + 1), revision })
    }
    return changes
  }

  async #hold(kind: Kind, id: string): Promise<Held> {
    const key = keyOf(kind, id)
    const known = this.#held.get(key)
    if (known !== undefined) return known
    const entry = await this.#repo.get(this.network, kind, id)
    const held: Held = { revision: entry?.revision ?? 0, value: entry?.value, changed: false }
    this.#held.set(key, held)
    this.#kinds.set(key, kind)
    return held
  }
}

function keyOf(kind: Kind, id: string): string {
  return `${kind} ${id}`
}
