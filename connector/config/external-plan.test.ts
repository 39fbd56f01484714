import { describe, expect, it } from 'vitest'
import type { DocumentExternal } from '../../protocol/control/external.ts'
import { address, prefix } from '../../protocol/net.ts'
import { acceptExternals } from '../core/managed/external-acceptance.ts'
import { bgpExternal, ONE, openedKeys, sampleExternal, TWO } from '../core/managed/testing/externals.ts'
import { changesBetween, fixedFaults } from '../io/plan-changes.ts'
import { lackingSockets } from '../io/sockets.ts'
import type { ConnectorPlan } from '../plan.ts'
import { type ManagedRouting, managedPlan } from './managed-plan.ts'

const OWN = address('192.0.2.1')
const SETTINGS = { address: OWN, stateDirectory: '/tmp/state', controlSocket: '/tmp/socket' }
const SITE = { name: 'hq', prefixes: ['10.1.0.0/16'] }
const OWNS = [prefix('10.1.0.0/16')]
const TUNNEL = {
  id: `tun_${'0'.repeat(20)}`,
  name: 'hq-branch',
  initiate: true,
  epochs: [],
  peer: {
    connector: `con_${'1'.repeat(20)}`,
    site: 'branch',
    identityKey: 'x'.repeat(43),
    prefixes: ['10.2.0.0/16'],
    endpoint: { address: '198.51.100.9', port: 500, natPort: 4500 },
  },
}
const TUNNELS = [{ tunnel: TUNNEL, keys: [{ id: 'epoch-1', psk: new Uint8Array(32) }] }]

function externalsOf(externals: readonly DocumentExternal[]) {
  const around = { address: OWN, owns: OWNS, keys: openedKeys(externals), running: new Map() }
  const { plans } = acceptExternals({ tunnels: [TUNNEL], externals: [...externals] }, around)
  const guarded = externals.flatMap(({ routing }) =>
    (routing.kind === 'bgp' ? routing.accept : routing.prefixes).map(prefix),
  )
  return { plans, owns: OWNS, guarded, routerId: address('169.254.20.2') }
}

function planOf(externals: readonly DocumentExternal[], routed?: ManagedRouting): ConnectorPlan {
  return managedPlan(SITE, `con_${'0'.repeat(20)}`, TUNNELS, SETTINGS, routed, externalsOf(externals))
}

const connectionOf = (plan: ConnectorPlan, name: string) => plan.connections.find(({ ike }) => ike.name === name)!

describe('the plan of tunnels to other gateways', () => {
  it('has what the document says, with a probe of the inside address from ours', () => {
    const plan = planOf([sampleExternal(ONE, { generation: 2, pathMtu: 1_400 })])
    const { ike, ...rest } = connectionOf(plan, 'aws-1')
    expect(ike).toMatchObject({
      localAddress: OWN,
      remoteAddress: '203.0.113.1',
      localId: { type: 'ipv4', value: OWN },
      remoteId: { type: 'ipv4', value: '203.0.113.1' },
      initiate: true,
      renews: true,
      encapsulation: 'auto',
      dpdIntervalMs: 10_000,
      lifetime: { softMs: 23_040_000, hardMs: 28_800_000 },
      proposals: [{ encryption: 'aes256gcm16', prf: 'prfsha384', group: 'ecp384' }],
      keys: [{ id: 'k1.2' }],
    })
    const [child] = ike.children
    expect(child).toMatchObject({
      proposals: [{ encryption: 'aes256gcm16', group: 'ecp384', esn: false }],
      replayWindow: 1_024,
      lifetime: { softMs: 2_880_000, hardMs: 3_600_000 },
    })
    for (const selectors of [child!.local, child!.remote]) {
      expect(selectors).toMatchObject([{ startAddress: '0.0.0.0', endAddress: '255.255.255.255', protocol: 0 }])
    }
    expect(rest).toMatchObject({
      routes: ['169.254.20.0/30', '10.9.0.0/16'],
      pathMtu: 1_400,
      reversePath: 'loose',
      probe: { kind: 'icmp', target: '169.254.20.1', source: '169.254.20.2', intervalMs: 250, multiplier: 3 },
    })
    expect(rest.transit).toBeUndefined()
    expect(plan.tun.addresses).toEqual(['169.254.20.2'])
    expect(plan.bgp).toBeUndefined()
  })

  it('says who we are where there is a NAT between, and takes another identity of the peer', () => {
    const peer = { address: '203.0.113.1', identity: '10.0.0.9' }
    const { ike } = connectionOf(planOf([sampleExternal(ONE, { identity: '198.51.100.1', peer })]), 'aws-1')
    expect([ike.localId.value, ike.remoteId.value]).toEqual(['198.51.100.1', '10.0.0.9'])
  })

  it('by BGP has no route but the inside one, and a speaker of its own', () => {
    const plan = planOf([bgpExternal(ONE), bgpExternal(TWO)])
    expect(connectionOf(plan, 'aws-2').routes).toEqual(['169.254.20.4/30'])
    expect(plan.bgp).toMatchObject({ localAs: 65_010, neighbours: [{ name: 'aws-1' }, { name: 'aws-2' }] })
    expect(connectionOf(plan, 'hq-branch').routes).toEqual(['10.2.0.0/16'])
  })

  it('of static ones a drained one comes last', () => {
    const order = (drained: boolean) =>
      planOf([sampleExternal(ONE, { drained }), sampleExternal(TWO)]).connections.map(({ ike }) => ike.name)
    expect([order(false), order(true)]).toEqual([
      ['hq-branch', 'aws-1', 'aws-2'],
      ['hq-branch', 'aws-2', 'aws-1'],
    ])
  })

  it('has the right keys whatever they are called', () => {
    const plan = planOf([sampleExternal(ONE, { name: '7' }), sampleExternal(TWO, { name: '1' })])
    const keyOf = (name: string) => new TextDecoder().decode(connectionOf(plan, name).ike.keys![0]!.psk)
    expect([keyOf('7'), keyOf('1')]).toEqual([`${ONE.id}/k1`, `${TWO.id}/k1`])
    expect(connectionOf(plan, 'hq-branch').ike.keys).toBe(TUNNELS[0]!.keys)
  })

  it('is taken up while the connector runs: sockets for plain ESP are there from the start', () => {
    const before = managedPlan(SITE, 'con_1', TUNNELS, SETTINGS)
    const after = { ...planOf([bgpExternal(ONE)]) }
    expect([fixedFaults(before, after), lackingSockets(before, after)]).toEqual([[], []])
  })

  it('another key, generation or drain takes no tunnel down', () => {
    const before = planOf([bgpExternal(ONE), bgpExternal(TWO)]).connections
    const [key] = sampleExternal(ONE).keys
    const changes = (wish: Partial<DocumentExternal>) =>
      changesBetween(before, planOf([bgpExternal(ONE, {}, wish), bgpExternal(TWO)]).connections)
    const none = { added: [], removed: [], replaced: [], reselected: [], adjusted: [] }
    expect(changes({ drained: true })).toMatchObject({ ...none, rekeyed: [] })
    for (const wish of [{ generation: 1 }, { keys: [{ ...key!, id: 'k2' }, key!] }]) {
      expect(changes(wish)).toMatchObject({ ...none, rekeyed: [{ connection: 'aws-1' }] })
    }
  })
})

describe('what lies behind them', () => {
  const refused = (externals: readonly DocumentExternal[], routed?: ManagedRouting) =>
    planOf(externals, routed).refusals?.map((refusal) => `${refusal.prefix} ${refusal.answer}`)

  it('never leaves in the clear, however it is routed', () => {
    expect(refused([bgpExternal(ONE), bgpExternal(TWO)])).toEqual(['10.9.0.0/16 unreachable'])
    expect(refused([sampleExternal(ONE)])).toEqual(['10.9.0.0/16 unreachable'])
  })

  it('is not refused where it has another way: our own, ends of tunnels, the machine', () => {
    const accept = ['10.9.0.0/16', '10.0.0.0/8', '203.0.113.0/24', '192.0.2.0/24', '198.51.100.0/24', '0.0.0.0/0']
    expect(refused([bgpExternal(ONE, { accept })])).toEqual(['10.9.0.0/16 unreachable'])
  })

  it('stands beside what other sites own', () => {
    const routing = { as: 65_010, routerId: '0.0.0.2', advertise: [], transit: true, groups: [], neighbours: [] }
    const routed = { routing, owns: OWNS, learned: new Set<string>(), guarded: ['10.3.0.0/16'] }
    const external = bgpExternal(ONE)
    expect(refused([external], routed)).toEqual([
      '10.2.0.0/16 unreachable',
      '10.3.0.0/16 unreachable',
      '10.9.0.0/16 unreachable',
    ])
    const plan = planOf([external], routed)
    expect(plan.bgp).toMatchObject({ routerId: 2, neighbours: [{ name: 'aws-1' }] })
    expect(connectionOf(plan, 'aws-1').transit).toBe(true)
  })

  it('is nothing of a document without externals', () => {
    expect(managedPlan(SITE, 'con_1', TUNNELS, SETTINGS).refusals).toBeUndefined()
  })
})
