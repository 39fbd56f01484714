/** What a capture file yields, whatever its format. */

export interface Frame {
  /** Number of the packet (pcap, pcapng) or line (hex), from 1. */
  readonly number: number
  /** RFC 3339 in UTC with the file's own resolution; undefined where the file has none. */
  readonly time?: string
  /** LINKTYPE of tcpdump.org, or a bare UDP payload from a hex line. */
  readonly link: number | 'datagram'
  /** A view on the file. */
  readonly bytes: Uint8Array
  /** Length on the wire where the capture was cut short. */
  readonly originalLength?: number
  /** From a hex line that names them. */
  readonly source?: Endpoint
  readonly destination?: Endpoint
}

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** A packet, line or block that cannot be read. After a broken block nothing more comes: there is no way to find the next. */
export interface FrameFault {
  readonly number: number
  readonly fault: string
}

export type FrameSource = Iterable<Frame | FrameFault>

/** RFC 3339 time from whole seconds and a fraction of `digits` decimal digits; undefined outside the years 0 to 9999. */
export function timestamp(seconds: bigint, fraction: bigint, digits: number): string | undefined {
  if (seconds < -62167219200n || seconds > 253402300799n) return undefined
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return digits === 0 ? `${whole}Z` : `${whole}.${fraction.toString().padStart(digits, '0')}Z`
}
