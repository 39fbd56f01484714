/** Seeded choices, and random packets: valid, borderline and broken. The same seed makes the same packets. */
import { concat, setU16 } from '../reference/bytes.ts'
import { writeIpv4Checksum } from '../reference/ip.ts'
import {
  fragmentOf,
  type IpFields,
  icmp,
  icmpProtocol,
  ip,
  optionsHeader,
  pattern,
  tcp,
  tcpPacket,
  udp,
} from './packets.ts'

export class Random {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = seed >>> 0
  }

  /** 32 bits of a mixed counter. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit)
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => ({ item, key: this.next() }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item)
  }
}

/** Near the edges that the engine has: ESP alignment, MTUs, the IPv6 minimum, the largest packet. */
const SIZES = [0, 1, 2, 3, 4, 7, 8, 20, 100, 466, 467, 480, 512, 1200, 1231, 1232, 1240, 1372, 1400, 1410, 1472, 3000]
const PORTS = [0, 53, 80, 443, 4000, 5000, 65535]
const HOSTS = {
  4: {
    near: ['10.1.0.5', '10.1.255.255', '10.1.7.1'],
    far: ['10.2.0.9', '10.2.64.1', '10.3.0.1'],
    odd: ['224.0.0.5', '127.0.0.1', '0.0.0.0', '255.255.255.255', '192.0.2.1'],
  },
  6: {
    near: ['fd01::5', 'fd01:ffff::1'],
    far: ['fd02::9', 'fd02:0:0:1::1', 'fd03::1'],
    odd: ['ff02::1', '::1', '::', '2001:db8::1'],
  },
} as const

export function randomHost(random: Random, version: 4 | 6, side: 'near' | 'far'): string {
  return random.pick(random.chance(5) ? HOSTS[version].odd : HOSTS[version][side])
}

function randomFields(random: Random, version: 4 | 6, from: 'near' | 'far'): IpFields {
  const options = version === 4 && random.chance(10) ? randomIpv4Options(random) : undefined
  return {
    source: randomHost(random, version, from),
    destination: randomHost(random, version, from === 'near' ? 'far' : 'near'),
    tos: random.below(256),
    id: random.below(4),
    ttl: random.chance(10) ? random.between(0, 2) : random.between(1, 255),
    flags: version === 4 && random.chance(40) ? 0x4000 : 0,
    ...(options && { options }),
  }
}

function randomIpv4Options(random: Random): Uint8Array {
  const kinds = [
    Uint8Array.of(1),
    Uint8Array.of(0x82, 4, 1, 2),
    Uint8Array.of(0x07, 7, 4, 1, 2, 3, 4),
    Uint8Array.of(0),
  ]
  const all = concat(...Array.from({ length: random.between(1, 4) }, () => random.pick(kinds)))
  return concat(all, new Uint8Array(-all.length & 3))
}

/** One packet or all fragments of one, as hosts on the `from` side send them. */
export function randomPackets(random: Random, from: 'near' | 'far'): Uint8Array[] {
  const version = random.chance(60) ? 4 : 6
  const fields = randomFields(random, version, from)
  const kind = random.below(100)
  if (kind < 15) return [randomSyn(random, version, fields)]
  if (kind < 25) {
    const message = icmp(random.pick([0, 3, 8, 11, 1, 2, 128, 129, 137]), random.below(3), random.pick(SIZES))
    return [ip(version, message, { ...fields, protocol: icmpProtocol(version) })]
  }
  if (kind < 45) return randomFragments(random, version, fields)
  if (kind < 50 && version === 6) return [randomChain(random, fields)]
  if (kind < 55) return [ip(version, random.bytes(random.below(64)), { ...fields, protocol: random.below(256) })]
  return [ip(version, udp(randomSize(random), random.pick(PORTS), random.pick(PORTS)), fields)]
}

function randomSize(random: Random): number {
  if (random.chance(5)) return random.between(0, 8952)
  return random.pick(SIZES) + random.between(0, 3)
}

function randomSyn(random: Random, version: 4 | 6, fields: IpFields): Uint8Array {
  const before = random.pick([[], [1], [1, 1, 1], [4, 2], [3, 3, 7], [2, 3, 9], [8, 0], [0]])
  const mss = random.pick([536, 1000, 1220, 1380, 1460, 8960, 65535])
  const options = Uint8Array.of(...before, 2, 4, mss >> 8, mss & 0xff, ...random.pick([[], [1], [4, 2], [2]]))
  const segment = tcp(random.pick([0x02, 0x12, 0x10, 0x06]), options, random.pick(PORTS), random.pick(PORTS))
  if (random.chance(10)) segment[12] = random.below(16) << 4
  return tcpPacket(version, segment, fields)
}

function randomChain(random: Random, fields: IpFields): Uint8Array {
  const kinds = Array.from({ length: random.between(1, 9) }, () => random.pick([0, 43, 60, 60, 51, 44]))
  const headers = kinds.map((_, i) => {
    const header = optionsHeader(kinds[i + 1] ?? 17)
    if (kinds[i] === 44)
      header.set(
        random.pick([
          [0, 0],
          [0, 1],
          [0, 8],
          [0, 9],
        ] as const),
        2,
      )
    if (random.chance(5)) header[1] = random.below(4)
    return header
  })
  return ip(6, udp(random.pick(SIZES)), { ...fields, firstHeader: kinds[0]!, extensions: concat(...headers) })
}

/** A datagram in fragments: shuffled, some missing, repeated, overlapping or of a wrong size. */
function randomFragments(random: Random, version: 4 | 6, fields: IpFields): Uint8Array[] {
  const data = udp(random.pick([100, 1000, 3000, 8000, 20000]), random.pick(PORTS), random.pick(PORTS))
  const size = random.pick([64, 512, 1232, 1480 & ~7])
  const pieces: Uint8Array[] = []
  const tos = fields.tos! & 0xfc
  const marks = random.chance(80) ? [random.below(4)] : [0, 1, 2, 3]
  for (let at = 0; at < data.length && pieces.length < 80; at += size) {
    const end = Math.min(at + size + (random.chance(2) ? 8 : 0), data.length)
    pieces.push(fragmentOf(version, data, at, end, { ...fields, tos: tos | random.pick(marks) }))
  }
  const kept = pieces.filter(() => !random.chance(2))
  if (random.chance(5) && kept.length > 0) kept.push(random.pick(kept))
  return random.chance(50) ? random.shuffle(kept) : kept
}

/** The same packet with something wrong; IPv4 checksums are made right again more often than not. */
export function brokenPacket(random: Random, packet: Uint8Array): Uint8Array {
  const out = packet.slice()
  const kind = random.below(5)
  if (kind === 0) return out.subarray(0, random.below(out.length + 1))
  if (kind === 1) return concat(out, pattern(random.between(1, 300)))
  if (kind === 2 && out.length >= 6) setU16(out, out[0]! >> 4 === 4 ? 2 : 4, random.below(0x10000))
  for (let i = random.between(1, 3); i > 0 && kind >= 3; i--) {
    const at = random.below(Math.min(out.length, 64))
    out[at] = out[at]! ^ (1 << random.below(8))
  }
  const headerLength = (out[0]! & 15) * 4
  const fixable = out[0]! >> 4 === 4 && headerLength >= 20 && out.length >= headerLength
  if (fixable && random.chance(70)) writeIpv4Checksum(out)
  return out
}
