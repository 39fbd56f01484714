/** Messages out of the octets of one connection. */
import { type BgpFault, decodeHeader, isBgpFault } from './wire/codec.ts'

const EMPTY = new Uint8Array(0)

/** Keeps at most one message that is not whole, that is 65,535 octets. */
export class MessageReader {
  private pending: Uint8Array = EMPTY
  private from = 0
  private to = 0

  /** Takes octets as they came. */
  push(bytes: Uint8Array): void {
    const length = this.to - this.from
    if (length === 0 || this.to + bytes.length > this.pending.length) {
      // Doubling, so that a message in many small pieces is not copied for each.
      const room = new Uint8Array(Math.max(4096, 2 * (length + bytes.length)))
      room.set(this.pending.subarray(this.from, this.to))
      this.pending = room
      this.from = 0
      this.to = length
    }
    this.pending.set(bytes, this.to)
    this.to += bytes.length
  }

  /** The next whole message, a view that holds until `push`; or a fault of its header, behind which nothing comes. */
  next(extended: boolean): Uint8Array | BgpFault | undefined {
    const rest = this.pending.subarray(this.from, this.to)
    const header = decodeHeader(rest, extended)
    if (header === undefined || isBgpFault(header)) return header
    if (header.length > rest.length) return undefined
    this.from += header.length
    return rest.subarray(0, header.length)
  }
}
