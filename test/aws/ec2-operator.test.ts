/** What a test does to the stand-in: hooks, failures, and what happens behind everybody's back. */
import * as sdk from '@aws-sdk/client-ec2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Ec2Error } from './ec2-error.ts'
import { buildConnection, connectionOf, createCustomer, createLab, errorOf, type Lab, send } from './ec2-lab.ts'
import { VPC } from './server.ts'

let lab: Lab
beforeEach(async () => {
  lab = await createLab()
})
afterEach(() => lab.close())

const CUSTOMER = { Type: 'ipsec.1', IpAddress: '198.51.100.7' }
const create = () => errorOf(lab.client, 'CreateCustomerGateway', CUSTOMER)
const made = () => lab.ec2.living().length

describe('hooks', () => {
  test.each([
    ['before', 0, 'drop'],
    ['after-effect', 1, undefined],
  ] as const)('%s: the answer is never sent, and %i are made', async (phase, count, noted) => {
    const seen: object[] = []
    const off = lab.ec2.on('CreateCustomerGateway', phase, (action, input) => {
      seen.push({ action, address: input.IpAddress })
      return 'drop'
    })
    expect(await create()).not.toBe('none')
    expect(made()).toBe(count)
    expect(seen).toEqual([{ action: 'CreateCustomerGateway', address: '198.51.100.7' }])
    expect(lab.ec2.calls.at(-1)).toMatchObject({ action: 'CreateCustomerGateway', ...(noted && { error: noted }) })
    expect(lab.ec2.changes).toHaveLength(count)
    off()
    expect(await create()).toBe('none')
    expect(made()).toBe(1)
  })

  test('no answer comes, for as long as somebody waits', async () => {
    let reached = () => {}
    const effect = new Promise<void>((resolve) => {
      reached = resolve
    })
    lab.ec2.on('*', 'after-effect', () => {
      reached()
      return 'hang'
    })
    const abort = new AbortController()
    const command = new sdk.CreateVpnGatewayCommand({ Type: 'ipsec.1' })
    const answer = lab.client.send(command, { abortSignal: abort.signal }).catch((error: Error) => error.name)
    await effect
    abort.abort()
    expect(await answer).toBe('AbortError')
    expect(lab.ec2.calls.at(-1)).toMatchObject({ unanswered: true })
    expect(made()).toBe(1)
  })

  test('an error although it was done', async () => {
    lab.ec2.on('CreateCustomerGateway', 'after-effect', () => {
      throw new Ec2Error('InternalError', 'An internal error has occurred', 500)
    })
    expect(await create()).toBe('InternalError')
    expect(made()).toBe(1)
  })

  test('so many calls fail, without effect', async () => {
    lab.ec2.fail('CreateCustomerGateway', 'DependencyViolation', 2)
    expect([await create(), await create(), made(), await create()]).toEqual([
      'DependencyViolation',
      'DependencyViolation',
      0,
      'none',
    ])
  })
})

test('calls are noted, keys are not', async () => {
  const lines: string[] = []
  await lab.close()
  lab = await createLab({ log: (line) => lines.push(line) })
  const { vpn } = await buildConnection(lab, { TunnelOptions: [{ PreSharedKey: 'the_key_of_tunnel.1' }] })
  const which = { VpnConnectionId: vpn, VpnTunnelOutsideIpAddress: '203.0.113.2' }
  await send(lab.client, 'ModifyVpnTunnelOptions', { ...which, TunnelOptions: { PreSharedKey: 'another_key.of_it' } })
  await errorOf(lab.client, 'DeleteVpnGateway', { VpnGatewayId: 'vgw-1' })
  const noted = JSON.stringify([lab.ec2.calls, lines])
  for (const key of ['the_key_of_tunnel.1', 'another_key.of_it']) expect(noted).not.toContain(key)
  expect(lines.at(-1)).toBe('DeleteVpnGateway {"VpnGatewayId":"vgw-1"} InvalidVpnGatewayID.Malformed')
  expect(lab.ec2.changes).toEqual([
    'CreateCustomerGateway',
    'CreateVpnGateway',
    'AttachVpnGateway',
    'CreateVpnConnection',
    'ModifyVpnTunnelOptions',
  ])
})

describe('behind everybody’s back', () => {
  test('an option or a key is another one, and is shown', async () => {
    const { vpn } = await buildConnection(lab)
    lab.ec2.changeOption(vpn, 0, { StartupAction: 'start' })
    await lab.pass()
    lab.ec2.changeKey(vpn, 0, 'somebody.elses_key')
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ State: 'modifying' })
    await lab.pass()
    const { State, Options } = await connectionOf(lab.client, vpn)
    const tunnel = { StartupAction: 'start', PreSharedKey: 'somebody.elses_key' }
    expect([State, Options!.TunnelOptions![0]]).toEqual(['available', expect.objectContaining(tunnel)])
    expect(lab.carrier.log.slice(-4)).toEqual([`down ${vpn}/0`, `up ${vpn}/0`, `down ${vpn}/0`, `up ${vpn}/0`])
  })

  test('an endpoint is replaced', async () => {
    const { vpn } = await buildConnection(lab)
    const replaced = lab.ec2.replaceEndpoint(vpn, 1, { silentMs: 500 })
    await lab.pass(500)
    await replaced
    expect(lab.carrier.log.slice(-2)).toEqual([`down ${vpn}/1`, `up ${vpn}/1`])
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ State: 'available' })
  })

  test('routes and propagation are taken away', async () => {
    const { vpn, vgw } = await buildConnection(lab, { StaticRoutesOnly: true })
    const [table] = lab.ec2.account.tables
    const prefix = '10.8.1.0/24'
    const route = { RouteTableId: table!.id, DestinationCidrBlock: prefix }
    await send(lab.client, 'CreateVpnConnectionRoute', { VpnConnectionId: vpn, DestinationCidrBlock: prefix })
    await send(lab.client, 'CreateRoute', { ...route, GatewayId: vgw })
    lab.ec2.setPropagation(table!.id, vgw, true)
    lab.ec2.removeRoute(vpn, prefix)
    expect((await connectionOf(lab.client, vpn)).Routes).toEqual([])
    lab.ec2.removeRoute(table!.id, prefix)
    expect(await errorOf(lab.client, 'DeleteRoute', route)).toBe('InvalidRoute.NotFound')
    lab.ec2.setPropagation(table!.id, vgw, false)
    const { RouteTables } = await lab.client.send(new sdk.DescribeRouteTablesCommand({ RouteTableIds: [table!.id] }))
    expect(RouteTables![0]!.PropagatingVgws).toEqual([])
    expect(() => lab.ec2.removeRoute(table!.id, prefix)).toThrow('has no route')
  })

  test('resources are deleted, whatever depends on them', async () => {
    const { cgw, vgw, vpn } = await buildConnection(lab)
    for (const id of [cgw, vgw, vpn]) lab.ec2.deleteResource(id)
    expect(lab.ec2.living()).toEqual([])
    expect(lab.carrier.log.at(-1)).toBe(`stop ${vpn}`)
    expect(await connectionOf(lab.client, vpn)).toMatchObject({ State: 'deleted', CustomerGatewayId: cgw })
    const { VpnGateways } = await lab.client.send(new sdk.DescribeVpnGatewaysCommand({}))
    expect(VpnGateways).toMatchObject([{ State: 'deleted', VpcAttachments: [{ VpcId: VPC.id, State: 'detached' }] }])
    expect(() => lab.ec2.deleteResource(vpn)).toThrow(`there is no ${vpn}`)
  })

  test('tags are others', async () => {
    const cgw = await createCustomer(lab.client)
    lab.ec2.setTags(cgw, { name: 'x' })
    const { CustomerGateways } = await lab.client.send(new sdk.DescribeCustomerGatewaysCommand({}))
    expect(CustomerGateways![0]!.Tags).toEqual([{ Key: 'name', Value: 'x' }])
  })
})

test('it closes in the middle of everything', async () => {
  const { vpn } = await buildConnection(lab)
  lab.ec2.changeKey(vpn, 0, 'somebody.elses_key')
  lab.ec2.on('DescribeVpcs', 'before', () => 'hang')
  const answer = errorOf(lab.client, 'DescribeVpcs')
  await lab.pass(1)
  await lab.close()
  expect(await answer).not.toBe('none')
  expect(lab.carrier.log.at(-1)).toBe(`down ${vpn}/0`)
  lab = await createLab()
})
