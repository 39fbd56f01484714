/** All BFD sessions of a connector: demultiplexing and the single-hop rules (RFC 5880 section 6.8.6, RFC 5881). */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import type { Address, SocketAddress } from '../../../protocol/net.ts'
import { type BfdSessionConfig, type BfdTimers, timerFaults } from './config.ts'
import { type BfdEffect, type BfdInput, BfdSession, type BfdStateChange, type BfdStatus } from './machine.ts'
import { type BfdFaultKind, type BfdPacket, decodeBfd, encodeBfd, isBfdFault } from './wire.ts'

/** Destination port of single-hop Control packets (RFC 5881 section 4). */
export const BFD_PORT = 3784
/** What a packet leaves with and must arrive with: nobody further away can send it (RFC 5881 section 5). */
export const BFD_TTL = 255
const SOURCE_PORTS = { first: 49_152, last: 65_535 } as const
/** More than any site has neighbours; each costs about as much as a small timer. */
export const MAX_SESSIONS = 1_024

/** Between which addresses, and over which interface where addresses alone do not say (link-local ones). */
export interface BfdPath {
  readonly local: Address
  readonly remote: Address
  readonly link?: string
}

/** `ttl`: TTL or hop limit as received. The bytes are not kept. */
export interface BfdDatagram {
  readonly kind: 'datagram'
  readonly bytes: Uint8Array
  readonly from: SocketAddress
  readonly to: Address
  readonly link?: string
  readonly ttl: number
}

export type BfdEndpointInput =
  | BfdDatagram
  | { readonly kind: 'time' }
  /** `id` is the caller's name for it. A second session of one path or one `id` is `refused`. */
  | { readonly kind: 'add'; readonly id: string; readonly path: BfdPath; readonly config: BfdSessionConfig }
  | { readonly kind: 'admin-up' | 'admin-down' | 'remove'; readonly id: string }
  | { readonly kind: 'timers'; readonly id: string; readonly timers: BfdTimers }

export type BfdEndpointEffect =
  /** From port `from.port`, with TTL 255, over `link` where it is given. */
  | {
      readonly kind: 'send'
      readonly id: string
      readonly from: SocketAddress
      readonly to: SocketAddress
      readonly link?: string
      readonly bytes: Uint8Array
    }
  | (BfdStateChange & { readonly id: string })
  /** Nothing leaves from that address and port any more. */
  | { readonly kind: 'ended'; readonly id: string; readonly from: SocketAddress }
  | { readonly kind: 'refused'; readonly id: string; readonly reason: string }

/** Why a datagram was discarded: those of the codec, and those that need to know the sessions. */
export type BfdDrop =
  | BfdFaultKind
  | 'bad-ttl'
  | 'unknown-discriminator'
  | 'unknown-path'
  | 'other-path'
  | 'authentication'

interface Entry {
  readonly id: string
  readonly path: BfdPath
  readonly port: number
  readonly session: BfdSession
}

export class BfdEndpoint implements Machine<BfdEndpointInput, BfdEndpointEffect> {
  /** Datagrams discarded, by reason. */
  readonly drops = new Map<BfdDrop, number>()
  readonly #random: RandomBytes
  readonly #byId = new Map<string, Entry>()
  readonly #byDiscriminator = new Map<number, Entry>()
  readonly #byPath = new Map<string, Entry>()
  readonly #effects: BfdEndpointEffect[] = []
  #nextPort: number

  constructor(random: RandomBytes) {
    this.#random = random
    const [high, low] = random(2)
    this.#nextPort = SOURCE_PORTS.first + (((high! << 8) | low!) & 0x3fff)
  }

  handle(input: BfdEndpointInput, now: Instant): void {
    switch (input.kind) {
      case 'datagram':
        this.#receive(input, now)
        break
      case 'time':
        for (const entry of [...this.#byId.values()]) {
          if ((entry.session.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.#tell(entry, input, now)
        }
        break
      case 'add':
        this.#add(input.id, input.path, input.config, now)
        break
      case 'admin-up':
      case 'admin-down':
      case 'remove':
        this.#tellById(input.id, { kind: input.kind }, now)
        break
      case 'timers':
        this.#setTimers(input.id, input.timers, now)
        break
    }
  }

  poll(): BfdEndpointEffect | undefined {
    return this.#effects.shift()
  }

  deadline(): Instant | undefined {
    let least = Number.POSITIVE_INFINITY
    for (const { session } of this.#byId.values()) least = Math.min(least, session.deadline() ?? least)
    return Number.isFinite(least) ? least : undefined
  }

  /** Undefined where there is no such session. */
  status(id: string): BfdStatus | undefined {
    return this.#byId.get(id)?.session.status()
  }

  get ids(): string[] {
    return [...this.#byId.keys()].sort()
  }

  #add(id: string, path: BfdPath, config: BfdSessionConfig, now: Instant): void {
    const refuse = (reason: string) => this.#effects.push({ kind: 'refused', id, reason })
    if (this.#byId.has(id)) return void refuse(`There is a session ${id} already.`)
    if (this.#byPath.has(pathKey(path)))
      return void refuse(`There is a session from ${path.local} to ${path.remote} already.`)
    if (this.#byId.size >= MAX_SESSIONS) return void refuse(`There are ${MAX_SESSIONS} sessions, which is the most.`)
    const faults = timerFaults(config.timers)
    if (faults.length > 0) return void refuse(faults.join(' '))
    const session = new BfdSession(this.#freshDiscriminator(), config, this.#random)
    const entry: Entry = { id, path, port: this.#takePort(), session }
    this.#byId.set(id, entry)
    this.#byDiscriminator.set(session.localDiscriminator, entry)
    this.#byPath.set(pathKey(path), entry)
    this.#tell(entry, { kind: 'time' }, now)
  }

  #setTimers(id: string, timers: BfdTimers, now: Instant): void {
    const faults = timerFaults(timers)
    if (faults.length > 0) this.#effects.push({ kind: 'refused', id, reason: faults.join(' ') })
    else this.#tellById(id, { kind: 'timers', timers }, now)
  }

  #receive(input: BfdDatagram, now: Instant): void {
    const found = this.#find(input)
    if (typeof found === 'string') this.drops.set(found, (this.drops.get(found) ?? 0) + 1)
    else this.#tell(found.entry, { kind: 'packet', packet: found.packet }, now)
  }

  #find(input: BfdDatagram): { entry: Entry; packet: BfdPacket } | BfdDrop {
    // RFC 5881 section 5: without authentication this is what keeps strangers out, so it comes first.
    if (input.ttl !== BFD_TTL) return 'bad-ttl'
    const packet = decodeBfd(input.bytes)
    if (isBfdFault(packet)) return packet.fault
    const isFirst = packet.yourDiscriminator === 0
    const entry = isFirst ? this.#onPath(input) : this.#byDiscriminator.get(packet.yourDiscriminator)
    if (entry === undefined) return isFirst ? 'unknown-path' : 'unknown-discriminator'
    if (!isOnPath(entry.path, input)) return 'other-path'
    if (packet.authentication !== undefined) return 'authentication'
    return { entry, packet }
  }

  #onPath({ to: local, from: { address: remote }, link }: BfdDatagram) {
    const onLink = link === undefined ? undefined : this.#byPath.get(pathKey({ local, remote, link }))
    return onLink ?? this.#byPath.get(pathKey({ local, remote }))
  }

  #tellById(id: string, input: BfdInput, now: Instant): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) this.#effects.push({ kind: 'refused', id, reason: `There is no session ${id}.` })
    else this.#tell(entry, input, now)
  }

  #tell(entry: Entry, input: BfdInput, now: Instant): void {
    entry.session.handle(input, now)
    for (let effect = entry.session.poll(); effect !== undefined; effect = entry.session.poll())
      this.#carry(entry, effect)
  }

  #carry(entry: Entry, effect: BfdEffect): void {
    const { id, path, port } = entry
    switch (effect.kind) {
      case 'send':
        this.#effects.push({
          kind: 'send',
          id,
          from: { address: path.local, port },
          to: { address: path.remote, port: BFD_PORT },
          ...(path.link === undefined ? {} : { link: path.link }),
          bytes: encodeBfd(effect.packet),
        })
        break
      case 'state':
        this.#effects.push({ ...effect, id })
        break
      case 'ended':
        this.#byId.delete(id)
        this.#byDiscriminator.delete(entry.session.localDiscriminator)
        this.#byPath.delete(pathKey(path))
        this.#effects.push({ kind: 'ended', id, from: { address: path.local, port } })
        break
    }
  }

  /** Random, so that who cannot see our packets cannot guess it. */
  #freshDiscriminator(): number {
    const bytes = this.#random(4)
    let value = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
    while (value === 0 || this.#byDiscriminator.has(value)) value = (value + 1) >>> 0
    return value
  }

  /** One for each session (RFC 5881 section 4); there are sixteen times as many as sessions. */
  #takePort(): number {
    const used = new Set([...this.#byId.values()].map(({ port }) => port))
    while (used.has(this.#nextPort)) this.#step()
    const port = this.#nextPort
    this.#step()
    return port
  }

  #step(): void {
    this.#nextPort = this.#nextPort === SOURCE_PORTS.last ? SOURCE_PORTS.first : this.#nextPort + 1
  }
}

function pathKey({ local, remote, link }: BfdPath): string {
  const ends = `${local} ${remote}`
  return link === undefined ? ends : `${ends} ${link}`
}

function isOnPath(path: BfdPath, { to, from, link }: BfdDatagram): boolean {
  return path.local === to && path.remote === from.address && (path.link === undefined || path.link === link)
}
