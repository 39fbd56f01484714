/**
 * Names of BGP made of numbers that sites and tunnels keep: AS numbers, BGP identifiers, addresses inside tunnels. So
 * a site that comes or goes changes nothing for the others.
 */

const FIRST_AS = 4_200_000_000

/**
 * Third octets of 169.254.0.0/16 that are used. Not the first and the last one (RFC 3927 section 2.1), nor those where
 * machines in clouds find their metadata.
 */
const OCTETS = Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => ![0, 169, 170, 255].includes(octet))
const PER_OCTET = 64

/** Tunnels that one network can number. */
export const MAX_NUMBERED_TUNNELS = OCTETS.length * PER_OCTET

/** RFC 6996: AS numbers of four octets for private use begin here. */
export function asOf(site: number): number {
  return FIRST_AS + site
}

/** Of a site's number; any value but 0 will do (RFC 6286 section 2.1). */
export function routerIdOf(site: number): string {
  const id = site + 1
  return [id >>> 24, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff].join('.')
}

/** Both hosts of the tunnel's /30: the first one is of the site with the lower number, whichever end initiates. */
export function insideOf(tunnel: number): readonly [string, string] {
  const base = `169.254.${OCTETS[Math.floor(tunnel / PER_OCTET)]}`
  const host = (tunnel % PER_OCTET) * 4
  return [`${base}.${host + 1}`, `${base}.${host + 2}`]
}

/**
 * A number for each of `ids` that has none. `used`: those in use; a number that was given back is given again only when
 * there are no others below `limit`. Ids that find none are left out.
 */
export function numbered(
  ids: Iterable<string>,
  used: ReadonlyMap<string, number>,
  limit: number,
): ReadonlyMap<string, number> {
  const taken = new Set(used.values())
  let next = 0
  for (const number of taken) next = Math.max(next, number + 1)
  let free = 0
  const given = new Map<string, number>()
  for (const id of ids) {
    const known = used.get(id)
    if (known !== undefined) {
      given.set(id, known)
      continue
    }
    if (next >= limit) while (taken.has(free)) free++
    const number = next < limit ? next++ : free
    if (number >= limit) continue
    taken.add(number)
    given.set(id, number)
  }
  return given
}
