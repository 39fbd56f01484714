/** Routing of a document with fewer neighbours than the intent has. */
import type { DocumentRouting } from '../../../protocol/control/routing.ts'

/** With the neighbours through tunnels that `keep` says, and the groups that these name. */
export function withNeighbours(routing: DocumentRouting, keep: (tunnel: string) => boolean): DocumentRouting {
  const neighbours = routing.neighbours.filter(({ tunnel }) => keep(tunnel))
  if (neighbours.length === routing.neighbours.length) return routing
  const named = new Set(neighbours.flatMap(({ receive, send }) => [...receive, ...send].map(({ group }) => group)))
  return { ...routing, neighbours, groups: routing.groups.filter(({ name }) => named.has(name)) }
}
