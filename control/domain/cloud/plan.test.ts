import { describe, expect, test } from 'vitest'
import { cloudPlanSchema, priceSchema } from '../../../protocol/control/cloud.ts'
import { planOf } from './plan.ts'
import { applied, FACTS, ModelPlane, recordOf, runOf, seeded } from './testing/model-run.ts'

const PRICES = priceSchema.parse({})
const TRANSIT = { kind: 'transit-gateway', transitGateway: 'tgw-0123456789abcdef0' }

function plan(plane: ModelPlane, prices = PRICES) {
  const { record, now, facts } = plane
  const run = runOf('apply', now)
  return cloudPlanSchema.parse(
    planOf({ record, run, seen: plane.aws.look(now), sight: plane.sight(), facts, now }, prices),
  )
}

function fresh(draft: object = {}, more: (plane: ModelPlane) => unknown = () => {}): ModelPlane {
  const plane = new ModelPlane(seeded(7), recordOf(draft))
  more(plane)
  return plane
}

const codes = (plane: ModelPlane) => plan(plane).findings.map(({ code, severity }) => `${severity} ${code}`)

describe('a plan', () => {
  test('changes nothing, and names no key', () => {
    const plane = fresh()
    const before = structuredClone(plane.record)
    const text = JSON.stringify(plan(plane))
    expect(plane.record).toEqual(before)
    expect(plane.aws.calls).toEqual([])
    expect(text).not.toContain('psk')
  })

  test('of what was half built has the rest', () => {
    const plane = fresh()
    while (!plane.run.steps.some(({ action }) => action === 'attach-vpn-gateway')) plane.turn()
    plane.now += 60_000
    expect(plan(plane).steps.map(({ action }) => action)).toEqual([
      'create-vpn-connection',
      'enable-propagation',
      'enable-propagation',
    ])
  })

  test('has what somebody removed, also where AWS does not show it any more', () => {
    const plane = applied()
    plane.aws.connections.length = 0
    expect(plan(plane).steps.map(({ action }) => action)).toEqual(['create-vpn-connection'])
    expect(plan(plane).drift.map(({ code }) => code)).toEqual(['missing'])
  })

  test('says what the connector will be told when prefixes have changed', () => {
    const plane = applied()
    plane.facts = { ...FACTS, sitePrefixes: ['10.1.0.0/16', '10.2.0.0/16'] }
    expect(plan(plane).steps).toMatchObject([{ action: 'resolve', detail: expect.stringContaining('10.2.0.0/16') }])
    plane.begin('apply')
    expect(plane.finish()).toMatchObject({ state: 'done' })
    expect(plane.record.resolved!.local).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
    expect(plan(plane).steps).toEqual([])
  })
})

describe('findings', () => {
  test.each<[string, string[], object, (plane: ModelPlane) => unknown]>([
    ['nothing', [], {}, () => {}],
    [
      'the VPC overlaps the site',
      ['error overlap', 'error overlap'],
      {},
      (plane) => Object.assign(plane, { facts: { ...FACTS, sitePrefixes: ['172.31.4.0/24'] } }),
    ],
    [
      'the VPC overlaps another site',
      ['warning overlap'],
      {},
      (plane) => Object.assign(plane, { facts: { ...FACTS, others: [{ site: 'b', prefixes: ['172.16.0.0/12'] }] } }),
    ],
    ['no such VPC in the region', ['error no-vpc'], { target: { kind: 'vpc', vpc: 'vpc-00000000' } }, () => {}],
    ['no such transit gateway', ['error no-transit-gateway'], { target: TRANSIT, remote: ['172.31.0.0/16'] }, () => {}],
    [
      'nobody knows the address',
      ['error no-address'],
      {},
      (plane) => Object.assign(plane, { facts: { ...FACTS, endpoint: undefined } }),
    ],
    [
      'the address is not public',
      ['error no-address'],
      {},
      (plane) => Object.assign(plane, { facts: { ...FACTS, endpoint: '10.1.1.1' } }),
    ],
    ['both ends have one AS', ['error same-as'], { gateway: { as: 64_512 } }, () => {}],
    [
      'too many prefixes',
      ['error too-many-prefixes'],
      {},
      (plane) => {
        const sitePrefixes = Array.from({ length: 101 }, (_, index) => `10.${index}.0.0/16`)
        Object.assign(plane, { facts: { ...FACTS, sitePrefixes } })
      },
    ],
    [
      'the VPC has a gateway of somebody else',
      ['error vpc-has-gateway'],
      {},
      ({ aws }) =>
        aws.vpnGateways.push({ id: 'vgw-9', visibleAt: 0, as: 64_512, tags: {}, vpc: aws.vpc.id, attachedAt: 0 }),
    ],
    ['a route table that is not there', ['error no-route-table'], { routeTables: ['rtb-00000000'] }, () => {}],
    [
      'a VPC that the transit gateway has not',
      ['error vpc-not-attached'],
      { target: { ...TRANSIT, vpcs: ['vpc-0123456789abcdef0'] }, remote: ['172.31.0.0/16'] },
      ({ aws }) =>
        Object.assign(aws, { transit: { id: TRANSIT.transitGateway, state: 'available', as: 64_900, vpcs: [] } }),
    ],
    [
      'CBC alone',
      ['error no-common-cipher', 'warning weak-options'],
      { options: { encryption: ['AES256'] } },
      () => {},
    ],
    ['static routes', ['warning static-routing'], { routing: 'static' }, () => {}],
    ['static routes and a policy', ['error static-routing'], { routing: 'static', policy: 'p' }, () => {}],
    ['AWS does not call', ['warning passive'], { options: { startup: 'add' } }, () => {}],
  ])('%s: %j', (_, expected, draft, more) => {
    expect(codes(fresh(draft, more))).toEqual(expected)
  })
})

describe('what it costs', () => {
  test('a VPN connection to a VPC', () => {
    expect(plan(fresh()).cost).toEqual({
      currency: 'USD',
      perMonth: 45.5,
      lines: [
        { what: 'VPN connection, 730 hours', amount: 36.5 },
        { what: 'data out of AWS, 100 GB', amount: 9 },
      ],
    })
  })

  test('one to a transit gateway, by the user’s prices', () => {
    const prices = priceSchema.parse({ connectionHour: 0.1, hours: 100, gigabytesIn: 50, gigabytesOut: 0 })
    const plane = fresh({ target: TRANSIT, remote: ['172.31.0.0/16'] })
    expect(plan(plane, prices).cost).toMatchObject({
      perMonth: 16,
      lines: [{ amount: 10 }, { amount: 5 }, { amount: 1 }, { amount: 0 }],
    })
  })
})
