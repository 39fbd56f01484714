/** One BGP message as a JSON value. */
import {
  AFI,
  type AfiSafi,
  attributeName,
  type BgpFault,
  CAPABILITY,
  type Capability,
  CONSEQUENCES,
  type DecodeOptions,
  decodeMessage,
  errorName,
  familyOfAfi,
  isBgpFault,
  MESSAGE,
  type NotificationMessage,
  type OpenMessage,
  prefixesOf,
  REFRESH,
  ROLE,
  SAFI,
  subcodeName,
  type UpdateMessage,
} from '../../core/bgp/wire/codec.ts'
import { attributesJson, dottedQuad } from './bgp-attributes-json.ts'
import type { Json } from './payload-json.ts'

/** The OPENs seen on a connection, by who sent them. */
export type Peering = ReadonlyMap<string, OpenMessage>
export const NOTHING_KNOWN: Peering = new Map()

export function peeringOf(peering: Peering, sender: string, open: OpenMessage): Peering {
  return new Map([...peering, [sender, open]])
}

/** Total. `open` comes along where the message is one. */
export function bgpJson(bytes: Uint8Array, peering: Peering, sender: string): { json: Json; open?: OpenMessage } {
  const { message, asOctets } = decodeAs(bytes, peering, sender)
  if (isBgpFault(message)) return { json: { ...typeJson(bytes), ...bgpFaultJson(message) } }
  switch (message.type) {
    case 'OPEN':
      return { json: openJson(message), open: message }
    case 'UPDATE':
      return { json: updateJson(message, asOctets) }
    case 'NOTIFICATION':
      return { json: notificationJson(message) }
    case 'KEEPALIVE':
      return { json: { type: 'KEEPALIVE' } }
    case 'ROUTE-REFRESH':
      return { json: { type: message.type, ...afiSafiJson(message), ...subtypeJson(message.subtype) } }
    default:
      return message satisfies never
  }
}

/** What ends the session: reason, and what the NOTIFICATION would say. */
export function bgpFaultJson(fault: BgpFault): Json {
  return { malformed: fault.reason, error: errorJson(fault) }
}

function errorJson({ fault, code, subcode, data, consequence, attribute }: BgpFault): Json {
  return {
    code,
    codeName: errorName(code),
    subcode,
    subcodeName: subcodeName(code, subcode),
    data: Buffer.from(data).toString('hex'),
    consequence,
    fault,
    ...(attribute === undefined ? {} : { attribute, attributeName: attributeName(attribute) }),
  }
}

function typeJson(bytes: Uint8Array): Json {
  const found = Object.entries(MESSAGE).find(([, type]) => type === bytes[18])
  return found === undefined ? {} : { type: found[0] }
}

/**
 * As the receiver would read it where both OPENs were seen. Otherwise nothing is held against it that depends on them:
 * long messages, attributes of internal peers, and AS numbers of whichever width makes a valid path.
 */
function decodeAs(bytes: Uint8Array, peering: Peering, sender: string) {
  const own = peering.get(sender)
  const other = [...peering].find(([name]) => name !== sender)?.[1]
  if (own === undefined || other === undefined) {
    const unknown = { extendedMessages: true, internal: true, families: [4, 6] } as const
    const wide = decodeMessage(bytes, { ...unknown, fourOctetAs: true })
    if (!hasBadPath(wide)) return { message: wide, asOctets: 4 }
    const narrow = decodeMessage(bytes, { ...unknown, fourOctetAs: false })
    return hasBadPath(narrow) ? { message: wide, asOctets: 4 } : { message: narrow, asOctets: 2 }
  }
  const both = (type: Capability['type']) => has(own, type) && has(other, type)
  const options: DecodeOptions = {
    fourOctetAs: both('four-octet-as'),
    extendedMessages: has(other, 'extended-message'),
    internal: asOf(own) === asOf(other),
    families: ([4, 6] as const).filter((family) => speaks(own, family) && speaks(other, family)),
  }
  return { message: decodeMessage(bytes, options), asOctets: options.fourOctetAs ? 4 : 2 }
}

function hasBadPath(message: ReturnType<typeof decodeMessage>): boolean {
  if (isBgpFault(message)) return message.fault === 'as-path'
  return (
    message.type === 'UPDATE' &&
    message.faults.some(({ fault }) => fault === 'as-path' || fault === 'aggregator-length')
  )
}

function has(open: OpenMessage, type: Capability['type']): boolean {
  return open.capabilities.some((each) => each.type === type)
}

/** A speaker without multiprotocol capabilities speaks IPv4 unicast alone (RFC 4760 section 8). */
function speaks(open: OpenMessage, family: 4 | 6): boolean {
  const named = open.capabilities.filter((each) => each.type === 'multiprotocol')
  return named.length === 0 ? family === 4 : named.some((each) => familyOfAfi(each) === family)
}

function asOf(open: OpenMessage): number {
  return open.capabilities.find((each) => each.type === 'four-octet-as')?.asn ?? open.myAs
}

function openJson(open: OpenMessage): Json {
  const { version, myAs, holdTime, bgpIdentifier, capabilities } = open
  const identifier = dottedQuad(bgpIdentifier)
  return { type: 'OPEN', version, myAs, holdTime, identifier, capabilities: capabilities.map(capabilityJson) }
}

function capabilityJson(capability: Capability): Json {
  switch (capability.type) {
    case 'multiprotocol':
      return { ...named(capability.type), ...afiSafiJson(capability) }
    case 'role': {
      const role = Object.entries(ROLE).find(([, number]) => number === capability.role)?.[0]
      return { ...named(capability.type), role: capability.role, roleName: role ?? `unknown (${capability.role})` }
    }
    case 'four-octet-as':
      return { ...named(capability.type), asn: capability.asn }
    case 'graceful-restart': {
      const { restarting, notification, restartTime } = capability
      const families = capability.families.map((each) => ({ ...afiSafiJson(each), forwarding: each.forwarding }))
      return { ...named(capability.type), restarting, notification, restartTime, families }
    }
    case 'unknown': {
      const { code, value } = capability
      return { code, name: `unknown (${code})`, value: Buffer.from(value).toString('hex') }
    }
    default:
      return named(capability.type)
  }
}

function named(type: keyof typeof CAPABILITY): Json {
  return { code: CAPABILITY[type], name: type }
}

const AFI_NAMES: Readonly<Record<number, string>> = {
  [AFI.ipv4]: 'IPv4',
  [AFI.ipv6]: 'IPv6',
  25: 'L2VPN',
  16388: 'BGP-LS',
}
const SAFI_NAMES: Readonly<Record<number, string>> = {
  [SAFI.unicast]: 'unicast',
  2: 'multicast',
  4: 'labelled',
  128: 'VPN',
}

function afiSafiJson({ afi, safi }: AfiSafi): Json {
  return { afi, safi, family: `${AFI_NAMES[afi] ?? `AFI ${afi}`} ${SAFI_NAMES[safi] ?? `SAFI ${safi}`}` }
}

function subtypeJson(subtype: number): Json {
  const name = Object.entries(REFRESH).find(([, number]) => number === subtype)?.[0]
  return { subtype, subtypeName: name ?? `unknown (${subtype})` }
}

function notificationJson(message: NotificationMessage): Json {
  const { type, inner, communication } = message
  return {
    type,
    ...errorFields(message),
    ...(inner === undefined ? {} : { inner: errorFields(inner) }),
    ...(communication === undefined ? {} : { communication }),
  }
}

function errorFields({ code, subcode, data }: Pick<NotificationMessage, 'code' | 'subcode' | 'data'>): Json {
  const names = { codeName: errorName(code), subcode, subcodeName: subcodeName(code, subcode) }
  return { code, ...names, data: Buffer.from(data).toString('hex') }
}

function updateJson(update: UpdateMessage, asOctets: number): Json {
  const { faults, endOfRib, attributes } = update
  const rank = ({ consequence }: BgpFault) => CONSEQUENCES.indexOf(consequence)
  const worst = faults.toSorted((left, right) => rank(right) - rank(left))[0]
  return {
    type: 'UPDATE',
    ...(endOfRib === undefined ? {} : { endOfRib: afiSafiJson(endOfRib) }),
    withdrawn: update.withdrawn.flatMap(prefixesOf),
    announced: update.reach.map(({ nextHop, prefixes }) => ({
      nextHop: nextHop.address,
      ...(nextHop.linkLocal === undefined ? {} : { linkLocal: nextHop.linkLocal }),
      prefixes: prefixesOf(prefixes),
    })),
    ...(attributes === undefined ? {} : { asOctets, attributes: attributesJson(attributes) }),
    ...(worst === undefined ? {} : bgpFaultJson(worst)),
    ...(faults.length > 1 ? { errors: faults.map((fault) => ({ reason: fault.reason, ...errorJson(fault) })) } : {}),
  }
}
