/**
 * Tunnels to gateways of other makes, as a document asks for them and this connector carries them out. Their keys are
 * called `k3`, and `k3.2` with generation 2: for IKE another generation is another key, so that a tunnel is set up anew,
 * made before broken.
 */
import type { DocumentExternal, ExternalRouting } from '../../../protocol/control/external.ts'
import type { Prefix } from '../../../protocol/net.ts'
import type { IkeKey } from '../ike/types.ts'

export interface ExternalPlan {
  /** With nothing in it that is not carried out. */
  readonly external: DocumentExternal
  /** Undefined: nothing is routed, and what would be is refused. */
  readonly routing: PlannedRouting | undefined
  /** The first is for initiating, all are accepted. */
  readonly keys: readonly IkeKey[]
}

/** Without what this site does not own, or cannot be: lists may be empty. */
export type PlannedRouting = ExternalRouting

/** Why one of the document is not carried out. */
export interface ExternalRefusal {
  readonly code: 'external-refused' | 'key-refused'
  readonly cause: string
  readonly remedy: string
}

/** What came of opening a key, by `<external>/<key>`. */
export type OpenedKeys = ReadonlyMap<string, OpenedKey>
export type OpenedKey = { readonly psk: Uint8Array } | { readonly fault: string }

/** The name of a key where IKE speaks of it. */
export function ikeKeyId(key: string, generation: number): string {
  return generation === 0 ? key : `${key}.${generation}`
}

export function parseIkeKeyId(id: string): { readonly key: string; readonly generation: number } {
  const [key = '', generation = '0'] = id.split('.')
  return { key, generation: Number(generation) }
}

/** What lies behind it: packets for it never leave in the clear. */
export function prefixesBehind({ routing }: Pick<DocumentExternal, 'routing'>): readonly Prefix[] {
  return (routing.kind === 'bgp' ? routing.accept : routing.prefixes) as Prefix[]
}
