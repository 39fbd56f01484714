/** From tunnel to tunnel on the way through one packet worker and through two. */
import { describe, expect, it } from 'vitest'
import { address, prefix, type SocketAddress } from '../../protocol/net.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { createEngine } from '../../wasm/load.ts'
import type { OutboundSa, PacketEngine, Tunnel } from '../../wasm/packet-engine.ts'
import { openEsp, sealEsp, splitTrailer } from '../../wasm/reference/esp.ts'
import { ipv4, udp } from '../../wasm/testing/packets.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import type { WorkerShare } from './commands.ts'
import { Pump } from './pump.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const NAT = 21
/** Tunnel 0 leads to site A, tunnel 1 to site B. */
const A = 0
const B = 1
const PEERS: readonly SocketAddress[] = [
  { address: address('192.0.2.10'), port: 4500 },
  { address: address('192.0.2.11'), port: 4500 },
]
const TUNNEL: Tunnel = { pathMtu: 1500, clampMss: false, copyDscp: false, sas: [], transit: true }

/** Of a peer's end; SPIs are the worker's that has the tunnel. */
function saOf(tunnel: number, worker: number, inbound: boolean): OutboundSa {
  const key = new Uint8Array(16).fill(tunnel + (inbound ? 1 : 11))
  const spi = (inbound ? 0x1000 : 0x3000) + tunnel * 256 + worker
  const sa = { suite: 'aes-128-gcm', key, salt: new Uint8Array(4), spi, esn: false, tunnel, endpoint: tunnel } as const
  return { ...sa, local: ANY4, remote: ANY4 }
}

/** One worker with its queues: what it writes to descriptor 40 + n is for worker n. */
class Worker {
  readonly kernel = new FakeKernel(TUN)
  readonly engine: PacketEngine
  readonly pump: Pump

  constructor(engine: PacketEngine, header: boolean, worker: number, owners: readonly number[]) {
    this.engine = engine
    const share: WorkerShare = { worker, lan: [40, 41], wire: [50, 51], lanInbox: 30, wireInbox: 31 }
    this.pump = new Pump({
      engine,
      syscalls: this.kernel,
      addressOf: this.kernel.addressOf,
      tunFd: TUN,
      lanFormat: { header, datagrams: false },
      eventFd: 11,
      sockets: [{ fd: NAT, kind: 'udp', local: { address: address('192.0.2.1'), port: 4500 } }],
      ...(new Set(owners).size > 1 && { share }),
      onIke: () => {},
    })
    for (const tunnel of [A, B]) this.#open(tunnel, owners[tunnel]!, owners[tunnel] === worker)
    engine.setOwnAddresses([address('10.99.0.1')])
  }

  #open(tunnel: number, owner: number, own: boolean): void {
    const { engine, pump } = this
    engine.setGroup(tunnel, [tunnel])
    engine.setRoute(prefix(`10.${tunnel + 1}.0.0/16`), tunnel)
    engine.setEndpoint(tunnel, { remote: PEERS[tunnel]!, encapsulation: 'udp' })
    pump.setEndpoint(tunnel, 0, PEERS[tunnel]!)
    const setting = { ...TUNNEL, pathMtu: tunnel === B ? 1000 : 1500 }
    if (!own) {
      engine.setTunnel(tunnel, { ...setting, handOver: owner })
      return
    }
    const { endpoint: _, ...inbound } = saOf(tunnel, owner, true)
    engine.installInbound({ ...inbound, replayWindow: 64 })
    engine.setTunnel(tunnel, { ...setting, sas: [engine.installOutbound(saOf(tunnel, owner, false))] })
  }

  turn(): void {
    this.pump.turn(0, () => 1000)
  }

  /** What was sent to the peer of a tunnel, opened. */
  inners(tunnel: number, owner: number): Uint8Array[] {
    return this.kernel.sent
      .filter(({ to }) => to.address === PEERS[tunnel]!.address)
      .map(({ bytes }) => {
        const sequence = BigInt(new DataView(bytes.buffer, bytes.byteOffset).getUint32(4))
        return splitTrailer(openEsp(saOf(tunnel, owner, false), sequence, bytes)!)!.payload.slice()
      })
  }

  /** Messages for another worker. */
  written(fd: number): Uint8Array[] {
    return this.kernel.written.filter((each) => each.fd === fd).map(({ bytes }) => bytes)
  }
}

const fields = { source: '10.1.0.5', destination: '10.2.0.5' }
const small = ipv4(udp(100), fields)
const hopped = ipv4(udp(100), { ...fields, ttl: 63 })
const large = ipv4(udp(1200), { ...fields, flags: 0x4000 })

const fromA = (worker: number, inners: readonly Uint8Array[]) =>
  inners.map((inner, i) => ({ from: PEERS[A]!, bytes: sealEsp(saOf(A, worker, true), BigInt(i + 1), 4, inner) }))

describe.each([
  ['node', createNodeEngine],
  ['wasm', () => createEngine({ capacity: 'small' })],
] as const)('with the engine %s', (_, engine) => {
  it.each([false, true])('one worker sends on what it opened, and answers; with a virtio_net_hdr: %s', (header) => {
    const worker = new Worker(engine(), header, 0, [0, 0])
    worker.kernel.push(NAT, ...fromA(0, [small, large, small]))
    worker.turn()
    expect(worker.inners(B, 0)).toEqual([hopped, hopped])
    expect(worker.inners(A, 0).map((inner) => [...inner.subarray(20, 22)])).toEqual([[3, 4]])
    expect([worker.kernel.lanOut, worker.kernel.written]).toEqual([[], []])
  })

  it.each([false, true])('two workers do so between them; with a virtio_net_hdr: %s', (header) => {
    const [first, second] = [0, 1].map((worker) => new Worker(engine(), header, worker, [0, 1])) as [Worker, Worker]
    first.kernel.push(NAT, ...fromA(0, [small, large]))
    first.turn()
    expect(first.kernel.sent).toEqual([])
    const handed = first.written(41)
    expect(handed.map((message) => message.length)).toEqual(
      [small, large].map(({ length }) => length + (header ? 14 : 4)),
    )
    expect(first.pump.handedOver).toBe(2)
    second.kernel.inboxes.set(30, handed)
    second.turn()
    expect(second.inners(B, 1)).toEqual([hopped])
    expect(second.engine.tunnelCounters(A).transit).toBe(1)
    expect(second.kernel.lanOut).toEqual([])
    // The answer to the large one goes back to the worker that has A.
    const answers = second.written(40)
    expect(answers.length).toBe(1)
    first.kernel.inboxes.set(30, answers)
    first.turn()
    const [answer] = first.inners(A, 0)
    expect([...answer!.subarray(12, 16), ...answer!.subarray(20, 22)]).toEqual([10, 99, 0, 1, 3, 4])
    expect(first.kernel.lanOut).toEqual([])
  })

  it('a packet from the LAN that was handed over is none of a tunnel afterwards', () => {
    const worker = new Worker(engine(), false, 1, [0, 1])
    const toB = { source: '10.2.0.9', destination: '10.2.0.5' }
    worker.kernel.inboxes.set(30, [Uint8Array.of(...small, A + 1, 0, 0, 0)])
    worker.turn()
    worker.kernel.lanIn.push(ipv4(udp(10), toB))
    worker.turn()
    worker.kernel.inboxes.set(30, [Uint8Array.of(...ipv4(udp(10), toB), 0, 0, 0, 0), Uint8Array.of(1, 2)])
    worker.turn()
    expect(worker.inners(B, 1).length).toBe(3)
    expect(worker.engine.drops()).toMatchObject({ not_ip: 1, transit_loop: 0 })
  })
})
