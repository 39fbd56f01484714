/**
 * The packet engine as its host sees it. Two implementations: `engine.ts` (WebAssembly, the
 * product) and `engine-node.ts` (TypeScript on `node:crypto`, the readable reference).
 *
 * Control calls (install, remove, routes) throw `EngineError` on misuse or when a table is full.
 * Batch calls never throw: a packet that cannot pass is a counter.
 *
 * Buffers: every view belongs to the engine and lives as long as it does. What the outboxes point to
 * is valid until the next batch call of either direction, or until the host writes into the receive
 * slots that went into the call: packets are opened where they were received.
 */
import type { Address, Prefix, SocketAddress } from '../protocol/net.ts'
import type { PrefixBlock } from '../protocol/prefix-block.ts'
import type { DropName } from './drop-reasons.ts'
import type {
  LanOutbox,
  LanReceiveArea,
  ProbeList,
  RunReceiveArea,
  TransitList,
  WireOutbox,
  WireReceiveArea,
} from './packet-areas.ts'

export type * from './packet-areas.ts'

export type AeadSuite = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
export type Encapsulation = 'udp' | 'esp'

/** Handles are small integers given out by the engine or, for tunnels, groups and endpoints, by the host. */
export type SaHandle = number
export type TunnelHandle = number
export type GroupHandle = number
export type EndpointHandle = number

/** One entry of TSi or TSr (RFC 7296 section 3.13.1). Ranges are inclusive; protocol 0 is any. */
export interface TrafficSelector {
  readonly protocol: number
  /** For ICMP and ICMPv6 a port is type << 8 | code (RFC 4301 section 4.4.1.1). */
  readonly startPort: number
  readonly endPort: number
  readonly startAddress: Address
  readonly endAddress: Address
}

export interface SaKeys {
  readonly suite: AeadSuite
  /** 16 or 32 bytes. Copied into the engine; the caller wipes its own. */
  readonly key: Uint8Array
  /** 4 bytes (RFC 4106 section 4, RFC 7634 section 2). */
  readonly salt: Uint8Array
}

export interface InboundSa extends SaKeys {
  /** 256 to 2^32-1, unique among inbound SAs. */
  readonly spi: number
  readonly esn: boolean
  /** Packets: a multiple of 64 from 64 to 4096, or 0 for no replay protection. */
  readonly replayWindow: number
  readonly tunnel: TunnelHandle
  /** Our networks: the inner destination must match one. */
  readonly local: readonly TrafficSelector[]
  /** The peer's networks: the inner source must match one. */
  readonly remote: readonly TrafficSelector[]
  /**
   * For tests of the window and of ESN at their far ends, never for the connector: the highest sequence
   * number taken as already received. Default 0. Numbers at or below it count as received.
   */
  readonly initialHighest?: bigint
}

export interface OutboundSa extends SaKeys {
  readonly spi: number
  /** Without ESN the SA ends before sequence number 2^32 (RFC 4303 section 3.3.3). */
  readonly esn: boolean
  readonly tunnel: TunnelHandle
  readonly endpoint: EndpointHandle
  /** Our networks: the inner source must match one. */
  readonly local: readonly TrafficSelector[]
  readonly remote: readonly TrafficSelector[]
  /**
   * The packet that reaches a soft limit raises one event. The packet that reaches a hard limit, or takes the
   * last sequence number, still goes out, raises one event, and is the SA's last. A stopped SA is passed over
   * for the next in its tunnel; where none takes the packet, it is dropped as hard_limit. Fragments count as
   * packets each. Default: none but the sequence number.
   */
  readonly softPackets?: number
  readonly hardPackets?: number
  /** Bytes of inner packets. */
  readonly softBytes?: number
  readonly hardBytes?: number
  /**
   * For tests of ESN and of exhaustion, never for the connector: the sequence number taken as already
   * used, so that the first packet carries the next one. Default 0. The sequence number is the AEAD
   * nonce: a key must never be installed twice with overlapping numbers, whatever this says.
   */
  readonly initialSequence?: bigint
}

export interface Endpoint {
  readonly remote: SocketAddress
  readonly encapsulation: Encapsulation
}

export interface Tunnel {
  /** MTU in bytes of the path that the outer packets take, outer headers included; 576 to 9216. */
  readonly pathMtu: number
  /**
   * Clamp the MSS option of SYN and SYN-ACK to what fits the path: outbound that of the SA that carries the packet,
   * inbound that of the first SA in `sas`, by which the answers go.
   */
  readonly clampMss: boolean
  /** Outbound SAs in order of preference: the first whose selectors take the packet carries it. */
  readonly sas: readonly SaHandle[]
  /**
   * Copy the inner DSCP outward (RFC 2983 uniform model); otherwise the outer DSCP is 0.
   * ECN follows RFC 6040 normal mode always. The inner DSCP is never changed on receipt.
   */
  readonly copyDscp: boolean
  /**
   * The worker, from 0 to MAX_WORKERS - 1, that carries what none of `sas` can carry here; default: none does, and such
   * packets are dropped. It comes before the next member of a next-hop group, so that which worker a packet comes to
   * does not decide which tunnel it takes.
   */
  readonly handOver?: number
  /**
   * The path is known not to pass: the tunnel is passed over while another member of the group takes the packet. Where
   * none does, it is used as ever: a wrong measurement cuts nobody off. Default: false
   */
  readonly down?: boolean
  /**
   * Packets that come by this tunnel and whose destination leads to a group with another tunnel for transit go on by that
   * group, by members for transit only and never back: see `sealTransit`. All others go to the LAN. Default: false
   */
  readonly transit?: boolean
  /**
   * RFC 3704 section 2: what comes by this tunnel is dropped where the longest prefix of its source does not lead to a
   * group with this tunnel (`strict`) or with any (`loose`). Default: 'off', and then nobody looks
   */
  readonly reversePath?: ReversePath
}

export type ReversePath = 'off' | 'loose' | 'strict'

export interface TunnelCounters {
  /** Packets that came by the tunnel and were sent on by another. */
  readonly transit: number
  /** With `reversePath`: packets that passed, but whose source leads to a group without this tunnel. */
  readonly asymmetric: number
}

/** What a refusing group does: ICMP destination unreachable, the same as administratively prohibited, or silence. */
export type RefusalAnswer = 'unreachable' | 'prohibited' | 'blackhole'

/** Inclusive, 0 to 65535; of TCP, UDP and SCTP. */
export interface PortRange {
  readonly start: number
  readonly end: number
}

/** All that is there has to match. With ports it matches no fragment, so that a datagram's fragments stay together. */
export interface ClassMatch {
  readonly source?: Prefix
  readonly destination?: Prefix
  /** 0 to 255; behind IPv6 extension headers. */
  readonly protocol?: number
  readonly sourcePorts?: PortRange
  readonly destinationPorts?: PortRange
  /** 0 to 63. */
  readonly dscp?: number
}

/** Traffic that prefers some tunnels to others. */
export interface TrafficClass {
  /** Any of them. */
  readonly matches: readonly ClassMatch[]
  /** The best first, each once. Those that are no members of a packet's group have no part in it. */
  readonly prefer: readonly TunnelHandle[]
}

export interface SaCounters {
  /** ESP packets sealed, or opened and not dropped: dummies and fragments kept for reassembly included. */
  packets: number
  /** Inner packet bytes, as sealed or as received; none for a dummy. */
  bytes: number
  /** `now` of the last packet that passed, 0 if none. */
  lastAt: number
  drops: Partial<Record<DropName, number>>
  /**
   * Inbound: sequence numbers below the highest authentic one that no authentic packet has had (RFC 4303 section 3.4.3):
   * packets lost on the way here. Shrinks when a late one comes. What nothing newer has followed is not in it. Absent for
   * outbound SAs, and where there is no replay window: numbers are not remembered then.
   */
  missing?: number
}

export type EngineEvent =
  | { readonly type: 'soft-limit'; readonly sa: SaHandle }
  | { readonly type: 'hard-limit'; readonly sa: SaHandle }
  /** The first packet that counts on an inbound SA: the peer has it too (RFC 7296 section 2.8). */
  | { readonly type: 'first-packet'; readonly sa: SaHandle }
  /**
   * An authentic packet with the highest sequence number so far came from elsewhere (RFC 7296 section 2.23):
   * only under 'udp', and compared with where the SA's highest packets came from before. The first one sets it.
   */
  | { readonly type: 'peer-moved'; readonly sa: SaHandle; readonly remote: SocketAddress }
  /** At most 10 per second. */
  | { readonly type: 'unknown-spi'; readonly spi: number; readonly remote: SocketAddress }
  /** No tunnel of the group has any SA; names the first one that is set up. At most one per tunnel and second. */
  | { readonly type: 'no-sa'; readonly tunnel: TunnelHandle }

/** What the TUN device takes, and gives by `lanLarge`. */
export interface LanFormat {
  /** Each packet in `lanTx` has a virtio_net_hdr of VNET_HEADER bytes in front; TCP streams are coalesced. */
  readonly header: boolean
  /** Runs of UDP datagrams are coalesced too. Needs `header`. */
  readonly datagrams: boolean
}

export interface PacketEngine {
  readonly kind: 'wasm' | 'node'
  /** One buffer for the engine's whole life; it never grows. */
  readonly memory: ArrayBuffer
  readonly lanRx: LanReceiveArea
  readonly wireRx: WireReceiveArea
  /**
   * For a TUN device with IFF_VNET_HDR: slots LARGE_BYTES apart, each for a virtio_net_hdr and LARGE_PACKET bytes
   * behind it, which may be a super-packet to be segmented.
   */
  readonly lanLarge: LanReceiveArea
  readonly wireLarge: RunReceiveArea
  readonly lanTx: LanOutbox
  readonly wireTx: WireOutbox
  readonly probes: ProbeList
  readonly transit: TransitList

  installInbound(sa: InboundSa): SaHandle
  installOutbound(sa: OutboundSa): SaHandle
  /** Wipes the keys. Removing an outbound SA takes it out of its tunnel too. Unknown handles are ignored. */
  removeSa(sa: SaHandle): void
  setEndpoint(handle: EndpointHandle, endpoint: Endpoint): void
  /** Creates or replaces; the change of `sas` is atomic for the packet path: this is how a rekey is promoted. */
  setTunnel(handle: TunnelHandle, tunnel: Tunnel): void
  removeTunnel(handle: TunnelHandle): void
  /**
   * Next-hop group: the first member with an SA that takes the packet carries it, members that are down coming last.
   * With `weights`, one of 1 to 255 for each member, every flow has an order of the members of its own, by weighted
   * rendezvous hashing: shares of flows follow the weights, and a member's leaving moves its flows only. A flow is what
   * has the same addresses and protocol and, of TCP, UDP and SCTP, ports; of fragments, addresses and protocol.
   */
  setGroup(handle: GroupHandle, tunnels: readonly TunnelHandle[], weights?: readonly number[]): void
  /** Makes it a group that carries nothing, until the next `setGroup`. */
  setRefusal(handle: GroupHandle, answer: RefusalAnswer): void
  /**
   * Replaces all: at most MAX_CLASSES, with MAX_CLASS_MATCHES in all. The first class that a packet matches puts its
   * preferred tunnels in front of the other members of the packet's group; those that are down come last all the same.
   */
  setClasses(classes: readonly TrafficClass[]): void
  /**
   * What decides with the flow which member of a weighted group takes it: engines that hand over to one another need the
   * same. Default: 0
   * @param seed 0 to 2^32 - 1
   */
  setFlowSeed(seed: number): void
  /**
   * Of this host; replaces all. The first of each family is the source of ICMP answers that go into a tunnel. Where there
   * is none, and towards the LAN always, the answer comes from where its packet was to go: Linux takes no packet with an
   * address of its own as source from a device.
   */
  setOwnAddresses(addresses: readonly Address[]): void
  /**
   * Which inbound SPIs are this engine's: those whose low 4 bits are `worker`, for worker 0 also those with bits of no
   * worker. ESP for an SPI without an SA here that is another worker's gets VERDICT_ELSEWHERE. Default: worker 0 of 1,
   * whose are all.
   * @param workers 1 to MAX_WORKERS
   */
  setShare(worker: number, workers: number): void
  setRoute(prefix: Prefix, group: GroupHandle): void
  removeRoute(prefix: Prefix): void
  /** Each as `setRoute`; where it throws, those before the one that did not fit are there. */
  setRoutes(prefixes: PrefixBlock, group: GroupHandle): void
  removeRoutes(prefixes: PrefixBlock): void
  /** Longest prefix match, for `doctor` and tests. */
  lookupRoute(destination: Address): GroupHandle | undefined
  /** Largest inner packet, in bytes, that this outbound SA carries unfragmented; 0 while tunnel or endpoint is not set. */
  innerMtu(sa: SaHandle): number

  /**
   * LAN to wire. Takes packets from `lanRx` slots `first` to `first + count - 1`; fills `wireTx`
   * (and `lanTx` with ICMP errors). Returns how many packets it consumed: fewer than `count` when an
   * outbox is full; flush and call again. The outboxes are emptied at the start of each call.
   * @param now monotonic milliseconds
   * @param fromInbox the packets were handed over by another worker and are not handed over again: `handOver` of all
   * tunnels is ignored. Default: false
   */
  sealBatch(first: number, count: number, now: number, fromInbox?: boolean): number
  /**
   * Wire to LAN. Takes datagrams from `wireRx` slots 0 to `count - 1`, all received on sockets of one
   * encapsulation ('udp': after the UDP header; 'esp': after the IP header); fills `lanTx` and
   * `wireRx.verdict`. `count` is at most OUTBOX, for each of which `wireRx` has a slot.
   */
  openBatch(count: number, encapsulation: Encapsulation, now: number): void

  /** Without header in the beginning. */
  setLanFormat(format: LanFormat): void
  /**
   * As `sealBatch`, from `lanLarge`. A super-packet that the outbox holds no more of is not consumed, and goes on
   * where it stopped when the next call begins with it: nothing else may be sealed in between. Its segments are those
   * that its header asks for; of TCP smaller ones where the path is narrower.
   */
  sealLarge(first: number, count: number, now: number, fromInbox?: boolean): number
  /**
   * As `openBatch` for 'udp', from slots `first` to `first + count - 1` of `wireLarge`. Returns how many slots it
   * consumed, at least one: what makes no more than OUTBOX datagrams. Overwrites `wireRx`.
   */
  openRuns(first: number, count: number, now: number): number

  /**
   * Empties the outboxes and seals packets of `transit` on the first tunnels that take them: to be called after the calls
   * that open, until all are consumed; what is left is lost with the next of those. Returns how many it consumed: at least
   * one if there is any. Each loses a hop; with none left, or too large for its way on, it is answered by ICMP to its
   * source, by the tunnel that its source leads to or, where that is none, in `lanTx`.
   */
  sealTransit(now: number): number

  /**
   * Empties the outboxes and seals one ESP dummy packet (RFC 4303 section 2.6) into `wireTx`, on the first SA of the
   * tunnel that is not at its limit: `payload` and zeros, `size` bytes of inner packet, whatever the path MTU is. Returns
   * false where there is no such SA.
   * @param payload 4 to PROBE_PAYLOAD bytes that begin with PROBE_MAGIC
   * @param size from the payload's length to MAX_INNER
   * @throws EngineError when the arguments are none of these
   */
  sealProbe(tunnel: TunnelHandle, payload: Uint8Array, size: number, now: number): boolean
  /** Bytes, IP header included, of the packet that `sealProbe` would make; undefined where it would make none. */
  outerLength(tunnel: TunnelHandle, size: number): number | undefined
  /** What is around `size` in `outerLength`, without the up to 3 bytes that align it. */
  probeOverhead(tunnel: TunnelHandle): number | undefined

  pollEvent(): EngineEvent | undefined
  counters(sa: SaHandle): SaCounters
  /** Since the tunnel was first set; zeros where there is none. */
  tunnelCounters(tunnel: TunnelHandle): TunnelCounters
  /** Packets dropped since start, by reason. */
  drops(): Record<DropName, number>

  /** Installs a bare AEAD key for uses other than ESP; `removeSa` wipes it. */
  installAead(suite: AeadSuite, key: Uint8Array): SaHandle
  /** Returns ciphertext and 16-byte tag, freshly allocated. `nonce` has 12 bytes; text at most MAX_INNER bytes. */
  aeadSeal(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** The plaintext, or undefined when the tag does not verify; no plaintext exists before it does. */
  aeadOpen(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
}

/** Misuse of a control call, or a full table. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
}
