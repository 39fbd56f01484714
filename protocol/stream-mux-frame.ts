/** The frame header of yamux, version 0 (hashicorp/yamux, spec.md, "Framing"). */

export const HEADER_LENGTH = 12
export const VERSION = 0

export const FRAME = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const

export const FLAG = { SYN: 1, ACK: 2, FIN: 4, RST: 8 } as const

/** The error codes of a Go Away ("Session termination"). */
export const GO_AWAY = { normal: 0, 'protocol-error': 1, 'internal-error': 2 } as const

/** Both windows of every stream begin with it ("Flow Control"). */
export const INITIAL_WINDOW = 256 * 1024

/** Of a stream id, and of a window: both have 32 bits. */
export const MAX_UINT32 = 0xffff_ffff

/** A header of its own 12 bytes: the caller's. */
export function encodeHeader(type: number, flags: number, stream: number, length: number): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH)
  header[1] = type
  header[2] = flags >>> 8
  header[3] = flags
  writeUint32(header, 4, stream)
  writeUint32(header, 8, length)
  return header
}

/** Collects the bytes of one header after the other, cut anywhere. Its fields mean something while it is `complete`. */
export class HeaderReader {
  version = 0
  type = 0
  flags = 0
  stream = 0
  length = 0
  readonly #bytes = new Uint8Array(HEADER_LENGTH)
  #have = 0

  get complete(): boolean {
    return this.#have === HEADER_LENGTH
  }

  /** Takes from `bytes` at `offset` what the header lacks; returns the offset behind it. A complete one begins anew. */
  fill(bytes: Uint8Array, offset: number): number {
    if (this.#have === HEADER_LENGTH) this.#have = 0
    let at = offset
    if (this.#have === 0 && bytes.length - at >= HEADER_LENGTH) {
      this.#decode(bytes, at)
      this.#have = HEADER_LENGTH
      return at + HEADER_LENGTH
    }
    while (at < bytes.length && this.#have < HEADER_LENGTH) this.#bytes[this.#have++] = bytes[at++]!
    if (this.#have === HEADER_LENGTH) this.#decode(this.#bytes, 0)
    return at
  }

  #decode(bytes: Uint8Array, at: number): void {
    this.version = bytes[at]!
    this.type = bytes[at + 1]!
    this.flags = (bytes[at + 2]! << 8) | bytes[at + 3]!
    this.stream = readUint32(bytes, at + 4)
    this.length = readUint32(bytes, at + 8)
  }
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
