/** Stateless cookies against floods of half-open SAs from forged addresses (RFC 7296 section 2.6). */
import { type Address, addressBytes } from '../../../protocol/net.ts'
import type { IkeCrypto } from './crypto.ts'

/** Fields of the IKE_SA_INIT request that a cookie binds. */
export interface CookieInput {
  readonly initiatorSpi: Uint8Array
  readonly address: Address
  /** Data of the Nonce payload. */
  readonly nonce: Uint8Array
}

/** Of the cookies made here: one byte names the secret, then the MAC. RFC 7296 section 2.6 allows 1 to 64. */
export const COOKIE_LENGTH = 33
const PRF_HMAC_SHA2_256 = 5

/**
 * Makes and verifies cookies. Keeps nothing per peer. Call `rotate` with fresh random bytes every so often (a minute
 * or two); cookies of the secret before the current one stay valid, so that none fails for bad timing.
 */
export class CookieMint {
  readonly #crypto: IkeCrypto
  #version = 0
  #current: Uint8Array
  #previous: Uint8Array | undefined

  /** `secret`: 32 random bytes; copied. */
  constructor(crypto: IkeCrypto, secret: Uint8Array) {
    this.#crypto = crypto
    this.#current = secret.slice()
  }

  rotate(secret: Uint8Array): void {
    this.#previous?.fill(0)
    this.#previous = this.#current
    this.#current = secret.slice()
    this.#version = (this.#version + 1) & 0xff
  }

  make(input: CookieInput): Uint8Array {
    return this.#cookie(this.#version, this.#current, input)
  }

  /** Any bytes are allowed as `cookie`. Constant time in its contents behind the first byte. */
  verify(cookie: Uint8Array, input: CookieInput): boolean {
    if (cookie.length !== COOKIE_LENGTH) return false
    const secret = this.#secretOf(cookie[0]!)
    return secret !== undefined && this.#crypto.equal(cookie, this.#cookie(cookie[0]!, secret, input))
  }

  #secretOf(version: number): Uint8Array | undefined {
    if (version === this.#version) return this.#current
    return version === ((this.#version - 1) & 0xff) ? this.#previous : undefined
  }

  #cookie(version: number, secret: Uint8Array, { initiatorSpi, address, nonce }: CookieInput): Uint8Array {
    const bytes = addressBytes(address)
    // The nonce comes last: it alone has a length of the sender's choosing that nothing else shows.
    const mac = this.#crypto.prf(PRF_HMAC_SHA2_256, secret, initiatorSpi, Uint8Array.of(bytes.length), bytes, nonce)
    const cookie = new Uint8Array(COOKIE_LENGTH)
    cookie[0] = version
    cookie.set(mac, 1)
    return cookie
  }
}
