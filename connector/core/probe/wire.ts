/**
 * What two connectors say to each other in padded probes within ESP: docs/probes.md has the octets. The padding behind
 * a message is zeros, and not looked at.
 */

/** 'IsPr'. */
const MAGIC = 0x49735072
const VERSION = 1
/** Bytes of a message without padding, and of the inner packet of an ordinary probe. */
export const MESSAGE_BYTES = 64
const FLAG_LARGE = 1
const FLAG_ECHO = 2

export interface ProbeMessage {
  readonly type: 'request' | 'answer'
  /** Bytes of the inner packet as it was sent, padding included: MESSAGE_BYTES to 65535. */
  readonly size: number
  /** It asks for the path MTU, and is in no count: its loss says nothing of the path. */
  readonly large: boolean
  /** Of the sender, random; and the last one that it has seen of the receiver, 0 for none. */
  readonly session: bigint
  readonly peerSession: bigint
  /** How many messages this session has sent so far, this one included unless it is large. */
  readonly number: number
  /** Of a request, its own number among all requests; of an answer, that of the request. */
  readonly sequence: number
  /** Microseconds, modulo 2^32, of no known beginning. */
  readonly clock: number
  /** The clock of the last message of the receiver that was not large, and the microseconds since it came. */
  readonly echo?: { readonly clock: number; readonly held: number }
  /** The highest `number` of the receiver that came, and how many up to REORDERING below it did not. */
  readonly heard: number
  readonly lost: number
  /** Milliseconds from one of the sender's probes to the next; 0 where it sends none. */
  readonly interval: number
}

/** How many later messages may overtake one before it counts as lost. Both ends have to take the same. */
export const REORDERING = 4

export function encodeProbe(message: ProbeMessage): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint8(4, VERSION)
  view.setUint8(5, message.type === 'request' ? 1 : 2)
  view.setUint16(6, message.size)
  view.setBigUint64(8, message.session)
  view.setBigUint64(16, message.peerSession)
  view.setUint32(24, message.number)
  view.setUint32(28, message.sequence)
  view.setUint32(32, message.clock)
  view.setUint32(36, message.echo?.clock ?? 0)
  view.setUint32(40, message.echo?.held ?? 0)
  view.setUint32(44, message.heard)
  view.setUint32(48, message.lost)
  view.setUint32(52, message.interval)
  view.setUint8(56, (message.large ? FLAG_LARGE : 0) | (message.echo === undefined ? 0 : FLAG_ECHO))
  return bytes
}

/** Says how many bytes its inner packet has, in a message that is made already. */
export function setSize(message: Uint8Array, size: number): void {
  new DataView(message.buffer, message.byteOffset).setUint16(6, size)
}

/**
 * Undefined for what is no message of this version, or contradicts itself.
 * @param bytes the inner packet, of which the padding may be missing
 * @param length how many bytes it had, padding included
 */
export function decodeProbe(bytes: Uint8Array, length = bytes.length): ProbeMessage | undefined {
  if (bytes.length < MESSAGE_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, MESSAGE_BYTES)
  const type = view.getUint8(5)
  const flags = view.getUint8(56)
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION || (type !== 1 && type !== 2)) return undefined
  if (view.getUint16(6) !== length) return undefined
  const large = (flags & FLAG_LARGE) !== 0
  const session = view.getBigUint64(8)
  const number = view.getUint32(24)
  const heard = view.getUint32(44)
  const lost = view.getUint32(48)
  if (session === 0n || (large && type !== 1) || (!large && number === 0) || lost > heard) return undefined
  const echo = { clock: view.getUint32(36), held: view.getUint32(40) }
  return {
    type: type === 1 ? 'request' : 'answer',
    size: length,
    large,
    session,
    peerSession: view.getBigUint64(16),
    number,
    sequence: view.getUint32(28),
    clock: view.getUint32(32),
    ...((flags & FLAG_ECHO) === 0 ? {} : { echo }),
    heard,
    lost,
    interval: view.getUint32(52),
  }
}
