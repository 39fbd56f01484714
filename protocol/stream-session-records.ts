/** Records, of which the payload of every Noise message consists: u8 kind, u32 length, content. */

export const RECORD_MUX = 0
export const RECORD_CONTROL = 1
const RECORD_HEAD = 5

/**
 * Calls `take` with the content of each record, which is a part of `bytes`. Returns false, before any call, where they
 * are not whole records of known kinds.
 */
export function readRecords(bytes: Uint8Array, take: (kind: number, content: Uint8Array) => void): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!areWhole(view)) return false
  for (let at = 0; at < bytes.length; ) {
    const end = at + RECORD_HEAD + view.getUint32(at + 1)
    take(bytes[at]!, bytes.subarray(at + RECORD_HEAD, end))
    at = end
  }
  return true
}

function areWhole(view: DataView): boolean {
  let at = 0
  while (at < view.byteLength) {
    if (view.byteLength - at < RECORD_HEAD || view.getUint8(at) > RECORD_CONTROL) return false
    at += RECORD_HEAD + view.getUint32(at + 1)
  }
  return at === view.byteLength
}

/** What waits to be sent: control messages, and the bytes of the mux, which are borrowed and not copied. */
export class Outbox {
  #control: Uint8Array[] = []
  #controlLength = 0
  #parts: Uint8Array[] = []
  /** How many of the parts are gone, and how much of the next one. */
  #gone = 0
  #goneOfPart = 0
  #muxLength = 0

  /** Bytes that wait, heads of records not counted. */
  get length(): number {
    return this.#muxLength + this.#controlLength
  }

  addControl(message: Uint8Array): void {
    this.#control.push(message)
    this.#controlLength += message.length
  }

  addMux(parts: readonly Uint8Array[], length: number): void {
    for (const part of parts) if (part.length > 0) this.#parts.push(part)
    this.#muxLength += length
  }

  /**
   * Takes records of at most `budget` bytes together, as parts to be joined: control messages first, as `reset` must
   * come before the RST that it explains.
   */
  take(budget: number): Uint8Array[] {
    const taken: Uint8Array[] = []
    let left = budget
    while (this.#control.length > 0 && this.#control[0]!.length + RECORD_HEAD <= left) {
      const message = this.#control.shift()!
      taken.push(recordHead(RECORD_CONTROL, message.length), message)
      this.#controlLength -= message.length
      left -= RECORD_HEAD + message.length
    }
    const length = Math.min(this.#muxLength, left - RECORD_HEAD)
    if (this.#control.length > 0 || length <= 0) return taken
    taken.push(recordHead(RECORD_MUX, length))
    this.#takeMux(length, taken)
    return taken
  }

  clear(): void {
    this.#control = []
    this.#parts = []
    this.#gone = 0
    this.#goneOfPart = 0
    this.#controlLength = 0
    this.#muxLength = 0
  }

  #takeMux(length: number, taken: Uint8Array[]): void {
    this.#muxLength -= length
    for (let left = length; left > 0; ) {
      const part = this.#parts[this.#gone]!
      const end = Math.min(part.length, this.#goneOfPart + left)
      taken.push(end === part.length && this.#goneOfPart === 0 ? part : part.subarray(this.#goneOfPart, end))
      left -= end - this.#goneOfPart
      this.#goneOfPart = end
      if (end < part.length) continue
      this.#gone++
      this.#goneOfPart = 0
    }
    if (this.#muxLength > 0) return
    this.#parts = []
    this.#gone = 0
  }
}

function recordHead(kind: number, length: number): Uint8Array {
  const head = new Uint8Array(RECORD_HEAD)
  head[0] = kind
  new DataView(head.buffer).setUint32(1, length)
  return head
}
