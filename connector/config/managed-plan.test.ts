import { expect, test } from 'vitest'
import type { DocumentEpoch } from '../../protocol/control/document.ts'
import { prefix } from '../../protocol/net.ts'
import { managedPlan } from './managed-plan.ts'

const SETTINGS = { address: '192.0.2.1', stateDirectory: '/tmp/state', controlSocket: '/tmp/socket' }

function initiates(epochs: readonly DocumentEpoch[], endpoint = '192.0.2.2', initiate = true): boolean {
  const peer = {
    connector: 'con_0123456789abcdefghjk',
    site: 'branch',
    identityKey: 'x'.repeat(43),
    prefixes: ['10.2.0.0/16'],
    endpoint: { address: endpoint, port: 500, natPort: 4500 },
  }
  const tunnel = { id: 'tun_0123456789abcdefghjk', name: 'hq-branch', initiate, peer, epochs: [...epochs] }
  const keys = [{ id: 'epoch-1', psk: new Uint8Array(32) }]
  const plan = managedPlan({ name: 'hq', prefixes: ['10.1.0.0/16'] }, 'con_1', [{ tunnel, keys }], SETTINGS)
  return plan.connections[0]!.ike.initiate
}

test('the first key is used to initiate only when the other end knows it too', () => {
  expect(initiates([{ epoch: 1, phase: 'accept' }])).toBe(false)
  expect(initiates([{ epoch: 1, phase: 'use' }])).toBe(true)
})

test('while a key is replaced, the tunnel is initiated as ever', () => {
  const old = (phase: 'accept' | 'use') => ({ epoch: 1, phase }) as const
  for (const phase of ['offer', 'accept'] as const) expect(initiates([old('use'), { epoch: 2, phase }])).toBe(true)
  expect(initiates([old('accept'), { epoch: 2, phase: 'use' }])).toBe(true)
})

test('who is told to wait, or cannot reach the peer, does not initiate', () => {
  expect(initiates([{ epoch: 1, phase: 'use' }], '192.0.2.2', false)).toBe(false)
  expect(initiates([{ epoch: 1, phase: 'use' }], '2001:db8::2')).toBe(false)
})

const TUNNEL = 'tun_0123456789abcdefghjk'
const [US, THEM] = [4_200_000_001, 4_200_000_002]

function routedPlan(learned: readonly string[] = [], transit = false) {
  const peer = {
    connector: 'con_0123456789abcdefghjk',
    site: 'branch',
    identityKey: 'x'.repeat(43),
    prefixes: ['10.2.0.0/16'],
    endpoint: { address: '203.0.113.7', port: 500, natPort: 4500 },
  }
  const tunnels = ['hq-branch', 'hq-old'].map((name, i) => {
    const id = i === 0 ? TUNNEL : 'tun_00000000000000000000'
    return { tunnel: { id, name, initiate: true, peer, epochs: [] }, keys: [{ id: 'k', psk: new Uint8Array(32) }] }
  })
  const ranges = ['10.2.0.0/16', '10.3.0.0/16', '10.0.0.0/8', '0.0.0.0/0', '203.0.113.0/24'].map((each) => ({
    prefix: each,
  }))
  const routing = {
    as: US,
    routerId: '0.0.0.2',
    advertise: ['10.1.0.0/16'],
    transit,
    groups: [
      {
        name: 'all',
        origins: [
          { as: THEM, ranges },
          { as: US, ranges: [{ prefix: '10.1.0.0/16' }] },
        ],
      },
    ],
    neighbours: [
      {
        tunnel: TUNNEL,
        site: 'branch',
        as: THEM,
        local: '169.254.0.1',
        address: '169.254.0.2',
        receive: [{ group: 'all', preference: 100 }],
        send: [{ group: 'all', prepend: 0 }],
        maxPrefixes: 100,
      },
    ],
  }
  const guarded = ['10.2.7.0/24', '10.3.0.0/16', '10.0.0.0/8', '0.0.0.0/0', '203.0.113.0/24', '10.1.2.0/24']
  const routed = { routing, owns: [prefix('10.1.0.0/16')], learned: new Set(learned), guarded }
  return managedPlan({ name: 'hq', prefixes: ['10.1.0.0/16'] }, 'con_1', tunnels, SETTINGS, routed)
}

test('with routing a tunnel takes everything, and leads to its peer before BGP says so', () => {
  const plan = routedPlan()
  expect(plan.networks).toEqual(['10.1.0.0/16'])
  const [routed, old] = plan.connections
  expect(routed!.ike.children[0]!.local.map(({ startAddress }) => startAddress)).toEqual(['0.0.0.0', '::'])
  expect(routed!.routes).toEqual(['169.254.0.0/30', '10.2.0.0/16'])
  expect(plan.tun.addresses).toEqual(['169.254.0.1'])
  expect(plan.bgp).toMatchObject({ localAs: US, neighbours: [{ name: 'hq-branch', tunnel: 'hq-branch' }] })
  // A tunnel whose other end cannot route stays as it is.
  expect(old!.ike.children[0]!.local.map(({ startAddress }) => startAddress)).toEqual(['10.1.0.0'])
  expect(old!.routes).toEqual(['10.2.0.0/16'])
})

test('a session that was up takes over from the static routes', () => {
  expect(routedPlan([TUNNEL]).connections[0]!.routes).toEqual(['169.254.0.0/30'])
})

test('only a hub passes packets from one tunnel to another', () => {
  expect(routedPlan([], true).connections.map(({ transit }) => transit)).toEqual([true, undefined])
  expect(routedPlan().connections[0]!.transit).toBeUndefined()
})

test('what others own never leaves in the clear; what covers ours, or a peer, has other ways', () => {
  expect(routedPlan().refusals?.map((refusal) => refusal.prefix)).toEqual(['10.2.0.0/16', '10.3.0.0/16'])
})
