/** Removes what was made for the connection, in the reverse order; what was there before stays. */
import type { CloudAction, SeenVpnGateway } from './provider.ts'
import { isLiving, isOfNetwork, type Kind, madeByUs, oursOf, vpnConnectionOf } from './resources.ts'
import { change, fail, heldBack, PROVIDER_MS, patiently, perform, type Situation, wait } from './situation.ts'
import type { Decision } from './types.ts'

/** How long something may be in use by what is on its way out. */
const IN_USE_MS = 10 * 60_000

export function decideDestroy(situation: Situation): Decision {
  const decision =
    inUse(situation) ??
    tableEntries(situation) ??
    connection(situation) ??
    attachment(situation) ??
    gateway(situation) ??
    customerGateway(situation) ??
    forgotten(situation)
  return decision === undefined ? { type: 'done', outcome: 'done' } : heldBack(situation, decision)
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
function tableEntries(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  for (const { kind, id, made } of record.resources) {
    const [table = '', ...rest] = id.split('/')
    const other = rest.join('/')
    const there = seen.routeTables.find((each) => each.id === table)
    const stays = !made || facts.shared.includes(id)
    const forget = (): Decision => dropped(situation, kind, id)
    if (kind === 'route') {
      const target = record.target.kind === 'transit-gateway' ? record.target.transitGateway : ''
      const route = there?.routes.find(({ prefix }) => prefix === other)
      if (stays || route?.target !== target) return forget()
      return perform({ type: 'delete-route', routeTable: table, prefix: other }, id, `${table} forgets ${other}`)
    }
    if (kind === 'route-propagation') {
      if (stays || there?.propagating.includes(other) !== true) return forget()
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
  if (route !== undefined) return dropped(situation, 'vpn-route', route.id)
  return known === undefined ? undefined : dropped(situation, 'vpn-connection', known.id)
}

function attachment(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const known = record.resources.find(({ kind }) => kind === 'vpn-attachment')
  const { target } = record
  if (target.kind !== 'vpc') return undefined
  const ours = gatewayToRemove(situation)
  const gateway = ours ?? seen.vpnGateways.find((each) => isLiving(each) && known?.id === `${each.id}/${target.vpc}`)
  const id = `${gateway?.id}/${target.vpc}`
  const there = gateway?.attachments.find(({ vpc, state }) => vpc === target.vpc && state !== 'detached')
  const mayDetach = (known?.made === true || ours !== undefined) && !facts.shared.includes(id)
  if (gateway === undefined || there === undefined || !mayDetach) {
    return known === undefined ? undefined : dropped(situation, 'vpn-attachment', known.id)
  }
  if (there.state === 'detaching') {
    const late = () => fail('provider-stuck', `AWS has not detached ${gateway.id} yet.`, 'Destroy again later.')
    return patiently(situation, `${gateway.id} to be detached`, PROVIDER_MS, late)
  }
  const action: CloudAction = { type: 'detach-vpn-gateway', vpnGateway: gateway.id, vpc: target.vpc }
  return perform(action, id, `${gateway.id} detached from ${target.vpc}`)
}

function gateway(situation: Situation): Decision | undefined {
  const known = situation.record.resources.find(({ kind }) => kind === 'vpn-gateway')
  const there = gatewayToRemove(situation)
  if (there !== undefined) {
    return perform({ type: 'delete-vpn-gateway', vpnGateway: there.id }, there.id, `the gateway ${there.id} removed`)
  }
  return known === undefined ? undefined : dropped(situation, 'vpn-gateway', known.id)
}

/** Made by us, or for another connection that is not there any more; and no other one uses it. */
function gatewayToRemove({ record, seen, facts }: Situation): SeenVpnGateway | undefined {
  if (record.target.kind !== 'vpc') return undefined
  const there = oursOf(record, 'vpn-gateway', seen.vpnGateways).one
  if (there === undefined || there.id === record.target.vpnGateway || facts.shared.includes(there.id)) return undefined
  return madeByUs(record, 'vpn-gateway', there.id) || isOfNetwork(there, facts.network) ? there : undefined
}

/** AWS has one for each address and AS: one that was there before, and was given to us, has no tags of ours. */
function customerGateway(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const known = record.resources.find(({ kind }) => kind === 'customer-gateway')
  const there = oursOf(record, 'customer-gateway', seen.customerGateways).one
  if (there !== undefined && isOfNetwork(there, facts.network) && !facts.shared.includes(there.id)) {
    const action: CloudAction = { type: 'delete-customer-gateway', customerGateway: there.id }
    return perform(action, there.id, `the customer gateway ${there.id} removed`)
  }
  return known === undefined ? undefined : dropped(situation, 'customer-gateway', known.id)
}

/** The connector forgets the tunnels. */
function forgotten({ record }: Situation): Decision | undefined {
  if (record.tunnels.every(({ outside }) => outside === undefined)) return undefined
  return change({ type: 'outside', outside: [] }, record.name, 'the connector has no tunnels of it any more')
}

function dropped({ record, facts }: Situation, kind: Kind, id: string): Decision {
  const resources = record.resources.filter((each) => each.kind !== kind || each.id !== id)
  const was = record.resources.find((each) => each.kind === kind && each.id === id)
  const why = facts.shared.includes(id)
    ? 'stays: another connection uses it'
    : was?.made === false
      ? 'was there before and stays'
      : 'is not there any more, or has lost our tags'
  return change({ type: 'resources', resources }, id, `${id} ${why}`)
}
