/** What AWS has that differs from what is wanted: somebody changed an option, removed a route, deleted a tunnel. */
import type { AwsOptions, Drift } from '../../../protocol/control/cloud.ts'
import { type Seen, type SeenTunnel, TAG_CLOUD, TAG_NETWORK } from './provider.ts'
import { blocksOf, sameSet } from './resolve.ts'
import {
  customerGatewayOf,
  isLiving,
  isTagged,
  knownId,
  madeByUs,
  oursOf,
  vpnConnectionOf,
  vpnGatewayOf,
} from './resources.ts'
import type { CloudFacts } from './situation.ts'
import { tunnelsInOrder } from './tunnels.ts'
import type { CloudRecord } from './types.ts'
import { tablesFor } from './ways.ts'

const OPTION_NAMES: Readonly<Record<keyof AwsOptions, string>> = {
  encryption: 'encryption algorithms',
  integrity: 'integrity algorithms',
  groups: 'Diffie-Hellman groups',
  ikeLifetimeS: 'lifetime of phase 1',
  childLifetimeS: 'lifetime of phase 2',
  rekeyMarginS: 'rekey margin',
  rekeyFuzzPercent: 'rekey fuzz',
  replayWindow: 'replay window',
  dpdS: 'DPD timeout',
  dpdAction: 'DPD action',
  startup: 'startup action',
}

/** None of a connection that was never built. A run that is under way makes what is missing itself. */
export function driftOf(record: CloudRecord, seen: Seen, facts: Pick<CloudFacts, 'endpoint'> = {}): Drift[] {
  if (record.resolved === undefined || knownId(record, 'vpn-connection') === undefined) return []
  return [
    ...gone(record, seen),
    ...bare(record, seen),
    ...ofAddress(record, seen, facts.endpoint),
    ...ofTunnels(record, seen),
    ...ofRoutes(record, seen),
    ...ofVpcs(record, seen),
    ...strangers(record, seen),
  ]
}

/** What of the options is not as it is wanted; in what `modify-tunnel` takes. */
export function changedOptions(wanted: AwsOptions, has: Partial<AwsOptions>): Partial<AwsOptions> {
  const keys = Object.keys(OPTION_NAMES) as (keyof AwsOptions)[]
  const changed = keys.filter((key) => has[key] !== undefined && textOf(has[key]) !== textOf(wanted[key]))
  return Object.fromEntries(changed.map((key) => [key, wanted[key]])) as Partial<AwsOptions>
}

function gone(record: CloudRecord, seen: Seen): Drift[] {
  const drifts: Drift[] = []
  const missing = (what: string, id: string, fixable = true) => {
    const remedy = fixable ? 'Fix makes another one.' : 'It is named in the intent: make another one, and name that.'
    drifts.push({ code: 'missing', resource: id, detail: `${what} ${id} is not there any more.`, remedy, fixable })
  }
  const connection = vpnConnectionOf(record, seen)
  const ids = { connection: knownId(record, 'vpn-connection'), gateway: knownId(record, 'vpn-gateway') }
  if (connection === undefined) missing('The VPN connection', ids.connection!)
  if (record.target.kind === 'vpc') {
    const { vpc } = record.target
    const gateway = vpnGatewayOf(record, seen)
    const named = record.target.vpnGateway
    if (gateway === undefined || !isLiving(gateway))
      missing('The gateway', named ?? ids.gateway ?? '', named === undefined)
    else if (!gateway.attachments.some((each) => each.vpc === vpc && each.state === 'attached')) {
      const detail = `${gateway.id} is not attached to ${vpc} any more.`
      drifts.push({ code: 'missing', resource: gateway.id, detail, remedy: 'Fix attaches it.', fixable: true })
    }
  }
  if (record.target.kind === 'transit-gateway' && seen.transitGateway === undefined) {
    missing('The transit gateway', record.target.transitGateway, false)
  }
  if (customerGatewayOf(record, seen) === undefined) {
    missing('The customer gateway', knownId(record, 'customer-gateway') ?? '')
  }
  return drifts
}

function bare(record: CloudRecord, seen: Seen): Drift[] {
  const gateway = vpnGatewayOf(record, seen)
  const customer = customerGatewayOf(record, seen)
  const ours = [
    vpnConnectionOf(record, seen),
    gateway !== undefined && madeByUs(record, 'vpn-gateway', gateway.id) ? gateway : undefined,
    customer !== undefined && madeByUs(record, 'customer-gateway', customer.id) ? customer : undefined,
  ]
  return ours.flatMap((each): Drift[] => {
    if (each === undefined || isTagged(each)) return []
    const detail = `${each.id} has lost the tags ${TAG_NETWORK} and ${TAG_CLOUD}, which mark it as ours.`
    return [{ code: 'tag-missing', resource: each.id, detail, remedy: 'Fix sets them.', fixable: true }]
  })
}

/** AWS cannot give a connection another address of ours in place without a new customer gateway. */
function ofAddress(record: CloudRecord, seen: Seen, endpoint: string | undefined): Drift[] {
  const { address } = record.resolved!
  const remedy = 'Destroy the connection and apply it again, when it may be down for some minutes.'
  const told = (resource: string, detail: string): Drift => {
    return { code: 'address-differs', resource, detail, remedy, fixable: false }
  }
  const connection = vpnConnectionOf(record, seen)
  const used = seen.customerGateways.find(({ id }) => id === connection?.customerGateway)
  if (used !== undefined && used.address !== address) {
    return [told(used.id, `AWS has ${used.address} for the connector, not ${address}.`)]
  }
  if (record.gateway.address !== undefined || endpoint === undefined || endpoint === address) return []
  return [told(record.name, `The connector is at ${endpoint} now; AWS has ${address} for it.`)]
}

function ofVpcs(record: CloudRecord, seen: Seen): Drift[] {
  const { target, remote, resolved } = record
  if (target.kind !== 'vpc' || remote !== undefined) return []
  const blocks = blocksOf([target.vpc], seen)
  if (blocks.length === 0) {
    const detail = `The VPC ${target.vpc} is not there any more.`
    return [{ code: 'vpc-changed', resource: target.vpc, detail, remedy: 'Destroy the connection.', fixable: false }]
  }
  if (sameSet(blocks, resolved!.remote)) return []
  const detail = `${target.vpc} has ${blocks.join(', ')} now; the connector takes ${resolved!.remote.join(', ')} from it.`
  const remedy = 'Fix has the connector take what the VPC has.'
  return [{ code: 'vpc-changed', resource: target.vpc, detail, remedy, fixable: true }]
}

function ofTunnels(record: CloudRecord, seen: Seen): Drift[] {
  const connection = vpnConnectionOf(record, seen)
  if (connection === undefined) return []
  return tunnelsInOrder(record, connection).flatMap((there, index) => {
    const { name, outside } = record.tunnels[index]!
    if (there === undefined) {
      const detail = `${connection.id} has no tunnel ${index + 1} any more.`
      const remedy = 'Destroy the connection and apply it again.'
      return [{ code: 'missing', resource: name, detail, remedy, fixable: false } satisfies Drift]
    }
    const moved: Drift[] =
      outside !== undefined && there.outside !== undefined && there.outside !== outside
        ? [
            {
              code: 'endpoint-moved',
              resource: name,
              detail: `AWS has moved ${name} from ${outside} to ${there.outside}.`,
              remedy: 'Fix, or the next look, has the connector follow.',
              fixable: true,
            },
          ]
        : []
    return [
      ...moved,
      ...ofInside(record, index, there),
      ...ofOptions(record, name, there),
      ...ofKey(record, index, there),
    ]
  })
}

function ofInside({ tunnels }: CloudRecord, index: number, there: SeenTunnel): Drift[] {
  const { name, insideCidr } = tunnels[index]!
  if (there.insideCidr === undefined || there.insideCidr === insideCidr) return []
  const detail = `${name}: the inside CIDR is ${there.insideCidr}, not ${insideCidr}.`
  const remedy = 'Set it back at AWS, or destroy the connection and apply it again.'
  return [{ code: 'option-changed', resource: name, detail, remedy, fixable: false }]
}

function ofOptions({ options }: CloudRecord, name: string, there: SeenTunnel): Drift[] {
  const keys = Object.keys(changedOptions(options, there.options)) as (keyof AwsOptions)[]
  const drifts = keys.map((key): Drift => {
    const detail = `${name}: the ${OPTION_NAMES[key]} is ${textOf(there.options[key])}, not ${textOf(options[key])}.`
    return {
      code: 'option-changed',
      resource: name,
      detail,
      remedy: `Fix sets ${textOf(options[key])}.`,
      fixable: true,
    }
  })
  if (there.ikeVersions.length > 0 && there.ikeVersions.join() !== 'ikev2') {
    const detail = `${name}: AWS takes ${there.ikeVersions.join(' and ')}, not IKEv2 alone.`
    drifts.push({ code: 'option-changed', resource: name, detail, remedy: 'Set IKEv2 by hand at AWS.', fixable: false })
  }
  return drifts
}

function ofKey({ tunnels }: CloudRecord, index: number, { keyFingerprint }: SeenTunnel): Drift[] {
  const { name, keys } = tunnels[index]!
  if (keyFingerprint === undefined || keys.some(({ fingerprint }) => fingerprint === keyFingerprint)) return []
  const detail = `${name}: AWS has another pre-shared key than ours.`
  return [{ code: 'option-changed', resource: name, detail, remedy: 'Fix gives AWS ours again.', fixable: true }]
}

function ofRoutes(record: CloudRecord, seen: Seen): Drift[] {
  const drifts: Drift[] = []
  const { target, resolved } = record
  const gateway = vpnGatewayOf(record, seen)
  for (const table of tablesFor(record, seen)) {
    if (target.kind === 'vpc' && gateway !== undefined && !table.propagating.includes(gateway.id)) {
      const detail = `${table.id} does not learn the routes of ${gateway.id} any more.`
      const remedy = 'Fix turns propagation on.'
      drifts.push({ code: 'propagation-missing', resource: table.id, detail, remedy, fixable: true })
    }
    if (target.kind !== 'transit-gateway') continue
    for (const prefix of resolved!.local) {
      const route = table.routes.find((each) => each.prefix === prefix)
      if (route?.target === target.transitGateway) continue
      const detail =
        route === undefined
          ? `${table.id} has no route to ${prefix}.`
          : `${table.id} sends ${prefix} to ${route.target}.`
      const fixable = route === undefined
      const remedy = fixable ? 'Fix makes it.' : 'Remove that route, then fix.'
      drifts.push({ code: 'route-missing', resource: table.id, detail, remedy, fixable })
    }
  }
  const connection = vpnConnectionOf(record, seen)
  if (record.routing === 'static' && connection !== undefined) {
    const there = connection.routes.filter(isLiving).map(({ prefix }) => prefix)
    for (const prefix of resolved!.local.filter((each) => !there.includes(each))) {
      const detail = `${connection.id} has no static route to ${prefix}.`
      drifts.push({ code: 'route-missing', resource: connection.id, detail, remedy: 'Fix makes it.', fixable: true })
    }
  }
  return drifts
}

/** With our tags, and not what we work with: left behind by an attempt whose end nobody heard of. */
function strangers(record: CloudRecord, seen: Seen): Drift[] {
  const kinds = [
    ['customer-gateway', seen.customerGateways],
    ['vpn-gateway', seen.vpnGateways],
    ['vpn-connection', seen.vpnConnections],
  ] as const
  return kinds.flatMap(([kind, all]) =>
    oursOf<(typeof all)[number]>(record, kind, all).more.map(({ id }): Drift => {
      const detail = `${id} has the tag ${TAG_NETWORK} of this network and this connection, and is not in use.`
      return { code: 'unknown-resource', resource: id, detail, remedy: 'Remove it by hand at AWS.', fixable: false }
    }),
  )
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? [...value].map(String).sort().join(', ') : String(value)
}
