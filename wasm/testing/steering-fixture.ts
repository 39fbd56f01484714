/** Several tunnels of one engine that take everything, and which of them packets go out by. */
import { address, prefix } from '../../protocol/net.ts'
import { createNodeEngine } from '../engine-node.ts'
import { createEngine } from '../load.ts'
import type { OutboundSa, TrafficSelector, Tunnel } from '../packet-engine.ts'
import { concat, setU16 } from '../reference/bytes.ts'
import { EnginePair, type Sealed } from './differential-pair.ts'
import { ip, tcp, udp } from './packets.ts'

const SIDES: readonly TrafficSelector[] = [
  ['0.0.0.0', '255.255.255.255'],
  ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
].map(([first, last]) => ({
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address(first!),
  endAddress: address(last!),
}))

/** What of an engine, or of a pair, is needed here. */
export type Steered = Pick<
  EnginePair,
  'installOutbound' | 'setEndpoint' | 'setTunnel' | 'setGroup' | 'setRoute' | 'removeSa'
>

export interface Tunnels {
  /** Sets tunnel `handle` anew, with its SA unless `sas` says otherwise. */
  set(handle: number, over?: Partial<Tunnel>): void
  readonly sas: readonly number[]
}

/** Tunnels 0 to `count - 1`, each with an endpoint of its number, all of them in group 0, where everything goes. */
export function openTunnels(engine: Steered, count: number, over: Partial<OutboundSa> = {}): Tunnels {
  const sas = Array.from({ length: count }, (_, i) => {
    engine.setEndpoint(i, { remote: { address: address('192.0.2.1'), port: 4500 }, encapsulation: 'udp' })
    return engine.installOutbound({
      suite: 'aes-128-gcm',
      key: new Uint8Array(16).fill(i + 1),
      salt: Uint8Array.of(1, 2, 3, 4),
      spi: 0x1000 + i,
      esn: true,
      tunnel: i,
      endpoint: i,
      local: SIDES,
      remote: SIDES,
      ...over,
    })
  })
  const set = (handle: number, tunnel: Partial<Tunnel> = {}) =>
    engine.setTunnel(handle, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [sas[handle]!], ...tunnel })
  for (let i = 0; i < count; i++) set(i)
  const all = Array.from({ length: count }, (_, i) => i)
  engine.setGroup(0, all)
  engine.setRoute(prefix('0.0.0.0/0'), 0)
  engine.setRoute(prefix('::/0'), 0)
  return { set, sas }
}

export function pairOfEngines(): EnginePair {
  return new EnginePair(createEngine({ capacity: 'small' }), createNodeEngine())
}

/** The tunnel of each packet that went out. */
export function tunnelsOf({ wire }: Sealed): number[] {
  return wire.map(({ endpoint }) => endpoint)
}

/** A packet of flow `number`, each of which has other addresses or ports. */
export function packetOf(number: number, version: 4 | 6 = 4, size = 10): Uint8Array {
  const host = number >> 4
  const source = version === 4 ? `10.1.${host >> 8}.${host & 255}` : `fd01::${host.toString(16)}`
  const fields = { source, destination: version === 4 ? '10.2.0.9' : 'fd02::9' }
  return ip(version, udp(size, 40_000 + (number & 15), 443), fields)
}

/** Verification tag and checksum are not looked at. */
export function sctp(sourcePort: number, destinationPort: number): Uint8Array {
  const out = concat(tcp(0, new Uint8Array(0), sourcePort, destinationPort).subarray(0, 12), new Uint8Array(8))
  setU16(out, 4, 0xbeef)
  return out
}
