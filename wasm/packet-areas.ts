/** The slots and lists that a packet engine and its host share: see `packet-engine.ts` for how long they are valid. */

/** Slots into which the host has the kernel write. Slot i starts at `offset + i * SLOT_BYTES`. */
export interface ReceiveArea {
  /** Byte offset of slot 0 in `memory`. */
  readonly offset: number
  /** Bytes in each slot; the host sets it for each packet. */
  readonly length: Uint32Array
  /** A view of the first `length` bytes of slot `index`, or all of the slot without `length`. */
  slot(index: number, length?: number): Uint8Array
}

export interface LanReceiveArea extends ReceiveArea {
  /**
   * For each slot that the last seal call consumed: 0 where the engine has dealt with the packet, else 1 more than the
   * worker that it has to be handed to. The slot's bytes are then as they came, and nothing has been counted. What was
   * cut from a super-packet, and a datagram that was put together here, are never handed over.
   */
  readonly handOver: Uint8Array
  /** Read with `fromInbox` only: as `TransitList.via` was where the packet comes from. The host sets it for each slot. */
  readonly via: Uint32Array
}

export interface WireReceiveArea extends ReceiveArea {
  /** Byte offset of the first sockaddr_in or sockaddr_in6 as recvmmsg writes them, NAME_STRIDE apart. */
  readonly names: number
  /** TOS or traffic class octet of the outer header; the host sets it for each packet. */
  readonly tos: Uint8Array
  /** VERDICT_*; set by `openBatch`. */
  readonly verdict: Uint8Array
  /** Where the verdict is VERDICT_ELSEWHERE, the worker whose SPI it is. */
  readonly elsewhere: Uint8Array
}

/**
 * Datagrams of one sender laid end to end, as a socket with UDP_GRO hands them over. Slots are LARGE_BYTES apart and
 * hold LARGE_PACKET bytes; `names` and `tos` as in `WireReceiveArea`.
 */
export interface RunReceiveArea extends ReceiveArea {
  readonly names: number
  readonly tos: Uint8Array
  /** Bytes of each datagram but a shorter last; 0 where the slot is one datagram. The host sets it for each slot. */
  readonly segment: Uint32Array
  /** Datagrams that the last `openRuns` took apart: they are in `wireRx`, from slot 0 on, with lengths and verdicts. */
  readonly datagrams: number
}

/** Packets for the TUN device; a reassembled IPv4 datagram may have up to REASSEMBLY_MAX_BYTES. */
export interface LanOutbox {
  /** Entries in use after a batch call. */
  readonly count: number
  /** Byte offset of each packet in `memory`. */
  readonly offset: Uint32Array
  readonly length: Uint32Array
  packet(index: number): Uint8Array
}

/** ESP packets for the wire. The outer UDP or IP header is the kernel's work. */
export interface WireOutbox extends LanOutbox {
  readonly endpoint: Uint32Array
  /** TOS or traffic class octet that the outer header must carry. */
  readonly tos: Uint8Array
}

/** Probes that peers sent, each beginning with PROBE_MAGIC: valid until the next call that opens, whatever is sealed. */
export interface ProbeList extends LanOutbox {
  /** By which tunnel each came. */
  readonly tunnel: Uint32Array
  /** TOS or traffic class octet of the outer header. */
  readonly tos: Uint8Array
}

/**
 * Packets that go on by another tunnel, filled by the calls that open: valid until the next of these, whatever is sealed.
 * In front of each are VNET_HEADER bytes that the host may write, and behind it 4.
 */
export interface TransitList extends LanOutbox {
  /** For each packet 1 more than the tunnel by which it came; 0 where `sealTransit` put an answer in its place. */
  readonly via: Uint32Array
  /** As in `LanReceiveArea`, of the packets that `sealTransit` consumed. */
  readonly handOver: Uint8Array
}
