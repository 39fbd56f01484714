/** What a UDP payload is: IKE with or without the non-ESP marker, ESP, a keepalive (RFC 3948), or nothing of ours. */
import { u32 } from '../../core/ike/wire/bytes.ts'
import { HEADER_LENGTH, IKE_MAJOR_VERSION } from '../../core/ike/wire/codec.ts'
import type { KeyRing } from './keys.ts'

const IKE_PORT = 500
const NAT_PORT = 4500
const MARKER_LENGTH = 4

export type Datagram =
  | { readonly kind: 'ike' | 'esp'; readonly bytes: Uint8Array }
  | { readonly kind: 'keepalive' }
  | { readonly kind: 'other' }

/** By port where one of them is 500 or 4500, otherwise by what the bytes look like. */
export function classify(bytes: Uint8Array, ports: readonly number[], keys: KeyRing): Datagram {
  const isKeepalive = bytes.length === 1 && bytes[0] === 0xff
  if (ports.includes(NAT_PORT)) {
    if (isKeepalive) return { kind: 'keepalive' }
    return hasMarker(bytes) ? { kind: 'ike', bytes: bytes.subarray(MARKER_LENGTH) } : { kind: 'esp', bytes }
  }
  if (ports.includes(IKE_PORT)) return isKeepalive ? { kind: 'keepalive' } : { kind: 'ike', bytes }
  if (hasMarker(bytes) && looksLikeIke(bytes.subarray(MARKER_LENGTH))) {
    return { kind: 'ike', bytes: bytes.subarray(MARKER_LENGTH) }
  }
  if (looksLikeIke(bytes) && lengthOf(bytes) === bytes.length) return { kind: 'ike', bytes }
  if (bytes.length >= 8 && keys.esp.has(u32(bytes, 0))) return { kind: 'esp', bytes }
  return { kind: 'other' }
}

/**
 * A line of hex without ports is certainly meant for us: nothing is `other`. What is shorter than an IKE header is no
 * ESP packet either, with its IV and checksum; a length field that agrees speaks for IKE of another version.
 */
export function classifyBare(bytes: Uint8Array, keys: KeyRing): Datagram {
  const found = classify(bytes, [], keys)
  if (found.kind !== 'other') return found
  if (bytes.length === 1 && bytes[0] === 0xff) return { kind: 'keepalive' }
  if (hasMarker(bytes)) return { kind: 'ike', bytes: bytes.subarray(MARKER_LENGTH) }
  const isIke = bytes.length < HEADER_LENGTH || looksLikeIke(bytes) || lengthOf(bytes) === bytes.length
  return isIke ? { kind: 'ike', bytes } : { kind: 'esp', bytes }
}

function hasMarker(bytes: Uint8Array): boolean {
  return bytes.length >= MARKER_LENGTH && u32(bytes, 0) === 0
}

/** The length field of an IKE header. */
function lengthOf(bytes: Uint8Array): number {
  return u32(bytes, HEADER_LENGTH - 4)
}

/** Version 2 and an exchange type of IKEv2 where the header has them. */
function looksLikeIke(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_LENGTH) return false
  const exchange = bytes[18]!
  return bytes[17]! >>> 4 === IKE_MAJOR_VERSION && exchange >= 34 && exchange <= 44
}
