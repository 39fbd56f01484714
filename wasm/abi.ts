/**
 * Numbers that both languages share: AssemblyScript and TypeScript compile this same file.
 *
 * Every constant is a literal below 2^31, so that AssemblyScript infers i32 and nothing crosses
 * the boundary as a BigInt.
 */

/** Packets in one batch call, and slots in each receive area. */
export const BATCH = 64
/**
 * Packets that one batch call may put out: fragments and ICMP answers included. Three super-packets of 64 KB at the usual
 * path MTU, and the largest datagram over the narrowest path.
 */
export const OUTBOX = 160
/** Bytes from one packet slot to the next: 9,000 of packet, the ESP overhead, slack for wide stores. */
export const SLOT_BYTES = 10240
/** Largest inner packet that is read from the TUN device or put into one ESP packet. */
export const MAX_INNER = 9000
/** Largest ESP packet (UDP payload) that is taken from the wire. */
export const MAX_OUTER = 9216
/**
 * Bytes from one large slot to the next: what a kernel with offloads hands over at once, up to 64 KB of a TCP stream
 * or of datagrams laid end to end, with room in front for a virtio_net_hdr and slack for wide stores behind.
 */
export const LARGE_BYTES = 66560
/** Longest packet in a large slot, and longest that the engine coalesces. */
export const LARGE_PACKET = 65535
/** Of a virtio_net_hdr without the buffer count, in front of packets from and to a TUN device with IFF_VNET_HDR. */
export const VNET_HEADER = 10
/** Flows of which packets are coalesced at the same time; the one that began first gives way. */
export const COALESCE_FLOWS = 16
/** Packets that one batch call coalesces into; more go by themselves. */
export const COALESCE_BUFFERS = 64
/** Datagrams in one super-packet, as the kernels that had UDP_SEGMENT first allow (UDP_MAX_SEGMENTS). */
export const COALESCE_DATAGRAMS = 64
/** Bytes from one received socket address to the next; a sockaddr_in6 takes 28. */
export const NAME_STRIDE = 32

/** Payload bytes of a probe that are not padding, at most. */
export const PROBE_PAYLOAD = 256
/** 'IsPr': how the content of a dummy packet begins that is a probe. */
export const PROBE_MAGIC = 0x49735072
/** Probes that one batch call lists; more are dropped as outbox_full. */
export const MAX_PROBES = 64

/** Packet workers of one connector; the low bits of an inbound SPI have room for as many. A power of two. */
export const MAX_WORKERS = 16

/** SAs of both directions, and bare AEAD keys; a power of two. */
export const MAX_SAS = 32768
export const MAX_TUNNELS = 16384
export const MAX_GROUPS = 16384
export const MAX_ENDPOINTS = 16384
/** Prefixes, IPv4 and IPv6 together. */
export const MAX_ROUTES = 1310720
/** SAs of AES-GCM that have hash tables at the same time; those that have waited long give way. */
export const MAX_CONTEXTS = 16384
/** Pages of 64 KB that the engine's memory has at most. */
export const MAX_PAGES = 16384
/** SAs, and prefixes, of an engine of capacity `small`. */
export const SMALL_SAS = 1024
export const SMALL_ROUTES = 16384
/** Outbound SAs that one tunnel may choose from by selector. */
export const MAX_TUNNEL_SAS = 32
/** Traffic selectors on each side of an SA. */
export const MAX_SELECTORS = 16
/** Tunnels in one next-hop group. */
export const MAX_GROUP_MEMBERS = 16
/** Traffic classes, and matches of all of them together. */
export const MAX_CLASSES = 32
export const MAX_CLASS_MATCHES = 64

/** Datagrams being reassembled at once; the oldest gives way. */
export const REASSEMBLY_SLOTS = 64
export const REASSEMBLY_MAX_BYTES = 65535
export const REASSEMBLY_MAX_FRAGMENTS = 64
/** Milliseconds that an incomplete datagram is kept (RFC 8900 advises short). */
export const REASSEMBLY_TIMEOUT_MS = 2000
/** ICMP errors that the engine sends per second at most (RFC 4443 section 2.4 (f)). */
export const ICMP_PER_SECOND = 100

export const REPLAY_WINDOW_MIN = 64
export const REPLAY_WINDOW_MAX = 4096

/** AEAD suites by their IKEv2 transform type 1 number; the key length tells AES-128 from AES-256. */
export const SUITE_AES_128_GCM = 1
export const SUITE_AES_256_GCM = 2
export const SUITE_CHACHA20_POLY1305 = 3

/** What `openBatch` made of each received datagram, in `wireRx.verdict`. */
export const VERDICT_DROPPED = 0
export const VERDICT_DELIVERED = 1
/** IKE behind a zero non-ESP marker (RFC 3948 section 2.2): for the host, marker still in place. */
export const VERDICT_IKE = 2
/** A one-byte 0xff NAT keepalive (RFC 3948 section 2.3). */
export const VERDICT_KEEPALIVE = 3
/** Authentic and swallowed: a dummy packet (next header 59), listed where it is a probe, or a fragment kept for reassembly. */
export const VERDICT_CONSUMED = 4
/** ESP for an SPI that is another worker's: for the host to hand over, untouched. */
export const VERDICT_ELSEWHERE = 5
/** Goes on by another tunnel: it is in `transit`. */
export const VERDICT_TRANSIT = 6

/** How the source of an inner packet is held against the routes (RFC 3704 section 2). */
export const REVERSE_PATH_OFF = 0
export const REVERSE_PATH_LOOSE = 1
export const REVERSE_PATH_STRICT = 2

export const EVENT_SOFT_LIMIT = 1
export const EVENT_HARD_LIMIT = 2
export const EVENT_PEER_MOVED = 3
export const EVENT_UNKNOWN_SPI = 4
/** A packet wants a tunnel whose group has no SA that takes it. */
export const EVENT_NO_SA = 5
export const EVENT_FIRST_PACKET = 6
/** Events kept until the host takes them; more are counted and dropped. */
export const EVENT_CAPACITY = 256

/** The closed list of drop reasons; each is a counter, globally and, where an SA is known, per SA. */
export const DROP_NOT_IP = 0
export const DROP_TRUNCATED = 1
export const DROP_BAD_HEADER = 2
export const DROP_NO_ROUTE = 3
export const DROP_NO_SA = 4
export const DROP_SELECTOR_OUT = 5
export const DROP_TOO_BIG = 6
export const DROP_HARD_LIMIT = 7
export const DROP_OUTBOX_FULL = 8
export const DROP_UNKNOWN_SPI = 9
export const DROP_REPLAYED = 10
export const DROP_TOO_OLD = 11
export const DROP_AUTH_FAILED = 12
export const DROP_BAD_PADDING = 13
export const DROP_BAD_NEXT_HEADER = 14
export const DROP_BAD_INNER = 15
export const DROP_SELECTOR_IN = 16
export const DROP_ECN = 17
export const DROP_FRAGMENT_OVERLAP = 18
export const DROP_FRAGMENT_LIMIT = 19
export const DROP_FRAGMENT_TIMEOUT = 20
export const DROP_OVERSIZED = 21
export const DROP_ICMP_RATE = 22
export const DROP_EVENT_OVERFLOW = 23
/** Like the two before it and those behind it, and unlike the others, never of an SA. */
export const DROP_BAD_OFFLOAD = 24
export const DROP_UNREACHABLE = 25
export const DROP_PROHIBITED = 26
export const DROP_BLACKHOLE = 27
/** Going on, it would have gone back into the tunnel that it came by. */
export const DROP_TRANSIT_LOOP = 28
export const DROP_TTL_EXCEEDED = 29
export const DROP_REVERSE_PATH = 30
export const DROP_REASONS = 31
