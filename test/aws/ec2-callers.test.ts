/** Who may call the stand-in, and for what. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clientOf, createLab, errorOf, type Lab, send } from './ec2-lab.ts'
import { CREDENTIALS, type Ec2Options, VPC } from './server.ts'

let lab: Lab
const start = async (options?: Ec2Options) => {
  lab = await createLab(options)
}
beforeEach(() => start())
afterEach(() => lab.close())

const again = async (options: Ec2Options) => {
  await lab.close()
  await start(options)
}
const error = (action: string, input: object = {}) => errorOf(lab.client, action, input)

describe('who calls', () => {
  const TEMPORARY = { id: 'ASIAISTHMUSTEST00002', secret: 'another-secret-of-the-stand-in', token: 'a/token+of=it' }

  test.each([
    ['known', CREDENTIALS, 'none'],
    ['unknown', { ...CREDENTIALS, id: 'AKIANOBODY0000000000' }, 'AuthFailure'],
    ['with another secret', { ...CREDENTIALS, secret: 'x' }, 'SignatureDoesNotMatch'],
    ['with temporary credentials', TEMPORARY, 'none'],
    ['with temporary credentials, and no token', { id: TEMPORARY.id, secret: TEMPORARY.secret }, 'AuthFailure'],
    ['with another token', { ...TEMPORARY, token: 'x' }, 'AuthFailure'],
  ])('%s: %s', async (_, credentials, name) => {
    await again({ credentials: [CREDENTIALS, TEMPORARY] })
    const client = clientOf(lab.ec2, credentials)
    expect(await errorOf(client, 'DescribeVpcs')).toBe(name)
    client.destroy()
  })

  test('for another region', async () => {
    const client = clientOf(lab.ec2, CREDENTIALS, 'us-east-1')
    expect(await errorOf(client, 'DescribeVpcs')).toBe('AuthFailure')
    client.destroy()
  })

  test.each([
    ['without a signature', {}, 403, 'MissingAuthenticationToken'],
    ['with half a signature', { authorization: 'AWS4-HMAC-SHA256 Credential=x' }, 400, 'IncompleteSignature'],
  ])('%s', async (_, headers: Record<string, string>, status, code) => {
    const body = new URLSearchParams({ Action: 'DescribeVpcs', Version: '2016-11-15' })
    const answer = await fetch(lab.ec2.url, { method: 'POST', body, headers })
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining(`<Code>${code}</Code>`)])
  })

  test('an action that is forbidden is named', async () => {
    lab.ec2.forbid('CreateVpnGateway')
    const fault = await send(lab.client, 'CreateVpnGateway', { Type: 'ipsec.1' }).then(
      () => expect.unreachable(),
      (e: Error) => e,
    )
    expect(fault.name).toBe('UnauthorizedOperation')
    expect(fault.message).toMatch(/perform: ec2:CreateVpnGateway .* Encoded authorization failure message: [\w-]+$/)
    lab.ec2.forbid('CreateVpnGateway', false)
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1' })).toBe('none')
  })

  test('a dry run says whether it would be allowed, and does nothing', async () => {
    const input = { Type: 'ipsec.1', DryRun: true } as const
    expect(await error('CreateVpnGateway', input)).toBe('DryRunOperation')
    lab.ec2.forbid('CreateVpnGateway')
    expect(await error('CreateVpnGateway', input)).toBe('UnauthorizedOperation')
    expect(lab.ec2.living()).toEqual([])
  })
})

describe('a policy', () => {
  const OWN = { StringEquals: { 'aws:ResourceTag/owner': 'me' } }
  const NEW = { StringEquals: { 'aws:RequestTag/owner': 'me' } }
  const allow = (Action: string | string[], Condition?: object, Resource = '*') => ({
    Effect: 'Allow' as const,
    Action,
    Resource,
    ...(Condition === undefined ? {} : { Condition: Condition as never }),
  })
  const under = async (...Statement: ReturnType<typeof allow>[]) =>
    again({ credentials: [{ ...CREDENTIALS, policy: { Statement } }] })
  const tags = (type: string, owner: string) => ({
    TagSpecifications: [{ ResourceType: type, Tags: [{ Key: 'owner', Value: owner }] }],
  })

  test('what it does not name is forbidden', async () => {
    await under(allow('ec2:DescribeVpcs'))
    expect(await error('DescribeVpcs')).toBe('none')
    expect(await error('DescribeRegions')).toBe('UnauthorizedOperation')
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1' })).toBe('UnauthorizedOperation')
  })

  test('tags of the request: to make something with tags needs CreateTags too', async () => {
    const create = { Type: 'ipsec.1', ...tags('vpn-gateway', 'me') }
    await under(allow('ec2:CreateVpnGateway', NEW))
    expect(await error('CreateVpnGateway', create)).toBe('UnauthorizedOperation')
    await under(
      allow('ec2:CreateVpnGateway', NEW),
      allow('ec2:CreateTags', { StringEquals: { 'ec2:CreateAction': 'CreateVpnGateway' } }),
    )
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1' })).toBe('UnauthorizedOperation')
    expect(await error('CreateVpnGateway', { Type: 'ipsec.1', ...tags('vpn-gateway', 'you') })).toBe(
      'UnauthorizedOperation',
    )
    expect(await error('CreateVpnGateway', create)).toBe('none')
    const later = { Resources: [lab.ec2.living()[0]], Tags: [{ Key: 'a', Value: 'b' }] }
    expect(await error('CreateTags', later)).toBe('UnauthorizedOperation')
  })

  test('tags of each resource that it concerns', async () => {
    await under(
      allow(['ec2:Create*', 'ec2:Describe*']),
      allow('ec2:AttachVpnGateway', OWN, 'arn:aws:ec2:*:*:vpn-gateway/*'),
      allow('ec2:AttachVpnGateway', undefined, 'arn:aws:ec2:*:*:vpc/*'),
      allow('ec2:DeleteVpnGateway', OWN),
    )
    const made = (owner: string) =>
      send(lab.client, 'CreateVpnGateway', { Type: 'ipsec.1', ...tags('vpn-gateway', owner) })
    await Promise.all([made('me'), made('you')])
    await lab.pass()
    const byOwner = new Map(lab.ec2.account.vpnGateways.map(({ id, tags: [tag] }) => [tag!.Value, id]))
    const attach = (owner: string) => error('AttachVpnGateway', { VpcId: VPC.id, VpnGatewayId: byOwner.get(owner) })
    expect(await attach('you')).toBe('UnauthorizedOperation')
    expect(await attach('me')).toBe('none')
    expect(await error('DeleteVpnGateway', { VpnGatewayId: byOwner.get('you') })).toBe('UnauthorizedOperation')
    expect(await error('DeleteVpnGateway', { VpnGatewayId: byOwner.get('me') })).toBe('DependencyViolation')
  })

  test('a denial wins', async () => {
    await under(allow('ec2:*'), { ...allow('ec2:DescribeVpcs'), Effect: 'Deny' as never })
    expect(await error('DescribeVpcs')).toBe('UnauthorizedOperation')
    expect(await error('DescribeRegions')).toBe('none')
  })
})
