/** Entity tags (RFC 9110 section 8.8.3): the revision of a resource, always strong. */
import type { Match } from '../service/types.ts'

export function etagOf(revision: number): string {
  return `"${revision}"`
}

/** If-Match (section 13.1.1), compared strongly: a weak tag matches nothing. Undefined for what is no list of tags. */
export function parseIfMatch(header: string): Match | undefined {
  return parse(header, false)
}

/** If-None-Match (section 13.1.2), compared weakly. */
export function parseIfNoneMatch(header: string): Match | undefined {
  return parse(header, true)
}

function parse(header: string, weak: boolean): Match | undefined {
  const text = header.trim()
  if (text === '*') return 'any'
  const revisions: number[] = []
  for (const part of text.split(',')) {
    const found = /^(W\/)?"([\x21\x23-\x7e]*)"$/.exec(part.trim())
    if (found === null) return undefined
    if (found[1] !== undefined && !weak) continue
    // Tags that we never gave match nothing.
    if (/^(0|[1-9]\d{0,14})$/.test(found[2]!)) revisions.push(Number(found[2]))
  }
  return revisions
}

export function matches(match: Match, revision: number): boolean {
  return match === 'any' || match.includes(revision)
}

/** 304: the caller has what there is. */
export function unchanged(revision: number): Response {
  return new Response(null, { status: 304, headers: { etag: etagOf(revision), 'cache-control': 'no-store' } })
}
