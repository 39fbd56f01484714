/** What runs within an endpoint's namespace, and what its daemons say about it. */
import type { CarriedStatus } from './carrier.ts'
import { CUSTOMER } from './endpoint-bird.ts'
import { CHILD } from './endpoint-words.ts'

const INSTALLED = 'state=INSTALLED'
/** `10.8.1.0/24          unicast [customer 05:12:13.123] * (100) [AS65010i]` */
const ROUTE = new RegExp(`^(\\d+(?:\\.\\d+){3}/\\d+) +unicast \\[${CUSTOMER} `, 'gm')

/**
 * Enables or disables the customer's routes by whether there is a Child SA. charon runs it when one comes or goes, in
 * the background: it answers when it is done with the change. While the file `held` is there, there are no routes.
 */
export function syncScript(directory: string, uri: string, birdSocket: string): string {
  return `exec 9>${directory}/lock
flock 9
word=disable
if [ ! -e ${directory}/held ] && swanctl --list-sas --raw --uri ${uri} | grep -q ${INSTALLED}; then word=enable; fi
if [ $word = enable ]; then : >${directory}/up; else rm -f ${directory}/up; fi
birdc -s ${birdSocket} $word ${CUSTOMER} 9>&-
`
}

/** Calls the customer once a second while there is no IKE SA. */
export function initiateScript(directory: string, uri: string): string {
  return `while :; do
  if [ ! -e ${directory}/up ] && [ -z "$(swanctl --list-sas --uri ${uri})" ]; then
    swanctl --initiate --child ${CHILD} --timeout 3 --uri ${uri} >/dev/null 2>&1
  fi
  sleep 1
done
`
}

/**
 * From `swanctl --list-sas --raw`, `birdc show protocols all customer` and `birdc show route protocol customer`, one
 * after the other. `killedAt`: since when BIRD does not answer, where it does not.
 */
export function readStatus(said: string, bgp: boolean, killedAt: number): CarriedStatus {
  const protocol = said.match(new RegExp(`^${CUSTOMER} .* (up|start|down) +(\\S+ \\S+)`, 'm'))
  if (protocol === null) return { up: false, since: killedAt, acceptedRoutes: 0, message: 'IPSEC IS DOWN' }
  const ipsec = said.includes(INSTALLED)
  const established = protocol[1] === 'up'
  const acceptedRoutes = ipsec && established && bgp ? Number(said.match(/Routes: +(\d+) imported/)?.[1] ?? 0) : 0
  const message = !ipsec ? 'IPSEC IS DOWN' : bgp && established ? `${acceptedRoutes} BGP ROUTES` : 'IPSEC IS UP'
  const since = Date.parse(`${protocol[2]!.replace(' ', 'T')}Z`)
  const accepted = [...said.matchAll(ROUTE)].map((route) => route[1]!)
  const known = acceptedRoutes > 0 && accepted.length > 0 ? { accepted } : {}
  return { up: ipsec && established, since, acceptedRoutes, message, ...known }
}
