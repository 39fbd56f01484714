/** Thread entry of the packet path: makes the engine, warms it up, and runs until told to stop. */
import { randomBytes } from 'node:crypto'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import { addressOf, libc } from '../io/ffi.ts'
import { MAX_IKE_BACKLOG, type Report, type Sequenced, SIGNAL_IKE_BACKLOG, type WorkerStart } from './commands.ts'
import { makeEngine } from './engines.ts'
import { Probing } from './probing.ts'
import { Pump } from './pump.ts'
import { Runner } from './runner.ts'

const start = workerData as WorkerStart
const main = parentPort!
const signals = new Int32Array(start.signals)
const post = (report: Report): void => main.postMessage(report)

function run(engine: PacketEngine): void {
  const clock = (): number => performance.now()
  const probing: Probing = new Probing({
    engine,
    send: (whole) => pump.sendProbe(whole),
    routeMtu: (tunnel) => runner.routeMtu(tunnel),
    handOver: (...probe) => pump.handOverProbe(...probe),
    post,
    random: (length) => new Uint8Array(randomBytes(length)),
    worker: start.share?.worker ?? 0,
  })
  const pump: Pump = new Pump({
    engine,
    syscalls: libc(),
    addressOf,
    tunFd: start.tunFd,
    lanFormat: start.lanFormat,
    eventFd: start.eventFd,
    sockets: start.sockets,
    ...(start.share === undefined ? {} : { share: start.share }),
    onProbes: (now) => probing.collect(now),
    onProbe: (tunnel, bytes, length) => probing.take(tunnel, bytes, length, clock()),
    onIke: (socket, remote, bytes) => {
      if (Atomics.load(signals, SIGNAL_IKE_BACKLOG) >= MAX_IKE_BACKLOG) {
        pump.drops.ike_backlog++
        return
      }
      Atomics.add(signals, SIGNAL_IKE_BACKLOG, 1)
      main.postMessage({ type: 'ike', socket, remote, bytes } satisfies Report, [bytes.buffer as ArrayBuffer])
    },
  })
  const take = (): Sequenced | undefined => receiveMessageOnPort(main)?.message as Sequenced | undefined
  const runner = new Runner({ engine, pump, probing, port: { post, take }, signals, clock, ...threadClock() })
  runner.run()
}

/** Node.js tells a thread's own processor time since 23.9. */
function threadClock(): { cpu?: () => number } {
  if (typeof process.threadCpuUsage !== 'function') return {}
  return {
    cpu: () => {
      const { user, system } = process.threadCpuUsage()
      return (user + system) / 1000
    },
  }
}

try {
  const { engine, ...made } = makeEngine(start.engine, start.aes)
  post({ type: 'ready', kind: engine.kind, ...made })
  run(engine)
  post({ type: 'stopped' })
} catch (error) {
  post({ type: 'failed', cause: error instanceof Error ? error.message : String(error) })
}
main.close()
