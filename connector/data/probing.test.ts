import { beforeEach, describe, expect, it } from 'vitest'
import { address, type SocketAddress } from '../../protocol/net.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import type { ProbeSettings } from '../core/probe/machine.ts'
import { randomFrom } from '../core/probe/testing.ts'
import { type Command, type InstallChild, type Report, SIGNAL_BYTES, SIGNAL_COMMANDS } from './commands.ts'
import { Probing } from './probing.ts'
import { Pump } from './pump.ts'
import { Runner } from './runner.ts'
import { FakeKernel } from './testing/fake-kernel.ts'

const TUN = 10
const NAT = 21
const WIRE_INBOX = 31
const TUNNEL = 5
const FAST: ProbeSettings = { intervalMs: 50, multiplier: 4, patient: true }
const MTU = { start: 1400, floor: 576, ceiling: 1500 }
const EMSGSIZE = 90
const IP_MTU_DISCOVER = 10

/** One packet worker of an end whose address ends in `side`; of two of them where `worker` is there. */
class End {
  readonly kernel = new FakeKernel(TUN)
  readonly engine = createNodeEngine()
  readonly reports: Report[] = []
  readonly remote: SocketAddress
  readonly runner: Runner
  now = 5000
  readonly #signals = new Int32Array(new SharedArrayBuffer(SIGNAL_BYTES))
  readonly #queue: { seq: number; command: Command }[] = []

  constructor(side: 1 | 2, worker?: number) {
    this.remote = { address: address(`192.0.2.${3 - side}`), port: 4500 }
    const random = randomFrom(side)
    const clock = (): number => this.now
    const probing: Probing = new Probing({
      engine: this.engine,
      send: (whole) => pump.sendProbe(whole),
      routeMtu: (tunnel) => this.runner.routeMtu(tunnel),
      handOver: (...probe) => pump.handOverProbe(...probe),
      post: (report) => this.reports.push(report),
      random: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)),
      worker: worker ?? 0,
    })
    const share = { worker: worker ?? 0, lan: [40, 41], wire: [50, 51], lanInbox: 30, wireInbox: WIRE_INBOX }
    const pump: Pump = new Pump({
      engine: this.engine,
      syscalls: this.kernel,
      addressOf: this.kernel.addressOf,
      tunFd: TUN,
      lanFormat: { header: false, datagrams: false },
      eventFd: 11,
      sockets: [{ fd: NAT, kind: 'udp', local: { address: address(`192.0.2.${side}`), port: 4500 } }],
      ...(worker === undefined ? {} : { share }),
      onProbes: (now) => probing.collect(now),
      onProbe: (tunnel, bytes, length) => probing.take(tunnel, bytes, length, this.now),
      onIke: () => {},
    })
    const port = { post: (report: Report) => this.reports.push(report), take: () => this.#queue.shift() }
    this.runner = new Runner({ engine: this.engine, pump, probing, port, signals: this.#signals, clock })
  }

  command(...commands: Command[]): void {
    for (const command of commands) this.#queue.push({ seq: 1, command })
    Atomics.add(this.#signals, SIGNAL_COMMANDS, 1)
    this.runner.turn(true)
  }

  /** A Child SA; the keys of one direction are the other's of the other end. */
  install(side: 1 | 2): void {
    const keys = (to: 1 | 2) => ({
      ...{ suite: 'aes-128-gcm' as const, salt: new Uint8Array(4), key: new Uint8Array(16).fill(to) },
      // Of worker 1, where there are several.
      ...{ spi: 0x1001 + 16 * to, esn: false, tunnel: TUNNEL, local: ANY4, remote: ANY4 },
    })
    const other = side === 1 ? 2 : 1
    const child: InstallChild = {
      id: 1,
      inbound: { ...keys(side), replayWindow: 64 },
      outbound: { ...keys(other), endpoint: 0 },
      ...{ remote: this.remote, encapsulation: 'udp', socket: 0 },
    }
    const tunnel = { handle: TUNNEL, pathMtu: 1400, clampMss: true, copyDscp: true, children: [1] }
    this.command({ type: 'install-child', child }, { type: 'tunnel', tunnel })
  }

  probe(settings: ProbeSettings | undefined, home = 0): void {
    this.command({ type: 'probe', tunnel: TUNNEL, home, ...(settings === undefined ? {} : { settings }) })
  }

  /** What it has sent since the last call. */
  sent(): Uint8Array[] {
    return this.kernel.sent.splice(0).map(({ bytes }) => bytes)
  }

  states(): string[] {
    return this.reports.flatMap((report) => (report.type === 'path' ? [report.report.state] : []))
  }

  get mtu() {
    return this.reports.flatMap((report) => (report.type === 'path' ? [report.report.mtu] : [])).at(-1)
  }
}

/** Lets milliseconds pass at both; `passes` says which packets arrive. */
function run(a: End, b: End, ms: number, passes: (bytes: Uint8Array) => boolean = () => true): void {
  for (let i = 0; i < ms; i++) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.now++
      from.runner.turn(false)
      for (const bytes of from.sent()) if (passes(bytes)) to.kernel.push(NAT, { from: to.remote, bytes })
    }
  }
}

describe('probes in a packet worker', () => {
  let a: End
  let b: End
  beforeEach(() => {
    a = new End(1)
    b = new End(2)
    a.install(1)
    b.install(2)
  })

  it('are answered by an end that does not ask, and tell when they are not', () => {
    a.probe(FAST)
    b.probe(undefined)
    run(a, b, 500)
    expect(a.states()[0]).toBe('unknown')
    expect(a.states().at(-1)).toBe('up')
    expect(b.states()).toEqual([])
    run(a, b, 300, () => false)
    expect(a.states().at(-1)).toBe('down')
    expect(a.reports).toContainEqual(expect.objectContaining({ type: 'path', tunnel: TUNNEL }))
  })

  it('sleeps no longer than to the next probe', () => {
    a.probe(FAST)
    const at = a.kernel.polls.length
    a.runner.turn(false)
    expect(a.kernel.polls.slice(at)).toEqual([50])
  })

  it('ask for sizes with DF set, and only then', () => {
    a.probe({ ...FAST, mtu: MTU })
    b.probe(undefined)
    const longest: number[] = []
    run(a, b, 4000, (bytes) => {
      longest.push(bytes.length)
      return bytes.length + 28 <= 1440
    })
    expect(a.mtu).toEqual({ pathMtu: 1440, searching: false, why: 'largest probe that was answered' })
    expect(Math.max(...longest)).toBe(1500 - 28)
    const large = longest.filter((length) => length > 200).length
    const { options } = a.kernel
    expect(options).toHaveLength(2 * large)
    for (const [i, option] of options.entries()) {
      expect(option).toEqual({ fd: NAT, level: 0, option: IP_MTU_DISCOVER, value: i % 2 === 0 ? 3 : 0 })
    }
    expect(b.kernel.options).toEqual([])
  })

  it('take the word of the kernel that the interface takes no more', () => {
    a.probe({ ...FAST, mtu: MTU })
    b.probe(undefined)
    const refuse = a.kernel.sendmmsg.bind(a.kernel)
    let refused = 0
    a.kernel.sendmmsg = (fd, headers, count) => {
      const before = a.kernel.sent.length
      const sent = refuse(fd, headers, count)
      if ((a.kernel.sent[before]?.bytes.length ?? 0) + 28 <= 1400) return sent
      a.kernel.sent.length = before
      refused++
      a.kernel.sendScript.push({ errno: EMSGSIZE })
      return refuse(fd, headers, count)
    }
    run(a, b, 1000)
    expect(a.mtu).toMatchObject({ pathMtu: 1400, searching: false })
    expect(refused).toBeGreaterThan(0)
  })

  it('ask for no size that the route of the kernel does not take: what is sealed and stays here counts as lost', () => {
    a.kernel.routeMtu = 1400
    a.probe({ ...FAST, mtu: MTU })
    b.probe(undefined)
    const bySpi = new Map<number, number[]>()
    const longest: number[] = []
    run(a, b, 1000, (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      bySpi.set(view.getUint32(0), [...(bySpi.get(view.getUint32(0)) ?? []), view.getUint32(4)])
      longest.push(bytes.length + 28)
      return true
    })
    expect(a.mtu).toMatchObject({ pathMtu: 1400, searching: false })
    expect(Math.max(...longest)).toBe(1400)
    expect(bySpi.size).toBe(2)
    for (const sequences of bySpi.values()) expect(sequences).toEqual(sequences.map((_, i) => i + 1))
  })

  it('know nothing without a Child SA, and go on when there is one', () => {
    a.probe(FAST)
    b.probe(FAST)
    run(a, b, 500)
    a.command({ type: 'remove-child', id: 1 })
    run(a, b, 200)
    expect(a.states().at(-1)).toBe('unknown')
    // The other end hears nothing, and knows that this one understands.
    run(a, b, 200)
    expect(b.states().at(-1)).toBe('down')
    a.command({ type: 'remove-tunnel', handle: TUNNEL })
    a.reports.length = 0
    run(a, b, 500)
    expect(a.states()).toEqual([])
  })
})

describe('probes that come to a worker that is not the home of their tunnel', () => {
  it('are handed to the one that is, as nothing that came from outside can look', () => {
    const peer = new End(2)
    peer.install(2)
    peer.probe(FAST)
    // The home is worker 0; the Child SA is on worker 1.
    const [home, other] = [new End(1, 0), new End(1, 1)]
    other.install(1)
    home.install(1)
    home.sent()
    for (const end of [home, other]) end.probe(FAST, 0)
    const [probe] = peer.sent()
    other.kernel.push(NAT, { from: peer.remote, bytes: probe! })
    other.runner.turn(false)
    const handed = other.kernel.written.filter(({ fd }) => fd === 50)
    expect(handed).toHaveLength(1)
    expect(handed[0]!.bytes.subarray(0, 2)).toEqual(Uint8Array.of(0xff, 0xff))
    home.sent()
    home.kernel.inboxes.set(WIRE_INBOX, [handed[0]!.bytes])
    home.runner.turn(false)
    // Its answer knows the number of what came.
    for (const bytes of home.sent()) peer.kernel.push(NAT, { from: peer.remote, bytes })
    expect(peer.states().at(-1)).toBe('unknown')
    peer.runner.turn(false)
    expect(peer.states().at(-1)).toBe('up')
    expect(Object.values(home.engine.drops()).reduce((sum, count) => sum + count)).toBe(0)
  })
})
