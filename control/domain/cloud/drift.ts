/** What AWS has that differs from what is wanted: somebody changed an option, removed a route, deleted a tunnel. */
import type { AwsOptions, Drift } from '../../../protocol/control/cloud.ts'
import { tablesFor, tunnelsInOrder } from './apply.ts'
import { type Seen, type SeenTunnel, TAG_CLOUD, TAG_NETWORK } from './provider.ts'
import { customerGatewayOf, isLiving, knownId, oursOf, vpnConnectionOf, vpnGatewayOf } from './resources.ts'
import type { CloudRecord } from './types.ts'

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
export function driftOf(record: CloudRecord, seen: Seen): Drift[] {
  if (record.resolved === undefined || knownId(record, 'vpn-connection') === undefined) return []
  return [...gone(record, seen), ...ofTunnels(record, seen), ...ofRoutes(record, seen), ...strangers(record, seen)]
}

/** What of the options is not as it is wanted; in what `modify-tunnel` takes. */
export function changedOptions(wanted: AwsOptions, has: Partial<AwsOptions>): Partial<AwsOptions> {
  const keys = Object.keys(OPTION_NAMES) as (keyof AwsOptions)[]
  const changed = keys.filter((key) => has[key] !== undefined && textOf(has[key]) !== textOf(wanted[key]))
  return Object.fromEntries(changed.map((key) => [key, wanted[key]])) as Partial<AwsOptions>
}

function gone(record: CloudRecord, seen: Seen): Drift[] {
  const drifts: Drift[] = []
  const missing = (what: string, id: string) =>
    drifts.push({
      code: 'missing',
      resource: id,
      detail: `${what} ${id} is not there any more.`,
      remedy: 'Fix makes another one.',
      fixable: true,
    })
  const connection = vpnConnectionOf(record, seen)
  const ids = { connection: knownId(record, 'vpn-connection'), gateway: knownId(record, 'vpn-gateway') }
  if (connection === undefined) missing('The VPN connection', ids.connection!)
  if (record.target.kind === 'vpc') {
    const { vpc } = record.target
    const gateway = vpnGatewayOf(record, seen)
    if (gateway === undefined) missing('The gateway', ids.gateway ?? record.target.vpnGateway ?? '')
    else if (!gateway.attachments.some((each) => each.vpc === vpc && each.state === 'attached')) {
      const detail = `${gateway.id} is not attached to ${vpc} any more.`
      drifts.push({ code: 'missing', resource: gateway.id, detail, remedy: 'Fix attaches it.', fixable: true })
    }
  }
  if (customerGatewayOf(record, seen) === undefined) {
    missing('The customer gateway', knownId(record, 'customer-gateway') ?? '')
  }
  if (connection !== undefined && connection.tags[TAG_CLOUD] !== record.id) {
    const detail = `${connection.id} has lost the tag ${TAG_CLOUD}, which marks it as ours.`
    drifts.push({ code: 'tag-missing', resource: connection.id, detail, remedy: 'Fix sets it.', fixable: true })
  }
  return drifts
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
    return [...moved, ...ofOptions(record, name, there), ...ofKey(record, index, there)]
  })
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
