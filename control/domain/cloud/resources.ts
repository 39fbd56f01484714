/** What a connection consists of at AWS: which of it is there, which of it is ours, and what an action changes of that. */
import type { CloudResource } from '../../../protocol/control/cloud.ts'
import {
  type ActionResult,
  type CloudAction,
  type Seen,
  type SeenCustomerGateway,
  type SeenVpnConnection,
  type SeenVpnGateway,
  TAG_CLOUD,
  TAG_NETWORK,
  TAG_SITE,
  type Tags,
} from './provider.ts'
import type { CloudRecord } from './types.ts'

export type Kind = CloudResource['kind']
interface Living {
  readonly id: string
  readonly state: string
  readonly tags: Tags
}

/** Tags of everything that is made for the connection. */
export function tagsOf({ id, name, site }: CloudRecord, network: string): Tags {
  return { [TAG_NETWORK]: network, [TAG_CLOUD]: id, [TAG_SITE]: site, Name: `isthmus ${name}` }
}

export function isLiving({ state }: { readonly state: string }): boolean {
  return state !== 'deleted' && state !== 'deleting'
}

export function knownId({ resources }: CloudRecord, kind: Kind): string | undefined {
  return resources.find((each) => each.kind === kind)?.id
}

export function madeByUs({ resources }: CloudRecord, kind: Kind, id: string): boolean {
  return resources.some((each) => each.kind === kind && each.id === id && each.made)
}

/** Made for some connection of the network: whoever uses it last removes it. */
export function isOfNetwork({ tags }: { readonly tags: Tags }, network: string): boolean {
  return tags[TAG_NETWORK] === network && tags[TAG_CLOUD] !== undefined
}

export function isTagged({ tags }: { readonly tags: Tags }): boolean {
  return tags[TAG_NETWORK] !== undefined && tags[TAG_CLOUD] !== undefined
}

/** Ours: the one that we know of, or else the oldest with our tag; and those that are there besides. */
export function oursOf<T extends Living>(record: CloudRecord, kind: Kind, all: readonly T[]): { one?: T; more: T[] } {
  const living = all.filter(isLiving)
  const known = knownId(record, kind)
  const tagged = living.filter(({ tags }) => tags[TAG_CLOUD] === record.id)
  const one = living.find(({ id }) => id === known) ?? tagged.sort((left, right) => (left.id < right.id ? -1 : 1))[0]
  return { ...(one === undefined ? {} : { one }), more: tagged.filter(({ id }) => id !== one?.id) }
}

export function customerGatewayOf(record: CloudRecord, seen: Seen): SeenCustomerGateway | undefined {
  const own = oursOf(record, 'customer-gateway', seen.customerGateways).one
  if (own !== undefined) return own
  const { address, as } = record.resolved ?? {}
  // AWS has one of the same address and AS only once, whoever made it.
  return seen.customerGateways.find((each) => isLiving(each) && each.address === address && each.as === as)
}

export function vpnGatewayOf(record: CloudRecord, seen: Seen): SeenVpnGateway | undefined {
  const { target } = record
  if (target.kind !== 'vpc') return undefined
  if (target.vpnGateway !== undefined) return seen.vpnGateways.find(({ id }) => id === target.vpnGateway)
  const own = oursOf(record, 'vpn-gateway', seen.vpnGateways).one
  if (own !== undefined && isAttached(own, target.vpc)) return own
  // A VPC has one only.
  return seen.vpnGateways.find((each) => isLiving(each) && isAttached(each, target.vpc)) ?? own
}

function isAttached({ attachments }: SeenVpnGateway, to: string): boolean {
  return attachments.some(({ vpc, state }) => vpc === to && (state === 'attached' || state === 'attaching'))
}

export function vpnConnectionOf(record: CloudRecord, seen: Seen): SeenVpnConnection | undefined {
  return oursOf(record, 'vpn-connection', seen.vpnConnections).one
}

/** Lists after the action. What was there already (`exists`) and was not known is not ours. */
export function resourcesAfter(
  resources: readonly CloudResource[],
  action: CloudAction,
  { id }: ActionResult,
): readonly CloudResource[] {
  const add = (kind: Kind, name: string): readonly CloudResource[] =>
    resources.some((each) => each.kind === kind && each.id === name)
      ? resources
      : [...resources.filter((each) => each.kind !== kind || isMany(kind)), { kind, id: name, made: true }]
  const drop = (kind: Kind, name: string): readonly CloudResource[] =>
    resources.filter((each) => each.kind !== kind || each.id !== name)
  switch (action.type) {
    case 'create-customer-gateway':
      return id === undefined ? resources : add('customer-gateway', id)
    case 'create-vpn-gateway':
      return id === undefined ? resources : add('vpn-gateway', id)
    case 'attach-vpn-gateway':
      return add('vpn-attachment', `${action.vpnGateway}/${action.vpc}`)
    case 'create-vpn-connection':
      return id === undefined ? resources : add('vpn-connection', id)
    case 'create-vpn-route':
      return add('vpn-route', `${action.vpnConnection}/${action.prefix}`)
    case 'enable-propagation':
      return add('route-propagation', `${action.routeTable}/${action.vpnGateway}`)
    case 'create-route':
      return add('route', `${action.routeTable}/${action.prefix}`)
    case 'delete-vpn-route':
      return drop('vpn-route', `${action.vpnConnection}/${action.prefix}`)
    case 'disable-propagation':
      return drop('route-propagation', `${action.routeTable}/${action.vpnGateway}`)
    case 'delete-route':
      return drop('route', `${action.routeTable}/${action.prefix}`)
    case 'detach-vpn-gateway':
      return drop('vpn-attachment', `${action.vpnGateway}/${action.vpc}`)
    case 'delete-vpn-gateway':
      return drop('vpn-gateway', action.vpnGateway)
    case 'delete-vpn-connection':
      return drop('vpn-connection', action.vpnConnection)
    case 'delete-customer-gateway':
      return drop('customer-gateway', action.customerGateway)
    case 'modify-tunnel':
    case 'tag':
      return resources
  }
}

/** With this one, as found. */
export function withResource(
  resources: readonly CloudResource[],
  found: CloudResource,
): readonly CloudResource[] | undefined {
  const known = resources.find((each) => each.kind === found.kind && each.id === found.id)
  if (known !== undefined) return undefined
  return [...resources.filter((each) => each.kind !== found.kind || isMany(found.kind)), found]
}

function isMany(kind: Kind): boolean {
  return kind === 'vpn-route' || kind === 'route-propagation' || kind === 'route'
}
