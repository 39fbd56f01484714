import { describe, expect, test } from 'vitest'
import { TAG_CLOUD, TAG_NETWORK, TAG_SITE } from './provider.ts'
import { applied, CLOUD, FACTS, type ModelPlane } from './testing/model-run.ts'

const OTHER = 'cld_00000000000000000002'
const TRANSIT = {
  target: { kind: 'transit-gateway', transitGateway: 'tgw-0123456789abcdef0', vpcs: ['vpc-0123456789abcdef0'] },
  remote: ['172.31.0.0/16'],
}

function destroyed(plane: ModelPlane): ModelPlane {
  plane.aws.calls = []
  plane.begin('destroy')
  expect(plane.finish()).toMatchObject({ state: 'done' })
  expect(plane.record.resources).toEqual([])
  expect(plane.record.tunnels.every(({ outside }) => outside === undefined)).toBe(true)
  return plane
}

const idOf = (plane: ModelPlane, kind: string) => plane.record.resources.find((each) => each.kind === kind)!.id

describe('destroy', () => {
  test('removes all that was made, in the reverse order', () => {
    const plane = destroyed(applied())
    expect(plane.aws.calls).toEqual([
      'disable-propagation',
      'disable-propagation',
      'delete-vpn-connection',
      'detach-vpn-gateway',
      'delete-vpn-gateway',
      'delete-customer-gateway',
    ])
    expect(plane.aws.leftovers(CLOUD)).toEqual([])
  })

  test('of nothing does nothing', () => {
    const plane = destroyed(applied())
    expect(destroyed(plane).aws.calls).toEqual([])
  })

  test('goes on where somebody has removed everything already', () => {
    const plane = applied()
    for (const each of [...plane.aws.connections, ...plane.aws.vpnGateways, ...plane.aws.customerGateways]) {
      each.deletedAt = plane.now - 1
    }
    for (const { propagating } of plane.aws.tables) propagating.clear()
    expect(destroyed(plane).aws.calls).toEqual([])
  })

  test('leaves a gateway that was named, and what others have made', () => {
    const named = 'vgw-00000000000000aaa'
    const plane = applied(
      7,
      { target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0', vpnGateway: named } },
      ({ aws }) => {
        aws.vpnGateways.push({ id: named, visibleAt: 0, as: 64_600, tags: {}, vpc: aws.vpc.id, attachedAt: 0 })
        aws.tables[0]!.propagating.set(named, 0)
      },
    )
    expect(plane.record.resolved).toMatchObject({ peerAs: 64_600 })
    expect(plane.record.resources.filter(({ made }) => !made).map(({ kind }) => kind)).toEqual([
      'vpn-gateway',
      'vpn-attachment',
      'route-propagation',
    ])
    destroyed(plane)
    expect(plane.aws.vpnGateways).toMatchObject([{ id: named, vpc: plane.aws.vpc.id }])
    expect(plane.aws.leftovers(CLOUD)).toEqual([named])
  })

  test('detaches a gateway that was named when we had attached it', () => {
    const named = 'vgw-00000000000000aaa'
    const plane = applied(
      7,
      { target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0', vpnGateway: named } },
      ({ aws }) => {
        aws.vpnGateways.push({ id: named, visibleAt: 0, as: 64_600, tags: {}, attachedAt: 0 })
      },
    )
    destroyed(plane)
    expect(plane.aws.vpnGateways[0]!.vpc).toBeUndefined()
    expect(plane.aws.vpnGateways[0]!.deletedAt).toBeUndefined()
  })

  test('leaves what another connection of the network uses; that one removes it in the end', () => {
    const plane = applied()
    const shared = ['customer-gateway', 'vpn-gateway', 'vpn-attachment'].map((kind) => idOf(plane, kind))
    plane.facts = { ...FACTS, shared }
    destroyed(plane)
    expect(plane.aws.calls).toEqual(['disable-propagation', 'disable-propagation', 'delete-vpn-connection'])

    const tags = { [TAG_NETWORK]: FACTS.network, [TAG_CLOUD]: OTHER, [TAG_SITE]: 'x' }
    const other = applied(8, {}, ({ aws }) => {
      aws.vpnGateways.push({ id: 'vgw-1', visibleAt: 0, as: 64_512, tags, vpc: aws.vpc.id, attachedAt: 0 })
      aws.customerGateways.push({ id: 'cgw-1', visibleAt: 0, address: '198.51.100.1', as: 65_000, tags })
    })
    expect(other.aws.calls).not.toContain('create-vpn-gateway')
    expect(other.record.resources).toContainEqual({ kind: 'vpn-gateway', id: 'vgw-1', made: false })
    destroyed(other)
    expect(other.aws.leftovers(OTHER)).toEqual([])
  })

  test('leaves a gateway of another network alone', () => {
    const tags = { [TAG_NETWORK]: 'net_00000000000000000009', [TAG_CLOUD]: OTHER }
    const plane = applied(7, {}, ({ aws }) => {
      aws.customerGateways.push({ id: 'cgw-1', visibleAt: 0, address: '198.51.100.1', as: 65_000, tags })
    })
    destroyed(plane)
    expect(plane.aws.customerGateways[0]!.deletedAt).toBeUndefined()
  })

  test('waits for what is in use, and says at last what is left', () => {
    const plane = applied()
    const customer = plane.aws.customerGateways[0]!
    plane.aws.connections.push({ ...plane.aws.connections[0]!, id: 'vpn-9', tags: {}, customerGateway: customer.id })
    plane.begin('destroy')
    expect(plane.finish()).toMatchObject({ state: 'failed', error: { code: 'in-use' } })
    expect(plane.run.error!.cause).toContain(customer.id)
    expect(plane.record.resources.map(({ kind }) => kind)).toEqual(['customer-gateway'])
    plane.aws.connections.pop()
    destroyed(plane)
    expect(plane.aws.leftovers(CLOUD)).toEqual([])
  })
})

describe('a transit gateway', () => {
  const transit = () =>
    applied(7, TRANSIT, ({ aws }) => {
      aws.transit = { id: TRANSIT.target.transitGateway, state: 'available', as: 64_900, vpcs: [aws.vpc.id] }
      aws.tables[0]!.routes.set('10.1.0.0/16', TRANSIT.target.transitGateway)
    })

  test('gets a connection, and the tables of its VPCs a route', () => {
    const plane = transit()
    expect(plane.aws.calls).toEqual(['create-customer-gateway', 'create-vpn-connection', 'create-route'])
    expect(plane.record.resolved).toMatchObject({ peerAs: 64_900 })
  })

  test('loses what was made for it, and nothing else', () => {
    const plane = destroyed(transit())
    expect(plane.aws.calls).toEqual(['delete-route', 'delete-vpn-connection', 'delete-customer-gateway'])
    expect(plane.aws.tables.map(({ routes }) => routes.size)).toEqual([1, 0])
  })

  test('follows the prefixes of the site', () => {
    const plane = transit()
    plane.aws.calls = []
    plane.facts = { ...FACTS, sitePrefixes: ['10.2.0.0/16'] }
    plane.begin('apply')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.aws.calls).toEqual(['create-route', 'delete-route', 'create-route'])
    // Somebody else's stays.
    expect([...plane.aws.tables[0]!.routes.keys()]).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
    expect([...plane.aws.tables[1]!.routes.keys()]).toEqual(['10.2.0.0/16'])
  })
})
