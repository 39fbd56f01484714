/** ECN and DSCP across the tunnel (RFC 6040, RFC 2983). */
import { PACKET, readTos, updateChecksum, load16, store16 } from './ip'

const NOT_ECT: u32 = 0
const ECT_1: u32 = 1
const CE: u32 = 3

/** Outer TOS octet: ECN as in the inner header (normal mode, section 4.1), DSCP only where asked for. */
export function outerTos(innerTos: u32, copyDscp: bool): u32 {
  return copyDscp ? innerTos : innerTos & 3
}

/**
 * Carries congestion marks of the outer header into the packet at `start` (RFC 6040 section 4.2,
 * figure 4). Returns false when the packet must be dropped.
 */
export function decapsulateEcn(start: usize, outer: u32): bool {
  const inner = readTos(start) & 3
  if (inner == NOT_ECT) return outer != CE
  if (inner == CE || outer == NOT_ECT) return true
  if (outer == CE) setEcn(start, CE)
  else if (outer == ECT_1) setEcn(start, ECT_1)
  return true
}

export function setEcn(start: usize, ecn: u32): void {
  const before = load16(start)
  const v4 = before >> 12 == 4
  const after = v4 ? (before & 0xfffc) | ecn : (before & 0xffcf) | (ecn << 4)
  if (after == before) return
  store16(start, after)
  if (v4) updateChecksum(start + 10, before, after)
}
