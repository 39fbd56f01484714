/** The load of the benchmark of the control plane: many links, and requests at a steady rate. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { NodeLink } from '../../control/entry/testing/node-world.ts'
import { type Caller, emptyReport, type Joined } from '../../control/testing/caller.ts'

/** Links that are being opened at once. */
const OPENING = 64

export async function openLinks(url: string, caller: Caller, connectors: readonly Joined[]): Promise<NodeLink[]> {
  const links: NodeLink[] = []
  let next = 0
  const opener = async () => {
    for (let at = next++; at < connectors.length; at = next++) {
      const link = await NodeLink.open(url, caller, connectors[at]!, JSON.parse)
      link.send({ type: 'hello', protocol: 1, report: emptyReport(caller, 1) })
      await link.next('welcome')
      links.push(link)
    }
  }
  await Promise.all(Array.from({ length: OPENING }, opener))
  return links
}

export interface Ask {
  readonly path: string
  readonly token: string
}

/**
 * Requests begin when it is their time, whether or not earlier ones are answered. Milliseconds of each, sorted; and
 * the longest time for which this process itself stood still, which is in them too.
 */
export async function steadyRequests(url: string, asks: readonly Ask[], perSecond: number, seconds: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const times: number[] = []
  const statuses = new Map<number, number>()
  const total = perSecond * seconds
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const begun = performance.now()
  const running: Promise<void>[] = []
  for (let index = 0; index < total; index++) {
    const due = begun + (index * 1000) / perSecond
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    running.push(
      get(agent, url, asks[index % asks.length]!).then((status) => {
        times.push(performance.now() - due)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }),
    )
  }
  await Promise.all(running)
  agent.destroy()
  delay.disable()
  times.sort((a, b) => a - b)
  return { times, statuses: Object.fromEntries(statuses), clientStall: delay.max / 1e6 }
}

function get(agent: Agent, url: string, { path, token }: Ask): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode!))
    })
    sent.on('error', reject)
    sent.end()
  })
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Resident bytes of a process. */
export function residentOf(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
