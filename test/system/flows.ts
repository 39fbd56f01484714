/** Several UDP flows from one namespace to another, told apart by their ports. */
import { join } from 'node:path'
import type { Spawned, World } from './netns.ts'
import type { Arrivals } from './sequence.ts'
import { until } from './until.ts'

export type { Arrivals } from './sequence.ts'

const PROGRAM = join(import.meta.dirname, 'sequence.ts')
/** Nothing new for so long: what is missing does not come any more. */
const QUIET_MS = 1000

export interface Flows {
  readonly from: string
  readonly fromAddress: string
  readonly to: string
  readonly toAddress: string
  readonly port: number
  /** Datagrams a second, of each flow. */
  readonly rate: number
  /** Datagrams, by flow. */
  readonly counts: readonly number[]
}

/** Sends all flows at once; returns what arrived of each. */
export async function runFlows(world: World, flows: Flows): Promise<Arrivals[]> {
  const { from, fromAddress, to, toAddress, port, rate, counts } = flows
  const node = process.execPath
  const receiver = world.spawn(to, [node, PROGRAM, 'receive', toAddress, String(port), String(counts.length)])
  await receiver.waitFor(/ready/)
  const words = [fromAddress, toAddress, String(port), String(rate), ...counts.map(String)]
  await world.exec(from, [node, PROGRAM, 'send', ...words], { timeoutMs: 120_000 })
  await settled(
    receiver,
    counts.reduce((sum, count) => sum + count, 0),
  )
  process.kill(receiver.pid, 'SIGTERM')
  const [arrivals] = await receiver.waitFor(/^\[.*\]$/m)
  return JSON.parse(arrivals) as Arrivals[]
}

export interface RunningFlow {
  /** Ends it. What was sent, and what arrived of it. */
  stop(): Promise<{ readonly sent: number; readonly arrivals: Arrivals }>
}

/** Sends one flow for as long as it takes. */
export async function startFlow(world: World, flow: Omit<Flows, 'counts'>): Promise<RunningFlow> {
  const { from, fromAddress, to, toAddress, port, rate } = flow
  const node = process.execPath
  const receiver = world.spawn(to, [node, PROGRAM, 'receive', toAddress, String(port), '1'])
  await receiver.waitFor(/ready/)
  const words = [fromAddress, toAddress, String(port), String(rate), String(1_000_000)]
  const sender = world.spawn(from, [node, PROGRAM, 'send', ...words])
  await sender.waitFor(/sending/)
  const stop = async () => {
    process.kill(sender.pid, 'SIGTERM')
    const sent = Number((await sender.waitFor(/^sent (\d+)$/m))[1])
    await settled(receiver, sent)
    process.kill(receiver.pid, 'SIGTERM')
    const [arrivals] = await receiver.waitFor(/^\[.*\]$/m)
    return { sent, arrivals: (JSON.parse(arrivals) as Arrivals[])[0]! }
  }
  return { stop }
}

/** Waits until everything has arrived, or nothing more comes. */
async function settled(receiver: Spawned, total: number): Promise<void> {
  let last = -1
  let since = performance.now()
  await until(
    'the last datagrams',
    () => {
      process.kill(receiver.pid, 'SIGUSR2')
      const line =
        receiver
          .output()
          .match(/^[\d ]+ so far$/gm)
          ?.at(-1) ?? ''
      const received = (line.match(/\d+/g) ?? []).reduce((sum, text) => sum + Number(text), 0)
      if (received !== last) since = performance.now()
      last = received
      return received >= total || performance.now() - since > QUIET_MS
    },
    60_000,
  )
}

/** What a flow of which nothing is lost, doubled or overtaken arrives as. */
export function inOrder(count: number): Arrivals {
  return { received: count, late: 0, duplicates: 0 }
}
