/** The pump with super-packets on the device and runs of datagrams on the socket. */
import { beforeEach, describe, expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { VNET_HEADER } from '../../wasm/abi.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import { concat } from '../../wasm/reference/bytes.ts'
import { PROTO_TCP, PROTO_UDP } from '../../wasm/reference/ip.ts'
import { Random } from '../../wasm/testing/differential-random.ts'
import { brokenSuperPacket, superPacketOf, tcpSegment, udpDatagram } from '../../wasm/testing/offload-fixture.ts'
import { ipv4 } from '../../wasm/testing/packets.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import { Pump } from './pump.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const NAT = 21
const PEER = { address: address('192.0.2.2'), port: 4500 }

describe('the pump with offloads', () => {
  let kernel: FakeKernel
  let pump: Pump
  let ike: Uint8Array[]
  let engine: PacketEngine

  beforeEach(() => {
    kernel = new FakeKernel(TUN)
    ike = []
    engine = createNodeEngine()
    pump = new Pump({
      engine,
      syscalls: kernel,
      addressOf: kernel.addressOf,
      tunFd: TUN,
      lanFormat: { header: true, datagrams: true },
      eventFd: 11,
      sockets: [{ fd: NAT, kind: 'udp', local: PEER, segments: true, runs: true }],
      onIke: (_socket, _remote, bytes) => ike.push(bytes),
    })
    const sa = {
      suite: 'chacha20-poly1305' as const,
      key: new Uint8Array(32),
      salt: new Uint8Array(4),
      spi: 0x1000,
      esn: false,
      tunnel: 0,
      local: ANY4,
      remote: ANY4,
    }
    engine.setEndpoint(0, { remote: PEER, encapsulation: 'udp' })
    pump.setEndpoint(0, 0, PEER)
    engine.installInbound({ ...sa, replayWindow: 4096 })
    const outbound = engine.installOutbound({ ...sa, endpoint: 0 })
    engine.setTunnel(0, { pathMtu: 1500, clampMss: true, copyDscp: false, sas: [outbound] })
    engine.setGroup(0, [0])
    engine.setRoute(prefix('0.0.0.0/0'), 0)
  })

  const turn = () => pump.turn(0, () => 1000)
  const stream = (length: number) =>
    ipv4(tcpSegment(1, new Random(length).bytes(length), { version: 4, size: 0, flags: 0x18 }), { protocol: PROTO_TCP })

  it('sends a super-packet in few messages and gives it back whole', () => {
    const sent = superPacketOf(stream(60_000), 1386)
    kernel.lanIn.push(sent)
    turn()
    expect(kernel.sent.length).toBe(44)
    expect(kernel.sendCalls).toEqual([{ fd: NAT, count: 1 }])
    const size = kernel.sent[0]!.bytes.length
    kernel.push(NAT, { from: PEER, bytes: concat(...kernel.sent.map(({ bytes }) => bytes)), segment: size, tos: 2 })
    turn()
    expect(kernel.lanOut.map((out) => out.subarray(VNET_HEADER))).toEqual([sent.subarray(VNET_HEADER)])
  })

  it('goes on where the outbox was full, losing nothing', () => {
    kernel.lanIn.push(superPacketOf(stream(50_000), 100), superPacketOf(stream(40_000), 250))
    turn()
    expect(kernel.sent.length).toBe(500 + 160)
    kernel.push(NAT, ...kernel.sent.map(({ bytes }) => ({ from: PEER, bytes })))
    while (turn());
    expect(kernel.lanOut.reduce((sum, out) => sum + out.length - VNET_HEADER - 40, 0)).toBe(90_000)
  })

  it('counts super-packets with a corrupted header, and carries every good one between them', () => {
    const random = new Random(3)
    const good = superPacketOf(stream(3000), 1386)
    // A header that asks for segments of nothing, and whatever else may come.
    const empty = superPacketOf(stream(3000), 0)
    for (let round = 0; round < 20; round++) {
      const broken = Array.from({ length: 10 }, () => brokenSuperPacket(random, good))
      kernel.lanIn.push(empty, ...broken, good, empty)
      while (turn());
      expect(kernel.lanIn).toHaveLength(0)
      // The good one is the last that leaves: two whole segments, and what is left for the third.
      const lengths = kernel.sent.slice(-3).map(({ bytes }) => bytes.length)
      expect(lengths[0]).toBe(lengths[1])
      expect(lengths[2]).toBeLessThan(lengths[0]!)
    }
    expect(engine.drops().bad_offload).toBeGreaterThanOrEqual(2 * 20)
  })

  it('takes single datagrams, runs and IKE from one socket', () => {
    const datagrams = [0, 1, 2].map((id) => ipv4(udpDatagram(new Uint8Array(700)), { protocol: PROTO_UDP, id }))
    kernel.lanIn.push(...datagrams.map((packet) => superPacketOf(packet, 0, { type: 0 })))
    turn()
    const esp = kernel.sent.map(({ bytes }) => bytes)
    const message = new Uint8Array(esp[0]!.length).fill(7).fill(0, 0, 4)
    const run = { bytes: concat(esp[0]!, message, esp[1]!, message.subarray(0, 40)), segment: esp[0]!.length }
    kernel.push(NAT, { from: PEER, ...run, tos: 0 }, { from: PEER, bytes: esp[2]! }, { from: PEER, bytes: message })
    turn()
    expect(ike).toEqual([message.slice(4), message.slice(4, 40), message.slice(4)])
    expect(kernel.lanOut.length).toBe(1)
    expect(kernel.lanOut[0]!.length).toBe(VNET_HEADER + 28 + 3 * 700)
  })

  it('asks for few slots while runs come, and for all of them again after', () => {
    kernel.lanIn.push(superPacketOf(stream(60_000), 1386))
    turn()
    const size = kernel.sent[0]!.bytes.length
    const two = concat(kernel.sent[0]!.bytes, kernel.sent[1]!.bytes)
    kernel.push(NAT, ...Array.from({ length: 80 }, () => ({ from: PEER, bytes: two, segment: size })))
    const left = () => kernel.wireIn.get(NAT)!.length
    turn()
    expect(left()).toBe(16)
    turn()
    expect(left()).toBe(8)
    kernel.wireIn.set(
      NAT,
      Array.from({ length: 72 }, () => ({ from: PEER, bytes: Uint8Array.of(0xff) })),
    )
    turn()
    turn()
    expect(left()).toBe(0)
  })
})
