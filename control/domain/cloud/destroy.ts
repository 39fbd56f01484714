/** Removes what was made for the connection, in the reverse order; what was there before stays. */
import type { CloudResource } from '../../../protocol/control/cloud.ts'
import type { CloudAction } from './provider.ts'
import { oursOf, vpnConnectionOf, vpnGatewayOf } from './resources.ts'
import { change, fail, PROVIDER_MS, patiently, perform, type Situation, wait } from './situation.ts'
import type { CloudRecord, Decision } from './types.ts'

/** How long something may be in use by what is on its way out. */
const IN_USE_MS = 10 * 60_000

export function decideDestroy(situation: Situation): Decision {
  return (
    inUse(situation) ??
    tableEntries(situation) ??
    connection(situation) ??
    attachment(situation) ??
    gateway(situation) ??
    customerGateway(situation) ??
    forgotten(situation) ?? { type: 'done', outcome: 'done' }
  )
}

/** What would be removed, and what stays: for people, before it happens. */
export function toRemove({ resources }: CloudRecord): { gone: CloudResource[]; stays: CloudResource[] } {
  return { gone: resources.filter(({ made }) => made), stays: resources.filter(({ made }) => !made) }
}

function inUse(situation: Situation): Decision | undefined {
  const { last, run, now } = situation
  if (last === undefined || last.ok || last.kind !== 'in-use') return undefined
  const open = run.steps.at(-1)
  const since = open?.begunAt ?? now
  const first = run.steps.find(({ action, resource }) => action === open?.action && resource === open.resource)
  if (now - (first?.begunAt ?? since) >= IN_USE_MS) {
    const remedy = 'Remove what uses it at AWS, and destroy again.'
    return fail('in-use', `${open?.resource ?? 'something'} is still in use: ${last.cause}`, remedy)
  }
  return wait(`${open?.resource ?? 'it'} not to be in use any more`, first?.begunAt ?? since, IN_USE_MS, now, 5_000)
}

/** Only those that we have made, and that are still there. */
function tableEntries({ record, seen }: Situation): Decision | undefined {
  for (const { kind, id, made } of record.resources) {
    const [table = '', ...rest] = id.split('/')
    const other = rest.join('/')
    const there = seen.routeTables.find((each) => each.id === table)
    const forget = (): Decision => dropped(record, kind, id)
    if (kind === 'route') {
      const target = record.target.kind === 'transit-gateway' ? record.target.transitGateway : ''
      const route = there?.routes.find(({ prefix }) => prefix === other)
      if (!made || route?.target !== target) return forget()
      return perform({ type: 'delete-route', routeTable: table, prefix: other }, id, `${table} forgets ${other}`)
    }
    if (kind === 'route-propagation') {
      if (!made || there?.propagating.includes(other) !== true) return forget()
      const action: CloudAction = { type: 'disable-propagation', routeTable: table, vpnGateway: other }
      return perform(action, id, `${table} learns nothing of ${other} any more`)
    }
  }
  return undefined
}

function connection(situation: Situation): Decision | undefined {
  const { record, seen } = situation
  const there = vpnConnectionOf(record, seen)
  const known = record.resources.find(({ kind }) => kind === 'vpn-connection')
  if (there !== undefined && known?.made !== false) {
    const action: CloudAction = { type: 'delete-vpn-connection', vpnConnection: there.id }
    return perform(action, there.id, `the VPN connection ${there.id} removed`)
  }
  const leaving = seen.vpnConnections.find(
    ({ id, state, tags }) => state === 'deleting' && (id === known?.id || tags['isthmus:cloud'] === record.id),
  )
  if (leaving !== undefined) {
    const late = () => fail('provider-stuck', `AWS has not removed ${leaving.id} yet.`, 'Destroy again later.')
    return patiently(situation, `${leaving.id} to be gone`, PROVIDER_MS, late)
  }
  const route = record.resources.find(({ kind }) => kind === 'vpn-route')
  if (route !== undefined) return dropped(record, 'vpn-route', route.id)
  return known === undefined ? undefined : dropped(record, 'vpn-connection', known.id)
}

function attachment(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const known = record.resources.find(({ kind }) => kind === 'vpn-attachment')
  const { target } = record
  if (target.kind !== 'vpc') return undefined
  const gateway = oursOf(record, 'vpn-gateway', seen.vpnGateways).one ?? vpnGatewayOf(record, seen)
  const there = gateway?.attachments.find(({ vpc, state }) => vpc === target.vpc && state !== 'detached')
  const ours = isOurGateway(record, gateway?.id) && !facts.shared.includes(gateway?.id ?? '')
  if (gateway !== undefined && there !== undefined && ours && known?.made !== false) {
    if (there.state === 'detaching') {
      const late = () => fail('provider-stuck', `AWS has not detached ${gateway.id} yet.`, 'Destroy again later.')
      return patiently(situation, `${gateway.id} to be detached`, PROVIDER_MS, late)
    }
    const action: CloudAction = { type: 'detach-vpn-gateway', vpnGateway: gateway.id, vpc: target.vpc }
    return perform(action, `${gateway.id}/${target.vpc}`, `${gateway.id} detached from ${target.vpc}`)
  }
  return known === undefined ? undefined : dropped(record, 'vpn-attachment', known.id)
}

function gateway({ record, seen, facts }: Situation): Decision | undefined {
  const known = record.resources.find(({ kind }) => kind === 'vpn-gateway')
  const there = record.target.kind === 'vpc' ? oursOf(record, 'vpn-gateway', seen.vpnGateways).one : undefined
  if (there !== undefined && isOurGateway(record, there.id) && !facts.shared.includes(there.id)) {
    return perform({ type: 'delete-vpn-gateway', vpnGateway: there.id }, there.id, `the gateway ${there.id} removed`)
  }
  return known === undefined ? undefined : dropped(record, 'vpn-gateway', known.id)
}

function customerGateway({ record, seen, facts }: Situation): Decision | undefined {
  const known = record.resources.find(({ kind }) => kind === 'customer-gateway')
  const there = oursOf(record, 'customer-gateway', seen.customerGateways).one
  const ours = there !== undefined && there.tags['isthmus:cloud'] === record.id && known?.made !== false
  if (ours && !facts.shared.includes(there.id)) {
    const action: CloudAction = { type: 'delete-customer-gateway', customerGateway: there.id }
    return perform(action, there.id, `the customer gateway ${there.id} removed`)
  }
  return known === undefined ? undefined : dropped(record, 'customer-gateway', known.id)
}

/** The connector forgets the tunnels. */
function forgotten({ record }: Situation): Decision | undefined {
  if (record.tunnels.every(({ outside }) => outside === undefined)) return undefined
  return change({ type: 'outside', outside: [] }, record.name, 'the connector has no tunnels of it any more')
}

function isOurGateway(record: CloudRecord, id: string | undefined): boolean {
  if (record.target.kind !== 'vpc' || record.target.vpnGateway !== undefined || id === undefined) return false
  const known = record.resources.find(({ kind }) => kind === 'vpn-gateway')
  return known === undefined || (known.id === id && known.made)
}

function dropped(record: CloudRecord, kind: CloudResource['kind'], id: string): Decision {
  const resources = record.resources.filter((each) => each.kind !== kind || each.id !== id)
  const was = record.resources.find((each) => each.kind === kind && each.id === id)
  const why = was?.made === false ? 'was there before and stays' : 'is not there any more'
  return change({ type: 'resources', resources }, id, `${id} ${why}`)
}
