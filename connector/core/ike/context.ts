/** What all parts of one endpoint share. */
import type { Instant, RandomBytes } from '../../../protocol/machine.ts'
import type { IkeCrypto } from './crypto.ts'
import type { IkeSa } from './sa.ts'
import type { EndpointLimits, IkeCounters, IkeEffect, LocalPorts } from './types.ts'

export type MutableCounters = { -readonly [Name in keyof IkeCounters]: number }

export interface Context {
  readonly ports: LocalPorts
  readonly limits: EndpointLimits
  readonly crypto: IkeCrypto
  readonly random: RandomBytes
  /** Packet workers, each of which may have Child SAs of its own (RFC 9611): 1 to 16. */
  readonly resources: number
  readonly keyLog: boolean
  readonly counters: MutableCounters
  emit(effect: IkeEffect): void
  /** 8 bytes, not zero and not in use here. */
  newIkeSpi(): Uint8Array
  /** Above 255 and not in use here as an inbound SPI; tells the resource where there are several. */
  newChildSpi(resource: number): number
  releaseChildSpi(spi: number): void
  newChildId(): number
  /** Datagrams for the SA's SPI reach it from here on, until `unregister`. */
  register(sa: IkeSa): void
  unregister(sa: IkeSa): void
  /** A finished SA stays registered until then, to answer retransmitted requests. */
  linger(sa: IkeSa, until: Instant): void
}

/** Uniform in [0, 1), from the endpoint's random source. */
export function fraction(random: RandomBytes): number {
  const bytes = random(4)
  return (((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0) / 2 ** 32
}

/** Bytes of our nonces: at least half the key of every PRF here, at least 128 bits (RFC 7296 section 2.10). */
export const NONCE_LENGTH = 32
