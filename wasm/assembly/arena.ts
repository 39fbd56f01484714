/**
 * The memory map, but for the tables of reserve.ts. Every region is a static reservation with slack, so that memory is
 * fixed when the engine is made and nothing is ever allocated. Packet slots are SLOT_BYTES apart: the largest
 * packet, up to 512 bytes of AEAD over-write, and guard bytes.
 */
import {
  BATCH,
  COALESCE_BUFFERS,
  DROP_REASONS,
  LARGE_BYTES,
  MAX_ENDPOINTS,
  MAX_GROUPS,
  MAX_PROBES,
  MAX_SAS,
  MAX_TUNNELS,
  NAME_STRIDE,
  OUTBOX,
  PROBE_PAYLOAD,
  REASSEMBLY_SLOTS,
  SLOT_BYTES,
} from '../abi'

export const LAN_RX: usize = memory.data(BATCH * SLOT_BYTES, 64)
export const LAN_RX_LENGTH: usize = memory.data(BATCH * 4, 64)
/** One octet for each slot that a seal call has consumed: 1 more than the worker it is for, or 0. */
export const LAN_RX_HAND_OVER: usize = memory.data(BATCH, 64)
/** Of what another worker handed over: 1 more than the tunnel by which it came, or 0. */
export const LAN_RX_VIA: usize = memory.data(BATCH * 4, 64)
export const WIRE_RX: usize = memory.data(OUTBOX * SLOT_BYTES, 64)
export const WIRE_RX_LENGTH: usize = memory.data(OUTBOX * 4, 64)
export const WIRE_RX_NAMES: usize = memory.data(OUTBOX * NAME_STRIDE, 64)
export const WIRE_RX_TOS: usize = memory.data(OUTBOX, 64)
export const WIRE_RX_VERDICT: usize = memory.data(OUTBOX, 64)
export const WIRE_RX_ELSEWHERE: usize = memory.data(OUTBOX, 64)

export const LAN_TX: usize = memory.data(OUTBOX * SLOT_BYTES + 64, 64)
export const LAN_TX_COUNT: usize = memory.data(64, 64)
export const LAN_TX_OFFSET: usize = memory.data(OUTBOX * 4, 64)
export const LAN_TX_LENGTH: usize = memory.data(OUTBOX * 4, 64)
export const WIRE_TX: usize = memory.data(OUTBOX * SLOT_BYTES, 64)
export const WIRE_TX_COUNT: usize = memory.data(64, 64)
export const WIRE_TX_OFFSET: usize = memory.data(OUTBOX * 4, 64)
export const WIRE_TX_LENGTH: usize = memory.data(OUTBOX * 4, 64)
export const WIRE_TX_ENDPOINT: usize = memory.data(OUTBOX * 4, 64)
export const WIRE_TX_TOS: usize = memory.data(OUTBOX, 64)

/** Probes that the last call has opened; they lie where they were received. */
export const PROBES_COUNT: usize = memory.data(64, 64)
export const PROBES_TUNNEL: usize = memory.data(MAX_PROBES * 4, 64)
export const PROBES_OFFSET: usize = memory.data(MAX_PROBES * 4, 64)
export const PROBES_LENGTH: usize = memory.data(MAX_PROBES * 4, 64)
export const PROBES_TOS: usize = memory.data(MAX_PROBES, 64)

/** Packets that go on by another tunnel: most lie where they were received, pieces of datagrams in slots of their own. */
export const TRANSIT_COUNT: usize = memory.data(64, 64)
export const TRANSIT_OFFSET: usize = memory.data(OUTBOX * 4, 64)
export const TRANSIT_LENGTH: usize = memory.data(OUTBOX * 4, 64)
export const TRANSIT_VIA: usize = memory.data(OUTBOX * 4, 64)
export const TRANSIT_EXPIRED: usize = memory.data(OUTBOX, 64)
export const TRANSIT_HAND_OVER: usize = memory.data(OUTBOX, 64)
export const TRANSIT_SLOTS: usize = memory.data(OUTBOX * SLOT_BYTES, 64)

/** Large slots: packets behind a virtio_net_hdr, and datagrams laid end to end. */
export const LARGE_LAN_RX: usize = memory.data(BATCH * LARGE_BYTES + 64, 64)
export const LARGE_LAN_RX_LENGTH: usize = memory.data(BATCH * 4, 64)
export const LARGE_LAN_RX_HAND_OVER: usize = memory.data(BATCH, 64)
export const LARGE_LAN_RX_VIA: usize = memory.data(BATCH * 4, 64)
export const LARGE_WIRE_RX: usize = memory.data(BATCH * LARGE_BYTES, 64)
export const LARGE_WIRE_RX_LENGTH: usize = memory.data(BATCH * 4, 64)
export const LARGE_WIRE_RX_SEGMENT: usize = memory.data(BATCH * 4, 64)
export const LARGE_WIRE_RX_NAMES: usize = memory.data(BATCH * NAME_STRIDE, 64)
export const LARGE_WIRE_RX_TOS: usize = memory.data(BATCH, 64)
/** Super-packets for the LAN. */
export const COALESCED: usize = memory.data(COALESCE_BUFFERS * LARGE_BYTES, 64)

/** One inner fragment on its way into ESP. */
export const FRAGMENT_SCRATCH: usize = memory.data(SLOT_BYTES, 64)
/** Arguments of control calls: see control.ts. */
export const CONTROL_KEY: usize = memory.data(64, 64)
export const CONTROL_NONCE: usize = memory.data(64, 64)
export const CONTROL_ADDRESSES: usize = memory.data(64, 64)
export const CONTROL_HANDLES: usize = memory.data(64 * 4, 64)
export const CONTROL_PROBE: usize = memory.data(PROBE_PAYLOAD, 64)
/** Text and additional data of the bare AEAD calls. */
export const AEAD_SOURCE: usize = memory.data(SLOT_BYTES, 64)
export const AEAD_TARGET: usize = memory.data(SLOT_BYTES, 64)
export const AEAD_AAD: usize = memory.data(SLOT_BYTES, 64)

export const GLOBAL_DROPS: usize = memory.data(DROP_REASONS * 8, 64)

/** Entries of { spi, index + 1 }: twice as many as SAs, so that probing always ends. */
export const SPI_TABLE_ENTRIES: u32 = MAX_SAS * 2
export const SPI_TABLE: usize = memory.data(MAX_SAS * 2 * 8, 64)

export const TUNNEL_STRIDE: u32 = 192
export const TUNNELS: usize = memory.data(MAX_TUNNELS * 192, 64)
export const GROUP_STRIDE: u32 = 128
export const GROUPS: usize = memory.data(MAX_GROUPS * 128, 64)
/** One octet each: bytes of outer header in front of ESP, 0 when not set. */
export const ENDPOINT_OVERHEADS: usize = memory.data(MAX_ENDPOINTS, 64)

/** Room in front of the data of a datagram being reassembled, for its header. */
export const REASSEMBLY_HEADROOM: u32 = 512
export const REASSEMBLY_STRIDE: u32 = 66816
/** With room in front of the first, as there is in the slack behind each, for a virtio_net_hdr. */
export const REASSEMBLY_BUFFERS: usize = memory.data(REASSEMBLY_SLOTS * 66816 + 64, 64) + 64
export const REASSEMBLY_RECORD_STRIDE: u32 = 640
export const REASSEMBLY_RECORDS: usize = memory.data(REASSEMBLY_SLOTS * 640, 64)
