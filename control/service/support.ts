/** What all services need: identifiers, pages, preconditions. */
import { base64url } from 'jose'
import { type IdKind, makeId } from '../../protocol/control/ids.ts'
import type { Refusal } from '../domain/refusal.ts'
import type { Entry, Kind, Records } from '../store/repo.ts'
import { refusal } from './refusals.ts'
import type { Call, Context, PageOf, PageQuery } from './types.ts'

export function freshId(context: Context, kind: IdKind): string {
  return makeId(kind, context.random(20))
}

/** The entry, or a refusal `not-found`. */
export async function mustGet<K extends Kind>(
  context: Context,
  network: string,
  kind: K,
  id: string,
): Promise<Entry<K>> {
  const entry = await context.repo.get(network, kind, id)
  if (entry === undefined) throw refusal('not-found', `there is no ${kind} ${id}`)
  return entry
}

/** Refuses a change that was decided on another revision than the present one. */
export function mustMatch(call: Call, revision: number): void {
  if (call.match === undefined || call.match === 'any' || call.match.includes(revision)) return
  throw refusal('stale', `the present revision is ${revision}`)
}

/** One page of entries, each made into what the API shows. `next` is there when more follow. */
export async function pageOf<K extends Kind, T>(
  context: Context,
  network: string,
  kind: K,
  query: PageQuery,
  show: (value: Records[K], revision: number) => T,
  ref?: string,
): Promise<PageOf<T>> {
  const after = query.cursor === undefined ? undefined : cursorText(query.cursor)
  const found = await context.repo.list(network, kind, {
    limit: query.limit + 1,
    ...(after === undefined ? {} : { after }),
    ...(ref === undefined ? {} : { ref }),
  })
  return paged(
    found,
    query.limit,
    (entry) => entry.value.id,
    (entry) => show(entry.value, entry.revision),
  )
}

/** Cuts one page out of `found`, which has one item more than `limit` when there is another page. */
export function paged<E, T>(
  found: readonly E[],
  limit: number,
  idOf: (item: E) => string,
  show: (item: E) => T,
): PageOf<T> {
  const page = found.slice(0, limit)
  const items = page.map(show)
  const last = page.at(-1)
  return found.length > limit && last !== undefined ? { items, next: cursorOf(idOf(last)) } : { items }
}

function cursorOf(id: string): string {
  return base64url.encode(new TextEncoder().encode(id))
}

/** What a cursor stands for; refuses what is none of ours. */
export function cursorText(cursor: string): string {
  let text: string | undefined
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(base64url.decode(cursor))
  } catch {
    // Told below.
  }
  if (text === undefined || !/^[a-z]+_[0-9a-z]{1,40}$|^\d{1,15}$/.test(text)) {
    throw invalid('query/cursor', 'not a cursor that a list gave')
  }
  return text
}

/** `{ key: value }`, or nothing when the value is undefined. */
export function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V }
}

/** Milliseconds since 1970 in words that a person reads. */
export function instantText(at: number): string {
  return new Date(at).toISOString()
}

/** A refusal for one faulty field. */
export function invalid(pointer: string, detail: string): Refusal {
  return refusal('invalid-request', detail, { errors: [{ pointer, detail }] })
}

export function nameTaken(kind: string): Refusal {
  const detail = `another ${kind} has this name`
  return refusal('duplicate-name', detail, { errors: [{ pointer: '/name', detail }] })
}
