/** Contents of IKE fragments (RFC 7383) put together, with a bound on everything: a capture is not to be trusted. */

const MAX_MESSAGES = 256
/** Of one message: four times what UDP can carry unfragmented. */
const MAX_MESSAGE_BYTES = 256 * 1024

interface Pending {
  readonly total: number
  readonly parts: Map<number, Uint8Array>
  bytes: number
  firstPayload: number
}

export interface Whole {
  readonly firstPayload: number
  readonly bytes: Uint8Array
}

export class Reassembly {
  private readonly pending = new Map<string, Pending>()

  /**
   * Takes the decrypted content of one fragment, padding removed. `message` names the message: SPIs, exchange,
   * message ID, direction. Returns the whole when this one completed it. A fragment with a larger total starts
   * anew, one with a smaller total is left out (section 2.6).
   */
  add(message: string, number: number, total: number, firstPayload: number, content: Uint8Array): Whole | undefined {
    let entry = this.pending.get(message)
    if (entry !== undefined && total < entry.total) return undefined
    if (entry === undefined || total > entry.total) {
      this.pending.delete(message)
      if (this.pending.size === MAX_MESSAGES) this.pending.delete(this.pending.keys().next().value!)
      entry = { total, parts: new Map(), bytes: 0, firstPayload: 0 }
      this.pending.set(message, entry)
    }
    if (entry.parts.has(number) || entry.bytes + content.length > MAX_MESSAGE_BYTES) return undefined
    entry.parts.set(number, content)
    entry.bytes += content.length
    if (number === 1) entry.firstPayload = firstPayload
    if (entry.parts.size < entry.total) return undefined
    this.pending.delete(message)
    const bytes = new Uint8Array(entry.bytes)
    let at = 0
    for (let index = 1; index <= total; index++) {
      const part = entry.parts.get(index)!
      bytes.set(part, at)
      at += part.length
    }
    return { firstPayload: entry.firstPayload, bytes }
  }
}
