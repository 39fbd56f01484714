/**
 * UDP encapsulation on the NAT-traversal port (RFC 3948 section 2): IKE messages carry a non-ESP marker of four
 * zero bytes where ESP has its SPI, and a single 0xff byte keeps a NAT's mapping alive.
 */
export const MARKER_LENGTH = 4
/** The whole payload of a NAT keepalive (RFC 3948 section 2.3). */
export const KEEPALIVE_BYTE = 0xff
/** SPI and sequence number; nothing shorter can be ESP. */
const ESP_HEADER_LENGTH = 8

export type UdpContent = 'ike' | 'esp' | 'keepalive' | 'malformed'

/** What a datagram on the NAT-traversal port holds, by its first bytes alone. Total: any bytes give an answer. */
export function classify(bytes: Uint8Array): UdpContent {
  if (bytes.length === 1) return bytes[0] === KEEPALIVE_BYTE ? 'keepalive' : 'malformed'
  if (bytes.length <= MARKER_LENGTH) return 'malformed'
  if ((bytes[0]! | bytes[1]! | bytes[2]! | bytes[3]!) === 0) return 'ike'
  return bytes.length < ESP_HEADER_LENGTH ? 'malformed' : 'esp'
}

/** A fresh array: the marker, then the message. */
export function withMarker(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(MARKER_LENGTH + message.length)
  out.set(message, MARKER_LENGTH)
  return out
}

/** A view of the message after the marker. Only for what `classify` called `ike`. */
export function withoutMarker(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(MARKER_LENGTH)
}
