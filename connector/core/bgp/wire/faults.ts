/**
 * What can be wrong with a message, and what follows from it: RFC 4271 section 6 with the revisions of RFC 7606.
 * The table is the whole of our error handling; the codecs only say which row it is.
 */

/** From the weakest to the strongest (RFC 7606 section 2): of several in one message the strongest is carried out. */
export const CONSEQUENCES = ['attribute-discard', 'treat-as-withdraw', 'session-reset'] as const
export type Consequence = (typeof CONSEQUENCES)[number]

/** A fault with its consequence for the protocol. A value, never thrown. */
export interface BgpFault {
  readonly fault: FaultName
  /** That of the row, or `session-reset` where RFC 7606 section 5.2 does not allow the milder one. */
  readonly consequence: Consequence
  /** What the NOTIFICATION says if the session is reset; what the log says otherwise. */
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
  /** One sentence. Offsets are from the first octet of the message. */
  readonly reason: string
  /** Type code of the path attribute concerned. */
  readonly attribute?: number
}

/** What the Data field holds. `attribute` is the whole of it: flags, type, length and value. */
export type FaultData =
  | 'none'
  | 'length'
  | 'type'
  | 'version'
  | 'capability'
  | 'attribute'
  | 'attribute-type'
  | 'message'

export interface FaultRule {
  readonly code: number
  readonly subcode: number
  readonly consequence: Consequence
  readonly data: FaultData
  readonly rfc: string
}

export const FAULTS = {
  'header-marker': rule(1, 1, 'session-reset', 'none', '4271 6.1'),
  'header-length': rule(1, 2, 'session-reset', 'length', '4271 6.1'),
  'header-type': rule(1, 3, 'session-reset', 'type', '4271 6.1'),

  'open-version': rule(2, 1, 'session-reset', 'version', '4271 6.2'),
  'open-peer-as': rule(2, 2, 'session-reset', 'none', '4271 6.2, 7607 2'),
  'open-identifier': rule(2, 3, 'session-reset', 'none', '4271 6.2, 6286 2.2'),
  'open-parameter': rule(2, 4, 'session-reset', 'none', '4271 6.2'),
  'open-parameter-malformed': rule(2, 0, 'session-reset', 'none', '4271 6.2'),
  'open-hold-time': rule(2, 6, 'session-reset', 'none', '4271 6.2'),
  'open-capability': rule(2, 7, 'session-reset', 'capability', '5492 3'),
  'open-role': rule(2, 11, 'session-reset', 'none', '9234 4.2'),

  'refresh-length': rule(7, 1, 'session-reset', 'message', '7313 5'),

  'field-lengths': rule(3, 1, 'session-reset', 'none', '4271 6.3'),
  'withdrawn-syntax': rule(3, 10, 'session-reset', 'none', '7606 3i 5.3'),
  'nlri-syntax': rule(3, 10, 'session-reset', 'none', '7606 5.3'),
  'attribute-overrun': rule(3, 1, 'treat-as-withdraw', 'none', '7606 4'),
  'attribute-flags': rule(3, 4, 'treat-as-withdraw', 'attribute', '7606 3c'),
  'attribute-unknown': rule(3, 2, 'session-reset', 'attribute', '4271 6.3'),
  'attribute-missing': rule(3, 3, 'treat-as-withdraw', 'attribute-type', '7606 3d'),
  'attribute-repeated': rule(3, 1, 'attribute-discard', 'none', '7606 3g'),
  'mp-repeated': rule(3, 1, 'session-reset', 'none', '7606 3g'),
  'mp-syntax': rule(3, 9, 'session-reset', 'attribute', '4760 7, 7606 5.3'),
  'mp-next-hop-length': rule(3, 9, 'session-reset', 'attribute', '7606 7.11'),
  'mp-next-hop': rule(3, 9, 'treat-as-withdraw', 'attribute', '4271 6.3, 2545 3'),
  'mp-family': rule(3, 9, 'attribute-discard', 'attribute', '4760 8'),
  'origin-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.1'),
  'origin-value': rule(3, 6, 'treat-as-withdraw', 'attribute', '7606 7.1'),
  'as-path': rule(3, 11, 'treat-as-withdraw', 'none', '7606 7.2'),
  'as-path-zero': rule(3, 11, 'treat-as-withdraw', 'none', '7607 2'),
  'as-set': rule(3, 11, 'treat-as-withdraw', 'none', '9774 3'),
  'as-path-first': rule(3, 11, 'treat-as-withdraw', 'none', '7606 7.2'),
  'next-hop-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.3'),
  'next-hop': rule(3, 8, 'treat-as-withdraw', 'attribute', '4271 6.3, 7606 3e'),
  'med-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.4'),
  'local-pref-external': rule(3, 9, 'attribute-discard', 'attribute', '7606 7.5'),
  'local-pref-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.5'),
  'atomic-aggregate-length': rule(3, 5, 'attribute-discard', 'attribute', '7606 7.6'),
  'aggregator-length': rule(3, 5, 'attribute-discard', 'attribute', '7606 7.7'),
  'aggregator-zero': rule(3, 9, 'attribute-discard', 'attribute', '7607 2'),
  'communities-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.8'),
  'originator-id-external': rule(3, 9, 'attribute-discard', 'attribute', '7606 7.9'),
  'originator-id-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.9'),
  'cluster-list-external': rule(3, 9, 'attribute-discard', 'attribute', '7606 7.10'),
  'cluster-list-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.10'),
  'extended-communities-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.14'),
  'ipv6-extended-communities-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '7606 7.15'),
  'large-communities-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '8092 6'),
  'otc-length': rule(3, 5, 'treat-as-withdraw', 'attribute', '9234 5'),
  'as4-path': rule(3, 9, 'attribute-discard', 'attribute', '6793 6'),
  'as4-path-zero': rule(3, 9, 'attribute-discard', 'attribute', '7607 2'),
  'as4-aggregator-length': rule(3, 9, 'attribute-discard', 'attribute', '6793 6'),
  'as4-aggregator-zero': rule(3, 9, 'attribute-discard', 'attribute', '7607 2'),
  'as4-from-new-speaker': rule(3, 9, 'attribute-discard', 'attribute', '6793 6'),
} as const satisfies Readonly<Record<string, FaultRule>>

export type FaultName = keyof typeof FAULTS

function rule(code: number, subcode: number, consequence: Consequence, data: FaultData, rfc: string): FaultRule {
  return { code, subcode, consequence, data, rfc }
}

const EMPTY = new Uint8Array(0)

/** `data` as the row's `data` says; it is copied, or left out where the row has none. */
export function bgpFault(fault: FaultName, reason: string, data: Uint8Array = EMPTY, attribute?: number): BgpFault {
  const { code, subcode, consequence, data: kind } = FAULTS[fault]
  const copy = kind === 'none' || data.length === 0 ? EMPTY : new Uint8Array(data)
  return {
    fault,
    consequence,
    code,
    subcode,
    data: copy,
    reason,
    ...(attribute === undefined ? {} : { attribute }),
  }
}

export function isBgpFault(value: object): value is BgpFault {
  return 'fault' in value && 'consequence' in value
}

/** The strongest consequence, or undefined of none. */
export function strongest(faults: readonly BgpFault[]): Consequence | undefined {
  let rank = -1
  for (const { consequence } of faults) rank = Math.max(rank, CONSEQUENCES.indexOf(consequence))
  return CONSEQUENCES[rank]
}
