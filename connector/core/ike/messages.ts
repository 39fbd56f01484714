/** Small readers and makers of payloads. */
import { isErrorNotify, NOTIFY } from './wire/notify.ts'
import type { NotifyPayload, Payload } from './wire/types.ts'

export const NOTHING: Uint8Array = new Uint8Array(0)

export type PayloadOf<T extends Payload['type']> = Payload extends infer One
  ? One extends Payload
    ? T extends One['type']
      ? One
      : never
    : never
  : never

export function find<T extends Payload['type']>(payloads: readonly Payload[], type: T): PayloadOf<T> | undefined {
  return payloads.find((payload) => payload.type === type) as PayloadOf<T> | undefined
}

export function findNotify(payloads: readonly Payload[], notify: number): NotifyPayload | undefined {
  return payloads.find((payload): payload is NotifyPayload => payload.type === 'N' && payload.notify === notify)
}

/** The first notification that reports an error. */
export function errorNotify(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloads.find((payload): payload is NotifyPayload => payload.type === 'N' && isErrorNotify(payload.notify))
}

export function notify(type: number, data: Uint8Array = NOTHING): NotifyPayload {
  return { type: 'N', protocol: 0, spi: NOTHING, notify: type, data }
}

/** A notification about a Child SA of ESP; `spi` is the one that its sender receives on. */
export function childNotify(type: number, spi: Uint8Array): NotifyPayload {
  return { type: 'N', protocol: 3, spi, notify: type, data: NOTHING }
}

/** Name of an error type for logs: the RFC's, or its number. */
export function notifyName(type: number): string {
  for (const [name, value] of Object.entries(NOTIFY)) if (value === type) return name
  return `error ${type}`
}

export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

export function spiBytes(spi: number): Uint8Array {
  return Uint8Array.of(spi >>> 24, (spi >>> 16) & 0xff, (spi >>> 8) & 0xff, spi & 0xff)
}

/** Undefined unless there are exactly 4 bytes. */
export function spiNumber(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 4) return undefined
  return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0
}

/** Order of byte strings: first difference, then length (RFC 7296 section 2.8.1). */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return left[i]! - right[i]!
  return left.length - right.length
}

export function lowest(left: Uint8Array, right: Uint8Array): Uint8Array {
  return compareBytes(left, right) <= 0 ? left : right
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
