/** From our configuration and the neighbour's OPEN to what both may do (RFC 4271 section 6.2 and capabilities). */
import type { Family } from '../../../protocol/net.ts'
import { concat } from '../ike/wire/bytes.ts'
import type { NeighbourUp } from './rib/types.ts'
import type { Negotiated, PeerRestart, SessionConfig } from './session-types.ts'
import { encodeCapability } from './wire/capabilities.ts'
import {
  AS_TRANS,
  afiOf,
  BGP_VERSION,
  type BgpFault,
  bgpFault,
  type Capability,
  familyOfAfi,
  type OpenMessage,
  ROLE,
  type Role,
} from './wire/codec.ts'

/**
 * Our OPEN. `restarting` sets the Restart State bit (RFC 4724 section 4.1). Forwarding was kept through that, or where
 * only a session ended (`hasLived`): else the neighbour would drop what it keeps for us (RFC 8538 section 4).
 */
export function openOf(config: SessionConfig, restarting: boolean, hasLived = false): OpenMessage {
  const { localAs, holdTimeS, identifier } = config
  return {
    type: 'OPEN',
    version: BGP_VERSION,
    myAs: localAs > 0xffff ? AS_TRANS : localAs,
    holdTime: holdTimeS,
    bgpIdentifier: identifier,
    capabilities: capabilitiesOf(config, restarting, restarting || hasLived),
  }
}

function capabilitiesOf(config: SessionConfig, restarting: boolean, kept: boolean): Capability[] {
  const { families, localAs, role, gracefulRestart, extendedMessages } = config
  return [
    ...families.map((family) => ({ type: 'multiprotocol' as const, ...afiOf(family) })),
    { type: 'route-refresh' },
    ...(extendedMessages ? [{ type: 'extended-message' as const }] : []),
    ...(role === undefined || isInternal(config) ? [] : [{ type: 'role' as const, role: ROLE[role] }]),
    ...(gracefulRestart === undefined
      ? []
      : [
          {
            type: 'graceful-restart' as const,
            restarting,
            notification: gracefulRestart.notification,
            restartTime: gracefulRestart.restartTimeS,
            families: gracefulRestart.helperOnly
              ? []
              : families.map((family) => ({
                  ...afiOf(family),
                  forwarding: kept && gracefulRestart.forwarding,
                })),
          },
        ]),
    { type: 'four-octet-as', asn: localAs },
    { type: 'enhanced-route-refresh' },
  ]
}

/** The fault is the neighbour's, and resets the session. */
export function negotiate(config: SessionConfig, open: OpenMessage): Negotiated | BgpFault {
  const four = find(open, 'four-octet-as')
  const peerAs = four?.asn ?? open.myAs
  const internal = isInternal(config)
  const families = config.families.filter((family) => speaks(open, family))
  const fault = openFault(config, open, peerAs) ?? roleFault(config, open) ?? familyFault(config, families)
  if (fault !== undefined) return fault
  const peerRole = internal ? undefined : roleName(find(open, 'role')?.role)
  const gracefulRestart = restartOf(config, open, families)
  const enhanced = find(open, 'enhanced-route-refresh') !== undefined
  return {
    peerAs,
    peerIdentifier: open.bgpIdentifier,
    internal,
    holdTimeS: Math.min(config.holdTimeS, open.holdTime),
    families,
    fourOctetAs: four !== undefined,
    extendedIn: config.extendedMessages,
    extendedOut: find(open, 'extended-message') !== undefined,
    routeRefresh: enhanced || find(open, 'route-refresh') !== undefined,
    enhancedRefresh: enhanced,
    ...(peerRole === undefined ? {} : { peerRole }),
    ...(gracefulRestart === undefined ? {} : { gracefulRestart }),
  }
}

function isInternal({ localAs, peerAs }: SessionConfig): boolean {
  return localAs === peerAs
}

function openFault(config: SessionConfig, open: OpenMessage, peerAs: number): BgpFault | undefined {
  if (peerAs !== config.peerAs) {
    return bgpFault('open-peer-as', `The neighbour says AS ${peerAs}; AS ${config.peerAs} is configured.`)
  }
  // RFC 6286 section 2.2: identifiers are unique within an AS only.
  if (isInternal(config) && open.bgpIdentifier === config.identifier) {
    return bgpFault('open-identifier', 'The neighbour in our AS has our BGP identifier.')
  }
  if (open.holdTime < config.leastHoldTimeS) {
    return bgpFault('open-hold-time', `A hold time of ${open.holdTime} s is less than ${config.leastHoldTimeS} s.`)
  }
  return undefined
}

/** RFC 9234 section 4.2: which role the neighbour must have, by ours. */
const COUNTERPART: Readonly<Record<Role, Role>> = {
  provider: 'customer',
  customer: 'provider',
  routeServer: 'routeServerClient',
  routeServerClient: 'routeServer',
  peer: 'peer',
}

function roleFault(config: SessionConfig, open: OpenMessage): BgpFault | undefined {
  if (isInternal(config) || config.role === undefined) return undefined
  const told = open.capabilities.flatMap((each) => (each.type === 'role' ? [each.role] : []))
  const wanted = COUNTERPART[config.role]
  if (told.length === 0) {
    if (!config.strictRole) return undefined
    return bgpFault('open-role', `The neighbour tells no role; it must be ${wanted}.`)
  }
  if (told.every((role) => role === ROLE[wanted])) return undefined
  const names = told.map((role) => roleName(role) ?? role).join(', ')
  return bgpFault('open-role', `The neighbour's role is ${names}; ours is ${config.role}.`)
}

function roleName(number: number | undefined): Role | undefined {
  return (Object.keys(ROLE) as Role[]).find((role) => ROLE[role] === number)
}

/** RFC 5492 section 3: Data lists what we need. */
function familyFault(config: SessionConfig, families: readonly Family[]): BgpFault | undefined {
  if (families.length > 0) return undefined
  const needed = config.families.map((family) => encodeCapability({ type: 'multiprotocol', ...afiOf(family) }))
  return bgpFault('open-capability', 'The neighbour speaks none of the configured families.', concat(needed))
}

/** A speaker without multiprotocol capabilities speaks IPv4 unicast alone (RFC 4760 section 8). */
function speaks(open: OpenMessage, family: Family): boolean {
  const named = open.capabilities.filter((each) => each.type === 'multiprotocol')
  return named.length === 0 ? family === 4 : named.some((each) => familyOfAfi(each) === family)
}

function restartOf(config: SessionConfig, open: OpenMessage, families: readonly Family[]): PeerRestart | undefined {
  const ours = config.gracefulRestart
  const theirs = find(open, 'graceful-restart')
  if (ours === undefined || theirs === undefined) return undefined
  const named = (only: (forwarding: boolean) => boolean) =>
    families.filter((family) => theirs.families.some((each) => familyOfAfi(each) === family && only(each.forwarding)))
  return {
    restarting: theirs.restarting,
    notification: ours.notification && theirs.notification,
    restartTimeS: theirs.restartTime,
    families: named(() => true),
    preserved: named((forwarding) => forwarding),
  }
}

/** What the RIB is to know of the neighbour's graceful restart. */
export function restartToRib({ gracefulRestart }: Negotiated): Pick<NeighbourUp, 'keptForwarding' | 'isRestarting'> {
  if (gracefulRestart === undefined) return {}
  return { keptForwarding: gracefulRestart.preserved, isRestarting: gracefulRestart.restarting }
}

/** The last of its kind: RFC 4724 section 3 and RFC 5492 section 4 let a repetition replace what came before. */
function find<T extends Capability['type']>(open: OpenMessage, type: T): Extract<Capability, { type: T }> | undefined {
  return open.capabilities.findLast((each): each is Extract<Capability, { type: T }> => each.type === type)
}
