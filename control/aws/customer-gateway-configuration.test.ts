import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readConfiguration } from './customer-gateway-configuration.ts'

interface End {
  readonly outside: string
  readonly inside: string
  readonly as?: number
}

const end = (name: string, { outside, inside, as }: End) => `<${name}>
  <tunnel_outside_address><ip_address>${outside}</ip_address></tunnel_outside_address>
  <tunnel_inside_address><ip_address>${inside}</ip_address><network_mask>255.255.255.252</network_mask><network_cidr>30</network_cidr></tunnel_inside_address>
  ${as === undefined ? '' : `<bgp><asn>${as}</asn><hold_time>30</hold_time></bgp>`}
</${name}>`
const tunnel = (customer: End, amazon: End, psk: string) => `<ipsec_tunnel>
${end('customer_gateway', customer)}
${end('vpn_gateway', amazon)}
<ike><authentication_protocol>sha1</authentication_protocol><encryption_protocol>aes-128-cbc</encryption_protocol><lifetime>28800</lifetime><perfect_forward_secrecy>group2</perfect_forward_secrecy><mode>main</mode><pre_shared_key>${psk}</pre_shared_key></ike>
<ipsec><protocol>esp</protocol><authentication_protocol>hmac-sha1-96</authentication_protocol><encryption_protocol>aes-128-cbc</encryption_protocol><lifetime>3600</lifetime><perfect_forward_secrecy>group2</perfect_forward_secrecy><mode>tunnel</mode><clear_df_bit>true</clear_df_bit><fragmentation_before_encryption>true</fragmentation_before_encryption><tcp_mss_adjustment>1379</tcp_mss_adjustment><dead_peer_detection><interval>10</interval><retries>3</retries></dead_peer_detection></ipsec>
</ipsec_tunnel>`
const document = (...tunnels: string[]) => `<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="vpn-0123456789abcdef0">
<customer_gateway_id>cgw-0123456789abcdef0</customer_gateway_id><vpn_gateway_id>vgw-0123456789abcdef0</vpn_gateway_id><vpn_connection_type>ipsec.1</vpn_connection_type>
${tunnels.join('\n')}
</vpn_connection>`

const FIRST = tunnel(
  { outside: '198.51.100.7', inside: '169.254.171.2', as: 65_000 },
  { outside: '203.0.113.1', inside: '169.254.171.1', as: 64_512 },
  'a.first_key',
)
const SECOND = tunnel(
  { outside: '198.51.100.7', inside: '169.254.171.6', as: 65_000 },
  { outside: '203.0.113.2', inside: '169.254.171.5', as: 64_512 },
  'a.second_key',
)
const WHOLE = document(FIRST, SECOND)

test('both tunnels, with BGP', () => {
  const both = { customer: '198.51.100.7', customerAs: 65_000, amazonAs: 64_512 }
  expect(readConfiguration(WHOLE)).toEqual([
    { ...both, outside: '203.0.113.1', insideCidr: '169.254.171.0/30', psk: 'a.first_key' },
    { ...both, outside: '203.0.113.2', insideCidr: '169.254.171.4/30', psk: 'a.second_key' },
  ])
})

test('without BGP, and one tunnel alone', () => {
  const bare = tunnel(
    { outside: '198.51.100.7', inside: '169.254.171.2' },
    { outside: '203.0.113.1', inside: '169.254.171.1' },
    'a.first_key',
  )
  expect(readConfiguration(document(bare))).toEqual([
    { outside: '203.0.113.1', customer: '198.51.100.7', insideCidr: '169.254.171.0/30', psk: 'a.first_key' },
  ])
})

test('digits stay text', () => {
  expect(readConfiguration(document(FIRST.replace('a.first_key', '12345678901234567890')))[0]!.psk).toBe(
    '12345678901234567890',
  )
})

describe('what is none', () => {
  test.each([
    ['nothing', ''],
    ['words', 'no document at all'],
    ['half of one', WHOLE.slice(0, WHOLE.length / 3)],
    ['another root', WHOLE.replaceAll('vpn_connection', 'connection')],
    ['no tunnels', document()],
    ['a tunnel without an outer address', document('<ipsec_tunnel><ike/></ipsec_tunnel>')],
    ['an outer address that is none', document(FIRST.replace('203.0.113.1', '203.0.113.256'))],
    ['an entity', `<!DOCTYPE x [<!ENTITY a "b">]>${WHOLE}`],
    ['too long a one', `${WHOLE}${' '.repeat(200_000)}`],
    ['deep nesting', '<a>'.repeat(60_000)],
    ['JSON', '{"vpn_connection":{}}'],
  ])('%s', (_, text) => {
    expect(readConfiguration(text)).toEqual([])
  })

  test('parts that make no sense are left out', () => {
    const odd = FIRST.replace('169.254.171.1<', 'x<').replace('<asn>64512<', '<asn>-1<').replace('a.first_key', '')
    expect(readConfiguration(document(odd))).toEqual([
      { outside: '203.0.113.1', customer: '198.51.100.7', customerAs: 65_000 },
    ])
  })

  test('of three tunnels two are taken', () => {
    expect(readConfiguration(document(FIRST, SECOND, FIRST))).toHaveLength(2)
  })

  test('whatever is cut out, put in or turned round, the reader ends', () => {
    const piece = fc.oneof(
      fc.constantFrom('<', '>', '&', '/', '<!--', '<![CDATA[', ']]>', '__proto__', '\0'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.nat(WHOLE.length), fc.nat(300), piece, (at, cut, put) => {
        const read = readConfiguration(WHOLE.slice(0, at) + put + WHOLE.slice(at + cut))
        expect(read.length).toBeLessThanOrEqual(2)
      }),
    )
    expect(({} as { ipsec_tunnel?: unknown }).ipsec_tunnel).toBeUndefined()
  })
})
