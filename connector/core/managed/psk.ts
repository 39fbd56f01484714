import { hex } from '../ike/messages.ts'
import { concat } from '../ike/wire/bytes.ts'

/**
 * The pre-shared key of one epoch of a tunnel, which both ends derive and nobody else can: HKDF-SHA256 (RFC 5869) of
 * their X25519 shared secret (RFC 7748), bound to the network, the tunnel, the epoch, and who brought which half.
 */
export interface EpochCrypto {
  /** X25519. 32 fresh bytes, or undefined where the result is all zero (RFC 7748 section 6.1). */
  sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array
  sha256(bytes: Uint8Array): Uint8Array
}

export interface Half {
  readonly connector: string
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array
}

export interface EpochNames {
  readonly network: string
  readonly tunnel: string
  readonly epoch: number
}

export interface EpochPsk {
  /** 32 bytes; the caller's, who wipes them. */
  readonly psk: Uint8Array
  /** 16 hex digits that tell keys apart and nothing of them. */
  readonly fingerprint: string
}

const SALT = utf8('isthmus psk 1')
const FINGERPRINT = utf8('isthmus fingerprint')
const PSK_LENGTH = 32

/** Undefined where the peer's public key is one of the few that would make the secret known to all. */
export function deriveEpochPsk(
  names: EpochNames,
  mine: Half & { readonly privateKey: Uint8Array },
  theirs: Half,
  crypto: EpochCrypto,
): EpochPsk | undefined {
  const secret = crypto.sharedSecret(mine.privateKey, theirs.publicKey)
  if (secret === undefined) return undefined
  const psk = crypto.hkdfSha256(secret, SALT, epochInfo(names, mine, theirs), PSK_LENGTH)
  secret.fill(0)
  return { psk, fingerprint: hex(crypto.sha256(concat([FINGERPRINT, psk])).subarray(0, 8)) }
}

/** The same at both ends: halves in the order of their connectors' ids, everything with its length in front. */
function epochInfo({ network, tunnel, epoch }: EpochNames, left: Half, right: Half): Uint8Array {
  const [first, second] = left.connector < right.connector ? [left, right] : [right, left]
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, epoch)
  const parts = [
    utf8(network),
    utf8(tunnel),
    number,
    utf8(first.connector),
    first.publicKey,
    utf8(second.connector),
    second.publicKey,
  ]
  return concat(parts.flatMap((part) => [Uint8Array.of(part.length), part]))
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
