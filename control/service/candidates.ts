/** The tunnels of a network as the planner of runs looks at them, read in bulk. */
import type { Candidate } from '../domain/planner.ts'
import type { ConnectorRecord, Kind, Records } from '../store/repo.ts'
import { byAge } from './documents.ts'
import type { Topology } from './planned-view.ts'
import { optional } from './support.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

const PAGE = 1000

/** All records of a kind, page by page; `work`: as that decision has them by now. */
export async function* everyOf<K extends Kind>(
  context: Pick<Context, 'repo'>,
  network: string,
  kind: K,
  ref?: string,
  work?: Work,
): AsyncGenerator<Records[K]> {
  for (let after = ''; ; ) {
    const page = await context.repo.list(network, kind, { after, limit: PAGE, ...optional('ref', ref) })
    if (work === undefined) for (const { value } of page) yield value
    else yield* work.adopt(kind, page)
    if (page.length < PAGE) return
    after = page.at(-1)!.value.id
  }
}

/** Only what the age of keys tells: enough to see that nothing is due. */
export async function candidatesByAge(context: Context, network: string): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for await (const { id: tunnel, current, currentSince } of everyOf(context, network, 'keys')) {
    candidates.push({ tunnel, name: tunnel, current, currentSince, connected: true, rotating: false, up: false })
  }
  return candidates
}

export async function candidatesOf(
  context: Context,
  network: string,
  topology: Topology & { tunnels(): Iterable<Records['tunnel']> },
): Promise<Candidate[]> {
  const connectorAt = new Map<string, ConnectorRecord>()
  for await (const connector of everyOf(context, network, 'connector')) {
    const other = connectorAt.get(connector.site)
    if (connector.revokedAt !== undefined || (other !== undefined && byAge(other, connector) < 0)) continue
    connectorAt.set(connector.site, connector)
  }
  const keys = new Map<string, Records['keys']>()
  for await (const one of everyOf(context, network, 'keys')) keys.set(one.id, one)
  const queued = new Set<string>()
  for await (const { tunnel } of everyOf(context, network, 'rotation', 'queued')) queued.add(tunnel)
  const up = new Set<string>()
  for await (const { id, report } of everyOf(context, network, 'end')) if (report.state === 'up') up.add(id)
  return Array.from(topology.tunnels(), ({ id, name, sites }) => {
    const ends = sites.map((site) => connectorAt.get(site)?.id)
    const own = keys.get(id)
    return {
      tunnel: id,
      name,
      current: own?.current ?? 0,
      currentSince: own?.currentSince,
      connected: ends.every((end) => end !== undefined),
      rotating: own?.rotation !== undefined || queued.has(id),
      up: ends.every((end) => up.has(`${id}/${end}`)),
    }
  })
}
