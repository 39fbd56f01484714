import { beforeEach, describe, expect, it } from 'vitest'
import { address, prefix, type SocketAddress } from '../../protocol/net.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import type { WireSocket, WorkerShare } from './commands.ts'
import { Pump, PumpFailure } from './pump.ts'
import { EAGAIN } from './syscalls.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const NAT = 21
const NO_SA = 'no_sa'
/** Of worker 1; what it writes to worker 0. */
const LAN_INBOX = 30
const WIRE_INBOX = 31
const LAN_OUT = 40
const WIRE_OUT = 41
const SHARE: WorkerShare = {
  worker: 1,
  lan: [LAN_OUT, 99],
  wire: [WIRE_OUT, 99],
  lanInbox: LAN_INBOX,
  wireInbox: WIRE_INBOX,
}
const PEER: SocketAddress = { address: address('192.0.2.2'), port: 4500 }

function packet(length = 60): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set([0x45, 0, 0, length, 0, 1, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 1, 0, 1])
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes.set([(~sum >> 8) & 255, ~sum & 255], 10)
  return bytes
}

/** As a LAN message; `via` is 1 more than the tunnel that it came by. */
const handed = (bytes: Uint8Array, via = 0): Uint8Array => Uint8Array.of(...bytes, via, 0, 0, 0)

const esp = (spi: number, length = 64): Uint8Array => {
  const bytes = new Uint8Array(length).fill(7)
  new DataView(bytes.buffer).setUint32(0, spi)
  return bytes
}

/** Worker 1 of 2, whose tunnel has no Child SA of its own. */
class Bench {
  readonly kernel = new FakeKernel(TUN)
  readonly engine = createNodeEngine()
  readonly pump: Pump

  constructor(runs: boolean, header = false) {
    const socket: WireSocket = { fd: NAT, kind: 'udp', local: { address: address('192.0.2.1'), port: 4500 }, runs }
    this.pump = new Pump({
      engine: this.engine,
      syscalls: this.kernel,
      addressOf: this.kernel.addressOf,
      tunFd: TUN,
      lanFormat: { header, datagrams: false },
      eventFd: 11,
      sockets: [socket],
      share: SHARE,
      onIke: () => {},
    })
    this.engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: true, sas: [], handOver: 0 })
    this.engine.setGroup(0, [0])
    this.engine.setRoute(prefix('10.1.0.0/16'), 0)
  }

  turn(): boolean {
    return this.pump.turn(0, () => 1000)
  }

  written(fd: number): Uint8Array[] {
    return this.kernel.written.filter((each) => each.fd === fd).map(({ bytes }) => bytes)
  }
}

describe('LAN packets whose Child SA is another worker’s', () => {
  it.each([
    ['single', false],
    ['with a virtio_net_hdr', true],
  ])('go there as they came: %s', (_, header) => {
    const bench = new Bench(false, header)
    const came = [packet(60), packet(200)].map((each) => (header ? Uint8Array.of(...Array(10).fill(0), ...each) : each))
    bench.kernel.lanIn.push(...came)
    expect(bench.turn()).toBe(true)
    expect(bench.written(LAN_OUT)).toEqual(came.map((each) => Uint8Array.of(...each, 0, 0, 0, 0)))
    expect(bench.pump.handedOver).toBe(2)
    expect(bench.engine.drops()[NO_SA]).toBe(0)
  })

  it('are dropped and counted where the queue is full, and the path goes on', () => {
    const bench = new Bench(false)
    bench.kernel.lanIn.push(packet(), packet())
    bench.kernel.lanWriteErrno = EAGAIN
    expect(bench.turn()).toBe(true)
    expect(bench.pump.drops.hand_over).toBe(2)
    expect(bench.pump.handedOver).toBe(0)
  })

  it('end the packet path when the queue is gone', () => {
    const bench = new Bench(false)
    bench.kernel.lanIn.push(packet())
    bench.kernel.lanWriteErrno = 9
    expect(() => bench.turn()).toThrow(PumpFailure)
  })

  it('are not handed on by the one that got them', () => {
    const bench = new Bench(false)
    bench.kernel.inboxes.set(LAN_INBOX, [handed(packet())])
    expect(bench.turn()).toBe(true)
    expect(bench.kernel.written).toEqual([])
    expect(bench.engine.drops()[NO_SA]).toBe(1)
  })

  it('leave by the Child SA of the one that got them', () => {
    const bench = new Bench(false)
    bench.engine.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
    bench.pump.setEndpoint(0, 0, PEER)
    const keys = { suite: 'aes-128-gcm' as const, key: new Uint8Array(16), salt: new Uint8Array(4), esn: false }
    const sa = bench.engine.installOutbound({ ...keys, spi: 0x1001, tunnel: 0, endpoint: 0, local: ANY4, remote: ANY4 })
    bench.engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: true, sas: [sa], handOver: 0 })
    bench.kernel.inboxes.set(LAN_INBOX, [handed(packet()), handed(packet())])
    bench.turn()
    expect(bench.kernel.sent.map(({ fd, to }) => ({ fd, to }))).toEqual(Array(2).fill({ fd: NAT, to: PEER }))
  })
})

describe('datagrams for another worker’s SPI', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench(false)
  })

  it('go there with their sender and TOS, in order, and others stay', () => {
    const own = esp(0x2001)
    const strays = [esp(0x1000), esp(0x1010, 90), esp(0x1020)]
    bench.kernel.push(
      NAT,
      { from: PEER, bytes: strays[0]!, tos: 0xb8 },
      { from: PEER, bytes: own },
      { from: PEER, bytes: strays[1]! },
      { from: PEER, bytes: strays[2]!, tos: 2 },
    )
    bench.turn()
    const sent = bench.kernel.written.filter(({ fd }) => fd === WIRE_OUT)
    expect(sent.map(({ bytes }) => bytes.subarray(36))).toEqual(strays)
    expect(sent.map(({ bytes }) => bytes[32])).toEqual([0xb8, 0, 2])
    for (const { bytes } of sent) expect([...bytes.subarray(2, 8)]).toEqual([0x11, 0x94, 192, 0, 2, 2])
    expect(bench.pump.handedOver).toBe(3)
    expect(bench.engine.drops().unknown_spi).toBe(1)
  })

  it('are taken from runs too', () => {
    bench = new Bench(true)
    const run = Uint8Array.from([...esp(0x1000), ...esp(0x2001), ...esp(0x1030)])
    bench.kernel.push(NAT, { from: PEER, bytes: run, segment: 64, tos: 3 })
    bench.turn()
    const sent = bench.kernel.written.filter(({ fd }) => fd === WIRE_OUT)
    expect(sent.map(({ bytes }) => bytes.subarray(36))).toEqual([esp(0x1000), esp(0x1030)])
    expect(sent.map(({ bytes }) => bytes[32])).toEqual([3, 3])
  })

  it('are dropped and counted where the queue is full', () => {
    bench.kernel.push(NAT, { from: PEER, bytes: esp(0x1000) }, { from: PEER, bytes: esp(0x1010) })
    bench.kernel.sendScript.push({ take: 1 }, { errno: EAGAIN })
    bench.turn()
    expect(bench.pump.handedOver).toBe(1)
    expect(bench.pump.drops.hand_over).toBe(1)
  })

  it('are opened by the one that got them', () => {
    const keys = { suite: 'aes-128-gcm' as const, key: new Uint8Array(16), salt: new Uint8Array(4), esn: false }
    const sa = { ...keys, spi: 0x1001, tunnel: 0, local: ANY4, remote: ANY4 }
    bench.engine.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
    bench.pump.setEndpoint(0, 0, PEER)
    bench.engine.installInbound({ ...sa, replayWindow: 64 })
    const outbound = bench.engine.installOutbound({ ...sa, endpoint: 0 })
    bench.engine.setTunnel(0, { pathMtu: 1500, clampMss: false, copyDscp: true, sas: [outbound] })
    bench.kernel.lanIn.push(packet(), packet(77))
    bench.turn()
    const messages = bench.kernel.sent.map(({ bytes }) => {
      const message = new Uint8Array(36 + bytes.length)
      message.set([2, 0, 0x11, 0x94, 192, 0, 2, 2])
      message.set(bytes, 36)
      return message
    })
    bench.kernel.inboxes.set(WIRE_INBOX, messages)
    bench.turn()
    expect(bench.kernel.lanOut).toEqual([packet(), packet(77)])
  })
})
