/** The topology `mesh`: a new site gets a tunnel to every other one. */
import type { Site, Tunnel } from '../../protocol/control/intent.ts'
import { refuse } from './refusal.ts'

/** A mesh of n sites has n(n-1)/2 tunnels, and each connector n-1: beyond this, nobody wants it. */
export const MAX_MESH_SITES = 50

const MAX_NAME = 63
const PART = 24

export function mustFitMesh(sites: number): void {
  if (sites <= MAX_MESH_SITES) return
  throw refuse('mesh-too-large', { detail: `a mesh has at most ${MAX_MESH_SITES} sites, and this makes ${sites}` })
}

/** Tunnels from each of `others` to `site`. `taken` says whether a tunnel has that name. */
export function joinMesh(
  site: Pick<Site, 'id' | 'name'>,
  others: Iterable<Pick<Site, 'id' | 'name'>>,
  taken: (name: string) => boolean,
  makeId: (kind: 'tunnel') => string,
): Tunnel[] {
  const given = new Set<string>()
  return Array.from(others, (other) => {
    const id = makeId('tunnel')
    const name = tunnelName(other.name, site.name, id, (text) => given.has(text) || taken(text))
    given.add(name)
    return { id, name, sites: [other.id, site.id] }
  })
}

/** `hq-branch`; where that is too long or taken, shortened, with the end of the id behind it. */
function tunnelName(left: string, right: string, id: string, taken: (name: string) => boolean): string {
  const plain = `${left}-${right}`
  if (plain.length <= MAX_NAME && !taken(plain)) return plain
  return `${left.slice(0, PART)}-${right.slice(0, PART)}-${id.slice(-8)}`
}
