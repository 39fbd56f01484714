/** The CustomerGatewayConfiguration document, as published captures of it are built. */
import type { CarriedConnection, CarriedTunnel } from './carrier.ts'
import type { VpnConnection } from './ec2-state.ts'
import { escaped } from './sdk-model.ts'

export function configurationOf(connection: VpnConnection, carried: CarriedConnection): string {
  const attributes = connection.isStatic
    ? '<vpn_connection_attributes>NoBGPVPNConnection</vpn_connection_attributes>'
    : ''
  const gateway = connection.vpnGateway ?? connection.transitGateway ?? ''
  const tunnels = carried.tunnels.map((tunnel) => tunnelXml(tunnel, carried, connection.isStatic))
  return `<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="${connection.id}">
  <customer_gateway_id>${connection.customerGateway}</customer_gateway_id>
  <vpn_gateway_id>${gateway}</vpn_gateway_id>
  <vpn_connection_type>ipsec.1</vpn_connection_type>
  ${attributes}
${tunnels.join('\n')}
</vpn_connection>
`
}

function tunnelXml(tunnel: CarriedTunnel, { customer, amazonAs }: CarriedConnection, isStatic: boolean): string {
  const base = tunnel.insideCidr.split('/')[0]!.split('.').map(Number)
  const host = (offset: number) => [...base.slice(0, 3), base[3]! + offset].join('.')
  return `  <ipsec_tunnel>
    <customer_gateway>${endXml(customer.address, host(2), isStatic ? undefined : customer.as)}</customer_gateway>
    <vpn_gateway>${endXml(tunnel.outside, host(1), isStatic ? undefined : amazonAs)}</vpn_gateway>
    <ike>${algorithmsXml(tunnel.phase1, 'main')}
      <pre_shared_key>${escaped(tunnel.psk)}</pre_shared_key></ike>
    <ipsec><protocol>esp</protocol>${algorithmsXml(tunnel.phase2, 'tunnel')}
      <clear_df_bit>true</clear_df_bit><fragmentation_before_encryption>true</fragmentation_before_encryption>
      <tcp_mss_adjustment>1379</tcp_mss_adjustment>
      <dead_peer_detection><interval>10</interval><retries>3</retries></dead_peer_detection></ipsec>
  </ipsec_tunnel>`
}

/** It has room for one of each: the first. */
function algorithmsXml({ encryption, integrity, groups, lifetimeS }: CarriedTunnel['phase1'], mode: string): string {
  const [, size, gcm] = /^AES(\d+)(-GCM-16)?$/.exec(encryption[0]!)!
  return `<authentication_protocol>${integrity[0]!.toLowerCase().replace('sha2-', 'sha')}</authentication_protocol>
      <encryption_protocol>aes-${size}-${gcm === undefined ? 'cbc' : 'gcm-16'}</encryption_protocol>
      <lifetime>${lifetimeS}</lifetime><perfect_forward_secrecy>group${groups[0]}</perfect_forward_secrecy>
      <mode>${mode}</mode>`
}

function endXml(outside: string, inside: string, as: number | undefined): string {
  const bgp = as === undefined ? '' : `<bgp><asn>${as}</asn><hold_time>30</hold_time></bgp>`
  return `<tunnel_outside_address><ip_address>${outside}</ip_address></tunnel_outside_address><tunnel_inside_address><ip_address>${inside}</ip_address><network_mask>255.255.255.252</network_mask><network_cidr>30</network_cidr></tunnel_inside_address>${bgp}`
}
