/** What a connection is built with: addresses, AS numbers, prefixes; found out once, and kept. */
import { familyOf, type Prefix } from '../../../protocol/net.ts'
import { vpnGatewayOf } from './resources.ts'
import { chooseInside } from './rules.ts'
import { change, fail, type Situation } from './situation.ts'
import type { CloudRecord, Decision } from './types.ts'

const DEFAULT_AS = 65_000

/** What everything is built with, found out once. */
export function resolved({ record, facts, seen }: Situation): Decision | undefined {
  if (record.resolved !== undefined) return undefined
  const { target, gateway } = record
  const address = gateway.address ?? facts.endpoint
  if (address === undefined || familyOf(address as Prefix) !== 4) {
    const remedy = 'Set the endpoint of the site, or gateway.address of the connection, to its public IPv4 address.'
    return fail('no-address', 'Nobody knows an IPv4 address at which AWS reaches the connector.', remedy)
  }
  const remote = record.remote ?? blocksOf(situationTarget(record), seen)
  const local = record.local ?? facts.sitePrefixes.filter((each) => familyOf(each as Prefix) === 4)
  const unclear = unclearTarget(record, seen, remote, local)
  if (unclear !== undefined) return unclear
  const inside = record.insideCidrs ?? chooseInside([...facts.usedInside, ...seen.takenInside], seedOf(record.id))
  if (inside === undefined) {
    return fail('no-inside-cidr', 'All /30s for inside addresses are in use.', 'Name two of your own in insideCidrs.')
  }
  const peerAs = target.kind === 'vpc' ? (vpnGatewayOf(record, seen)?.as ?? target.as) : seen.transitGateway!.as
  const as = gateway.as ?? facts.siteAs ?? DEFAULT_AS
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
  return undefined
}

function situationTarget({ target }: CloudRecord): readonly string[] {
  return target.kind === 'vpc' ? [target.vpc] : target.vpcs
}

export function blocksOf(vpcs: readonly string[], seen: Situation['seen']): readonly string[] {
  return seen.vpcs.filter(({ id }) => vpcs.includes(id)).flatMap(({ blocks }) => blocks)
}

/** Small number from the random part of an identifier. */
function seedOf(id: string): number {
  return Array.from(id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 5376, 0)
}
