/** What a function may reach, as it is typed: `hq/erp`, several of them, by the names of sites. */
import { EXIT } from '../../handle.ts'
import { CommandFailure } from '../command.ts'

/** By site, each once, in the order in which they were named. `services` without any: all of the site. */
export type Reach = { readonly site: string; readonly services: string[] }[]

/** Throws a CommandFailure for what is not written so. `what`: what the words are for. */
export function reachOf(texts: readonly string[], what: string, options: { readonly wholeSites?: true } = {}): Reach {
  const parsed = texts.map((text) => {
    const [, site, service] = /^([^/\s]+)(?:\/([^/\s]+))?$/.exec(text) ?? []
    if (site !== undefined && service !== undefined) return { site, services: [service] }
    if (site !== undefined && options.wholeSites && !text.includes('/')) return { site, services: [] }
    throw new CommandFailure(
      `${what}: ${JSON.stringify(text)} does not fit`,
      'write it as <site>/<service>, like hq/erp',
      EXIT.usage,
    )
  })
  return options.wholeSites ? parsed : merged([], parsed)
}

export function merged(before: Reach, more: Reach): Reach {
  const bySite = new Map(before.map(({ site, services }) => [site, [...services]]))
  for (const { site, services } of more) {
    const there = bySite.get(site) ?? []
    bySite.set(site, [...new Set([...there, ...services])])
  }
  return Array.from(bySite, ([site, services]) => ({ site, services }))
}

/** A site of which nothing is left goes too. */
export function without(before: Reach, less: Reach): Reach {
  return before.flatMap(({ site, services }) => {
    const own = less.filter((one) => one.site === site)
    if (own.some((one) => one.services.length === 0)) return []
    const left = services.filter((service) => !own.some((one) => one.services.includes(service)))
    return left.length === 0 ? [] : [{ site, services: left }]
  })
}

/** `hq/erp`, `hq/db`. */
export function textsOf(reach: Reach): string[] {
  return reach.flatMap(({ site, services }) => services.map((service) => `${site}/${service}`))
}
