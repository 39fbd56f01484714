/**
 * The CustomerGatewayConfiguration document of a VPN connection: what AWS wants the customer's end to be set to. Read by a
 * total reader: a document that is none, or too large, has no tunnels.
 */
import { XMLParser } from 'fast-xml-parser'
import { parseAddress, parsePrefix } from '../../protocol/net.ts'

export interface WrittenTunnel {
  /** AWS's outer address, and ours. */
  readonly outside: string
  readonly customer?: string
  /** The /30 that both inside addresses are in. */
  readonly insideCidr?: string
  readonly psk?: string
  /** AS numbers, where there is BGP. */
  readonly amazonAs?: number
  readonly customerAs?: number
}

/** Characters; the document of two tunnels has about 6,000. */
const MOST = 200_000

const PARSER = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  processEntities: false,
  isArray: (name) => name === 'ipsec_tunnel',
})

export function readConfiguration(text: string): WrittenTunnel[] {
  if (text.length > MOST || text.includes('<!DOCTYPE') || text.includes('<!ENTITY')) return []
  let document: unknown
  try {
    document = PARSER.parse(text)
  } catch {
    return []
  }
  const tunnels = at(document, 'vpn_connection', 'ipsec_tunnel')
  return Array.isArray(tunnels) ? tunnels.slice(0, 2).flatMap(tunnelOf) : []
}

function tunnelOf(tunnel: unknown): WrittenTunnel[] {
  const outside = addressOf(at(tunnel, 'vpn_gateway', 'tunnel_outside_address', 'ip_address'))
  if (outside === undefined) return []
  const customer = addressOf(at(tunnel, 'customer_gateway', 'tunnel_outside_address', 'ip_address'))
  const inside = addressOf(at(tunnel, 'vpn_gateway', 'tunnel_inside_address', 'ip_address'))
  const length = textOf(at(tunnel, 'vpn_gateway', 'tunnel_inside_address', 'network_cidr'))
  const insideCidr = inside === undefined ? undefined : parsePrefix(`${inside}/${length ?? '30'}`)
  const psk = textOf(at(tunnel, 'ike', 'pre_shared_key'))
  const [amazonAs, customerAs] = ['vpn_gateway', 'customer_gateway'].map((end) =>
    numberOf(at(tunnel, end, 'bgp', 'asn')),
  )
  return [
    {
      outside,
      ...(customer === undefined ? {} : { customer }),
      ...(insideCidr === undefined ? {} : { insideCidr }),
      ...(psk === undefined ? {} : { psk }),
      ...(amazonAs === undefined ? {} : { amazonAs }),
      ...(customerAs === undefined ? {} : { customerAs }),
    },
  ]
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === 'object' && part !== null && Object.hasOwn(part, key)
        ? (part as Record<string, unknown>)[key]
        : undefined,
    value,
  )
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function addressOf(value: unknown): string | undefined {
  return parseAddress(textOf(value) ?? '')
}

function numberOf(value: unknown): number | undefined {
  const number = Number(textOf(value))
  return Number.isInteger(number) && number > 0 && number <= 0xffff_ffff ? number : undefined
}
