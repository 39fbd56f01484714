/**
 * What is missing at AWS, in the order in which it can be made. Level-triggered: each decision compares what is wanted
 * with what there is now, so that whoever stopped in the middle, or lost something later, goes on the same way.
 */
import type { SeenRouteTable, SeenVpnConnection } from './provider.ts'
import { resolved } from './resolve.ts'
import {
  customerGatewayOf,
  isLiving,
  knownId,
  madeByUs,
  tagsOf,
  vpnConnectionOf,
  vpnGatewayOf,
  withResource,
} from './resources.ts'
import {
  change,
  doneAt,
  fail,
  openStep,
  PROVIDER_MS,
  patiently,
  perform,
  SETTLE_MS,
  type Situation,
  wait,
} from './situation.ts'
import type { CloudRecord, Decision } from './types.ts'

/** Both tunnels with routing, from when the connector has been told. */
const UP_MS = 10 * 60_000

type Goal = (situation: Situation) => Decision | undefined

/** In this order; the first that has something to do does it. */
const GOALS: readonly Goal[] = [
  resolved,
  customerGateway,
  vpnGateway,
  attachment,
  transitGateway,
  firstKeys,
  vpnConnection,
  outsideAddresses,
  staticRoutes,
  propagation,
  routes,
]

/** What is to be made next; undefined when everything is there, whether packets pass or not. */
export function nextToMake(situation: Situation): Decision | undefined {
  for (const goal of GOALS) {
    const decision = goal(situation)
    if (decision !== undefined) return decision
  }
  return undefined
}

export function decideApply(situation: Situation): Decision {
  return nextToMake(situation) ?? bothUp(situation) ?? { type: 'done', outcome: 'done' }
}

function customerGateway(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const there = customerGatewayOf(record, seen)
  if (there === undefined) {
    const lost = notShownYet(situation, 'customer-gateway', 'create-customer-gateway')
    if (lost !== undefined) return lost
    const { address, as } = record.resolved!
    const tags = tagsOf(record, facts.network)
    const action = { type: 'create-customer-gateway', address, as, tags } as const
    return once(situation, perform(action, record.name, `a customer gateway for ${address}, AS ${as}`))
  }
  const made = there.tags['isthmus:cloud'] === record.id
  const noted = noteOf(situation, 'customer-gateway', there.id, made)
  if (noted !== undefined) return noted
  if (there.state === 'available') return undefined
  return unavailable(situation, `the customer gateway ${there.id}`)
}

function vpnGateway(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const { target } = record
  if (target.kind !== 'vpc') return undefined
  const there = vpnGatewayOf(record, seen)
  if (there !== undefined && isLiving(there)) {
    const made = target.vpnGateway === undefined
    const noted = noteOf(situation, 'vpn-gateway', there.id, made)
    if (noted !== undefined) return noted
    return there.state === 'available' ? undefined : unavailable(situation, `the gateway ${there.id}`)
  }
  if (target.vpnGateway !== undefined) {
    return fail(
      'no-vpn-gateway',
      `The gateway ${target.vpnGateway} is not there.`,
      'Name another one, or leave it out.',
    )
  }
  const lost = notShownYet(situation, 'vpn-gateway', 'create-vpn-gateway')
  if (lost !== undefined) return lost
  const action = { type: 'create-vpn-gateway', as: target.as, tags: tagsOf(record, facts.network) } as const
  return once(situation, perform(action, record.name, `a virtual private gateway, AS ${target.as}`))
}

function attachment(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  const { target } = record
  if (target.kind !== 'vpc') return undefined
  const gateway = vpnGatewayOf(record, seen)!
  const there = gateway.attachments.filter(({ state }) => state !== 'detached')
  const elsewhere = there.find(({ vpc }) => vpc !== target.vpc)
  if (elsewhere !== undefined) {
    const cause = `The gateway ${gateway.id} is attached to ${elsewhere.vpc}, not to ${target.vpc}.`
    return fail('attached-elsewhere', cause, 'Name a gateway of that VPC, or detach it.')
  }
  const own = there.find(({ vpc }) => vpc === target.vpc)
  if (own?.state === 'attached') {
    return noteOf(situation, 'vpn-attachment', `${gateway.id}/${target.vpc}`, target.vpnGateway === undefined)
  }
  if (own !== undefined)
    return patiently(situation, `${gateway.id} to be attached`, PROVIDER_MS, () => stuck(gateway.id))
  const action = { type: 'attach-vpn-gateway', vpnGateway: gateway.id, vpc: target.vpc } as const
  return perform(action, `${gateway.id}/${target.vpc}`, `${gateway.id} attached to ${target.vpc}`)
}

function transitGateway(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  const { target } = record
  if (target.kind !== 'transit-gateway') return undefined
  const there = seen.transitGateway
  if (there === undefined || !isLiving(there)) {
    return fail('no-transit-gateway', `The transit gateway ${target.transitGateway} is not there.`, 'Correct it.')
  }
  return there.state === 'available' ? undefined : unavailable(situation, `the transit gateway ${there.id}`)
}

/** Before the connection, which is made with them. */
function firstKeys({ record }: Situation): Decision | undefined {
  const tunnel = record.tunnels.findIndex(({ keys }) => keys.length === 0)
  if (tunnel < 0) return undefined
  const { name } = record.tunnels[tunnel]!
  return change({ type: 'make-key', tunnel }, name, `a pre-shared key for ${name}`)
}

function vpnConnection(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const there = vpnConnectionOf(record, seen)
  if (there === undefined) {
    const lost = notShownYet(situation, 'vpn-connection', 'create-vpn-connection')
    if (lost !== undefined) return lost
    const { target, routing, options } = record
    const action = {
      type: 'create-vpn-connection',
      customerGateway: customerGatewayOf(record, seen)!.id,
      ...(target.kind === 'vpc'
        ? { vpnGateway: vpnGatewayOf(record, seen)!.id }
        : { transitGateway: target.transitGateway }),
      staticRoutesOnly: routing === 'static',
      tunnels: record.tunnels.map(({ external, insideCidr, keys }) => ({
        insideCidr,
        options,
        secret: `${external}/${keys[0]!.id}`,
      })),
      tags: tagsOf(record, facts.network),
    } as const
    const how = routing === 'static' ? 'static routes' : 'BGP'
    return once(situation, perform(action, record.name, `a VPN connection with two tunnels and ${how}`))
  }
  const noted = noteOf(situation, 'vpn-connection', there.id, madeBy(record, there))
  if (noted !== undefined) return noted
  return there.state === 'available' ? undefined : unavailable(situation, `the VPN connection ${there.id}`)
}

/** AWS keeps the order of the tunnels by their inside CIDRs only as far as these tell. */
export function tunnelsInOrder(record: CloudRecord, connection: SeenVpnConnection) {
  return record.tunnels.map((tunnel, index) => {
    const byInside = connection.tunnels.find(({ insideCidr }) => insideCidr === tunnel.insideCidr)
    return byInside ?? connection.tunnels[index]
  })
}

function outsideAddresses(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  const connection = vpnConnectionOf(record, seen)!
  const outside = tunnelsInOrder(record, connection).map((tunnel) => tunnel?.outside)
  if (outside.some((address) => address === undefined)) {
    return patiently(situation, 'the outer addresses of the tunnels', PROVIDER_MS, () => stuck(connection.id))
  }
  if (record.tunnels.every((tunnel, index) => tunnel.outside === outside[index])) return undefined
  const words = `the connector has tunnels to ${outside.join(' and ')}`
  return change({ type: 'outside', outside: outside as string[] }, record.name, words)
}

function staticRoutes({ record, seen }: Situation): Decision | undefined {
  if (record.routing !== 'static') return undefined
  const connection = vpnConnectionOf(record, seen)!
  const there = new Set(connection.routes.filter(isLiving).map(({ prefix }) => prefix))
  const missing = record.resolved!.local.find((prefix) => !there.has(prefix))
  if (missing === undefined) return undefined
  const action = { type: 'create-vpn-route', vpnConnection: connection.id, prefix: missing } as const
  return perform(action, `${connection.id}/${missing}`, `AWS sends ${missing} into the connection`)
}

/** Tables that are to learn the way to the site. */
export function tablesFor({ target, routeTables }: CloudRecord, seen: Situation['seen']): readonly SeenRouteTable[] {
  const vpcs = target.kind === 'vpc' ? [target.vpc] : target.vpcs
  const all = seen.routeTables.filter(({ vpc }) => vpcs.includes(vpc))
  if (routeTables === 'none') return []
  if (routeTables === 'all') return all
  return routeTables === 'main' ? all.filter(({ main }) => main) : all.filter(({ id }) => routeTables.includes(id))
}

function propagation(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  if (record.target.kind !== 'vpc') return undefined
  const gateway = vpnGatewayOf(record, seen)!.id
  for (const { id, propagating } of tablesFor(record, seen)) {
    if (propagating.includes(gateway)) {
      const noted = begunByUs(situation, 'enable-propagation', 'route-propagation', `${id}/${gateway}`)
      if (noted !== undefined) return noted
      continue
    }
    const action = { type: 'enable-propagation', routeTable: id, vpnGateway: gateway } as const
    return perform(action, `${id}/${gateway}`, `${id} learns the routes of ${gateway}`)
  }
  return undefined
}

function routes(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  const { target } = record
  if (target.kind !== 'transit-gateway') return undefined
  for (const table of tablesFor(record, seen)) {
    for (const prefix of record.resolved!.local) {
      const there = table.routes.find((route) => route.prefix === prefix)
      if (there?.target === target.transitGateway) {
        const noted = begunByUs(situation, 'create-route', 'route', `${table.id}/${prefix}`)
        if (noted !== undefined) return noted
        continue
      }
      if (there !== undefined) {
        const cause = `${table.id} sends ${prefix} to ${there.target} already.`
        return fail('route-taken', cause, 'Remove that route, or leave the table out of routeTables.')
      }
      const action = { type: 'create-route', routeTable: table.id, prefix, target: target.transitGateway } as const
      return perform(action, `${table.id}/${prefix}`, `${table.id} sends ${prefix} to ${target.transitGateway}`)
    }
  }
  return undefined
}

function bothUp(situation: Situation): Decision | undefined {
  const { record, sight } = situation
  if (sight.connector === undefined) {
    const cause = 'Everything is there at AWS; the site has no connector that could have the tunnels.'
    return fail('no-connector', cause, 'Join one with isthmus join, and apply again.')
  }
  const late = record.tunnels.find((_, index) => !isPassing(situation, index))
  if (late === undefined) return undefined
  const up = doneAt(situation, 'outside') ?? situation.run.createdAt
  const what = `${late.name} to carry packets`
  if (situation.now < up + UP_MS) return wait(what, up, UP_MS, situation.now, 500)
  const said = sight.externals.find(({ external }) => external === late.external)?.problem
  const cause = `${late.name} does not carry packets: ${said?.cause ?? 'the connector does not say why'}`
  return fail('tunnel-down', cause, said?.remedy ?? 'Look at isthmus status at the site, and apply again.')
}

/** At the connector: up with the first key, probes and BGP well. */
export function isPassing({ record, sight }: Situation, tunnel: number, key?: string): boolean {
  const { external } = record.tunnels[tunnel]!
  const said = sight.externals.find((each) => each.external === external)
  if (said?.state !== 'up' || !said.passing) return false
  if (key !== undefined && said.key !== key) return false
  return record.routing === 'static' || said.bgp?.established === true
}

function noteOf(
  { record }: Situation,
  kind: Parameters<typeof knownId>[1],
  id: string,
  made: boolean,
): Decision | undefined {
  const resources = withResource(record.resources, { kind, id, made })
  if (resources === undefined) return undefined
  return change(
    { type: 'resources', resources },
    id,
    made ? `${id} is ours` : `${id} is there already, and stays ours not`,
  )
}

/** What is there without a tag is ours where this run had begun to make it, and did not hear how that ended. */
function begunByUs(
  { record, run }: Situation,
  action: string,
  kind: Parameters<typeof knownId>[1],
  id: string,
): Decision | undefined {
  if (!run.steps.some((step) => step.action === action && step.resource === id)) return undefined
  const resources = withResource(record.resources, { kind, id, made: true })
  return resources && change({ type: 'resources', resources }, id, `${id} is ours`)
}

function madeBy(record: CloudRecord, { id, tags }: SeenVpnConnection): boolean {
  return tags['isthmus:cloud'] === record.id || madeByUs(record, 'vpn-connection', id)
}

/**
 * What was made may not be shown yet; what is known of and not shown any more was removed by somebody else, and is
 * made anew once that is certain.
 */
function notShownYet(situation: Situation, kind: Parameters<typeof knownId>[1], action: string): Decision | undefined {
  const made = doneAt(situation, action)
  const id = knownId(situation.record, kind)
  if (id === undefined || made === undefined || situation.now >= made + SETTLE_MS) return undefined
  return wait(`AWS to show ${id}`, made, SETTLE_MS, situation.now)
}

/** Making it twice would leave one behind: an attempt of which nobody knows the end is waited for first. */
function once(situation: Situation, decision: Decision): Decision {
  const open = openStep(situation)
  if (decision.type !== 'do' || open?.action !== decision.action.type) return decision
  // It was surely not carried out.
  if (situation.last?.ok === false && situation.last.kind === 'later') return decision
  if (situation.now >= open.begunAt + SETTLE_MS) return decision
  return wait(`AWS to show whether it has made ${decision.detail}`, open.begunAt, SETTLE_MS, situation.now)
}

function unavailable(situation: Situation, what: string): Decision {
  return patiently(situation, `${what} to be available`, PROVIDER_MS, () => stuck(what))
}

function stuck(what: string): Decision {
  const remedy = 'Look at it at AWS, and apply again: what is there is not made twice.'
  return fail('provider-stuck', `AWS has not finished with ${what} in ${PROVIDER_MS / 60_000} minutes.`, remedy)
}
