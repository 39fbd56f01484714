/** From a captured frame to the IP packet in it. */

export type LinkResult =
  | { readonly packet: Uint8Array }
  /** ARP and the like: nothing of ours. */
  | 'other'
  | { readonly malformed: string }
  | { readonly unsupported: number }

const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
const VLAN_TYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100])
const MAX_VLAN_TAGS = 4

/** LINKTYPE numbers of tcpdump.org; 12 and 14 are what some systems call raw IP in their files. */
const LINK = {
  null: 0,
  ethernet: 1,
  rawBsd: 12,
  rawOpenBsd: 14,
  raw: 101,
  loop: 108,
  sll: 113,
  ipv4: 228,
  ipv6: 229,
  sll2: 276,
}

export function ipPacketOf(link: number, bytes: Uint8Array): LinkResult {
  switch (link) {
    case LINK.ethernet:
      return behindEthertype(bytes, 12)
    case LINK.sll:
      return behindEthertype(bytes, 14)
    case LINK.sll2:
      return bytes.length < 20 ? tooShort(bytes, 20) : byEthertype(word(bytes, 0), bytes.subarray(20))
    case LINK.null:
    case LINK.loop:
      return bytes.length < 4 ? tooShort(bytes, 4) : byVersion(bytes.subarray(4))
    case LINK.raw:
    case LINK.rawBsd:
    case LINK.rawOpenBsd:
    case LINK.ipv4:
    case LINK.ipv6:
      return byVersion(bytes)
    default:
      return { unsupported: link }
  }
}

function behindEthertype(bytes: Uint8Array, typeAt: number): LinkResult {
  let at = typeAt
  for (let tags = 0; tags <= MAX_VLAN_TAGS; tags++) {
    if (bytes.length < at + 2) return tooShort(bytes, at + 2)
    const type = word(bytes, at)
    if (!VLAN_TYPES.has(type)) return byEthertype(type, bytes.subarray(at + 2))
    at += 4
  }
  return { malformed: `The frame has more than ${MAX_VLAN_TAGS} VLAN tags.` }
}

function byEthertype(type: number, packet: Uint8Array): LinkResult {
  return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ? { packet } : 'other'
}

/** These link types say the family, if at all, in the capturing machine's own numbers; the packet says it better. */
function byVersion(packet: Uint8Array): LinkResult {
  if (packet.length === 0) return { malformed: 'The frame holds no packet.' }
  const version = packet[0]! >>> 4
  return version === 4 || version === 6 ? { packet } : 'other'
}

function tooShort(bytes: Uint8Array, needed: number): LinkResult {
  return { malformed: `The frame has ${bytes.length} bytes; its link header alone needs ${needed}.` }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}
