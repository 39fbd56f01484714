/**
 * What is missing at AWS, in the order in which it can be made. Level-triggered: each decision compares what is wanted
 * with what there is now, so that whoever stopped in the middle, or lost something later, goes on the same way.
 */
import { found } from './found.ts'
import { keysLeft, undrainLeft } from './leftovers.ts'
import { type SeenVpnConnection, type SeenVpnGateway, TAG_CLOUD } from './provider.ts'
import { prefixesChanged, resolved } from './resolve.ts'
import {
  customerGatewayOf,
  isLiving,
  isOfNetwork,
  type Kind,
  knownId,
  madeByUs,
  tagsOf,
  vpnConnectionOf,
  vpnGatewayOf,
} from './resources.ts'
import {
  change,
  doneAt,
  fail,
  heldBack,
  PROVIDER_MS,
  patiently,
  perform,
  type Situation,
  settleMs,
  wait,
  waitingSince,
} from './situation.ts'
import { isPassing, isUpAtAws, TELEMETRY_MS, tunnelsInOrder } from './tunnels.ts'
import type { CloudRecord, Decision } from './types.ts'
import { ways } from './ways.ts'

/** Both tunnels with routing, from when the connector has been told. */
const UP_MS = 10 * 60_000

type Goal = (situation: Situation) => Decision | undefined

/** In this order; the first that has something to do does it. */
const GOALS: readonly Goal[] = [
  resolved,
  prefixesChanged,
  customerGateway,
  vpnGateway,
  attachment,
  transitGateway,
  firstKeys,
  vpnConnection,
  outsideAddresses,
  ways,
]

/** What is to be made next; undefined when everything is there, whether packets pass or not. */
export function nextToMake(situation: Situation): Decision | undefined {
  for (const goal of GOALS) {
    const decision = goal(situation)
    if (decision !== undefined) return heldBack(situation, decision)
  }
  return undefined
}

export function decideApply(situation: Situation): Decision {
  return (
    nextToMake(situation) ??
    keysLeft(situation) ??
    undrainLeft(situation) ??
    bothUp(situation) ?? { type: 'done', outcome: 'done' }
  )
}

function customerGateway(situation: Situation): Decision | undefined {
  const { record, seen, facts } = situation
  const there = customerGatewayOf(record, seen)
  if (there === undefined) {
    const lost = notShownYet(situation, 'customer-gateway', seen.customerGateways)
    if (lost !== undefined) return lost
    const { address, as } = record.resolved!
    const tags = tagsOf(record, facts.network)
    const action = { type: 'create-customer-gateway', address, as, tags } as const
    return perform(action, record.name, `a customer gateway for ${address}, AS ${as}`)
  }
  const noted = found(situation, 'customer-gateway', there.id, there.tags[TAG_CLOUD] === record.id)
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
    const isNamed = target.vpnGateway !== undefined
    if (!isNamed && !isOurs(situation, there)) {
      const cause = `${target.vpc} has a virtual private gateway that is not of this network, and can have one only.`
      return fail('vpc-has-gateway', cause, `To use it, name it in vpnGateway: ${there.id}.`)
    }
    const noted = found(situation, 'vpn-gateway', there.id, !isNamed && there.tags[TAG_CLOUD] === record.id)
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
  const lost = notShownYet(situation, 'vpn-gateway', seen.vpnGateways)
  if (lost !== undefined) return lost
  const action = { type: 'create-vpn-gateway', as: target.as, tags: tagsOf(record, facts.network) } as const
  return perform(action, record.name, `a virtual private gateway, AS ${target.as}`)
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
    const id = `${gateway.id}/${target.vpc}`
    const begun = situation.run.steps.some(({ action, resource }) => action === 'attach-vpn-gateway' && resource === id)
    return found(situation, 'vpn-attachment', id, begun || madeByUs(record, 'vpn-gateway', gateway.id))
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
  const apart = record.routeTables === 'none' ? undefined : target.vpcs.find((vpc) => !there.vpcs.includes(vpc))
  if (apart !== undefined) {
    const cause = `The VPC ${apart} is not attached to ${there.id}.`
    return fail('vpc-not-attached', cause, 'Attach it at AWS, or leave it out of vpcs.')
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
    const lost = notShownYet(situation, 'vpn-connection', seen.vpnConnections)
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
    return perform(action, record.name, `a VPN connection with two tunnels and ${how}`)
  }
  const noted = found(situation, 'vpn-connection', there.id, madeBy(record, there))
  if (noted !== undefined) return noted
  return there.state === 'available' ? undefined : unavailable(situation, `the VPN connection ${there.id}`)
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

function bothUp(situation: Situation): Decision | undefined {
  const { record, sight } = situation
  if (sight.connector === undefined) {
    const cause = 'Everything is there at AWS; the site has no connector that could have the tunnels.'
    return fail('no-connector', cause, 'Join one with isthmus join, and apply again.')
  }
  const late = record.tunnels.find((_, index) => !isPassing(situation, index))
  if (late === undefined) return toldByAws(situation)
  const up = doneAt(situation, 'outside') ?? situation.run.createdAt
  const what = `${late.name} to carry packets`
  if (situation.now < up + UP_MS) return wait(what, up, UP_MS, situation.now, 500)
  const said = sight.externals.find(({ external }) => external === late.external)?.problem
  const cause = `${late.name} does not carry packets: ${said?.cause ?? 'the connector does not say why'}`
  return fail('tunnel-down', cause, said?.remedy ?? 'Look at isthmus status at the site, and apply again.')
}

function toldByAws(situation: Situation): Decision | undefined {
  const down = situation.record.tunnels.find((_, index) => !isUpAtAws(situation, index))
  if (down === undefined) return undefined
  const what = `AWS to say that ${down.name} is up`
  const since = waitingSince(situation, what)
  return situation.now >= since + TELEMETRY_MS ? undefined : wait(what, since, TELEMETRY_MS, situation.now)
}

function madeBy(record: CloudRecord, { id, tags }: SeenVpnConnection): boolean {
  return tags[TAG_CLOUD] === record.id || madeByUs(record, 'vpn-connection', id)
}

function isOurs({ record, facts }: Situation, gateway: SeenVpnGateway): boolean {
  return isOfNetwork(gateway, facts.network) || madeByUs(record, 'vpn-gateway', gateway.id)
}

/** What is known and not shown at all may only be late; it is made anew once that is certain. */
function notShownYet(
  situation: Situation,
  kind: Kind,
  shown: readonly { readonly id: string }[],
): Decision | undefined {
  const id = knownId(situation.record, kind)
  if (id === undefined || shown.some((each) => each.id === id)) return undefined
  const what = `AWS to show ${id}`
  const since = waitingSince(situation, what)
  if (situation.now >= since + settleMs(situation)) return undefined
  return wait(what, since, settleMs(situation), situation.now)
}

function unavailable(situation: Situation, what: string): Decision {
  return patiently(situation, `${what} to be available`, PROVIDER_MS, () => stuck(what))
}

function stuck(what: string): Decision {
  const remedy = 'Look at it at AWS, and apply again: what is there is not made twice.'
  return fail('provider-stuck', `AWS has not finished with ${what} in ${PROVIDER_MS / 60_000} minutes.`, remedy)
}
