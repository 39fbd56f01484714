/**
 * Echo requests from inside a namespace, by our own `pingHost`: a fresh machine has no ping program.
 *
 *     ping.ts TARGET OPTIONS        OPTIONS as JSON; prints the summary as one line of JSON
 */
import type { PingSummary } from '../../connector/io/ping.ts'
import { address } from '../../protocol/net.ts'
import type { World } from './netns.ts'

export interface Ping {
  readonly count: number
  readonly intervalMs: number
  /** How long the last reply is waited for; default 2000. */
  readonly timeoutMs?: number
  readonly payloadBytes?: number
  readonly source?: string
}

/** What a start of Node.js may take on a busy machine. */
const START_MS = 30_000

/** Pings `target` from `ns`. Loss is a result; rejects only when no request can be sent at all. */
export async function ping(world: World, ns: string, target: string, options: Ping): Promise<PingSummary> {
  const { count, intervalMs, timeoutMs = 2000 } = options
  const vector = [process.execPath, import.meta.filename, target, JSON.stringify({ ...options, timeoutMs })]
  const { stdout } = await world.exec(ns, vector, { timeoutMs: START_MS + 2 * count * intervalMs + timeoutMs })
  return JSON.parse(stdout) as PingSummary
}

if (process.argv[1] === import.meta.filename) {
  const { pingHost } = await import('../../connector/io/ping.ts')
  const { source, ...options } = JSON.parse(process.argv[3]!) as Ping
  const from = source === undefined ? {} : { source: address(source) }
  process.stdout.write(`${JSON.stringify(await pingHost(address(process.argv[2]!), { ...options, ...from }))}\n`)
}
