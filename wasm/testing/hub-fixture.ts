/** A hub with three sites behind tunnels of its own: what comes from one, and what goes out to another, in the clear. */
import { address, type Prefix, prefix } from '../../protocol/net.ts'
import { createNodeEngine } from '../engine-node.ts'
import { createEngine } from '../load.ts'
import type { OutboundSa, TrafficSelector, Tunnel } from '../packet-engine.ts'
import { concat } from '../reference/bytes.ts'
import { openEsp, sealEsp, splitTrailer } from '../reference/esp.ts'
import { type Datagram, EnginePair, type Opened, type SaName, type WirePacket } from './differential-pair.ts'

/** Tunnel numbers; the site of tunnel n has 10.(n + 1).0.0/16 and fd0(n + 1)::/16. */
export const A = 0
export const B = 1
export const C = 2
/** Of the hub itself. */
export const OWN4 = '10.99.0.1'
export const OWN6 = 'fd99::1'

const PEER = { address: address('192.0.2.1'), port: 4500 }
const TUNNELS = [A, B, C]

export const everything = (over: Partial<TrafficSelector> = {}): TrafficSelector[] =>
  [
    ['0.0.0.0', '255.255.255.255'],
    ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ].map(([start, end]) => ({
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    startAddress: address(start!),
    endAddress: address(end!),
    ...over,
  }))

export interface SentOn {
  readonly tunnel: number
  readonly inner: Uint8Array
  readonly tos: number
}

export class Hub {
  readonly pair = new EnginePair(createEngine({ capacity: 'small' }), createNodeEngine())
  readonly outbound: SaName[] = []
  readonly inbound: SaName[] = []
  readonly #settings: Tunnel[] = []
  readonly #sequences = TUNNELS.map(() => 1n)

  /** `selectors`: of each SA of a tunnel, both sides of it. */
  constructor(selectors: readonly (TrafficSelector[] | undefined)[] = []) {
    const { pair } = this
    for (const tunnel of TUNNELS) {
      const sides = { local: selectors[tunnel] ?? everything(), remote: selectors[tunnel] ?? everything() }
      pair.setEndpoint(tunnel, { remote: PEER, encapsulation: 'udp' })
      this.outbound.push(pair.installOutbound({ ...saOf(tunnel, 0x1000), ...sides }))
      const { endpoint: _, ...keys } = saOf(tunnel, 0x2000)
      this.inbound.push(pair.installInbound({ ...keys, ...sides, replayWindow: 1024 }))
      this.#settings.push({
        pathMtu: 1500,
        clampMss: true,
        copyDscp: true,
        sas: [this.outbound[tunnel]!],
        transit: true,
      })
      this.tunnel(tunnel, {})
      pair.setGroup(tunnel, [tunnel])
      pair.setRoute(prefix(`10.${tunnel + 1}.0.0/16`), tunnel)
      pair.setRoute(prefix(`fd0${tunnel + 1}::/16`), tunnel)
    }
    pair.setOwnAddresses([address(OWN4), address(OWN6)])
  }

  tunnel(tunnel: number, over: Partial<Tunnel>): void {
    this.#settings[tunnel] = { ...this.#settings[tunnel]!, ...over }
    this.pair.setTunnel(tunnel, this.#settings[tunnel])
  }

  /** Has the prefix lead to these tunnels, in order. */
  route(to: string, group: number, tunnels: readonly number[]): void {
    this.pair.setGroup(group, tunnels)
    this.pair.setRoute(prefix(to) as Prefix, group)
  }

  /** As the peer of the tunnel sends it. */
  esp(tunnel: number, inner: Uint8Array): Uint8Array {
    return sealEsp(saOf(tunnel, 0x2000), this.#sequences[tunnel]!++, inner[0]! >> 4 === 6 ? 41 : 4, inner)
  }

  /** Packets that come by the tunnel, and what became of them. */
  arrive(tunnel: number, inners: readonly Uint8Array[], now = 0): Opened & { readonly sentOn: SentOn[] } {
    const datagrams: Datagram[] = inners.map((inner) => ({ bytes: this.esp(tunnel, inner), remote: PEER, tos: 0 }))
    const opened = this.pair.open(datagrams, 'udp', now)
    return { ...opened, sentOn: opened.onward.wire.map(innerOf) }
  }

  /** The same out of runs that a socket joined. */
  arriveInRun(tunnel: number, inners: readonly Uint8Array[]): Opened & { readonly sentOn: SentOn[] } {
    const sealed = inners.map((inner) => this.esp(tunnel, inner))
    const run = { bytes: concat(...sealed), segment: sealed[0]!.length, remote: PEER, tos: 0 }
    const opened = this.pair.openRuns([run], 0)
    return { ...opened, sentOn: opened.onward.wire.map(innerOf) }
  }

  dropped(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.pair.drops()).filter(([, count]) => count !== 0))
  }
}

function saOf(tunnel: number, spi: number): OutboundSa {
  const key = new Uint8Array(16).fill(tunnel + 1)
  const salt = Uint8Array.of(1, 2, 3, spi >> 8)
  const sides = { local: everything(), remote: everything() }
  return { suite: 'aes-128-gcm', key, salt, spi: spi + tunnel, esn: false, tunnel, endpoint: tunnel, ...sides }
}

/** What is in a packet that the hub has sealed. */
export function innerOf({ bytes, endpoint, tos }: WirePacket): SentOn {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const text = openEsp(saOf(endpoint, 0x1000), BigInt(view.getUint32(4)), bytes)
  if (text === undefined) throw new Error('the hub has sealed what its peer cannot open')
  return { tunnel: endpoint, inner: splitTrailer(text)!.payload.slice(), tos }
}
