/** Reassembly of IKE fragments (RFC 7383 section 2.6). Only fragments whose checksum verified get here. */

export interface FragmentLimits {
  readonly maxFragments: number
  /** Sum of the plaintext bytes kept for one message. */
  readonly maxBytes: number
}

/** Room for any message of ours or an honest peer's, in fragments as small as an IPv4 minimum MTU asks for. */
export const FRAGMENT_LIMITS: FragmentLimits = { maxFragments: 64, maxBytes: 65_536 }

export interface Fragment {
  readonly messageId: number
  /** True for a fragment of a response. */
  readonly response: boolean
  /** 1 to `total`. */
  readonly number: number
  readonly total: number
  /** Type of the message's first payload; 0 in all but the first fragment. */
  readonly firstPayload: number
  /** Plaintext without padding. The reassembler takes ownership and wipes it. */
  readonly content: Uint8Array
}

export type FragmentOutcome =
  | { readonly type: 'complete'; readonly firstPayload: number; readonly content: Uint8Array }
  /** Kept; others are missing. */
  | { readonly type: 'kept' }
  /** A duplicate, of an earlier message, or of an attempt with fewer fragments. */
  | { readonly type: 'ignored' }
  /** Beyond the limits; what was kept of this message is dropped. */
  | { readonly type: 'refused' }

interface Collection {
  readonly messageId: number
  readonly total: number
  readonly parts: (Uint8Array | undefined)[]
  missing: number
  bytes: number
  firstPayload: number
}

/**
 * Collects the fragments of at most one request and one response at a time, as a window of one message needs it. A
 * higher message ID displaces a lower one; a message that has been completed is not collected a second time.
 * One reassembler belongs to one IKE SA; `wipe` it with the SA.
 */
export class FragmentReassembler {
  readonly #limits: FragmentLimits
  readonly #collections: { request: Collection | undefined; response: Collection | undefined }
  readonly #completed = { request: -1, response: -1 }

  constructor(limits: FragmentLimits = FRAGMENT_LIMITS) {
    this.#limits = limits
    this.#collections = { request: undefined, response: undefined }
  }

  add(fragment: Fragment): FragmentOutcome {
    const kind = fragment.response ? 'response' : 'request'
    if (!isPossible(fragment)) return discard(fragment, 'refused')
    if (fragment.messageId <= this.#completed[kind]) return discard(fragment, 'ignored')
    const collection = this.#collectionFor(kind, fragment)
    if (collection === 'ignored' || collection === 'refused') return discard(fragment, collection)
    if (collection.parts[fragment.number - 1] !== undefined) return discard(fragment, 'ignored')
    if (collection.bytes + fragment.content.length > this.#limits.maxBytes) {
      this.#drop(kind)
      return discard(fragment, 'refused')
    }
    collection.parts[fragment.number - 1] = fragment.content
    collection.bytes += fragment.content.length
    if (fragment.number === 1) collection.firstPayload = fragment.firstPayload
    if (--collection.missing > 0) return { type: 'kept' }
    const content = joined(collection)
    this.#completed[kind] = fragment.messageId
    this.#drop(kind)
    return { type: 'complete', firstPayload: collection.firstPayload, content }
  }

  /** Overwrites and forgets everything kept. */
  wipe(): void {
    this.#drop('request')
    this.#drop('response')
  }

  /** The collection that the fragment belongs to, begun anew for a later message or one cut into more fragments. */
  #collectionFor(kind: 'request' | 'response', fragment: Fragment): Collection | 'ignored' | 'refused' {
    const current = this.#collections[kind]
    if (current !== undefined) {
      if (fragment.messageId < current.messageId) return 'ignored'
      if (fragment.messageId === current.messageId) {
        if (fragment.total === current.total) return current
        if (fragment.total < current.total) return 'ignored'
      }
    }
    if (fragment.total > this.#limits.maxFragments) return 'refused'
    this.#drop(kind)
    const { messageId, total } = fragment
    const parts = new Array<Uint8Array | undefined>(total).fill(undefined)
    const begun: Collection = { messageId, total, parts, missing: total, bytes: 0, firstPayload: 0 }
    this.#collections[kind] = begun
    return begun
  }

  #drop(kind: 'request' | 'response'): void {
    for (const part of this.#collections[kind]?.parts ?? []) part?.fill(0)
    this.#collections[kind] = undefined
  }
}

function isPossible({ number, total, firstPayload }: Fragment): boolean {
  if (!Number.isInteger(number) || !Number.isInteger(total)) return false
  return number >= 1 && number <= total && (number === 1 || firstPayload === 0)
}

function discard(fragment: Fragment, type: 'ignored' | 'refused'): FragmentOutcome {
  fragment.content.fill(0)
  return { type }
}

function joined(collection: Collection): Uint8Array {
  const content = new Uint8Array(collection.bytes)
  let at = 0
  for (const part of collection.parts) {
    content.set(part!, at)
    at += part!.length
  }
  return content
}
