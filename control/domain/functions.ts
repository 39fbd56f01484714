/** What functions may reach: as somebody writes it, and as it is kept. */
import type { FunctionChange, FunctionInfo } from '../../protocol/control/grant.ts'
import type { Site } from '../../protocol/control/intent.ts'
import { type Fault, pointer, refusalOf } from './refusal.ts'

export type Allowed = FunctionInfo['allow'][number]

/** Characters of the names of one site's services together, 3 more for each: a session token holds no more. */
export const MAX_SERVICE_NAMES = 2400

/** What a draft says about a site that is there, in place of its name. */
export type SiteOf = (reference: string) => Pick<Site, 'id'> | undefined

/** `allow` with sites by their identifiers. Throws a Refusal that names every fault by a pointer into the draft. */
export function resolvedAllow(allow: FunctionChange['allow'], siteOf: SiteOf): Allowed[] {
  const faults: Fault[] = []
  const seen = new Map<string, number>()
  const resolved = allow.map(({ site: reference, services }, index): Allowed => {
    faults.push(...serviceFaults(services, index))
    const site = siteOf(reference)?.id
    const at = pointer('allow', index, 'site')
    const before = seen.get(site ?? '')
    if (site === undefined) faults.push({ pointer: at, detail: `there is no site ${reference}` })
    else if (before !== undefined) faults.push({ pointer: at, detail: `the same site as /allow/${before}/site` })
    else seen.set(site, index)
    return { site: site ?? '', services }
  })
  const refused = refusalOf(faults)
  if (refused !== undefined) throw refused
  return resolved
}

function serviceFaults(services: readonly string[], index: number): Fault[] {
  const faults = services.flatMap((service, at): Fault[] => {
    const before = services.indexOf(service)
    if (before === at) return []
    return [{ pointer: pointer('allow', index, 'services', at), detail: `${service} is named before` }]
  })
  const length = services.reduce((sum, service) => sum + service.length + 3, 0)
  if (length <= MAX_SERVICE_NAMES) return faults
  const detail = `the names are too long together: ${length}, of ${MAX_SERVICE_NAMES} that a session token holds`
  return [...faults, { pointer: pointer('allow', index, 'services'), detail }]
}

/** `allow` without these sites; itself where it names none of them. */
export function withoutSites(allow: readonly Allowed[], removed: ReadonlySet<string>): readonly Allowed[] {
  const kept = allow.filter(({ site }) => !removed.has(site))
  return kept.length === allow.length ? allow : kept
}

/** Whether there is a service in `before` that is not in `after`. */
export function mayReachLess(before: readonly Allowed[], after: readonly Allowed[]): boolean {
  const there = new Map(after.map(({ site, services }) => [site, new Set(services)]))
  return before.some(({ site, services }) => services.some((service) => !there.get(site)?.has(service)))
}
