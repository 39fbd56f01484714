/**
 * In place of end 0 of a pair with fixed keys: seals COUNT packets and sends them to end 1 in runs (UDP_SEGMENT), each of
 * which begins with a datagram whose SPI is that of nobody, and another worker's.
 *
 *     strays.ts 4|6 COUNT
 */

import { writeSockaddr } from '../../connector/data/sockaddr.ts'
import { libc, Scratch, SOCK_DGRAM, setOption } from '../../connector/io/ffi.ts'
import { address, prefix } from '../../protocol/net.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { staticKeys } from './static-machine.ts'

const PORT = 4500
const RUN = 30
const IPPROTO_UDP = 17
const UDP_SEGMENT = 103
const NOBODYS_SPI = 0x7000_0000

const [outer, countText] = process.argv.slice(2)
const six = outer === '6'
const addressOf = (end: number) => address(six ? `2001:db8::${end}` : `192.0.2.${end}`)

const c = libc()
const fd = c.socket(six ? 10 : 2, SOCK_DGRAM, 0)
const name = new Scratch(32)
const bound = c.bind(fd, name.address, writeSockaddr(name.view, 0, { address: addressOf(1), port: PORT }))
if (bound < 0) throw new Error('the port is not free')

const engine = createNodeEngine()
const all = [10, 6].map((version) => ({
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address(version === 6 ? '::' : '0.0.0.0'),
  endAddress: address(version === 6 ? 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' : '255.255.255.255'),
}))
engine.setEndpoint(0, { remote: { address: addressOf(2), port: PORT }, encapsulation: 'udp' })
const outbound = engine.installOutbound({
  ...staticKeys('aes-128-gcm', 0, 1),
  suite: 'aes-128-gcm',
  esn: false,
  tunnel: 0,
  endpoint: 0,
  local: all,
  remote: all,
})
engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [outbound] })
engine.setGroup(0, [0])
engine.setRoute(prefix('10.8.2.0/24'), 0)

for (let left = Number(countText); left > 0; left -= RUN) sendRun(Math.min(RUN, left))

function sendRun(count: number): void {
  const inner = innerPacket()
  for (let i = 0; i < count; i++) {
    engine.lanRx.slot(i).set(inner)
    engine.lanRx.length[i] = inner.length
  }
  if (engine.sealBatch(0, count, 1) !== count || engine.wireTx.count !== count) throw new Error('not sealed')
  const size = engine.wireTx.length[0]!
  const run = new Scratch((count + 1) * size)
  run.view.setUint32(0, NOBODYS_SPI)
  for (let i = 0; i < count; i++) run.bytes.set(engine.wireTx.packet(i), (i + 1) * size)
  const nameLength = writeSockaddr(name.view, 0, { address: addressOf(2), port: PORT })
  if (!setOption(fd, IPPROTO_UDP, UDP_SEGMENT, size)) throw new Error('no UDP_SEGMENT')
  const sent = c.sendto(fd, run.address, run.bytes.length, 0, name.address, nameLength)
  if (sent !== run.bytes.length) throw new Error(`errno ${c.errno()}`)
}

/** IPv4, of an experimental protocol (RFC 3692), for nobody at the other end. */
function innerPacket(): Uint8Array {
  const packet = new Uint8Array(100)
  packet.set([0x45, 0, 0, 100, 0, 1, 0, 0, 64, 253, 0, 0, 10, 8, 1, 1, 10, 8, 2, 77])
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  packet.set([(~sum >> 8) & 255, ~sum & 255], 10)
  return packet
}
