import { beforeEach, describe, expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { blockOf } from '../../protocol/prefix-block.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import { CHILDREN_PER_STEP } from './changes.ts'
import { type Command, type InstallChild, type Report, SIGNAL_BYTES, SIGNAL_COMMANDS, SIGNAL_STOP } from './commands.ts'
import { Pump } from './pump.ts'
import { REPORT_MS, Runner } from './runner.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const NET = blockOf(4, [prefix('10.2.0.0/16')])
const NAT = 21
const PEER = { address: address('192.0.2.2'), port: 4500 }
const MOVED = { address: address('198.51.100.7'), port: 4501 }

/** A runner whose commands and clock are in the test's hands. */
class Bench {
  readonly kernel = new FakeKernel(TUN)
  readonly engine = createNodeEngine()
  readonly reports: Report[] = []
  readonly signals = new Int32Array(new SharedArrayBuffer(SIGNAL_BYTES))
  now = 5000
  readonly #queue: { seq: number; command: Command }[] = []
  #seq = 0
  readonly pump = new Pump({
    engine: this.engine,
    syscalls: this.kernel,
    addressOf: this.kernel.addressOf,
    tunFd: TUN,
    lanFormat: { header: false, datagrams: false },
    eventFd: 11,
    sockets: [{ fd: NAT, kind: 'udp', local: { address: address('192.0.2.1'), port: 4500 } }],
    onIke: () => {},
  })
  readonly runner = new Runner({
    engine: this.engine,
    pump: this.pump,
    port: { post: (report) => this.reports.push(report), take: () => this.#queue.shift() },
    signals: this.signals,
    clock: () => this.now,
  })

  command(...commands: Command[]): Report[] {
    for (const command of commands) this.#queue.push({ seq: ++this.#seq, command })
    Atomics.add(this.signals, SIGNAL_COMMANDS, 1)
    return this.turn()
  }

  /** One turn; returns what it reported. */
  turn(): Report[] {
    this.reports.length = 0
    this.runner.turn(true)
    return [...this.reports]
  }
}

/** Opens what itself has sealed: the same SPI and key both ways. */
function child(id: number, limits: { softPackets?: number; hardPackets?: number } = {}): InstallChild {
  const keys = { suite: 'aes-128-gcm' as const, salt: new Uint8Array(4), spi: 0x1000 + id, esn: false, tunnel: 0 }
  const key = (): Uint8Array => new Uint8Array(16).fill(id + 1)
  return {
    id,
    inbound: { ...keys, key: key(), replayWindow: 64, local: ANY4, remote: ANY4 },
    outbound: { ...keys, key: key(), endpoint: 0, local: ANY4, remote: ANY4, ...limits },
    remote: PEER,
    encapsulation: 'udp',
    socket: 0,
  }
}

const tunnel = (...children: number[]): Command => ({
  type: 'tunnel',
  tunnel: { handle: 0, pathMtu: 1500, clampMss: true, copyDscp: true, children },
})

function packet(): Uint8Array {
  const bytes = new Uint8Array(60)
  bytes.set([0x45, 0, 0, 60, 0, 1, 0, 0, 64, 253, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1])
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  sum = (sum & 0xffff) + (sum >>> 16)
  bytes.set([(~sum >> 8) & 255, ~sum & 255], 10)
  return bytes
}

function countersIn(reports: readonly Report[]) {
  return reports.filter((report) => report.type === 'counters')
}

describe('the runner', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
    bench.command(tunnel(), { type: 'group', handle: 0, tunnels: [0] })
    bench.command({ type: 'routes', prefixes: NET, group: 0 })
  })

  const send = (): void => {
    bench.kernel.lanIn.push(packet())
    bench.turn()
  }
  const lastSpi = (): number => new DataView(bench.kernel.sent.at(-1)!.bytes.buffer).getUint32(0)

  it('acknowledges in order, wipes keys, and sends nothing on a child before it is promoted', () => {
    const wanted = child(1)
    const reports = bench.command({ type: 'install-child', child: wanted })
    expect(reports).toEqual([{ type: 'done', seq: 4, answer: { innerMtu: 1438 } }])
    expect(wanted.inbound.key).toEqual(new Uint8Array(16))
    expect(wanted.outbound.key).toEqual(new Uint8Array(16))
    send()
    expect(bench.kernel.sent).toHaveLength(0)
    bench.command(tunnel(1))
    send()
    expect(lastSpi()).toBe(0x1001)
  })

  it('forgets routes and tunnels', () => {
    bench.command({ type: 'install-child', child: child(1) }, tunnel(1))
    send()
    expect(bench.kernel.sent).toHaveLength(1)
    bench.command({ type: 'remove-routes', prefixes: blockOf(4, [prefix('10.2.0.0/16'), prefix('10.99.0.0/16')]) })
    send()
    expect(bench.engine.drops().no_route).toBe(1)
    bench.command({ type: 'routes', prefixes: NET, group: 0 }, { type: 'remove-tunnel', handle: 0 })
    send()
    expect(bench.engine.drops().no_sa).toBe(1)
    expect(bench.kernel.sent).toHaveLength(1)
  })

  it('promotes by replacing the tunnel, and keeps the old inbound SA until it is removed', () => {
    bench.command({ type: 'install-child', child: child(1) }, tunnel(1))
    send()
    const old = bench.kernel.sent.at(-1)!
    bench.command({ type: 'install-child', child: child(2) }, tunnel(2))
    send()
    expect(lastSpi()).toBe(0x1002)
    bench.kernel.push(NAT, { from: PEER, bytes: old.bytes })
    bench.turn()
    expect(bench.kernel.lanOut).toHaveLength(1)
    const [removed] = bench.command({ type: 'remove-child', id: 1 })
    expect(removed).toMatchObject({
      answer: { counters: { id: 1, inbound: { packets: 1 }, outbound: { packets: 1 } } },
    })
    bench.kernel.push(NAT, { from: PEER, bytes: old.bytes })
    bench.turn()
    expect(bench.engine.drops().unknown_spi).toBe(1)
    expect(bench.command({ type: 'remove-child', id: 1 })).toMatchObject([{ type: 'done', answer: {} }])
  })

  it('tells of the first packet on an inbound SA at once, and once', () => {
    bench.command({ type: 'install-child', child: child(1) }, tunnel(1))
    send()
    send()
    const [first, second] = bench.kernel.sent
    bench.kernel.push(NAT, { from: PEER, bytes: first!.bytes })
    expect(bench.turn()).toEqual([{ type: 'child-used', id: 1 }])
    bench.kernel.push(NAT, { from: PEER, bytes: second!.bytes })
    expect(bench.turn()).toEqual([])
  })

  it('tells of the first packets on many SAs in few turns that do not sleep', () => {
    const count = 100
    for (let id = 0; id < count; id++) {
      bench.command({ type: 'install-child', child: child(id) }, tunnel(id))
      send()
    }
    for (const { bytes } of bench.kernel.sent) bench.kernel.push(NAT, { from: PEER, bytes })
    const used: number[] = []
    let turns = 0
    for (let busy = true; busy; turns++) {
      bench.reports.length = 0
      busy = bench.runner.turn(busy)
      used.push(...bench.reports.flatMap((report) => (report.type === 'child-used' ? [report.id] : [])))
    }
    expect(used).toEqual(Array.from({ length: count }, (_, id) => id))
    expect(turns).toBeLessThan(6)
  })

  it('reports a forged packet to nobody', () => {
    bench.command({ type: 'install-child', child: child(1) }, tunnel(1))
    send()
    const forged = bench.kernel.sent[0]!.bytes.slice()
    forged[forged.length - 1]! ^= 1
    bench.kernel.push(NAT, { from: MOVED, bytes: forged })
    expect(bench.turn()).toEqual([])
    expect(bench.engine.drops().auth_failed).toBe(1)
  })

  it('passes on limits and moves by child, and moves the endpoint when told', () => {
    bench.command({ type: 'install-child', child: child(1, { softPackets: 2, hardPackets: 4 }) }, tunnel(1))
    send()
    bench.kernel.lanIn.push(packet())
    expect(bench.turn()).toEqual([{ type: 'child-limit', id: 1, hard: false }])
    bench.kernel.push(NAT, { from: PEER, bytes: bench.kernel.sent[0]!.bytes })
    bench.turn()
    bench.kernel.push(NAT, { from: MOVED, bytes: bench.kernel.sent[1]!.bytes })
    expect(bench.turn()).toEqual([{ type: 'child-moved', id: 1, remote: MOVED }])
    bench.command({ type: 'move-child', id: 1, remote: MOVED, socket: 0 })
    send()
    expect(bench.kernel.sent.at(-1)!.to).toEqual(MOVED)
    bench.kernel.lanIn.push(packet())
    expect(bench.turn()).toEqual([{ type: 'child-limit', id: 1, hard: true }])
  })

  it('refuses what the engine refuses, frees what it had taken, and goes on', () => {
    bench.command({ type: 'install-child', child: child(1) })
    // The same inbound SPI again.
    const [refused] = bench.command({ type: 'install-child', child: { ...child(1), id: 9 } })
    expect(refused).toMatchObject({ type: 'refused', seq: 5, reason: expect.any(String) })
    for (let id = 2; id < 1100; id++) {
      bench.command({ type: 'install-child', child: child(id) }, { type: 'remove-child', id })
      expect(bench.reports.every(({ type }) => type === 'done')).toBe(true)
    }
  })

  it('reports what changed once a second, drops of the host included', () => {
    bench.command({ type: 'install-child', child: child(1) }, tunnel(1))
    send()
    expect(bench.turn()).toEqual([])
    bench.now += REPORT_MS
    bench.pump.drops.ike_backlog = 3
    const nothing = { packets: 0, bytes: 0, drops: {}, missing: 0 }
    expect(countersIn(bench.turn())).toEqual([
      {
        type: 'counters',
        segmentsRefused: 0,
        children: [{ id: 1, inbound: nothing, outbound: { packets: 1, bytes: 60, drops: {} } }],
        drops: { ike_backlog: 3 },
      },
    ])
    expect(bench.turn()).toEqual([])
    bench.now += REPORT_MS
    expect(countersIn(bench.turn())).toMatchObject([{ children: [], drops: { ike_backlog: 3 } }])
  })

  it('reports many Child SAs in several turns, without sleeping in between', () => {
    const count = 2 * CHILDREN_PER_STEP + 1
    for (let id = 0; id < count; id++) bench.command({ type: 'install-child', child: child(id) })
    // Two packets: for the first Child SA and for the last.
    for (const id of [0, count - 1]) {
      bench.command(tunnel(id))
      send()
    }
    bench.now += REPORT_MS
    const reports = Array.from({ length: 4 }, () => countersIn(bench.turn()))
    const told = reports.map((turn) => turn.map(({ children }) => children.map(({ id }) => id)))
    // The last one comes first; the middle has nothing to tell; a round ends in a report in any case.
    expect(told).toEqual([[[count - 1]], [], [[0]], []])
    bench.now += REPORT_MS
    bench.runner.turn(false)
    expect(bench.kernel.polls.at(-1)).toBe(0)
    bench.runner.turn(false)
    bench.runner.turn(false)
    expect(bench.kernel.polls.slice(-2)).toEqual([0, 0])
    bench.runner.turn(false)
    expect(bench.kernel.polls.at(-1)).toBe(REPORT_MS)
  })

  it('sleeps until the next report when idle, not at all when busy, and ends when told', () => {
    bench.runner.turn(false)
    expect(bench.kernel.polls.at(-1)).toBe(REPORT_MS)
    bench.now += 400
    bench.runner.turn(false)
    expect(bench.kernel.polls.at(-1)).toBe(REPORT_MS - 400)
    bench.runner.turn(true)
    expect(bench.kernel.polls.at(-1)).toBe(0)
    Atomics.store(bench.signals, SIGNAL_STOP, 1)
    bench.runner.run()
  })
})
