/** The walk of docs/map.md: one packet from a LAN to the other site, through two engines. To be read. */
import { expect, test } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { VERDICT_DELIVERED } from '../../wasm/abi.ts'
import { createEngine } from '../../wasm/load.ts'
import type { PacketEngine, SaKeys, TrafficSelector } from '../../wasm/packet-engine.ts'
import { ipv4, udp } from '../../wasm/testing/packets.ts'

const TUNNEL = 0
const GROUP = 0
const ENDPOINT = 0

test('a packet from 10.1.0.10 to 10.2.0.10 leaves sealed, arrives once, and not a second time', () => {
  const keys: SaKeys = {
    suite: 'chacha20-poly1305',
    key: new Uint8Array(32).fill(7),
    salt: new Uint8Array([1, 2, 3, 4]),
  }
  const hq = gateway('10.1.0', '10.2.0')
  const branch = gateway('10.2.0', '10.1.0')

  // IKE agreed on an SA: the receiver installs it first, then the sender starts to use it.
  const inbound = branch.engine.installInbound({ ...keys, ...branch.selectors, ...SA, replayWindow: 64 })
  const outbound = hq.engine.installOutbound({ ...keys, ...hq.selectors, ...SA, endpoint: ENDPOINT })
  hq.engine.setTunnel(TUNNEL, { ...PATH, sas: [outbound] })

  // The kernel's route led the packet to the TUN device; the worker read it into a slot.
  const packet = ipv4(udp(100), { source: '10.1.0.10', destination: '10.2.0.10' })
  hq.engine.lanRx.slot(0).set(packet)
  hq.engine.lanRx.length[0] = packet.length

  // One call: route, selector, sequence number, encryption.
  expect(hq.engine.sealBatch(0, 1, 0)).toBe(1)
  expect(hq.engine.wireTx.count).toBe(1)
  expect(hq.engine.wireTx.endpoint[0]).toBe(ENDPOINT)
  const esp = hq.engine.wireTx.packet(0).slice()
  expect(Buffer.from(esp).includes(Buffer.from(packet.subarray(20)))).toBe(false)

  // The other worker received it from the socket; one call: SPI, window, tag, decryption, selector.
  expect(receive(branch.engine, esp)).toEqual([packet])
  expect(branch.engine.wireRx.verdict[0]).toBe(VERDICT_DELIVERED)
  expect(branch.engine.counters(inbound)).toMatchObject({ packets: 1, bytes: packet.length })

  // The same datagram again is a replay: a counter, nothing else.
  expect(receive(branch.engine, esp)).toEqual([])
  expect(branch.engine.drops().replayed).toBe(1)
})

const SA = { spi: 0x1000_0001, esn: true, tunnel: TUNNEL }
const PATH = { pathMtu: 1500, clampMss: true, copyDscp: false }

function gateway(own: string, other: string) {
  const engine: PacketEngine = createEngine()
  engine.setEndpoint(ENDPOINT, { remote: { address: address('192.0.2.2'), port: 4500 }, encapsulation: 'udp' })
  engine.setTunnel(TUNNEL, { ...PATH, sas: [] })
  engine.setGroup(GROUP, [TUNNEL])
  engine.setRoute(prefix(`${other}.0/24`), GROUP)
  return { engine, selectors: { local: [network(own)], remote: [network(other)] } }
}

function network(start: string): TrafficSelector {
  const range = { startAddress: address(`${start}.0`), endAddress: address(`${start}.255`) }
  return { protocol: 0, startPort: 0, endPort: 65_535, ...range }
}

/** What comes out for the LAN when one datagram came in from the wire. */
function receive(engine: PacketEngine, datagram: Uint8Array): Uint8Array[] {
  engine.wireRx.slot(0).set(datagram)
  engine.wireRx.length[0] = datagram.length
  engine.openBatch(1, 'udp', 0)
  return Array.from({ length: engine.lanTx.count }, (_, i) => engine.lanTx.packet(i).slice())
}
