/** Two endpoints face to face, with every message between them in the test's hands. */
import { type Address, address, type SocketAddress } from '../../../../protocol/net.ts'
import type { IkeCrypto } from '../crypto.ts'
import { DEFAULT_LIMITS, IkeEndpoint } from '../endpoint.ts'
import type { ChildConfig, ConnectionConfig, EndpointLimits, IkeEffect, IkeEvent, IkeInput } from '../types.ts'
import { ModelEngine } from './model-engine.ts'

export const HOUR = 3_600_000

export interface Datagram {
  readonly from: Name
  readonly local: SocketAddress
  readonly remote: SocketAddress
  readonly bytes: Uint8Array
}

export type Name = 'a' | 'b'

export interface PairOptions {
  readonly crypto: IkeCrypto
  readonly seed?: number
  readonly a?: Partial<ConnectionConfig>
  readonly b?: Partial<ConnectionConfig>
  readonly limits?: Partial<EndpointLimits>
  /** Resources of a and of b; one each where absent. */
  readonly resources?: readonly [number, number]
  readonly keyLog?: boolean
}

export class Side {
  readonly endpoint: IkeEndpoint
  readonly engine = new ModelEngine()
  readonly effects: IkeEffect[] = []
  readonly #nonces: Uint8Array[] = []

  constructor(
    name: Name,
    connections: readonly ConnectionConfig[],
    options: {
      crypto: IkeCrypto
      limits: EndpointLimits
      random: (length: number) => Uint8Array
      keyLog: boolean
      resources?: number
    },
    now: number,
  ) {
    this.name = name
    this.resources = options.resources ?? 1
    const random = (length: number) => {
      const bytes = options.random(length)
      const chosen = length === 32 ? this.#nonces.shift() : undefined
      if (chosen !== undefined) bytes.set(chosen.subarray(0, length))
      return bytes
    }
    this.endpoint = new IkeEndpoint({ ports: { port: 500, natPort: 4500 }, connections, ...options, random }, now)
  }

  readonly name: Name
  readonly resources: number

  /** The next nonces begin with these bytes, which decides who wins a simultaneous rekey. */
  nonces(...firstBytes: number[]): void {
    for (const first of firstBytes) this.#nonces.push(Uint8Array.of(first))
  }

  get events(): IkeEvent[] {
    return this.effects.flatMap((effect) => (effect.type === 'report' ? [effect.event] : []))
  }

  event<T extends IkeEvent['type']>(type: T): Extract<IkeEvent, { type: T }> | undefined {
    return this.events.findLast((event): event is Extract<IkeEvent, { type: T }> => event.type === type)
  }

  /** Live Child SAs as the endpoint sees them. */
  get children() {
    return this.endpoint.status(0).flatMap((connection) => connection.children)
  }
}

export class Pair {
  now = 1000
  readonly a: Side
  readonly b: Side
  /** A NAT in front of a: b sees this address, and a's ports moved up by `firstPort`. A rebinding changes it. */
  nat: { address: Address; firstPort: number } | undefined
  /** What becomes of each message as it is sent. */
  onPath: ((datagram: Datagram) => Datagram) | undefined
  /** Messages on their way, oldest first. */
  inFlight: Datagram[] = []
  /**
   * Names a child that must carry packets both ways at every moment from now on, those included that were sealed
   * a little before the sender changed over. What breaks this ends up in `losses`.
   */
  mustCarry: string | undefined
  readonly losses: string[] = []
  readonly #lastSealed = new Map<number, number>()

  constructor(options: PairOptions) {
    const random = seeded(options.seed ?? 1)
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    const shared = { crypto: options.crypto, limits, random, keyLog: options.keyLog ?? false }
    const [ours, theirs] = options.resources ?? [1, 1]
    this.a = new Side('a', [connection('a', options.a)], { ...shared, resources: ours }, this.now)
    this.b = new Side('b', [connection('b', options.b)], { ...shared, resources: theirs }, this.now)
    this.#drain('a')
    this.#drain('b')
  }

  /** Brings up an IKE SA with every configured child, a initiating, and forgets the effects so far. */
  establish(): this {
    this.input('a', { type: 'initiate', connection: 'peer' })
    this.flush()
    this.advance(20_000)
    this.a.effects.length = 0
    this.b.effects.length = 0
    this.mustCarry = this.a.children[0]?.child
    return this
  }

  /** Delivers all that is on its way and lets every delayed clean-up happen. */
  settle(ms = 300_000): void {
    this.flush()
    this.advance(ms)
  }

  input(name: Name, input: IkeInput): void {
    this[name].endpoint.handle(input, this.now)
    this.#drain(name)
  }

  rekeyChild(name: Name, child = 'net'): void {
    this.input(name, { type: 'rekey-child', connection: 'peer', child })
  }

  rekeyIke(name: Name): void {
    this.input(name, { type: 'rekey-ike', connection: 'peer' })
  }

  /** Takes the oldest message from `name` out of the flight into the test's hand. */
  take(name: Name): Datagram {
    const at = this.inFlight.findIndex((datagram) => datagram.from === name)
    if (at < 0) throw new Error(`${name} has nothing in flight`)
    return this.inFlight.splice(at, 1)[0]!
  }

  /** True when `name` has sent something that is still on its way. */
  sent(name: Name): boolean {
    return this.inFlight.some((datagram) => datagram.from === name)
  }

  deliver(datagram: Datagram): void {
    const to: Name = datagram.from === 'a' ? 'b' : 'a'
    const { local, remote, bytes } = datagram
    const ends = { local: remote, remote: local }
    if (this.nat !== undefined && datagram.from === 'a') ends.remote = this.#outside(local)
    if (this.nat !== undefined && datagram.from === 'b') {
      const inside = this.#inside(remote)
      if (inside === undefined) return
      ends.local = inside
    }
    this.input(to, { type: 'datagram', ...ends, bytes: bytes.slice() })
  }

  #outside({ port }: SocketAddress): SocketAddress {
    return { address: this.nat!.address, port: this.nat!.firstPort + port }
  }

  #inside({ address: to, port }: SocketAddress): SocketAddress | undefined {
    const original = port - this.nat!.firstPort
    if (to !== this.nat!.address || (original !== 500 && original !== 4500)) return undefined
    return { address: ADDRESSES.a, port: original }
  }

  /** Delivers the oldest message of `name` and takes the answer, if any, into the test's hand. */
  pass(name: Name): Datagram {
    const datagram = this.take(name)
    this.deliver(datagram)
    return datagram
  }

  /** Delivers everything, also what the deliveries bring about, without the passage of time. */
  flush(): void {
    for (let i = 0; this.inFlight.length > 0; i++) {
      if (i > 1000) throw new Error('the endpoints never stop talking')
      this.deliver(this.inFlight.shift()!)
    }
  }

  /** Lets time pass, waking each endpoint when it wants to be. `deliver` false keeps new messages in flight. */
  advance(ms: number, deliver = true): void {
    const end = this.now + ms
    for (let i = 0; ; i++) {
      if (i > 10_000) throw new Error('the endpoints never rest')
      const next = Math.min(this.a.endpoint.deadline() ?? end, this.b.endpoint.deadline() ?? end)
      if (next >= end) break
      this.now = Math.max(this.now, next)
      this.#tick()
      if (deliver) this.flush()
    }
    this.now = end
    this.#tick()
    if (deliver) this.flush()
  }

  /** Faults of what both ends hold now; empty when they agree on exactly these many SAs. */
  disagreements(want: { ike: number; children: number }): string[] {
    const faults = [...this.a.engine.faults, ...this.b.engine.faults, ...this.losses]
    const spis = (side: Side) => side.endpoint.ikeSas().map((sa) => `${sa.initiatorSpi} ${sa.responderSpi} ${sa.state}`)
    const left = spis(this.a).sort()
    const right = spis(this.b).sort()
    if (left.length !== want.ike) faults.push(`a has ${left.length} IKE SAs, not ${want.ike}: ${left.join(', ')}`)
    if (left.join() !== right.join()) faults.push(`IKE SAs differ: ${left.join(', ')} | ${right.join(', ')}`)
    for (const side of [this.a, this.b]) {
      const { engine, name, children } = side
      if (children.length !== want.children) faults.push(`${name} lists ${children.length} children`)
      if (engine.installed.size !== want.children) faults.push(`${name} has ${engine.installed.size} installed`)
      for (const sa of engine.installed.values())
        if (!this.carries(name, sa.child)) faults.push(`${name} cannot send to the peer on ${sa.child}`)
    }
    return [...faults, ...this.#unmatched()]
  }

  /** Child SAs that only one end has, and resources of a child that is up without an SA of their own. */
  #unmatched(): string[] {
    const faults: string[] = []
    const halves = (side: Side, mine: 'inbound' | 'outbound', theirs: 'inbound' | 'outbound') =>
      [...side.engine.installed.values()].map((sa) => `${sa.child} ${sa[mine].spi} ${sa[theirs].spi}`).sort()
    const [left, right] = [halves(this.a, 'inbound', 'outbound'), halves(this.b, 'outbound', 'inbound')]
    if (left.join() !== right.join()) faults.push(`Child SAs differ: ${left.join(', ')} | ${right.join(', ')}`)
    for (const { name, engine, resources } of [this.a, this.b]) {
      for (const child of new Set([...engine.installed.values()].map((sa) => sa.child)))
        for (let resource = 0; resource < resources; resource++)
          if (engine.sender(child, resource)?.resource !== resource)
            faults.push(`${name} lacks ${child} on ${resource}`)
    }
    return faults
  }

  /** True when a packet that `name` seals now, on whichever of its resources, could be opened by the other end now. */
  carries(name: Name, child = 'net'): boolean {
    const { engine } = this[name === 'a' ? 'b' : 'a']
    return this.#senders(name, child).every((sealed) => sealed !== undefined && engine.receiver(sealed) !== undefined)
  }

  #senders(name: Name, child: string) {
    const { engine, resources } = this[name]
    return Array.from({ length: resources }, (_, resource) => engine.sender(child, resource))
  }

  #tick(): void {
    this.input('a', { type: 'time' })
    this.input('b', { type: 'time' })
  }

  #drain(name: Name): void {
    const side = this[name]
    for (let effect = side.endpoint.poll(); effect !== undefined; effect = side.endpoint.poll()) {
      if (effect.type === 'remove-child') this.#watchRemoval(side, effect.id)
      side.effects.push(effect)
      side.engine.apply(effect)
      if (effect.type !== 'send') continue
      const datagram = { from: name, ...effect }
      this.inFlight.push(this.onPath?.(datagram) ?? datagram)
    }
    this.#watchTraffic()
  }

  #watchTraffic(): void {
    const child = this.mustCarry
    if (child === undefined) return
    for (const name of ['a', 'b'] as const) {
      if (!this.carries(name, child)) this.#lose(`at ${this.now}: ${name} cannot reach the other end`)
      for (const sealed of this.#senders(name, child))
        if (sealed !== undefined) this.#lastSealed.set(sealed.outbound.spi, this.now)
    }
  }

  #watchRemoval(side: Side, id: number): void {
    const sa = side.engine.installed.get(id)
    const sealed = sa === undefined ? undefined : this.#lastSealed.get(sa.inbound.spi)
    if (this.mustCarry === undefined || sealed === undefined) return
    if (this.now - sealed < 1000) this.#lose(`at ${this.now}: ${side.name} removed ${id} under packets on their way`)
  }

  #lose(what: string): void {
    if (this.losses.length < 10) this.losses.push(what)
  }
}

const ADDRESSES: Record<Name, Address> = { a: address('192.0.2.1'), b: address('192.0.2.2') }
const NETWORKS: Record<Name, string> = { a: '10.1.0', b: '10.2.0' }

/** The configuration of one end: child `net` between 10.1.0.0/24 (a) and 10.2.0.0/24 (b), x25519 everywhere. */
export function connection(name: Name, changes: Partial<ConnectionConfig> = {}): ConnectionConfig {
  const other: Name = name === 'a' ? 'b' : 'a'
  return {
    name: 'peer',
    localAddress: ADDRESSES[name],
    remoteAddress: ADDRESSES[other],
    remotePort: 500,
    remoteNatPort: 4500,
    localId: { type: 'fqdn', value: `${name}.example` },
    remoteId: { type: 'fqdn', value: `${other}.example` },
    psk: Uint8Array.from('a shared secret', (char) => char.charCodeAt(0)),
    initiate: false,
    proposals: [{ encryption: 'aes128gcm16', prf: 'prfsha256', group: 'x25519' }],
    children: [childConfig(name)],
    lifetime: { softMs: 24 * HOUR, hardMs: 26 * HOUR, jitterMs: 0 },
    dpdIntervalMs: 0,
    encapsulation: 'auto',
    natKeepaliveMs: 20_000,
    fragmentSize: 1280,
    ...changes,
  }
}

export function childConfig(name: Name, changes: Partial<ChildConfig> = {}, subnet = 0): ChildConfig {
  const other: Name = name === 'a' ? 'b' : 'a'
  const selector = (network: string) => ({
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    startAddress: address(`${network}.${subnet}`),
    endAddress: address(`${network}.${subnet + 63}`),
  })
  return {
    name: 'net',
    local: [selector(NETWORKS[name])],
    remote: [selector(NETWORKS[other])],
    proposals: [{ encryption: 'aes128gcm16', esn: true, group: 'x25519' }],
    lifetime: { softMs: 8 * HOUR, hardMs: 9 * HOUR, jitterMs: 0 },
    replayWindow: 1024,
    ...changes,
  }
}

/** xorshift128: repeatable bytes, for tests alone. */
export function seeded(seed: number): (length: number) => Uint8Array {
  const next = seededUint32(seed)
  return (length) => Uint8Array.from({ length }, () => next() >>> 24)
}

export function seededUint32(seed: number): () => number {
  const s = [seed | 1, 0x9e3779b9 ^ seed, 0x243f6a88, 0xb7e15162]
  const next = () => {
    const t = s[3]! ^ (s[3]! << 11)
    s[3] = s[2]!
    s[2] = s[1]!
    s[1] = s[0]!
    s[0] = (s[0]! ^ (s[0]! >>> 19) ^ t ^ (t >>> 8)) >>> 0
    return s[0]
  }
  for (let i = 0; i < 20; i++) next()
  return next
}
