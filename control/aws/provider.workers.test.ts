/** The SDK within workerd: it signs, writes and reads there as it does on Node, though there is no DOMParser. */
import { afterEach, expect, test, vi } from 'vitest'
import type { CloudFailure } from '../domain/cloud/provider.ts'
import { pskFingerprint } from '../domain/cloud/rules.ts'
import { createAwsProvider } from './provider.ts'
import { ACTIONS, SECRETS, SUBJECTS } from './testing/actions.ts'
import { KEYS } from './testing/wire.ts'

const REGION = 'eu-central-1'
const XMLNS = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'

const CONFIGURATION = `<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="vpn-1"><ipsec_tunnel>
<vpn_gateway><tunnel_outside_address><ip_address>203.0.113.1</ip_address></tunnel_outside_address>
<tunnel_inside_address><ip_address>169.254.171.1</ip_address><network_cidr>30</network_cidr></tunnel_inside_address></vpn_gateway>
<ike><pre_shared_key>a.secret_of_the_first_tunnel</pre_shared_key></ike></ipsec_tunnel></vpn_connection>`
const CONNECTIONS = `<?xml version="1.0" encoding="UTF-8"?>
<DescribeVpnConnectionsResponse ${XMLNS}><requestId>r</requestId><vpnConnectionSet><item>
<vpnConnectionId>vpn-1</vpnConnectionId><state>available</state><customerGatewayId>cgw-1</customerGatewayId>
<customerGatewayConfiguration>${CONFIGURATION.replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</customerGatewayConfiguration>
<options><staticRoutesOnly>false</staticRoutesOnly><tunnelOptionSet><item><outsideIpAddress>203.0.113.1</outsideIpAddress>
<phase1EncryptionAlgorithmSet><item><value>AES256-GCM-16</value></item></phase1EncryptionAlgorithmSet>
<phase1LifetimeSeconds>28800</phase1LifetimeSeconds></item></tunnelOptionSet></options>
<vgwTelemetry><item><outsideIpAddress>203.0.113.1</outsideIpAddress><status>UP</status>
<lastStatusChange>2026-09-21T12:53:20.000Z</lastStatusChange><acceptedRouteCount>3</acceptedRouteCount></item></vgwTelemetry>
<tagSet><item><key>isthmus:network</key><value>net_00000000000000000001</value></item>
<item><key>isthmus:cloud</key><value>cld_00000000000000000001</value></item></tagSet>
</item></vpnConnectionSet></DescribeVpnConnectionsResponse>`

const asked: URLSearchParams[] = []

function answering(answer: (action: string) => Response): void {
  asked.length = 0
  vi.stubGlobal('fetch', async (request: Request) => {
    expect(request.url).toBe('https://ec2.eu-central-1.amazonaws.com/')
    expect(request.headers.get('authorization')).toContain(`Credential=${KEYS.accessKeyId}/`)
    const params = new URLSearchParams(new TextDecoder().decode(await request.arrayBuffer()))
    asked.push(params)
    return answer(params.get('Action')!)
  })
}
afterEach(() => vi.unstubAllGlobals())

const provider = createAwsProvider({ credentials: KEYS })

test('what is there is read, also from the document within the answer', async () => {
  answering(
    (action) => new Response(action === 'DescribeVpnConnections' ? CONNECTIONS : `<${action}Response ${XMLNS}/>`),
  )
  const [seen] = await provider.look(SUBJECTS.slice(0, 1))
  expect(asked).toHaveLength(5)
  expect(seen!.vpnConnections).toEqual([
    {
      id: 'vpn-1',
      state: 'available',
      customerGateway: 'cgw-1',
      staticRoutesOnly: false,
      routes: [],
      tunnels: [
        {
          outside: '203.0.113.1',
          insideCidr: '169.254.171.0/30',
          status: 'UP',
          statusSince: Date.UTC(2026, 8, 21, 12, 53, 20),
          acceptedRoutes: 3,
          options: { encryption: ['AES256-GCM-16'], ikeLifetimeS: 28_800 },
          ikeVersions: [],
          keyFingerprint: pskFingerprint('a.secret_of_the_first_tunnel'),
        },
      ],
      tags: { 'isthmus:network': 'net_00000000000000000001', 'isthmus:cloud': 'cld_00000000000000000001' },
    },
  ])
})

test('a connection is made', async () => {
  const made = '<vpnConnection><vpnConnectionId>vpn-2</vpnConnectionId></vpnConnection>'
  answering((action) => new Response(`<${action}Response ${XMLNS}>${made}</${action}Response>`))
  expect(await provider.perform(REGION, ACTIONS['create-vpn-connection'], SECRETS)).toEqual({ id: 'vpn-2' })
  const [params] = asked
  expect(params!.get('Options.TunnelOptions.2.PreSharedKey')).toBe(SECRETS.get('two'))
  expect(params!.get('Options.TunnelOptions.1.Phase1DHGroupNumber.1.Value')).toBe('20')
  expect(params!.get('TagSpecification.1.Tag.4.Value')).toBe('isthmus hq & <more>')
})

test('errors have their codes, and no credentials are said so', async () => {
  const error = '<Error><Code>VpnConnectionLimitExceeded</Code><Message>The limit is 50.</Message></Error>'
  answering(
    () => new Response(`<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`, { status: 400 }),
  )
  const perform = (from = provider): Promise<CloudFailure> =>
    from.perform(REGION, ACTIONS['create-vpn-connection'], SECRETS).then(
      () => expect.unreachable('it should have failed'),
      (failure: CloudFailure) => failure,
    )
  expect(await perform()).toMatchObject({ kind: 'quota', code: 'VpnConnectionLimitExceeded' })
  expect(await perform(createAwsProvider())).toMatchObject({ kind: 'credentials' })
})
