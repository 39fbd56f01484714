/** The ways to the site at AWS: static routes of the connection, and what route tables learn or are told. */
import { found, foundBare, isListed } from './found.ts'
import type { SeenRouteTable } from './provider.ts'
import { isLiving, vpnConnectionOf, vpnGatewayOf } from './resources.ts'
import { fail, perform, type Situation } from './situation.ts'
import type { CloudRecord, Decision } from './types.ts'

/** Undefined when all are there, and none besides. */
export function ways(situation: Situation): Decision | undefined {
  return tablesThere(situation) ?? staticRoutes(situation) ?? propagation(situation) ?? routes(situation)
}

/** Tables that are to learn the way to the site. */
export function tablesFor({ target, routeTables }: CloudRecord, seen: Situation['seen']): readonly SeenRouteTable[] {
  const vpcs = target.kind === 'vpc' ? [target.vpc] : target.vpcs
  const all = seen.routeTables.filter(({ vpc }) => vpcs.includes(vpc))
  if (routeTables === 'none') return []
  if (routeTables === 'all') return all
  return routeTables === 'main' ? all.filter(({ main }) => main) : all.filter(({ id }) => routeTables.includes(id))
}

function tablesThere({ record, seen }: Situation): Decision | undefined {
  const { routeTables, target } = record
  if (typeof routeTables === 'string') return undefined
  const missing = routeTables.find((id) => !tablesFor(record, seen).some((table) => table.id === id))
  if (missing === undefined) return undefined
  const vpcs = target.kind === 'vpc' ? target.vpc : target.vpcs.join(', ') || 'the VPCs of the connection'
  return fail('no-route-table', `There is no route table ${missing} in ${vpcs}.`, 'Correct it in routeTables.')
}

function staticRoutes(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  if (record.routing !== 'static') return undefined
  const connection = vpnConnectionOf(record, seen)!
  const { local } = record.resolved!
  for (const { prefix } of connection.routes.filter(isLiving)) {
    const id = `${connection.id}/${prefix}`
    if (local.includes(prefix)) {
      const noted = found(situation, 'vpn-route', id, true)
      if (noted !== undefined) return noted
    } else if (isListed(situation, 'vpn-route', id)) {
      const action = { type: 'delete-vpn-route', vpnConnection: connection.id, prefix } as const
      return perform(action, id, `AWS does not send ${prefix} into the connection any more`)
    }
  }
  const there = new Set(connection.routes.filter(isLiving).map(({ prefix }) => prefix))
  const missing = local.find((prefix) => !there.has(prefix))
  if (missing === undefined) return undefined
  const action = { type: 'create-vpn-route', vpnConnection: connection.id, prefix: missing } as const
  return perform(action, `${connection.id}/${missing}`, `AWS sends ${missing} into the connection`)
}

function propagation(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  if (record.target.kind !== 'vpc') return undefined
  const gateway = vpnGatewayOf(record, seen)!.id
  for (const { id, propagating } of tablesFor(record, seen)) {
    if (propagating.includes(gateway)) {
      const noted = foundBare(situation, 'route-propagation', `${id}/${gateway}`, 'enable-propagation')
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
  if (record.target.kind !== 'transit-gateway') return undefined
  for (const table of tablesFor(record, seen)) {
    const decision = stale(situation, table) ?? wanted(situation, table, record.target.transitGateway)
    if (decision !== undefined) return decision
  }
  return undefined
}

function wanted(situation: Situation, table: SeenRouteTable, target: string): Decision | undefined {
  for (const prefix of situation.record.resolved!.local) {
    const there = table.routes.find((route) => route.prefix === prefix)
    const id = `${table.id}/${prefix}`
    if (there === undefined) {
      const action = { type: 'create-route', routeTable: table.id, prefix, target } as const
      return perform(action, id, `${table.id} sends ${prefix} to ${target}`)
    }
    if (there.target !== target) {
      const cause = `${table.id} sends ${prefix} to ${there.target} already.`
      return fail('route-taken', cause, 'Remove that route, or leave the table out of routeTables.')
    }
    const noted = foundBare(situation, 'route', id, 'create-route')
    if (noted !== undefined) return noted
  }
  return undefined
}

/** Routes that we made to prefixes that the site has no more. */
function stale(situation: Situation, table: SeenRouteTable): Decision | undefined {
  const { resolved, target } = situation.record
  const to = target.kind === 'transit-gateway' ? target.transitGateway : ''
  const old = table.routes.find(
    (route) =>
      route.target === to &&
      !resolved!.local.includes(route.prefix) &&
      isListed(situation, 'route', `${table.id}/${route.prefix}`) &&
      !situation.facts.shared.includes(`${table.id}/${route.prefix}`),
  )
  if (old === undefined) return undefined
  const action = { type: 'delete-route', routeTable: table.id, prefix: old.prefix } as const
  return perform(action, `${table.id}/${old.prefix}`, `${table.id} does not send ${old.prefix} to ${to} any more`)
}
