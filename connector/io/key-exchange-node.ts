/** Key exchanges on `node:crypto`: MODP (RFC 3526), ECP (RFC 5903) and Curve25519 (RFC 8031). */
import {
  createDiffieHellmanGroup,
  createECDH,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import type { KeyExchange } from '../core/ike/crypto.ts'

const MODP_GROUPS: Readonly<Record<number, string>> = { 14: 'modp14', 15: 'modp15', 16: 'modp16' }

interface Curve {
  readonly name: string
  /** Bytes of one coordinate. */
  readonly length: number
}
const ECP_GROUPS: Readonly<Record<number, Curve>> = {
  19: { name: 'prime256v1', length: 32 },
  20: { name: 'secp384r1', length: 48 },
  21: { name: 'secp521r1', length: 66 },
}
const CURVE25519 = 31

/** As `IkeCrypto.generate`. Throws a RangeError for another group. */
export function generateKeyExchange(group: number): KeyExchange {
  if (group === CURVE25519) return x25519()
  const modp = MODP_GROUPS[group]
  if (modp !== undefined) return modpExchange(modp)
  const curve = ECP_GROUPS[group]
  if (curve !== undefined) return ecpExchange(curve)
  throw new RangeError(`key exchange group ${group} is not supported`)
}

/** Public values and secrets have the length of the modulus, zeros in front (RFC 7296 sections 2.14 and 3.4). */
function modpExchange(name: string): KeyExchange {
  const exchange = createDiffieHellmanGroup(name)
  const prime = exchange.getPrime()
  const length = prime.length
  const publicValue = leftPadded(exchange.generateKeys(), length)
  const complete = (peer: Uint8Array) => {
    if (peer.length !== length || !isBetweenOneAndMinusOne(peer, prime)) return undefined
    return quietly(() => leftPadded(exchange.computeSecret(peer), length))
  }
  return { publicValue, complete: once(complete) }
}

/** KE data is x | y (RFC 5903 section 7) without the leading 0x04 of SEC 1; the secret is x alone (section 9). */
function ecpExchange({ name, length }: Curve): KeyExchange {
  const exchange = createECDH(name)
  const publicValue = new Uint8Array(exchange.generateKeys().subarray(1))
  const complete = (peer: Uint8Array) => {
    if (peer.length !== 2 * length) return undefined
    const point = new Uint8Array(1 + peer.length)
    point[0] = 0x04
    point.set(peer, 1)
    // OpenSSL refuses a point that is not on the curve, which is all that RFC 6989 section 2.3 asks for.
    return quietly(() => leftPadded(exchange.computeSecret(point), length))
  }
  return { publicValue, complete: once(complete) }
}

/** DER of a SubjectPublicKeyInfo for X25519 (RFC 8410), up to the 32 bytes of the key. */
const X25519_SPKI = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00)

function x25519(): KeyExchange {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const publicValue = new Uint8Array(spki.subarray(X25519_SPKI.length))
  return { publicValue, complete: once((peer) => x25519Secret(privateKey, peer)) }
}

/** Undefined for an all-zero result as well (RFC 8031 section 3, RFC 7748 section 6.1). */
export function x25519Secret(privateKey: KeyObject, peer: Uint8Array): Uint8Array | undefined {
  if (peer.length !== 32) return undefined
  const der = Buffer.concat([X25519_SPKI, peer])
  return quietly(() => {
    const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
    const secret = leftPadded(diffieHellman({ privateKey, publicKey }), 32)
    return isZero(secret) ? undefined : secret
  })
}

/** The first call decides; what follows gets undefined, and nothing holds the private value any more. */
function once(complete: (peer: Uint8Array) => Uint8Array | undefined): KeyExchange['complete'] {
  let pending: typeof complete | undefined = complete
  return (peer) => {
    const run = pending
    pending = undefined
    return run?.(peer)
  }
}

/** OpenSSL reports a bad public value of the peer by throwing. */
function quietly(compute: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    return compute()
  } catch {
    return undefined
  }
}

/** 1 < value < prime - 1 (RFC 6989 section 2.1), numbers of equal length in network byte order. The prime is odd. */
function isBetweenOneAndMinusOne(value: Uint8Array, prime: Uint8Array): boolean {
  const last = value.length - 1
  const isSmall = value.subarray(0, last).every((byte) => byte === 0) && value[last]! <= 1
  if (isSmall) return false
  const minusOne = prime.slice()
  minusOne[last]! -= 1
  return Buffer.compare(value, minusOne) < 0
}

function leftPadded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  out.set(bytes, length - bytes.length)
  bytes.fill(0)
  return out
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
