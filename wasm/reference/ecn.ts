/** ECN and the tunnel (RFC 6040), and across fragments (RFC 3168 section 5.3). */

export const NOT_ECT = 0
export const ECT1 = 1
export const ECT0 = 2
export const CE = 3

export function ecnOf(tos: number): number {
  return tos & 3
}

/** The outer TOS octet: ECN copied (RFC 6040 section 4.1, normal mode), DSCP copied or zero (RFC 2983). */
export function outerTos(innerTos: number, copyDscp: boolean): number {
  return copyDscp ? innerTos : ecnOf(innerTos)
}

/**
 * The ECN field of the packet that leaves the tunnel, or undefined where it must be dropped (RFC 6040 figure 4:
 * rows are the arriving inner field, columns the arriving outer one).
 */
export function decapsulatedEcn(inner: number, outer: number): number | undefined {
  if (inner === NOT_ECT) return outer === CE ? undefined : NOT_ECT
  if (outer === CE || inner === CE) return CE
  return outer === ECT1 ? ECT1 : inner
}

/** The ECN field of a reassembled datagram: CE if any piece saw it, never mixed with Not-ECT (then undefined). */
export function reassembledEcn(first: number, pieces: readonly number[]): number | undefined {
  if (!pieces.includes(CE)) return first
  return pieces.includes(NOT_ECT) ? undefined : CE
}
