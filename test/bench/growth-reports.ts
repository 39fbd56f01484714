/** What the packet worker's reports cost it: the longest hole that they make in the packet path, and all of a round. */
import { randomBytes } from 'node:crypto'
import { MessageChannel } from 'node:worker_threads'
import { type Command, type InstallChild, SIGNAL_BYTES, SIGNAL_COMMANDS } from '../../connector/data/commands.ts'
import { Pump } from '../../connector/data/pump.ts'
import { REPORT_MS, Runner } from '../../connector/data/runner.ts'
import { FakeKernel } from '../../connector/data/testing/fake-kernel.ts'
import { address } from '../../protocol/net.ts'
import { BATCH, SLOT_BYTES } from '../../wasm/abi.ts'
import { createEngine } from '../../wasm/load.ts'
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import { median } from './growth-measure.ts'

export interface ReportRow {
  readonly childSas: number
  /** How many of them changed between two reports. */
  readonly changed: number
  /** Milliseconds: the longest turn of a round, and all turns of a round together. */
  readonly longestTurn: number
  readonly round: number
}

const ROUNDS = 15
const FIRST_SPI = 0x10000
const TUN = 10
const LOCAL = { address: address('192.0.2.1'), port: 4500 }
const ESP_BYTES = 64

/** Turns with nothing to do but the reports, which go through a message channel as they do to the main thread. */
export async function measureReports(childSas: number, changed: number): Promise<ReportRow> {
  const engine = createEngine()
  engine.warmUp()
  const { port1, port2 } = new MessageChannel()
  let told = 0
  port2.on('message', (report: { type: string; children?: readonly unknown[] }) => {
    told += report.children?.length ?? 0
  })
  const commands: Command[] = Array.from({ length: childSas }, (_, id) => ({ type: 'install-child', child: child(id) }))
  let now = 0
  const runner = runnerOn(
    engine,
    commands,
    (report) => port1.postMessage(report),
    () => now,
  )
  const longest: number[] = []
  const rounds: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    forge(engine, childSas, changed, round)
    now += REPORT_MS
    const turns = turnsOf(runner)
    longest.push(Math.max(...turns))
    rounds.push(turns.reduce((sum, each) => sum + each, 0))
    while (told < changed * round) await new Promise((resolve) => setImmediate(resolve))
  }
  port1.close()
  return { childSas, changed, longestTurn: median(longest), round: median(rounds) }
}

function runnerOn(
  engine: PacketEngine,
  commands: Command[],
  post: (report: unknown) => void,
  clock: () => number,
): Runner {
  const kernel = new FakeKernel(TUN)
  const pump = new Pump({
    engine,
    syscalls: kernel,
    addressOf: kernel.addressOf,
    tunFd: TUN,
    lanFormat: { header: false, datagrams: false },
    eventFd: TUN + 1,
    sockets: [{ fd: TUN + 2, kind: 'udp', local: LOCAL }],
    onIke: () => {},
  })
  let seq = 0
  const take = () => {
    const command = commands.shift()
    return command === undefined ? undefined : { seq: seq++, command }
  }
  const signals = new Int32Array(new SharedArrayBuffer(SIGNAL_BYTES))
  Atomics.add(signals, SIGNAL_COMMANDS, 1)
  const runner = new Runner({ engine, pump, port: { post, take }, signals, clock })
  runner.turn(true)
  return runner
}

/** Milliseconds of each turn, until a whole round of reports is certainly over. */
function turnsOf(runner: Runner): number[] {
  return Array.from({ length: 1000 }, () => {
    const start = performance.now()
    runner.turn(true)
    return performance.now() - start
  })
}

function child(id: number): InstallChild {
  const any = { protocol: 0, startPort: 0, endPort: 65535 }
  const all = [{ ...any, startAddress: address('0.0.0.0'), endAddress: address('255.255.255.255') }]
  const keys = () => ({ suite: 'chacha20-poly1305' as const, key: randomBytes(32), salt: randomBytes(4) })
  const shared = { spi: FIRST_SPI + id, esn: true, tunnel: id, local: all, remote: all }
  return {
    id,
    inbound: { ...keys(), ...shared, replayWindow: 64 },
    outbound: { ...keys(), ...shared, endpoint: 0 },
    remote: LOCAL,
    encapsulation: 'udp',
    socket: 0,
  }
}

/** Has `changed` of the Child SAs refuse a packet that is not authentic, which is a change of their counters. */
function forge(engine: PacketEngine, childSas: number, changed: number, sequence: number): void {
  const view = new DataView(engine.memory)
  for (let first = 0; first < changed; first += BATCH) {
    const packets = Math.min(BATCH, changed - first)
    for (let slot = 0; slot < packets; slot++) {
      const at = engine.wireRx.offset + slot * SLOT_BYTES
      view.setUint32(at, FIRST_SPI + Math.floor(((first + slot) * childSas) / changed))
      view.setUint32(at + 4, sequence)
      engine.wireRx.length[slot] = ESP_BYTES
    }
    engine.openBatch(packets, 'udp', 0)
  }
}
