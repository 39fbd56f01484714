/** The packet path as the main thread holds it: device, sockets, workers, and what is installed in their engines. */
import { randomBytes } from 'node:crypto'
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { LanFormat } from '../../wasm/packet-engine.ts'
import type { EngineChoice } from '../data/commands.ts'
import type { StartFailure } from '../handle.ts'
import type { ConnectorPlan } from '../plan.ts'
import { Children, type TablesPlan } from './children.ts'
import { IkeSocket } from './ike-socket.ts'
import { type OffloadChoice, offloadsInUse } from './offloads.ts'
import type { EngineInfo } from './packet-worker.ts'
import { PacketWorkers, type WorkersReport } from './packet-workers.ts'
import { closeSockets, openSockets, socketsOf } from './sockets.ts'
import { openTun, type TunDevice } from './tun.ts'

export interface PacketPathOptions {
  readonly engine: EngineChoice
  readonly offloads: OffloadChoice
  readonly onReport: (report: WorkersReport) => void
  /** It broke while it ran, and does not mend. */
  readonly onFailure: (failure: StartFailure) => void
}

export interface PacketPath {
  readonly ikeSocket: IkeSocket
  readonly children: Children
  readonly workers: PacketWorkers
  /** Of each worker. */
  readonly engines: readonly EngineInfo[]
  /** What is in use. */
  offloads(): NonNullable<ConnectorStatus['offloads']>
  /** Ends the workers, then closes what they used. Idempotent; never rejects. */
  close(): Promise<void>
}

/** Opens it all, tells the engines their tables, and warms them up. Rejects with a StartFailure, everything undone. */
export async function openPacketPath(plan: ConnectorPlan, options: PacketPathOptions): Promise<PacketPath> {
  const undo: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    let workersGone = true
    const tun = openTun(plan.tun.name, options.offloads, plan.workers)
    // A thread that does not end must not see its descriptors given to somebody else.
    undo.push(() => workersGone && tun.close())
    const sockets = openSockets(socketsOf(plan), options.offloads, plan.workers)
    undo.push(() => workersGone && closeSockets(sockets.flat()))
    const workers = new PacketWorkers({ queues: tun.queues, lanFormat: lanFormatOf(tun), sockets, ...options })
    undo.push(async () => {
      workersGone = await workers.stop()
    })
    const engines = await workers.start()
    const children = new Children(plan.connections, sockets, (...call) => workers.call(...call), tablesOf(plan))
    await children.configure()
    const offloads = () => offloadsInUse(options.offloads, tun, sockets.flat(), workers.segmentsRefused)
    return { ikeSocket: new IkeSocket(sockets[0]!), children, workers, engines, offloads, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Which flow takes which tunnel of a spread is nothing that a sender should be able to work out. */
function tablesOf({ tun, spreads = [], classes = [], refusals = [], networks = [] }: ConnectorPlan): TablesPlan {
  return { spreads, classes, refusals, networks, ownAddresses: tun.addresses, flowSeed: randomBytes(4).readUInt32LE() }
}

function lanFormatOf({ offload }: TunDevice): LanFormat {
  return { header: offload.step !== 'none', datagrams: offload.step === 'tso+uso' }
}
