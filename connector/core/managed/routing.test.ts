import { describe, expect, it } from 'vitest'
import type { DocumentTunnel } from '../../../protocol/control/document.ts'
import type { DocumentRouting, RoutingNeighbour } from '../../../protocol/control/routing.ts'
import { type Prefix, prefix } from '../../../protocol/net.ts'
import { compilePolicies, evaluate, isPolicies } from '../bgp/rib/policy.ts'
import { blockOf } from '../bgp/wire/prefixes.ts'
import { ribOf, speakerOf } from './routing.ts'
import { acceptRouting } from './routing-acceptance.ts'

const [ONE, TWO] = ['tun_00000000000000000001', 'tun_00000000000000000002']
const [US, THEM, OTHERS] = [4_200_000_001, 4_200_000_002, 4_200_000_003]

const NEIGHBOUR: RoutingNeighbour = {
  tunnel: ONE!,
  site: 'branch',
  as: THEM!,
  local: '169.254.0.1',
  address: '169.254.0.2',
  receive: [{ group: 'branch', preference: 200 }],
  send: [{ group: 'ours', prepend: 0 }],
  maxPrefixes: 100,
}

const ROUTING: DocumentRouting = {
  as: US!,
  routerId: '0.0.0.2',
  advertise: ['10.1.0.0/16'],
  transit: false,
  groups: [
    { name: 'ours', origins: [{ as: US!, ranges: [{ prefix: '10.1.0.0/16' }] }] },
    { name: 'branch', origins: [{ as: THEM!, ranges: [{ prefix: '10.2.0.0/16', le: 24 }] }] },
    { name: 'third', origins: [{ as: OTHERS!, ranges: [{ prefix: '10.3.0.0/16' }, { prefix: 'fd03::/48' }] }] },
  ],
  neighbours: [NEIGHBOUR],
}
const OWNS = [prefix('10.1.0.0/16')]

function documentOf(routing: DocumentRouting, tunnels: readonly string[] = [ONE!, TWO!]) {
  return { tunnels: tunnels.map((id) => ({ id }) as DocumentTunnel), routing }
}

function refusedOf(changes: Partial<DocumentRouting>, owns: readonly Prefix[] = OWNS) {
  return acceptRouting(documentOf({ ...ROUTING, ...changes }), owns)!
}

/** What the policy makes of a route, as `LOCAL_PREF` or `MED`, or that it is refused. */
function judge(routing: DocumentRouting, direction: 'from' | 'to', text: string, path: readonly number[], own = OWNS) {
  const rib = ribOf(routing, own)
  const compiled = compilePolicies(rib.policies)
  if (!isPolicies(compiled)) throw new Error(JSON.stringify(compiled))
  const { importPolicy, exportPolicy } = rib.neighbours[0]!
  const policy = compiled.get((direction === 'from' ? importPolicy : exportPolicy)!)!
  const attributes = {
    origin: 0 as const,
    asPath: path.length === 0 ? [] : [{ type: 'sequence' as const, asns: path }],
  }
  const from = path.length === 0 ? 'local' : ONE!
  return evaluate(policy, { block: blockOf(text.includes(':') ? 6 : 4, [prefix(text)]), index: 0, attributes, from })
}

describe('policies of a document', () => {
  it('take what a group has of the AS that owns it, and nothing else', () => {
    expect(judge(ROUTING, 'from', '10.2.0.0/16', [THEM!]).outcome).toBe('accept')
    expect(judge(ROUTING, 'from', '10.2.3.0/24', [THEM!]).outcome).toBe('accept')
    expect(judge(ROUTING, 'from', '10.2.3.0/25', [THEM!]).outcome).toBe('reject')
    expect(judge(ROUTING, 'from', '10.2.0.0/16', [THEM!, OTHERS!]).outcome).toBe('reject')
    expect(judge(ROUTING, 'from', '10.9.0.0/16', [THEM!]).outcome).toBe('reject')
    expect(judge(ROUTING, 'from', '0.0.0.0/0', [THEM!]).outcome).toBe('reject')
  })

  it('the first rule whose group has the route counts', () => {
    const receive = [
      { group: 'missing', preference: 900 },
      { group: 'third', preference: 300 },
      { group: 'branch', preference: 200 },
      { group: 'third', preference: 100 },
    ]
    const routing = { ...ROUTING, neighbours: [{ ...NEIGHBOUR, receive }] }
    const verdict = judge(routing, 'from', 'fd03::/48', [THEM!, OTHERS!])
    expect(verdict).toMatchObject({ outcome: 'accept', rule: expect.stringContaining(`third AS${OTHERS}`) })
    expect(verdict.actions).toMatchObject([{ actions: { localPref: 300 } }])
  })

  it('tell what we originate by its place, and what others do by their AS', () => {
    const send = [
      { group: 'ours', med: 50, prepend: 2 },
      { group: 'third', prepend: 0 },
    ]
    const routing = { ...ROUTING, transit: true, neighbours: [{ ...NEIGHBOUR, send }] }
    expect(judge(routing, 'to', '10.1.0.0/16', []).actions).toMatchObject([{ actions: { med: 50 } }])
    expect(judge(routing, 'to', '10.1.0.0/16', [OTHERS!]).outcome).toBe('reject')
    expect(judge(routing, 'to', '10.3.0.0/16', [OTHERS!]).outcome).toBe('accept')
    expect(judge(routing, 'to', '10.3.0.0/16', [THEM!]).outcome).toBe('reject')
  })

  it('nobody announces a part of what we own, however wide a range is', () => {
    const groups = [{ name: 'branch', origins: [{ as: THEM!, ranges: [{ prefix: '10.0.0.0/8', le: 32 }] }] }]
    const routing = { ...ROUTING, groups }
    expect(judge(routing, 'from', '10.1.7.0/24', [THEM!]).outcome).toBe('reject')
    expect(judge(routing, 'from', '10.2.0.0/16', [THEM!]).outcome).toBe('accept')
    // Who owns a default route would hear of nothing.
    expect(judge(routing, 'from', '10.1.7.0/24', [THEM!], [prefix('0.0.0.0/0')]).outcome).toBe('accept')
  })

  it('are shared by neighbours with the same rules', () => {
    const second = { ...NEIGHBOUR, tunnel: TWO!, local: '169.254.0.5', address: '169.254.0.6' }
    const { policies } = ribOf({ ...ROUTING, neighbours: [NEIGHBOUR, second] }, OWNS).policies
    expect(Object.keys(policies)).toEqual(['from branch=200', 'to ours'])
  })
})

describe('the speaker of a document', () => {
  const speaker = speakerOf(
    { ...ROUTING, neighbours: [{ ...NEIGHBOUR, bfd: { intervalMs: 300, multiplier: 4 } }] },
    OWNS,
    () => 'local',
  )

  it('has sessions between the addresses inside the tunnels, for both families', () => {
    const [neighbour] = speaker.neighbours
    // `local` is what a RIB calls itself.
    expect(neighbour).toMatchObject({ name: 'LOCAL', tunnel: 'local', local: '169.254.0.1' })
    expect(neighbour?.rib).toMatchObject({ peerAs: THEM, maxPrefixes: { limit: 100, restartMs: 300_000 } })
    expect(neighbour?.session.families).toEqual([4, 6])
    expect(neighbour?.nextHops).toEqual({ 4: { address: '169.254.0.1' }, 6: { address: '::ffff:a9fe:1' } })
    expect(speaker.tunnels).toEqual([{ name: 'local', prefixes: ['169.254.0.0/30', '::ffff:a9fe:0/126'] }])
    expect(neighbour?.bfd).toMatchObject({ desiredMinTxMs: 300, detectMult: 4 })
    expect(speaker.routerId).toBe(2)
  })
})

describe('what a site refuses of its document', () => {
  it('nothing where all is well; what it has no document of is nothing', () => {
    expect(refusedOf({})).toEqual({ routing: ROUTING, refused: [] })
    expect(acceptRouting({ tunnels: [] }, OWNS)).toBeUndefined()
  })

  it('to advertise what it does not own, martians, and a default route that it does not own: the rest goes on', () => {
    const advertise = ['10.1.0.0/16', '10.1.9.0/24', '10.9.0.0/16', '127.0.0.0/8', '0.0.0.0/0', 'fd00::/8']
    const { routing, refused } = refusedOf({ advertise })
    const unowned = 'is not advertised: this site does not own it; where it does, say so there with isthmus own.'
    expect(routing.advertise).toEqual(['10.1.0.0/16', '10.1.9.0/24'])
    expect(refused).toEqual([
      `10.9.0.0/16 ${unowned}`,
      '127.0.0.0/8 is not advertised: nobody may announce it.',
      `0.0.0.0/0 ${unowned}`,
      `fd00::/8 ${unowned}`,
    ])
    expect(refusedOf({ advertise: ['0.0.0.0/0'] }, [prefix('0.0.0.0/0')]).refused).toEqual([])
  })

  it('a part of its own from others', () => {
    const groups = [{ name: 'branch', origins: [{ as: THEM!, ranges: [{ prefix: '10.1.4.0/24' }] }] }]
    expect(refusedOf({ groups }).refused).toEqual([`10.1.4.0/24 is not taken from AS ${THEM}: this site owns it.`])
  })

  it('ranges whose bits are out of order', () => {
    const groups = [{ name: 'branch', origins: [{ as: THEM!, ranges: [{ prefix: '10.2.0.0/16', le: 8 }] }] }]
    const { routing, refused } = refusedOf({ groups })
    expect(routing.groups[0]?.origins[0]?.ranges).toEqual([])
    expect(refused).toHaveLength(1)
    expect(isPolicies(compilePolicies(ribOf(routing, OWNS).policies))).toBe(true)
  })

  it('to tell what others own, unless it is a hub; of a mixed group its own part stays', () => {
    const mixed = { name: 'mixed', origins: [...ROUTING.groups[0]!.origins, ...ROUTING.groups[2]!.origins] }
    const send = ['ours', 'third', 'mixed'].map((group) => ({ group, prepend: 0 }))
    const changes = { groups: [...ROUTING.groups, mixed], neighbours: [{ ...NEIGHBOUR, send }] }
    const spoke = refusedOf(changes)
    expect(spoke.routing.neighbours[0]?.send.map(({ group }) => group)).toEqual(['ours', 'mixed (ours)'])
    expect(spoke.refused).toEqual(['third is not told to branch: other sites own it, and this one is no hub.'])
    expect(judge(spoke.routing, 'to', '10.3.0.0/16', [OTHERS!]).outcome).toBe('reject')
    expect(refusedOf({ ...changes, transit: true }).refused).toEqual([])
  })

  it.each([
    ['an unknown tunnel', { tunnel: 'tun_00000000000000000009' }, 'there is no such tunnel'],
    ['our own AS', { as: US! }, `its AS ${US} is ours`],
    ['addresses of elsewhere', { local: '10.0.0.1', address: '10.0.0.2' }, 'not both in 169.254.0.0/16'],
    ['an IPv6 address', { local: 'fe80::1', address: 'fe80::2' }, 'not both in 169.254.0.0/16'],
    ['two networks', { address: '169.254.0.6' }, 'not the two hosts of one /30'],
    ['one address', { address: '169.254.0.1' }, 'not the two hosts of one /30'],
    ['the network itself', { local: '169.254.0.0', address: '169.254.0.3' }, 'not the two hosts of one /30'],
  ] as const)('a neighbour with %s', (_, changes, words) => {
    const { routing, refused } = refusedOf({ neighbours: [{ ...NEIGHBOUR, ...changes }] })
    expect(routing.neighbours).toEqual([])
    expect(refused).toEqual([expect.stringContaining(words)])
  })

  it('a tunnel or a network twice', () => {
    const { routing, refused } = refusedOf({ neighbours: [NEIGHBOUR, NEIGHBOUR, { ...NEIGHBOUR, tunnel: TWO! }] })
    expect(routing.neighbours).toEqual([NEIGHBOUR])
    expect(refused.map((text) => text.replace(/.*: /, ''))).toEqual([
      'it is there twice.',
      '169.254.0.0/30 is that of another tunnel.',
    ])
  })

  it('tells no more than fits a report', () => {
    const advertise = Array.from(
      { length: 300 },
      (_, i) => `10.200.${i % 256}.${i < 256 ? 0 : 128}/${i < 256 ? 24 : 25}`,
    )
    const { refused } = refusedOf({ advertise })
    expect(refused).toHaveLength(100)
    expect(refused.at(-1)).toBe('And 201 more.')
  })

  it('more ASes than a policy holds', () => {
    const origins = Array.from({ length: 9_000 }, (_, i) => ({
      as: 4_200_100_000 + i,
      ranges: [{ prefix: '10.2.0.0/16' }],
    }))
    const groups = ['x', 'y'].map((name) => ({ name, origins }))
    const receive = ['x', 'y'].map((group) => ({ group, preference: 100 }))
    const { routing, refused } = refusedOf({ groups, neighbours: [{ ...NEIGHBOUR, receive }] })
    expect(refused).toContain('y is left out towards branch: more than 10000 ASes.')
    expect(isPolicies(compilePolicies(ribOf(routing, OWNS).policies))).toBe(true)
  })
})
