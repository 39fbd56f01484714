/** The packet path as the main thread holds it: device, sockets, worker, and what is installed in its engine. */
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { LanFormat } from '../../wasm/packet-engine.ts'
import type { EngineChoice, WireSocket } from '../data/commands.ts'
import type { StartFailure } from '../handle.ts'
import type { ConnectorPlan } from '../plan.ts'
import { Children } from './children.ts'
import { IkeSocket } from './ike-socket.ts'
import { type OffloadChoice, offloadsInUse } from './offloads.ts'
import { type EngineInfo, type PacketReport, PacketWorker } from './packet-worker.ts'
import { closeSockets, openSockets, socketsFor } from './sockets.ts'
import { openTun, type TunDevice } from './tun.ts'

export interface PacketPathOptions {
  readonly engine: EngineChoice
  readonly offloads: OffloadChoice
  readonly onReport: (report: PacketReport) => void
  /** It broke while it ran, and does not mend. */
  readonly onFailure: (failure: StartFailure) => void
}

export interface PacketPath {
  readonly sockets: readonly WireSocket[]
  readonly ikeSocket: IkeSocket
  readonly children: Children
  readonly engine: EngineInfo
  /** What is in use; `refused` as in `Counters`. */
  offloads(refused: number): NonNullable<ConnectorStatus['offloads']>
  /** Ends the worker, then closes what it used. Idempotent; never rejects. */
  close(): Promise<void>
}

/** Opens it all, tells the engine its tables, and warms it up. Rejects with a StartFailure, everything undone. */
export async function openPacketPath(plan: ConnectorPlan, options: PacketPathOptions): Promise<PacketPath> {
  const undo: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    let workerGone = true
    const tun = openTun(plan.tun.name, options.offloads)
    // A thread that does not end must not see its descriptors given to somebody else.
    undo.push(() => workerGone && tun.close())
    const wanted = socketsFor(
      plan.connections.map(({ ike }) => ike),
      plan.ports,
    )
    const [sockets = []] = openSockets(wanted, options.offloads)
    undo.push(() => workerGone && closeSockets(sockets))
    const worker = new PacketWorker({ tunFd: tun.queues[0]!, lanFormat: lanFormatOf(tun), sockets, ...options })
    undo.push(async () => {
      workerGone = await worker.stop()
    })
    const engine = await worker.engine
    const children = new Children(plan.connections, sockets, (command, transfer) => worker.call(command, transfer))
    await children.configure()
    const offloads = (refused: number) => offloadsInUse(options.offloads, tun, sockets, refused)
    return { sockets, ikeSocket: new IkeSocket(sockets), children, engine, offloads, close }
  } catch (error) {
    await close()
    throw error
  }
}

function lanFormatOf({ offload }: TunDevice): LanFormat {
  return { header: offload.step !== 'none', datagrams: offload.step === 'tso+uso' }
}
