import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Address, address, formatSocketAddress, prefix, type SocketAddress } from '../../protocol/net.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import type { Encapsulation, PacketEngine } from '../../wasm/packet-engine.ts'
import type { WireSocket } from './commands.ts'
import { Pump, PumpFailure } from './pump.ts'
import { EAGAIN, POLLERR, POLLNVAL } from './syscalls.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const EVENT = 11
const IKE = 20
const NAT = 21
const RAW4 = 22
const NAT6 = 23
const SOCKETS: WireSocket[] = [
  { fd: IKE, kind: 'ike', local: { address: address('192.0.2.1'), port: 500 } },
  { fd: NAT, kind: 'udp', local: { address: address('192.0.2.1'), port: 4500 }, segments: true },
  { fd: RAW4, kind: 'esp', local: { address: address('192.0.2.1'), port: 0 } },
  { fd: NAT6, kind: 'udp', local: { address: address('2001:db8::1'), port: 4500 }, segments: true },
]
const PEER: SocketAddress = { address: address('192.0.2.2'), port: 4500 }
const PEER6: SocketAddress = { address: address('2001:db8::2'), port: 4500 }

interface Ike {
  socket: number
  remote: SocketAddress
  bytes: Uint8Array
}

class Bench {
  readonly kernel = new FakeKernel(TUN)
  readonly engine: PacketEngine = createNodeEngine()
  readonly ike: Ike[] = []
  readonly pump = new Pump({
    engine: this.engine,
    syscalls: this.kernel,
    addressOf: this.kernel.addressOf,
    tunFd: TUN,
    lanFormat: { header: false, datagrams: false },
    eventFd: EVENT,
    sockets: SOCKETS,
    onIke: (socket, remote, bytes) => this.ike.push({ socket, remote, bytes }),
  })

  turn(): boolean {
    return this.pump.turn(0, () => 1000)
  }

  /** Tunnel `handle` to `remote` for 10.`handle`.0.0/16; both directions with one key, so that it opens its own. */
  tunnel(handle: number, socket: number, remote: SocketAddress, encapsulation: Encapsulation): void {
    const any = [
      {
        protocol: 0,
        startPort: 0,
        endPort: 65535,
        startAddress: address('0.0.0.0'),
        endAddress: address('255.255.255.255'),
      },
    ]
    const sa = {
      suite: 'aes-128-gcm' as const,
      key: new Uint8Array(16).fill(handle + 1),
      salt: new Uint8Array(4),
      spi: 0x1000 + handle,
      esn: false,
      tunnel: handle,
      local: any,
      remote: any,
    }
    this.engine.setEndpoint(handle, { remote, encapsulation })
    this.pump.setEndpoint(handle, socket, remote)
    this.engine.setTunnel(handle, { pathMtu: 1500, clampMss: false, copyDscp: true, sas: [] })
    this.engine.installInbound({ ...sa, replayWindow: 64 })
    const outbound = this.engine.installOutbound({ ...sa, endpoint: handle })
    this.engine.setTunnel(handle, { pathMtu: 1500, clampMss: false, copyDscp: true, sas: [outbound] })
    this.engine.setGroup(handle, [handle])
    this.engine.setRoute(prefix(`10.${handle}.0.0/16`), handle)
  }
}

/** An IPv4 packet of protocol 253 with a good header checksum. */
function packet(to: string, length = 100, tos = 0): Uint8Array {
  const bytes = new Uint8Array(length).map((_, i) => i)
  bytes.set([0x45, tos, length >> 8, length & 255, 0, 1, 0, 0, 64, 253, 0, 0])
  bytes.set([10, 200, 0, 1], 12)
  bytes.set((to as Address).split('.').map(Number), 16)
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes.set([(~sum >> 8) & 255, ~sum & 255], 10)
  return bytes
}

describe('the pump', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
  })

  it('seals what the device has and sends it in one call', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    bench.kernel.lanIn.push(packet('10.1.0.1'), packet('10.1.0.2', 200, 0xb8), packet('10.1.0.3', 0x500))
    expect(bench.turn()).toBe(true)
    expect(bench.kernel.sendCalls).toEqual([{ fd: NAT, count: 3 }])
    expect(bench.kernel.sent.map(({ to }) => formatSocketAddress(to))).toEqual(Array(3).fill('192.0.2.2:4500'))
    expect(bench.kernel.sent.map(({ tos }) => tos)).toEqual([0, 0xb8, 0])
    expect(new DataView(bench.kernel.sent[2]!.bytes.buffer).getUint32(0)).toBe(0x1001)
  })

  it('opens what came and writes it to the device, byte for byte', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    const packets = [packet('10.1.0.1'), packet('10.1.0.2', 1400), packet('10.1.0.3', 21)]
    bench.kernel.lanIn.push(...packets)
    bench.turn()
    bench.kernel.push(NAT, ...bench.kernel.sent.map(({ bytes }) => ({ from: PEER, bytes })))
    expect(bench.turn()).toBe(true)
    expect(bench.kernel.lanOut).toEqual(packets)
    expect(bench.turn()).toBe(false)
  })

  it('breaks a batch into runs of one socket each, in order', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    bench.tunnel(2, 3, PEER6, 'udp')
    bench.tunnel(3, 2, { address: PEER.address, port: 4500 }, 'esp')
    for (const net of [1, 1, 2, 3, 3, 1]) bench.kernel.lanIn.push(packet(`10.${net}.0.1`, 100, 0x20))
    bench.turn()
    // Two packets of one length for UDP are one message; raw sockets have no such thing.
    expect(bench.kernel.sendCalls).toEqual([
      { fd: NAT, count: 1 },
      { fd: NAT6, count: 1 },
      { fd: RAW4, count: 2 },
      { fd: NAT, count: 1 },
    ])
    expect(bench.kernel.sent.map(({ tos }) => tos)).toEqual(Array(6).fill(0x20))
    expect(bench.kernel.sent[2]!.to).toEqual(PEER6)
    expect(bench.kernel.sent[3]!.to.port).toBe(0)
  })

  it('takes the IP header of a raw IPv4 socket off, options too, and minds its ECN', () => {
    bench.tunnel(3, 2, PEER, 'esp')
    const inner = [packet('10.3.0.1', 100, 0x02), packet('10.3.0.2', 60, 0x02)]
    bench.kernel.lanIn.push(...inner)
    bench.turn()
    const [first, second] = bench.kernel.sent
    const plain = new Uint8Array(20).fill(0)
    plain.set([0x45, 0x03])
    const withOptions = new Uint8Array(28)
    withOptions.set([0x47, 0x02])
    bench.kernel.push(RAW4, { from: PEER, bytes: first!.bytes, ipHeader: plain })
    bench.kernel.push(RAW4, { from: PEER, bytes: second!.bytes, ipHeader: withOptions })
    bench.turn()
    expect(bench.kernel.lanOut.map((out) => out.length)).toEqual([100, 60])
    // Congestion met on the way (RFC 6040) reaches the inner header.
    expect(bench.kernel.lanOut.map((out) => out[1])).toEqual([0x03, 0x02])
  })

  it('hands IKE to the main thread: as it is from the IKE port, without marker from the other', () => {
    // An IKE header at least.
    const message = new Uint8Array(28).fill(9)
    const marked = Uint8Array.from([0, 0, 0, 0, ...message])
    bench.kernel.push(IKE, { from: PEER, bytes: message })
    bench.kernel.push(NAT, { from: PEER, bytes: marked, tos: 0 })
    bench.kernel.push(NAT, { from: PEER, bytes: Uint8Array.of(0xff) }, { from: PEER, bytes: new Uint8Array(4) })
    bench.kernel.push(NAT6, { from: PEER6, bytes: marked })
    bench.turn()
    expect(bench.ike).toEqual([
      { socket: 0, remote: PEER, bytes: message },
      { socket: 1, remote: PEER, bytes: message },
      { socket: 3, remote: PEER6, bytes: message },
    ])
    expect(bench.kernel.lanOut).toEqual([])
  })

  it('waits a little for a full send buffer, then drops and counts', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    for (let i = 0; i < 5; i++) bench.kernel.lanIn.push(packet('10.1.0.1', 100 + 4 * i))
    bench.kernel.sendScript.push({ take: 2 }, { errno: EAGAIN }, { take: 1 })
    for (let i = 0; i < 8; i++) bench.kernel.sendScript.push({ errno: EAGAIN })
    bench.turn()
    expect(bench.kernel.sent).toHaveLength(3)
    expect(bench.pump.drops.send_full).toBe(2)
    expect(bench.kernel.polls.filter((timeout) => timeout === 5)).toHaveLength(3)
    bench.kernel.sendScript.length = 0
    bench.kernel.lanIn.push(packet('10.1.0.9'))
    bench.turn()
    expect(bench.kernel.sent).toHaveLength(4)
  })

  it('passes over a packet that the kernel refuses', () => {
    const EMSGSIZE = 90
    bench.tunnel(1, 1, PEER, 'udp')
    for (let i = 0; i < 3; i++) bench.kernel.lanIn.push(packet('10.1.0.1', 100 + 4 * i))
    bench.kernel.sendScript.push({ take: 1 }, { errno: EMSGSIZE })
    bench.turn()
    expect(bench.kernel.sent).toHaveLength(2)
    expect(bench.pump.drops.send_refused).toBe(1)
  })

  it('lets the kernel cut runs of one length, which a shorter packet ends', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    const lengths = [1400, 1400, 1400, 200, 1400, 1400, 300, 300, 1200]
    bench.kernel.lanIn.push(...lengths.map((length) => packet('10.1.0.1', length)))
    bench.kernel.lanIn.push(packet('10.1.0.1', 1200, 0x20))
    bench.turn()
    expect(bench.kernel.sendCalls).toEqual([{ fd: NAT, count: 5 }])
    bench.kernel.push(NAT, ...bench.kernel.sent.map(({ bytes }) => ({ from: PEER, bytes })))
    bench.turn()
    expect(bench.kernel.lanOut.map(({ length }) => length)).toEqual([...lengths, 1200])
    expect(bench.kernel.sent.map(({ tos }) => tos)).toEqual([...lengths.map(() => 0), 0x20])
  })

  it('sends one by one, losing none, where the kernel does not cut', () => {
    const EIO = 5
    bench.tunnel(1, 1, PEER, 'udp')
    for (let i = 0; i < 6; i++) bench.kernel.lanIn.push(packet('10.1.0.1', i === 0 ? 200 : 1400))
    bench.kernel.sendScript.push({ take: 1 }, { errno: EIO })
    bench.turn()
    expect(bench.kernel.sendCalls.map(({ count }) => count)).toEqual([2, 1, 5])
    expect(bench.kernel.sent.map(({ bytes }) => bytes.length > 1400)).toEqual([false, true, true, true, true, true])
    expect(bench.pump.drops.send_refused).toBe(0)
    for (let i = 0; i < 3; i++) bench.kernel.lanIn.push(packet('10.1.0.1', 1400))
    bench.turn()
    expect(bench.kernel.sendCalls.at(-1)).toEqual({ fd: NAT, count: 3 })
  })

  it('takes whatever comes, on every socket and from the device, and goes on', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    const bytes = fc.uint8Array({ maxLength: 200 })
    const header = fc.uint8Array({ minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 70 }), header, fc.nat(255), (datagrams, ipHeader, tos) => {
        for (const datagram of datagrams) {
          for (const fd of [IKE, NAT, NAT6]) bench.kernel.push(fd, { from: PEER, bytes: datagram, tos })
          bench.kernel.push(RAW4, { from: PEER, bytes: datagram, ipHeader })
          bench.kernel.lanIn.push(datagram)
        }
        for (let i = 0; i < 4; i++) bench.turn()
      }),
      { numRuns: 100 },
    )
    expect(bench.kernel.lanOut).toEqual([])
    bench.kernel.lanIn.push(packet('10.1.0.1'))
    bench.turn()
    bench.kernel.push(NAT, { from: PEER, bytes: bench.kernel.sent.at(-1)!.bytes })
    bench.turn()
    expect(bench.kernel.lanOut).toEqual([packet('10.1.0.1')])
  })

  it('counts packets that the device does not take', () => {
    const EIO = 5
    bench.tunnel(1, 1, PEER, 'udp')
    bench.kernel.lanIn.push(packet('10.1.0.1'))
    bench.turn()
    bench.kernel.push(NAT, { from: PEER, bytes: bench.kernel.sent[0]!.bytes })
    bench.kernel.lanWriteErrno = EIO
    bench.turn()
    expect(bench.pump.drops.lan_write).toBe(1)
  })

  it('moves whole batches and leaves the rest for the next turn', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    for (let i = 0; i < 150; i++) bench.kernel.lanIn.push(packet('10.1.0.1'))
    bench.turn()
    expect(bench.kernel.sent).toHaveLength(64)
    bench.turn()
    bench.turn()
    expect(bench.kernel.sent).toHaveLength(150)
    bench.kernel.push(NAT, ...bench.kernel.sent.map(({ bytes }) => ({ from: PEER, bytes })))
    for (let i = 0; i < 3; i++) bench.turn()
    expect(bench.kernel.lanOut).toHaveLength(150)
  })

  it('flushes and goes on when fragments fill the outbox', () => {
    bench.tunnel(1, 1, PEER, 'udp')
    for (let i = 0; i < 64; i++) bench.kernel.lanIn.push(packet('10.1.0.1', 8000))
    bench.turn()
    expect(bench.engine.drops().outbox_full).toBe(0)
    bench.kernel.push(NAT, ...bench.kernel.sent.map(({ bytes }) => ({ from: PEER, bytes })))
    while (bench.turn());
    expect(bench.kernel.lanOut.reduce((sum, out) => sum + out.length - 20, 0)).toBe(64 * 7980)
  })

  it('says that it cannot go on when device or socket are gone, instead of spinning', () => {
    const EBADFD = 77
    bench.kernel.extraEvents = POLLERR
    expect(bench.turn()).toBe(false)
    bench.kernel.lanReadErrno = EBADFD
    expect(() => bench.turn()).toThrow(PumpFailure)
    bench.kernel.extraEvents = POLLNVAL
    expect(() => bench.turn()).toThrow('file descriptor')
  })
})
