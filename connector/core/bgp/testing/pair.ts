/** Two sessions on one virtual clock over a TCP that delays, cuts, stalls and breaks; everything from a seed. */
import { address, type Prefix } from '../../../../protocol/net.ts'
import { BgpSession } from '../session.ts'
import type { ConnectionId, RouteInput, SessionConfig, SessionEffect } from '../session-types.ts'
import { decodeHeader, isBgpFault, prefixesOf } from '../wire/codec.ts'
import { CONFIG } from './driven.ts'

export type Side = 'left' | 'right'
export type Random = (below: number) => number

/** A connection as each end knows it. `undefined`: that end does not have it yet, or no longer. */
interface Wire {
  readonly from: Side
  readonly ends: { left: ConnectionId | undefined; right: ConnectionId | undefined }
  /** Nothing arrives any more, and nobody is told. */
  stalled: boolean
}

interface Arrival {
  readonly at: number
  readonly order: number
  readonly act: () => void
}

export class Peer {
  readonly session: BgpSession
  readonly log: SessionEffect[] = []
  readonly wires = new Map<ConnectionId, Wire>()
  /** What the neighbour's routes are, as a RIB would have it: prefix to ORIGIN. */
  readonly routes = new Map<Prefix, number>()
  /** What we announce, sent whole whenever a session comes up. */
  readonly wanted = new Map<Prefix, number>()
  accepts = false

  constructor(config: SessionConfig, random: Random) {
    this.session = new BgpSession(config, (length) => Uint8Array.from({ length }, () => random(256)))
  }
}

export class Pair {
  now = 0
  readonly left: Peer
  readonly right: Peer
  /** Faults of the network, in thousands: a connection that breaks or stalls while octets are under way. */
  breaks = 0
  private readonly random: Random
  private arrivals: Arrival[] = []
  private order = 0
  private incoming = 0

  constructor(random: Random, left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}) {
    this.random = random
    const remote = (host: number) => ({ transport: { remote: address(`192.0.2.${host}`), port: 179 } })
    this.left = new Peer({ ...CONFIG, ...remote(2), ...left }, random)
    const mirrored = { localAs: CONFIG.peerAs, peerAs: CONFIG.localAs, identifier: 0xc0000202 }
    this.right = new Peer({ ...CONFIG, ...mirrored, ...remote(1), ...right }, random)
  }

  give(side: Side, input: Parameters<BgpSession['handle']>[0]): void {
    const peer = this[side]
    peer.session.handle(input, this.now)
    for (let effect = peer.session.poll(); effect !== undefined; effect = peer.session.poll()) {
      peer.log.push(effect)
      this.carryOut(side, peer, effect)
    }
  }

  /** Until both are established on one connection, or the time is over. */
  settle(ms: number): boolean {
    const end = this.now + ms
    while (this.now < end && !this.together()) if (!this.step(end)) return this.together()
    return this.together()
  }

  run(ms: number): void {
    const end = this.now + ms
    while (this.step(end));
    this.now = end
  }

  together(): boolean {
    return this.left.session.state === 'established' && this.right.session.state === 'established'
  }

  /** Breaks or stalls a connection now. */
  disturb(): void {
    const wires = [...new Set([...this.left.wires.values(), ...this.right.wires.values()])]
    const wire = wires[this.random(Math.max(1, wires.length))]
    if (wire === undefined) return
    if (this.random(3) === 0) wire.stalled = true
    else this.tear(wire)
  }

  /** The next arrival or deadline; false when nothing comes before `end`. */
  private step(end: number): boolean {
    const deadlines = (['left', 'right'] as const).map(
      (side) => this[side].session.deadline() ?? Number.POSITIVE_INFINITY,
    )
    this.arrivals.sort((one, other) => one.at - other.at || one.order - other.order)
    const arrival = this.arrivals[0]
    const next = Math.min(arrival?.at ?? Number.POSITIVE_INFINITY, ...deadlines)
    if (next > end) return false
    this.now = Math.max(this.now, next)
    if (arrival !== undefined && arrival.at <= next) {
      this.arrivals.shift()
      arrival.act()
    } else this.give(deadlines[0]! <= next ? 'left' : 'right', { type: 'time' })
    return true
  }

  private later(ms: number, act: () => void): void {
    this.arrivals.push({ at: this.now + ms, order: this.order++, act })
  }

  private carryOut(side: Side, peer: Peer, effect: SessionEffect): void {
    switch (effect.type) {
      case 'listen':
        peer.accepts = effect.accept
        break
      case 'connect':
        this.dial(side, effect.connection)
        break
      case 'send':
        this.transmit(side, peer, effect.connection, effect.bytes)
        break
      case 'close':
        this.close(side, effect.connection)
        break
      case 'established':
        peer.routes.clear()
        this.later(0, () => this.announceAll(side))
        break
      case 'update':
        for (const block of effect.update.withdrawn) for (const each of prefixesOf(block)) peer.routes.delete(each)
        for (const { prefixes } of effect.update.reach) {
          for (const each of prefixesOf(prefixes)) peer.routes.set(each, effect.update.attributes!.origin)
        }
        break
    }
  }

  /** Hands in all that is wanted, in the RIB's place. */
  private announceAll(side: Side): void {
    const peer = this[side]
    for (const input of this.initial?.(peer.wanted) ?? []) this.give(side, input)
  }

  /** Set by whoever wants routes on the wire. */
  initial: ((wanted: ReadonlyMap<Prefix, number>) => RouteInput[]) | undefined

  private dial(side: Side, id: ConnectionId): void {
    const other = opposite(side)
    const wire: Wire = { from: side, ends: { left: undefined, right: undefined }, stalled: false }
    wire.ends[side] = id
    this[side].wires.set(id, wire)
    this.later(1 + this.random(30), () => {
      if (wire.ends[side] === undefined) return
      if (!this[other].accepts) {
        this.tellClosed(side, wire)
        return
      }
      const name = `in-${++this.incoming}`
      wire.ends[other] = name
      this[other].wires.set(name, wire)
      // What the other end says at once arrives behind the handshake.
      const back = 1 + this.random(30)
      this.lastArrival.set(wire, { [side]: this.now + back })
      this.later(back, () => {
        if (wire.ends[side] !== undefined) this.give(side, { type: 'connected', connection: id })
      })
      this.give(other, { type: 'incoming', connection: name })
    })
  }

  /** In pieces, each no earlier than the one before. */
  private transmit(side: Side, peer: Peer, id: ConnectionId, bytes: Uint8Array): void {
    const wire = peer.wires.get(id)
    if (wire === undefined) throw new Error(`${side} sends on ${id}, which is closed`)
    const header = decodeHeader(bytes, true)
    if (header === undefined || isBgpFault(header) || header.length !== bytes.length) throw new Error('not one message')
    const other = opposite(side)
    const at = Math.max(this.now + 1 + this.random(20), this.lastArrival.get(wire)?.[other] ?? 0)
    this.lastArrival.set(wire, { ...this.lastArrival.get(wire), [other]: at })
    const cut = 1 + this.random(bytes.length)
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)]) {
      if (piece.length === 0) continue
      this.later(at - this.now, () => {
        const name = wire.ends[other]
        if (wire.stalled || name === undefined) return
        this.give(other, { type: 'bytes', connection: name, bytes: piece })
      })
    }
    this.later(this.random(5), () => {
      if (!wire.stalled && wire.ends[side] === id)
        this.give(side, { type: 'sent', connection: id, octets: bytes.length })
    })
    if (this.random(1000) < this.breaks)
      this.later(this.random(40), () => (this.random(3) === 0 ? this.stall(wire) : this.tear(wire)))
  }

  private readonly lastArrival = new Map<Wire, Partial<Record<Side, number>>>()

  private stall(wire: Wire): void {
    wire.stalled = true
  }

  /** Our end goes at once; the other hears of it behind what is under way. */
  private close(side: Side, id: ConnectionId): void {
    const wire = this[side].wires.get(id)
    this[side].wires.delete(id)
    if (wire === undefined) return
    wire.ends[side] = undefined
    const other = opposite(side)
    const at = Math.max(this.now + 1 + this.random(20), this.lastArrival.get(wire)?.[other] ?? 0)
    this.later(at - this.now, () => {
      if (!wire.stalled) this.tellClosed(other, wire)
    })
  }

  /** A reset: both ends hear of it, one perhaps much later. */
  private tear(wire: Wire): void {
    const first: Side = this.random(2) === 0 ? 'left' : 'right'
    this.tellClosed(first, wire)
    this.later(this.random(4) === 0 ? 5_000 : this.random(50), () => this.tellClosed(opposite(first), wire))
    wire.stalled = true
  }

  private tellClosed(side: Side, wire: Wire): void {
    const id = wire.ends[side]
    if (id === undefined) return
    wire.ends[side] = undefined
    this[side].wires.delete(id)
    this.give(side, { type: 'closed', connection: id })
  }
}

function opposite(side: Side): Side {
  return side === 'left' ? 'right' : 'left'
}
