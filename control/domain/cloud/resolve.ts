/** What a connection is built with: addresses, AS numbers, prefixes; found out once, and kept. */
import { familyOf, type Prefix } from '../../../protocol/net.ts'
import { vpnGatewayOf } from './resources.ts'
import { chooseInside, isPublic } from './rules.ts'
import { change, fail, type Situation } from './situation.ts'
import type { CloudRecord, Decision } from './types.ts'

const DEFAULT_AS = 65_000
/** AWS takes so many routes from a customer gateway, and the connector is told no more. */
const MOST_PREFIXES = 100

/** What everything is built with, found out once. */
export function resolved({ record, facts, seen }: Situation): Decision | undefined {
  if (record.resolved !== undefined) return undefined
  const { target, gateway } = record
  const address = gateway.address ?? facts.endpoint
  if (address === undefined || !isPublic(address)) {
    const remedy = 'Set the endpoint of the site, or gateway.address of the connection, to its public IPv4 address.'
    const found = address === undefined ? '' : ` ${address} is none.`
    return fail('no-address', `AWS needs a public IPv4 address at which it reaches the connector.${found}`, remedy)
  }
  const { remote, local } = prefixesOf({ record, facts, seen })
  const unclear = unclearTarget(record, seen, remote, local)
  if (unclear !== undefined) return unclear
  const inside = record.insideCidrs ?? chooseInside([...facts.usedInside, ...seen.takenInside], seedOf(record.id))
  if (inside === undefined) {
    return fail('no-inside-cidr', 'All /30s for inside addresses are in use.', 'Name two of your own in insideCidrs.')
  }
  const peerAs = target.kind === 'vpc' ? (vpnGatewayOf(record, seen)?.as ?? target.as) : seen.transitGateway!.as
  const as = gateway.as ?? facts.siteAs ?? DEFAULT_AS
  if (as === peerAs) {
    const cause = `Both ends would have AS ${as}: neither would take routes that the other has heard of elsewhere.`
    return fail('same-as', cause, 'Set gateway.as, or the AS of the gateway that is made (target.as), to another one.')
  }
  const what = { address, as, peerAs, local, remote }
  const words = `from ${address}, AS ${as}, to AS ${peerAs}; inside ${inside.join(' and ')}`
  return change({ type: 'resolve', resolved: what, insideCidrs: [...inside] }, record.name, words)
}

function unclearTarget(
  { target }: CloudRecord,
  seen: Situation['seen'],
  remote: readonly string[],
  local: readonly string[],
): Decision | undefined {
  if (target.kind === 'vpc' && !seen.vpcs.some(({ id }) => id === target.vpc)) {
    return fail('no-vpc', `There is no VPC ${target.vpc} in this region and account.`, 'Correct the VPC or the region.')
  }
  if (target.kind === 'vpc' && target.vpnGateway !== undefined && seen.vpnGateways.length === 0) {
    return fail(
      'no-vpn-gateway',
      `There is no gateway ${target.vpnGateway}.`,
      'Correct it, or leave it out to have one made.',
    )
  }
  if (target.kind === 'transit-gateway' && seen.transitGateway === undefined) {
    const cause = `There is no transit gateway ${target.transitGateway} in this region and account.`
    return fail('no-transit-gateway', cause, 'Correct it, or have it shared with this account.')
  }
  if (remote.length === 0)
    return fail('no-remote', 'Nobody knows what lies behind AWS.', 'List the prefixes in remote.')
  if (local.length === 0) return fail('no-local', 'The site has no IPv4 prefix.', 'List the prefixes in local.')
  return tooMany(local, 'local') ?? tooMany(remote, 'remote')
}

function tooMany(prefixes: readonly string[], name: string): Decision | undefined {
  if (prefixes.length <= MOST_PREFIXES) return undefined
  const cause = `There are ${prefixes.length} prefixes, and AWS takes ${MOST_PREFIXES} from a gateway.`
  return fail('too-many-prefixes', cause, `List fewer, wider ones in ${name}.`)
}

/** The prefixes of the site, or of the VPC, have changed since. */
export function prefixesChanged({ record, facts, seen }: Situation): Decision | undefined {
  const { resolved: before, tunnels, name } = record
  if (before === undefined) return undefined
  const { local, remote } = prefixesOf({ record, facts, seen })
  const now = { local: local.length === 0 ? before.local : local, remote: remote.length === 0 ? before.remote : remote }
  if (sameSet(now.local, before.local) && sameSet(now.remote, before.remote)) return undefined
  const many = tooMany(now.local, 'local') ?? tooMany(now.remote, 'remote')
  if (many !== undefined) return many
  const insideCidrs = tunnels.map(({ insideCidr }) => insideCidr)
  const words = `the connector tells AWS of ${list(now.local)}, and takes ${list(now.remote)} from it`
  return change({ type: 'resolve', resolved: { ...before, ...now }, insideCidrs }, name, words)
}

export function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each) => right.includes(each))
}

function prefixesOf({ record, facts, seen }: Pick<Situation, 'record' | 'facts' | 'seen'>) {
  return {
    local: record.local ?? facts.sitePrefixes.filter((each) => familyOf(each as Prefix) === 4),
    remote: record.remote ?? blocksOf(vpcsOf(record), seen),
  }
}

function list(prefixes: readonly string[]): string {
  const more = prefixes.length > 5 ? ` and ${prefixes.length - 5} more` : ''
  return prefixes.slice(0, 5).join(', ') + more
}

export function vpcsOf({ target }: CloudRecord): readonly string[] {
  return target.kind === 'vpc' ? [target.vpc] : target.vpcs
}

export function blocksOf(vpcs: readonly string[], seen: Situation['seen']): readonly string[] {
  return seen.vpcs.filter(({ id }) => vpcs.includes(id)).flatMap(({ blocks }) => blocks)
}

/** Small number from the random part of an identifier. */
function seedOf(id: string): number {
  return Array.from(id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 5376, 0)
}
