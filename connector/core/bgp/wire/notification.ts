/** NOTIFICATION (RFC 4271 section 4.5), with shutdown communication (RFC 9003) and hard reset (RFC 8538). */
import { putU8 } from '../../ike/wire/bytes.ts'
import { CEASE, ERROR, HEADER_LENGTH, MESSAGE } from './constants.ts'
import { encodeHeader } from './header.ts'
import type { AfiSafi, NotificationMessage } from './types.ts'

/** Octets of a shutdown communication that we send; 255 are read. Nobody says that he reads more (RFC 9003 section 3). */
export const MAX_COMMUNICATION = 128

const field = { code: 19, subcode: 20, data: 21 } as const

/** `message` is whole, its header checked. Total: what cannot be understood of it stays in `data`. */
export function decodeNotification(message: Uint8Array): NotificationMessage {
  return notification(message[field.code]!, message[field.subcode]!, message.slice(field.data))
}

/** As a decoded one, with what its data say. `data` is kept, not copied. */
export function notification(code: number, subcode: number, data: Uint8Array): NotificationMessage {
  const base: NotificationMessage = { type: 'NOTIFICATION', code, subcode, data }
  if (code !== ERROR.cease) return base
  if (subcode === CEASE.hardReset && data.length >= 2) {
    const inner = { code: data[0]!, subcode: data[1]!, data: data.slice(2) }
    return { ...base, inner, ...communicationOf(inner.code, inner.subcode, inner.data) }
  }
  return { ...base, ...communicationOf(code, subcode, data) }
}

function communicationOf(code: number, subcode: number, data: Uint8Array): { communication?: string } {
  const carries = subcode === CEASE.administrativeShutdown || subcode === CEASE.administrativeReset
  const length = data[0]
  if (code !== ERROR.cease || !carries || length === undefined || length === 0 || 1 + length > data.length) return {}
  try {
    return { communication: new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(1, 1 + length)) }
  } catch {
    return {}
  }
}

/** Data of an administrative shutdown or reset. A text that is too long is cut between two characters. */
export function shutdownData(text: string): Uint8Array {
  const room = new Uint8Array(1 + MAX_COMMUNICATION)
  const { written } = new TextEncoder().encodeInto(text, room.subarray(1))
  if (written === 0) return new Uint8Array(0)
  room[0] = written
  return room.slice(0, 1 + written)
}

/** RFC 4486 section 4: AFI, SAFI, upper bound. */
export function prefixLimitData({ afi, safi }: AfiSafi, limit: number): Uint8Array {
  const data = new Uint8Array(7)
  const view = new DataView(data.buffer)
  view.setUint16(0, afi)
  view.setUint8(2, safi)
  view.setUint32(3, limit)
  return data
}

/** RFC 8538 section 3.1: wrapped, so that a peer that keeps routes over NOTIFICATIONs does not keep them. */
export function hardResetData(code: number, subcode: number, data: Uint8Array): Uint8Array {
  const wrapped = new Uint8Array(2 + data.length)
  putU8(wrapped, 0, code)
  putU8(wrapped, 1, subcode)
  wrapped.set(data, 2)
  return wrapped
}

/** `data` is cut to what a message holds. */
export function encodeNotification({ code, subcode, data }: Omit<NotificationMessage, 'type'>): Uint8Array {
  const head = new Uint8Array(field.data - HEADER_LENGTH)
  putU8(head, 0, code)
  putU8(head, 1, subcode)
  return encodeHeader(MESSAGE.NOTIFICATION, [head, data.subarray(0, MAX_DATA)])
}

/** Of a message of 4096 octets: the peer may know no longer ones. */
const MAX_DATA = 4096 - field.data
