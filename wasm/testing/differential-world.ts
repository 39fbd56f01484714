/**
 * A random world on an engine pair: two tunnels out and the peer's end of them in, in one engine, so that what it
 * seals it can also open. Each step is random; both engines must agree after each.
 */
import { address, prefix, type SocketAddress } from '../../protocol/net.ts'
import type { AeadSuite, Encapsulation, OutboundSa, PacketEngine, TrafficSelector } from '../packet-engine.ts'
import { keyLength } from '../reference/aead.ts'
import { concat, getU32 } from '../reference/bytes.ts'
import { sealEsp, sealText } from '../reference/esp.ts'
import { type Datagram, EnginePair, type Onward, type SaName, type WirePacket } from './differential-pair.ts'
import { brokenPacket, Random, randomPackets } from './differential-random.ts'
import { randomClasses, randomGroup } from './differential-steering.ts'

const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
const TUNNELS = 3
const WINDOWS = [0, 64, 128, 1024, 4096]
const REMOTES: readonly SocketAddress[] = [
  { address: address('192.0.2.1'), port: 4500 },
  { address: address('192.0.2.1'), port: 61000 },
  { address: address('2001:db8::1'), port: 4500 },
]
const ROUTES = [
  '10.2.0.0/16',
  '10.2.64.0/18',
  '10.0.0.0/8',
  'fd02::/32',
  'fd02:0:0:1::/64',
  'fd00::/8',
  '0.0.0.0/0',
  '::/0',
]

/** PROBE_MAGIC */
const PROBE = Uint8Array.from('IsPr', (letter) => letter.charCodeAt(0))

interface Pipe {
  readonly sa: OutboundSa
  readonly outbound: SaName
  readonly inbound: SaName
}

export class DifferentialWorld {
  readonly pair: EnginePair
  readonly random: Random
  readonly #pipes = new Map<number, Pipe>()
  /** Sealed packets that are still to be opened, and some that were. */
  readonly #flying: WirePacket[] = []
  /** Highest sequence number that was used towards each SPI. */
  readonly #sequences = new Map<number, bigint>()
  readonly #encapsulations: Encapsulation[] = []
  #now = 1000
  #spi = 0x1000
  packets = 0
  /** Packets and datagrams that were another worker's. */
  handedOver = 0
  /** Sent on by other tunnels, left to another worker, answered to the LAN; and what a reverse path showed. */
  onward = { sent: 0, left: 0, answered: 0, asymmetric: 0 }
  /** That were sealed, and listed when they were opened. */
  probes = { sent: 0, listed: 0 }

  constructor(left: PacketEngine, right: PacketEngine, seed: number) {
    this.random = new Random(seed)
    this.pair = new EnginePair(left, right)
    for (let tunnel = 0; tunnel < TUNNELS; tunnel++) {
      this.#setEndpoint(tunnel)
      for (let i = this.random.between(0, 3); i > 0; i--) this.#addPipe(tunnel)
      this.#setTunnel(tunnel)
      randomGroup(this.random, this.pair, tunnel)
    }
    for (const route of ROUTES) if (this.random.chance(75)) this.#setRoute(route)
  }

  step(): void {
    this.#now += this.random.pick([0, 0, 1, 50, 400, 1000, 2000])
    const kind = this.random.below(100)
    if (kind < 35) this.#seal()
    else if (kind < 40) this.#sealProbe()
    else if (kind < 85) this.#open()
    else this.#reconfigure()
    this.pair.compareState()
  }

  #seal(): void {
    const packets: Uint8Array[] = []
    for (let i = this.random.between(1, 20); i > 0; i--) packets.push(...randomPackets(this.random, 'near'))
    const sent = packets.map((packet) => (this.random.chance(10) ? brokenPacket(this.random, packet) : packet))
    const { wire, handOver } = this.pair.seal(sent.slice(0, 150), this.#now, this.random.chance(20))
    this.handedOver += handOver.filter((worker) => worker > 0).length
    this.packets += sent.length
    for (const packet of wire) this.#noteSequence(packet.bytes)
    this.#flying.push(...wire)
    if (this.#flying.length > 400) this.#flying.splice(0, this.#flying.length - 400)
  }

  #sealProbe(): void {
    const payload = concat(PROBE, this.random.bytes(this.random.pick([0, 1, 40, 252])))
    const size = Math.max(payload.length, this.random.pick([0, 60, 1200, 1399, 9000]) - this.random.below(4))
    const sealed = this.pair.sealProbe(this.random.below(TUNNELS), payload, size, this.#now)
    if (sealed === undefined) return
    this.probes.sent++
    this.#noteSequence(sealed.bytes)
    this.#flying.push(sealed)
  }

  /** Sealed by the engine, or made here as another peer might: other padding, TFC, dummies, jumps in sequence. */
  #open(): void {
    const bytes: Uint8Array[] = []
    for (let i = this.random.between(1, 10); i > 0; i--) bytes.push(...this.#arrivals())
    const datagrams = this.random.chance(30) ? this.random.shuffle(bytes) : bytes
    const encapsulation = this.random.pick(['udp', 'udp', 'esp'] as const)
    const { elsewhere, probes, onward } = this.pair.open(
      datagrams.slice(0, 100).map((packet) => this.#datagram(packet)),
      encapsulation,
      this.#now,
    )
    this.packets += datagrams.length
    this.probes.listed += probes.length
    this.#noteOnward(onward)
    this.handedOver += elsewhere.filter((worker) => worker !== undefined).length
  }

  /** What is left for another worker comes out of its inbox here. */
  #noteOnward({ wire, lan, left }: Onward): void {
    const packets = left.map(({ packet }) => packet)
    const via = left.map((each) => each.via)
    const taken = this.pair.seal(packets, this.#now, this.random.chance(80), via)
    for (const packet of [...wire, ...taken.wire]) this.#noteSequence(packet.bytes)
    this.#flying.push(...wire, ...taken.wire)
    this.onward.sent += wire.length
    this.onward.left += left.length
    this.onward.answered += lan.length
    this.onward.asymmetric = 0
    for (let i = 0; i < TUNNELS; i++) this.onward.asymmetric += this.pair.tunnelCounters(i).asymmetric
  }

  #datagram(bytes: Uint8Array): Datagram {
    const remote = this.random.chance(90) ? REMOTES[0]! : this.random.pick(REMOTES)
    const tos = this.random.chance(70) ? 0 : this.random.below(256)
    return { bytes, remote, tos }
  }

  #arrivals(): Uint8Array[] {
    const kind = this.random.below(100)
    if (kind < 5)
      return [this.random.pick([Uint8Array.of(0xff), new Uint8Array(40), new Uint8Array(31), Uint8Array.of(0, 0)])]
    if (kind < 8) return [this.random.bytes(this.random.between(0, 80))]
    if (kind < 45 && this.#flying.length > 0) {
      const at = this.random.below(this.#flying.length)
      const run = this.#flying.slice(at, at + this.random.between(1, 20)).map(({ bytes }) => bytes)
      return run.map((packet) => (this.random.chance(10) ? this.#bent(packet) : packet))
    }
    if (this.#pipes.size === 0) return []
    const { sa } = this.random.pick([...this.#pipes.values()])
    return randomPackets(this.random, this.random.chance(85) ? 'near' : 'far').map((inner) => this.#craft(sa, inner))
  }

  #bent(packet: Uint8Array): Uint8Array {
    if (this.random.chance(30)) return packet.subarray(0, this.random.below(packet.length))
    const out = packet.slice()
    const at = this.random.below(out.length)
    out[at] = out[at]! ^ (1 << this.random.below(8))
    return out
  }

  #craft(sa: OutboundSa, packet: Uint8Array): Uint8Array {
    const sequence = this.#nextSequence(sa)
    const inner = this.random.chance(10) ? brokenPacket(this.random, packet) : packet
    const text = inner.subarray(0, 8900)
    const nextHeader = text.length > 0 && text[0]! >> 4 === 6 ? 41 : 4
    const kind = this.random.below(100)
    if (kind < 60) return sealEsp(sa, sequence, nextHeader, text)
    if (kind < 75)
      return sealEsp(sa, sequence, nextHeader, concat(text, this.random.bytes(this.random.between(1, 250))))
    if (kind < 80) return sealEsp(sa, sequence, 59, this.#dummy())
    if (kind < 84) return sealEsp(sa, sequence, this.random.pick([0, 4, 6, 17, 41, 59, 255]), text)
    if (kind < 90) return sealText(sa, sequence, concat(text, this.#oddTrailer(nextHeader)))
    return sealText(sa, sequence, this.random.bytes(this.random.between(2, 40)))
  }

  #dummy(): Uint8Array {
    const content = concat(PROBE, this.random.bytes(this.random.below(200)))
    return this.random.chance(50) ? content : content.subarray(this.random.below(5))
  }

  /** More padding than needed, or pad bytes and a pad length that do not agree. */
  #oddTrailer(nextHeader: number): Uint8Array {
    const length = this.random.between(0, 255)
    const pad = Uint8Array.from({ length }, (_, i) => i + 1)
    if (length > 0 && this.random.chance(30)) pad[this.random.below(length)] = this.random.below(256)
    return concat(pad, Uint8Array.of(this.random.chance(80) ? length : this.random.below(256), nextHeader))
  }

  #noteSequence(packet: Uint8Array): void {
    const spi = getU32(packet, 0)
    const sequence = (BigInt(getU32(packet, 8)) << 32n) | BigInt(getU32(packet, 12))
    if (sequence > (this.#sequences.get(spi) ?? 0n)) this.#sequences.set(spi, sequence)
  }

  /** Mostly the next; sometimes earlier, or far ahead, under ESN across the 32-bit wrap. */
  #nextSequence(sa: OutboundSa): bigint {
    const top = this.#sequences.get(sa.spi) ?? sa.initialSequence ?? 0n
    const kind = this.random.below(100)
    let sequence = top + 1n
    if (kind < 15) sequence = top - BigInt(this.random.below(200))
    else if (kind < 18) sequence = top - BigInt(this.random.below(6000))
    else if (kind < 20) sequence = top - BigInt(this.random.pick(WINDOWS) + this.random.between(-1, 1))
    else if (kind < 25) sequence = top + BigInt(this.random.below(100))
    else if (kind < 27) sequence = top + BigInt(this.random.below(0x7fff_ffff))
    if (sequence < 0n) sequence = 0n
    if (!sa.esn) sequence = sequence > 0xffff_ffffn ? 0xffff_ffffn : sequence
    if (sequence > top) this.#sequences.set(sa.spi, sequence)
    return sequence
  }

  #reconfigure(): void {
    const tunnel = this.random.below(TUNNELS)
    const kind = this.random.below(10)
    if (kind === 0) this.#setEndpoint(tunnel)
    if (kind === 1) this.#setTunnel(tunnel)
    if (kind === 2) this.#addPipe(tunnel)
    if (kind === 3) this.#removePipe()
    if (kind === 4) this.#setRoute(this.random.pick(ROUTES))
    if (kind === 5) this.pair.removeRoute(prefix(this.random.pick(ROUTES)))
    if (kind === 6 && this.random.chance(20)) this.pair.removeTunnel(tunnel)
    if (kind === 7) this.#setShare()
    if (kind === 2) this.#setTunnel(tunnel)
    if (kind === 8) randomGroup(this.random, this.pair, tunnel)
    if (kind === 9) this.#setSteering()
    for (const destination of ['10.2.0.9', '10.2.64.1', '10.3.0.1', '192.0.2.9', 'fd02::9', 'fd02:0:0:1::1', '::1']) {
      this.pair.lookupRoute(address(destination))
    }
  }

  #setSteering(): void {
    this.pair.setClasses(randomClasses(this.random))
    if (this.random.chance(30)) this.pair.setFlowSeed(this.random.next())
    if (this.random.chance(30)) this.pair.setOwnAddresses(['10.1.0.1', 'fd01::1'].map(address))
  }

  #setShare(): void {
    const workers = this.random.pick([1, 2, 5, 16])
    this.pair.setShare(this.random.below(workers), workers)
  }

  #setRoute(route: string): void {
    this.pair.setRoute(prefix(route), this.random.below(TUNNELS + 1))
  }

  #setEndpoint(tunnel: number): void {
    const encapsulation = this.random.pick(['udp', 'udp', 'esp'] as const)
    this.#encapsulations[tunnel] = encapsulation
    this.pair.setEndpoint(tunnel, { remote: this.random.pick(REMOTES), encapsulation })
  }

  #setTunnel(tunnel: number): void {
    const own = [...this.#pipes.values()].filter(({ sa }) => sa.tunnel === tunnel)
    const sas = this.random.shuffle(own.map(({ outbound }) => outbound))
    this.pair.setTunnel(tunnel, {
      pathMtu: this.random.pick([576, 577, 578, 579, 1280, 1400, 1500, 9000, 9216]),
      clampMss: this.random.chance(70),
      copyDscp: this.random.chance(50),
      sas: this.random.chance(90) ? sas : sas.slice(1),
      ...(this.random.chance(20) && { handOver: this.random.below(16) }),
      transit: this.random.chance(60),
      ...(this.random.chance(40) && { reversePath: this.random.pick(['off', 'loose', 'loose', 'strict'] as const) }),
      ...(this.random.chance(25) && { down: this.random.chance(80) }),
    })
    for (const sa of sas) this.pair.innerMtu(sa)
  }

  #addPipe(tunnel: number): void {
    if (this.#pipes.size >= 9) return
    const { random } = this
    const suite = random.pick(SUITES)
    const esn = random.chance(50)
    const initialSequence = random.pick([0n, 0n, 0n, 0xffff_fff0n, ...(esn ? [0x5_ffff_ff80n] : [])])
    const sa: OutboundSa = {
      suite,
      esn,
      tunnel,
      endpoint: tunnel,
      spi: this.#spi++,
      key: random.bytes(keyLength(suite)),
      salt: random.bytes(4),
      local: this.#selectors('near'),
      remote: this.#selectors('far'),
      initialSequence,
      ...(random.chance(20) && { softPackets: random.between(1, 100), hardPackets: random.between(50, 300) }),
      ...(random.chance(20) && { softBytes: random.between(1, 50_000), hardBytes: random.between(50_000, 200_000) }),
    }
    const outbound = this.pair.installOutbound(sa)
    const { local, remote } = sa
    const inbound = this.pair.installInbound({
      ...sa,
      local: remote,
      remote: local,
      replayWindow: random.pick(WINDOWS),
      initialHighest: initialSequence,
    })
    this.#pipes.set(sa.spi, { sa, outbound, inbound })
  }

  #removePipe(): void {
    if (this.#pipes.size === 0) return
    const spi = this.random.pick([...this.#pipes.keys()])
    const { outbound, inbound } = this.#pipes.get(spi)!
    this.pair.removeSa(outbound)
    if (this.random.chance(80)) {
      this.pair.removeSa(inbound)
      this.#pipes.delete(spi)
      return
    }
    this.pair.removeSa(inbound)
    this.#pipes.delete(spi)
  }

  #selectors(side: 'near' | 'far'): TrafficSelector[] {
    const wide =
      side === 'near'
        ? [
            ['10.1.0.0', '10.1.255.255'],
            ['fd01::', 'fd01:ffff::ffff'],
          ]
        : [
            ['10.2.0.0', '10.3.255.255'],
            ['fd02::', 'fd03::ffff'],
          ]
    const all = [
      ['0.0.0.0', '255.255.255.255'],
      ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ]
    const ranges = this.random.chance(50) ? wide : all
    const ports = this.random.chance(60)
      ? [[0, 65535]]
      : [
          [53, 443],
          [0, 4000],
          [65535, 0],
          [0x0800, 0x08ff],
          [9, 3],
        ]
    const protocols = this.random.chance(60) ? [0] : [6, 17, 1, 58, 0]
    const count = this.random.between(1, 4)
    return ranges.flatMap(([start, end]) =>
      Array.from({ length: count }, () => {
        const [startPort, endPort] = this.random.pick(ports)
        return {
          protocol: this.random.pick(protocols),
          startPort: startPort!,
          endPort: endPort!,
          startAddress: address(start!),
          endAddress: address(end!),
        }
      }),
    )
  }
}
