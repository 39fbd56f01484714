/** Key exchanges on `node:crypto`: MODP (RFC 3526), ECP (RFC 5903) and Curve25519 (RFC 8031). */
import {
  createDiffieHellman,
  createDiffieHellmanGroup,
  createECDH,
  createPrivateKey,
  createPublicKey,
  type DiffieHellmanGroup,
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
  return keyExchange(group, undefined)
}

/**
 * A key exchange with a given private value, for known answers. Throws a RangeError for another group, or what
 * OpenSSL throws for a value that does not fit the group.
 */
export function keyExchangeFrom(group: number, privateValue: Uint8Array): KeyExchange {
  return keyExchange(group, privateValue)
}

function keyExchange(group: number, privateValue: Uint8Array | undefined): KeyExchange {
  if (group === CURVE25519) return x25519(privateValue)
  const modp = MODP_GROUPS[group]
  if (modp !== undefined) return modpExchange(modp, privateValue)
  const curve = ECP_GROUPS[group]
  if (curve !== undefined) return ecpExchange(curve, privateValue)
  throw new RangeError(`key exchange group ${group} is not supported`)
}

/** Public values and secrets have the length of the modulus, zeros in front (RFC 7296 sections 2.14 and 3.4). */
function modpExchange(name: string, privateValue: Uint8Array | undefined): KeyExchange {
  const exchange = modpGroup(name, privateValue)
  const prime = new Uint8Array(exchange.getPrime())
  const length = prime.length
  const publicValue = leftPadded(exchange.generateKeys(), length)
  const complete = (peer: Uint8Array) => {
    if (peer.length !== length || !isBetweenOneAndMinusOne(peer, prime)) return undefined
    return quietly(() => leftPadded(exchange.computeSecret(peer), length))
  }
  return { publicValue, complete: once(complete) }
}

function modpGroup(name: string, privateValue: Uint8Array | undefined): DiffieHellmanGroup {
  const group = createDiffieHellmanGroup(name)
  if (privateValue === undefined) return group
  const own = createDiffieHellman(group.getPrime(), group.getGenerator())
  own.setPrivateKey(privateValue)
  return own
}

/** KE data is x | y (RFC 5903 section 7) without the leading 0x04 of SEC 1; the secret is x alone (section 9). */
function ecpExchange({ name, length }: Curve, privateValue: Uint8Array | undefined): KeyExchange {
  const exchange = createECDH(name)
  if (privateValue === undefined) exchange.generateKeys()
  else exchange.setPrivateKey(privateValue)
  const publicValue = new Uint8Array(exchange.getPublicKey().subarray(1))
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

/** DER around a raw X25519 key (RFC 8410): all that comes before its 32 bytes. */
const X25519_SPKI = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00)
const X25519_PKCS8 = Uint8Array.of(
  0x30,
  0x2e,
  0x02,
  0x01,
  0x00,
  0x30,
  0x05,
  0x06,
  0x03,
  0x2b,
  0x65,
  0x6e,
  0x04,
  0x22,
  0x04,
  0x20,
)
const X25519_LENGTH = 32

/** An all-zero secret makes the peer's value invalid (RFC 8031 section 3, RFC 7748 section 6.1). */
function x25519(privateValue: Uint8Array | undefined): KeyExchange {
  const privateKey = privateValue === undefined ? generateKeyPairSync('x25519').privateKey : x25519Key(privateValue)
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const publicValue = new Uint8Array(spki.subarray(X25519_SPKI.length))
  const complete = (peer: Uint8Array) => {
    if (peer.length !== X25519_LENGTH) return undefined
    const der = Buffer.concat([X25519_SPKI, peer])
    return quietly(() => {
      const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
      const secret = leftPadded(diffieHellman({ privateKey, publicKey }), X25519_LENGTH)
      return secret.every((byte) => byte === 0) ? undefined : secret
    })
  }
  return { publicValue, complete: once(complete) }
}

function x25519Key(privateValue: Uint8Array): KeyObject {
  const key = Buffer.concat([X25519_PKCS8, privateValue])
  const parsed = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  key.fill(0)
  return parsed
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
