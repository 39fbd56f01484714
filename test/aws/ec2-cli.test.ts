/** The stand-in, called by the `aws` CLI of Debian: another implementation of the protocol (botocore). */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findPeer, skipWithoutPeers } from '../interop/peers.ts'
import { CREDENTIALS, type Ec2, startEc2, VPC } from './server.ts'

const missing = skipWithoutPeers('the aws CLI against the EC2 stand-in', 'aws')

interface Said {
  readonly json: Record<string, never>
  readonly error: string
}

describe.skipIf(missing)('aws ec2', () => {
  let ec2: Ec2
  let home: string
  beforeAll(async () => {
    // A gateway is there at once.
    ec2 = await startEc2({ delays: { gateway: 0 } })
    home = mkdtempSync(join(tmpdir(), 'isthmus-aws-'))
  })
  afterAll(async () => {
    await ec2.close()
    rmSync(home, { recursive: true, force: true })
  })

  const aws = (...words: string[]): Promise<Said> => {
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      AWS_ACCESS_KEY_ID: CREDENTIALS.id,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secret,
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
      AWS_PAGER: '',
    }
    return new Promise((resolve) => {
      execFile(findPeer('aws')!, ['--endpoint-url', ec2.url, 'ec2', ...words], { env }, (_, stdout, stderr) =>
        resolve({ json: JSON.parse(stdout.trim() === '' ? '{}' : stdout), error: stderr }),
      )
    })
  }

  test('makes a connection with options and tags, shows it, and is told what is wrong', async () => {
    const tags = 'ResourceType=customer-gateway,Tags=[{Key=isthmus:network,Value=net_1},{Key=Name,Value=a b&<c>}]'
    const customer = ['--type', 'ipsec.1', '--public-ip', '198.51.100.7', '--bgp-asn', '65001']
    const [made, gateway, vpcs] = await Promise.all([
      aws('create-customer-gateway', ...customer, '--tag-specifications', tags),
      aws('create-vpn-gateway', '--type', 'ipsec.1', '--amazon-side-asn', '4200000001'),
      aws('describe-vpcs', '--filters', `Name=vpc-id,Values=${VPC.id}`),
    ])
    expect(made.error).toBe('')
    const { CustomerGateway } = made.json as unknown as { CustomerGateway: Record<string, string> }
    expect(CustomerGateway).toMatchObject({
      State: 'available',
      BgpAsn: '65001',
      Tags: [
        { Key: 'isthmus:network', Value: 'net_1' },
        { Key: 'Name', Value: 'a b&<c>' },
      ],
    })
    expect(gateway.json).toMatchObject({ VpnGateway: { AmazonSideAsn: 4_200_000_001 } })
    expect(vpcs.json).toMatchObject({ Vpcs: [{ VpcId: VPC.id, CidrBlock: VPC.blocks[0] }] })

    const { VpnGateway } = gateway.json as unknown as { VpnGateway: Record<string, string> }
    const options = join(home, 'options.json')
    const tunnel = {
      PreSharedKey: 'the_key_of_tunnel.1',
      TunnelInsideCidr: '169.254.171.0/30',
      DPDTimeoutSeconds: 45,
    }
    writeFileSync(options, JSON.stringify({ TunnelOptions: [{ ...tunnel, IKEVersions: [{ Value: 'ikev2' }] }] }))
    const target = ['--customer-gateway-id', CustomerGateway.CustomerGatewayId!]
    const vpn = await aws(
      ...['create-vpn-connection', '--type', 'ipsec.1', ...target],
      ...['--vpn-gateway-id', VpnGateway.VpnGatewayId!, '--options', `file://${options}`],
    )
    expect(vpn.error).toBe('')
    const { VpnConnection } = vpn.json as unknown as { VpnConnection: Record<string, string> }
    const [shown, wrong, dry] = await Promise.all([
      aws('describe-vpn-connections', '--vpn-connection-ids', VpnConnection.VpnConnectionId!),
      aws('describe-vpn-connections', '--vpn-connection-ids', 'vpn-0123456789abcdef1'),
      aws('delete-vpn-connection', '--dry-run', '--vpn-connection-id', VpnConnection.VpnConnectionId!),
    ])
    expect(shown.json).toMatchObject({
      VpnConnections: [
        {
          CustomerGatewayConfiguration: expect.stringContaining('<pre_shared_key>the_key_of_tunnel.1</pre_shared_key>'),
          VgwTelemetry: [{ Status: 'DOWN', AcceptedRouteCount: 0 }, {}],
          Options: { TunnelOptions: [{ ...renamed(tunnel), IkeVersions: [{ Value: 'ikev2' }] }, {}] },
        },
      ],
    })
    expect(wrong.error).toContain('(InvalidVpnConnectionID.NotFound) when calling the DescribeVpnConnections operation')
    expect(dry.error).toContain('(DryRunOperation)')
  }, 60_000)
})

function renamed<T extends { readonly DPDTimeoutSeconds: number }>({ DPDTimeoutSeconds, ...rest }: T) {
  return { ...rest, DpdTimeoutSeconds: DPDTimeoutSeconds }
}
