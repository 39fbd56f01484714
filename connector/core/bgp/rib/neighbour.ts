/** What the RIB knows of a neighbour, and the generations of its routes. */
import type { Instant } from '../../../../protocol/machine.ts'
import { type Address, addressBytes, type Family } from '../../../../protocol/net.ts'
import type { NextHop, Role } from '../wire/types.ts'
import { AdjOut } from './adj-out.ts'
import type { NeighbourConfig, NeighbourCounters, NeighbourUp } from './types.ts'

export const FAMILIES: readonly Family[] = [4, 6]
/** The index of what we originate ourselves. */
export const LOCAL = 0

/**
 * A route belongs to the generation in which it was last announced. It is there while that is the current one or the
 * stale one: so all routes of a neighbour end, or become stale, by one number, and are cleaned away afterwards.
 * Numbers are of 8 bits: whoever bumps one must have cleaned before they come round.
 */
export class Generations {
  current = 0
  stale: number | undefined
  staleUntil: Instant | undefined
  /** Bumps since the beginning of the last cleaning, and since its end. */
  sinceCleaning = 0
  sinceCleaned = 0
  /** By generation. */
  readonly #routes = new Uint32Array(256)
  readonly #accepted = new Uint32Array(256)

  isLive(generation: number): boolean {
    return generation === this.current || generation === this.stale
  }

  /** All that is there ends, or becomes stale until then. What was stale before ends (RFC 4724 section 4.2). */
  bump(staleUntil?: Instant): void {
    this.stale = staleUntil === undefined ? undefined : this.current
    this.staleUntil = staleUntil
    this.current = (this.current + 1) & 0xff
    this.sinceCleaning++
    this.sinceCleaned++
  }

  dropStale(): void {
    this.stale = undefined
    this.staleUntil = undefined
  }

  count(generation: number, routes: 1 | -1 | 0, accepted: 1 | -1 | 0): void {
    this.#routes[generation]! += routes
    this.#accepted[generation]! += accepted
  }

  /** No route is left, of whatever generation. */
  get isEmpty(): boolean {
    return this.#routes.every((count) => count === 0)
  }

  get received(): number {
    return this.#routes[this.current]! + this.staleRoutes
  }

  get staleRoutes(): number {
    return this.stale === undefined ? 0 : this.#routes[this.stale]!
  }

  get accepted(): number {
    return this.#accepted[this.current]! + (this.stale === undefined ? 0 : this.#accepted[this.stale]!)
  }
}

/** Of a neighbour's routes of one family. */
export interface NeighbourFamily {
  readonly generations: Generations
  out: AdjOut
  /** Between BoRR and EoRR (RFC 7313). */
  isRefreshing: boolean
  /** It restarts gracefully and has not ended its initial routes: until then no refresh of its begins (RFC 7313 section 4). */
  awaitsEnd: boolean
  hasWarned: boolean
  /** The limit was exceeded: nothing more is taken in this session. */
  isOverLimit: boolean
}

export class Neighbour {
  readonly index: number
  config: NeighbourConfig
  isExternal: boolean
  isRemoved = false
  isUp = false
  routerId = 0
  addressBytes: Uint8Array
  families: readonly Family[] = []
  nextHops: Readonly<Partial<Record<Family, NextHop>>> = {}
  enhancedRefresh = false
  /** RFC 8326: we are leaving. */
  isLeaving = false
  /** Its routes are used last. */
  isAvoided = false
  readonly of: Readonly<Record<Family, NeighbourFamily>>
  readonly counters: NeighbourCounters = { announced: 0, withdrawn: 0, flaps: 0, overLimit: 0, rejected: new Map() }

  constructor(index: number, config: NeighbourConfig, localAs: number) {
    this.index = index
    this.config = config
    this.isExternal = config.peerAs !== localAs
    this.addressBytes = bytesOf(config.address)
    this.of = { 4: newFamily(), 6: newFamily() }
  }

  configure(config: NeighbourConfig, localAs: number): void {
    this.config = config
    this.isExternal = config.peerAs !== localAs
    this.addressBytes = bytesOf(config.address)
    this.isRemoved = false
  }

  up({ routerId, families, nextHops, keptForwarding, enhancedRefresh }: NeighbourUp): void {
    this.isUp = true
    this.routerId = routerId
    this.families = families
    this.nextHops = nextHops
    this.enhancedRefresh = enhancedRefresh ?? false
    this.isLeaving = this.isAvoided = false
    for (const family of FAMILIES) {
      const state = this.of[family]
      state.isRefreshing = state.hasWarned = state.isOverLimit = false
      state.awaitsEnd = keptForwarding !== undefined
    }
  }

  /** RFC 9234 is about external neighbours only. */
  get role(): Role | undefined {
    return this.isExternal ? this.config.role : undefined
  }

  /** Whether it may be sent routes of that family now. */
  sends(family: Family): boolean {
    return this.isUp && this.families.includes(family) && this.nextHops[family] !== undefined
  }
}

function newFamily(): NeighbourFamily {
  return {
    generations: new Generations(),
    out: new AdjOut(),
    isRefreshing: false,
    awaitsEnd: false,
    hasWarned: false,
    isOverLimit: false,
  }
}

/** Our own routes have no neighbour, and no address. */
function bytesOf(address: Address | ''): Uint8Array {
  return address === '' ? new Uint8Array(0) : addressBytes(address)
}
