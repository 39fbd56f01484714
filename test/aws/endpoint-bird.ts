/** What BIRD is told: at each endpoint, and at the gateway of the VPC between them. */
import type { CarriedConnection, CarriedTunnel } from './carrier.ts'

/** On the links between the endpoints and the VPC, the same for each connection. */
export const LINKS = [
  { endpoint: '198.18.1.1', vpc: '198.18.1.2' },
  { endpoint: '198.18.2.1', vpc: '198.18.2.2' },
] as const
/** The protocol that has the customer's routes, in both kinds of connections; it is enabled while the tunnel is up. */
export const CUSTOMER = 'customer'
/** "Site-to-Site VPN quotas": dynamic routes from the customer gateway device. */
const MOST_ROUTES = 100
const HOLD_S = 30

const COMMON = `log stderr all;
timeformat protocol iso long ms;
protocol device { scan time 1; }
`
const SOON = `connect delay time 1;
  connect retry time 1;
  error wait time 1, 3;`

export function endpointBird(connection: CarriedConnection, tunnel: CarriedTunnel, side: 0 | 1): string {
  const link = LINKS[side]
  const as = connection.amazonAs
  return `${COMMON}router id ${tunnel.outside};
protocol kernel { ipv4 { import none; export all; }; }
protocol bgp vgw {
  local ${link.endpoint} as ${as};
  neighbor ${link.vpc} as ${as};
  direct;
  ${SOON}
  ipv4 { import all; export where proto = "${CUSTOMER}"; next hop self; };
}
${customer(connection, tunnel)}`
}

function customer(connection: CarriedConnection, tunnel: CarriedTunnel): string {
  if (connection.staticRoutes !== undefined) {
    const routes = connection.staticRoutes.map((prefix) => `  route ${prefix} via "ipsec0";`)
    return `protocol static ${CUSTOMER} {\n  disabled;\n  ipv4;\n${routes.join('\n')}\n}\n`
  }
  const { amazon, customer } = insideAddresses(tunnel.insideCidr)
  return `protocol bgp ${CUSTOMER} {
  disabled;
  local ${amazon} as ${connection.amazonAs};
  neighbor ${customer} as ${connection.customer.as};
  hold time ${HOLD_S};
  ${SOON}
  ipv4 { import all; import limit ${MOST_ROUTES} action restart; export where proto = "vgw"; };
}
`
}

/**
 * The VPC has two ways to the customer, and takes one: by local preference, length of the AS path, then MED, as
 * "Site-to-Site VPN routing options" has it.
 */
export function vpcBird(connection: CarriedConnection): string {
  const as = connection.amazonAs
  const session = (side: 0 | 1): string => `protocol bgp e${side + 1} {
  local ${LINKS[side].vpc} as ${as};
  neighbor ${LINKS[side].endpoint} as ${as};
  direct;
  med metric on;
  ${SOON}
  ipv4 { import all; export where source = RTS_STATIC; };
}
`
  return `${COMMON}router id 198.18.0.1;
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol static blocks { ipv4;
${connection.announces.map((prefix) => `  route ${prefix} blackhole;`).join('\n')}
}
${session(0)}${session(1)}`
}

/** The two hosts of a /30; throws a RangeError where it is none. */
export function insideAddresses(cidr: string): { readonly amazon: string; readonly customer: string } {
  const match = cidr.match(/^(\d+\.\d+\.\d+\.)(\d+)\/30$/)
  const last = Number(match?.[2])
  if (match === null || last % 4 !== 0) throw new RangeError(`${cidr} is no /30`)
  return { amazon: `${match[1]}${last + 1}`, customer: `${match[1]}${last + 2}` }
}
