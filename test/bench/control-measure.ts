/** What is measured on a control plane that runs, whichever platform it is on. */
import { nodeCaller } from '../../control/entry/testing/node-world.ts'
import { must } from '../../control/testing/network.ts'
import { openLinks, quantile, residentOf, steadyRequests } from './control-load.ts'
import type { BenchNetwork } from './control-store.ts'

export interface Plane {
  readonly url: string
  readonly admin: string
  /** Of the process that holds the links. */
  readonly pid: number
  /** Of what stands before it and holds them too, where something does. */
  readonly proxy?: number | undefined
  readonly readsPerSecond: number
}

const READ_SECONDS = 10

export async function measure(plane: Plane, network: BenchNetwork) {
  const { url, admin, pid, proxy, readsPerSecond } = plane
  const resident = () => ({ control: residentOf(pid), proxy: proxy === undefined ? undefined : residentOf(proxy) })
  const caller = nodeCaller(() => url, admin)
  const path = `/v1/networks/${network.id}`
  const ask = async (method: string, below: string, body?: unknown, headers = {}) =>
    must(
      await caller.request(method, path + below, { token: network.tokens[0], body, headers }),
      method === 'POST' ? 201 : 200,
    )
  await ask('GET', '/sites?limit=1')
  const before = resident()
  say('opening links')
  const [linkMs, links] = await timed(() => openLinks(url, caller, network.connectors))
  const after = resident()
  say('changing the site in the middle')
  const hub = await ask('GET', `/sites/${network.hub}`)
  const { id: _, ...site } = hub.body
  const body = { ...site, prefixes: ['192.168.0.0/17'] }
  const [changeMs] = await timed(async () => {
    const sent = ask('PUT', `/sites/${network.hub}`, body, { 'if-match': hub.headers.get('etag')! })
    await Promise.all([sent, ...links.map((link) => link.next('document'))])
  })
  say('reading')
  const paths = [
    ...['/sites?limit=50', '/tunnels?limit=50', '/connectors?limit=50', '', '/rotations', '/runs'],
    ...network.connectors.slice(0, 50).map(({ connector }) => `/connectors/${connector}`),
  ]
  const asks = Array.from({ length: 1000 }, (_, index) => ({
    path: path + paths[index % paths.length]!,
    token: network.tokens[index % network.tokens.length]!,
  }))
  const { times, statuses, clientStall } = await steadyRequests(url, asks, readsPerSecond, READ_SECONDS)
  say('rotating')
  const [rotateMs, run] = await timed(() => ask('POST', '/runs', { canary: false, maxConcurrent: 10 }))
  for (const link of links) link.socket.terminate()
  return {
    link: { seconds: linkMs / 1000, ...memoryOf(before, after, links.length) },
    change: { seconds: changeMs / 1000 },
    reads: { p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: times.at(-1), clientStall, statuses },
    rotate: { seconds: rotateMs / 1000, rotations: run.body.run.counts },
  }
}

export async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const begun = performance.now()
  const result = await work()
  return [performance.now() - begun, result]
}

interface Resident {
  readonly control: number
  readonly proxy: number | undefined
}

function memoryOf(before: Resident, after: Resident, links: number) {
  const each = (from: number, to: number) => Math.round((to - from) / links)
  return {
    bytesEach: each(before.control, after.control),
    before: before.control,
    after: after.control,
    ...(before.proxy !== undefined && after.proxy !== undefined && { proxyBytesEach: each(before.proxy, after.proxy) }),
  }
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
