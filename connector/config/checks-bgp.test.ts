import { describe, expect, it } from 'vitest'
import { faultTexts, load, loaded } from './testing.ts'

const GOOD = `site: hq
address: 192.0.2.1
networks: [10.1.0.0/16]
peers:
  cloud:
    address: 198.51.100.7
    secret: { file: /etc/isthmus/branch.key }
    inside: [169.254.10.2/30]
    routes: bgp
bgp:
  as: 64512
  neighbours:
    cloud-a:
      peer: cloud
      address: 169.254.10.1
      as: 65001
      import: from-cloud
      export: to-cloud
  prefix_lists:
    ours: [{ prefix: 10.0.0.0/8, le: 24 }]
  policies:
    from-cloud:
      rules:
        - { if: { as_path: '65001 *' }, set: { local_pref: 200 }, do: accept }
    to-cloud:
      rules: [{ if: { prefixes: ours }, do: accept }]
`

const changed = (...pairs: readonly (readonly [string, string])[]) =>
  pairs.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`there is no ${from}`)
    return text.replace(from, to)
  }, GOOD)

describe('a configuration with BGP', () => {
  it('means selectors for everything, one inner network as a route, and a speaker', () => {
    const { plan, warnings } = loaded(GOOD)
    expect(warnings).toEqual([])
    expect(plan.tun.addresses).toEqual(['169.254.10.2'])
    const [connection] = plan.connections
    expect(connection!.routes).toEqual(['169.254.10.0/30'])
    const everything = {
      protocol: 0,
      startPort: 0,
      endPort: 65535,
      startAddress: '0.0.0.0',
      endAddress: '255.255.255.255',
    }
    expect(connection!.ike.children).toMatchObject([{ local: [everything], remote: [everything] }])
    expect(plan.bgp).toMatchObject({
      localAs: 64_512,
      routerId: 0xc0000201,
      networks: ['10.1.0.0/16'],
      tunnels: [{ name: 'cloud', prefixes: ['169.254.10.0/30'] }],
      neighbours: [
        {
          name: 'cloud-a',
          local: '169.254.10.2',
          session: { families: [4], holdTimeS: 90, gracefulRestart: { helperOnly: true } },
          rib: { peerAs: 65_001, address: '169.254.10.1', tunnelEnds: ['198.51.100.7'], acceptDefault: false },
          nextHops: { 4: { address: '169.254.10.2' } },
        },
      ],
      policies: { policies: { 'from-cloud': { rules: [{ if: { asPath: '65001 *' }, set: { localPref: 200 } }] } } },
    })
    expect(plan.bgp!.neighbours[0]!.bfd).toBeUndefined()
  })

  it('both families where the tunnel has addresses of both', () => {
    const { plan } = loaded(changed(['[169.254.10.2/30]', '[169.254.10.2/30, fd00:10::2/126]']))
    expect(plan.bgp!.neighbours[0]!.session.families).toEqual([4, 6])
    expect(plan.bgp!.neighbours[0]!.nextHops).toEqual({ 4: { address: '169.254.10.2' }, 6: { address: 'fd00:10::2' } })
    expect(plan.connections[0]!.ike.children[0]!.local.map(({ startAddress }) => startAddress)).toEqual([
      '0.0.0.0',
      '::',
    ])
  })

  it('a password is read from its file, and appears in no fault', () => {
    const file = changed(['as: 65001', 'as: 65001\n      password: { file: /site/k }'])
    expect([...loaded(file).plan.bgp!.md5Keys.keys()]).toEqual(['cloud-a'])
    expect(loaded(file).plan.bgp!.neighbours[0]!.transport).toEqual({ port: 179, md5Key: 'cloud-a' })
    const [fault] = faultTexts(changed(['as: 65001', 'as: 65001\n      password: hunter2']))
    expect(fault).toContain('bgp.neighbours.cloud-a.password: a secret does not stand in this file')
    expect(fault).not.toContain('hunter2')
    const long = load(changed(['as: 65001', 'as: 65001\n      password: { file: /long }']), { '/long': 'x'.repeat(81) })
    expect(JSON.stringify(long)).toContain('longer than 80 bytes')
  })
})

describe('faults', () => {
  const cases: readonly (readonly [string, readonly (readonly [string, string])[], string])[] = [
    [
      'an unknown peer',
      [['peer: cloud\n', 'peer: clod\n']],
      'cloud-a.peer: there is no peer clod; did you mean cloud?',
    ],
    [
      'no inner address',
      [['    inside: [169.254.10.2/30]\n', '']],
      'peers.cloud.inside: the peer cloud has no inside address of IPv4',
    ],
    ['our own address', [['169.254.10.1\n', '169.254.10.2\n']], 'cloud-a.address: this is our own address'],
    ['another network', [['169.254.10.1\n', '169.254.11.1\n']], '169.254.11.1 is not in 169.254.10.0/30'],
    [
      'an unknown policy',
      [['export: to-cloud', 'export: to-clod']],
      'cloud-a.export: there is no policy to-clod; did you mean to-cloud?',
    ],
    ['a key of a policy', [['as_path', 'aspath']], 'bgp.policies.from-cloud.rules[0].if.aspath: there is no such key'],
    ['a pattern', [["'65001 *'", "'65001 +'"]], 'bgp.policies.from-cloud.rules[0].if.as_path'],
    ['a prefix list', [['le: 24', 'le: 40']], 'bgp.prefix_lists.ours[0]: ge and le must be in order from 8 to 32'],
    [
      'an unknown list',
      [['prefixes: ours', 'prefixes: our']],
      'bgp.policies.to-cloud.rules[0].if.prefixes: there is no prefix list our',
    ],
    [
      'an outcome',
      [['do: accept }]', 'do: maybe }]']],
      'bgp.policies.to-cloud.rules[0].do: it must be one of accept, reject, continue',
    ],
    ['an AS', [['as: 64512', 'as: 0']], 'bgp.as: "0" is not a whole number from 1 to 4294967295'],
    [
      'an identifier',
      [['as: 64512', 'as: 64512\n  router_id: 0.0.0.0']],
      'bgp.router_id: "0.0.0.0" is not an identifier',
    ],
    [
      'a family',
      [['as: 65001', 'as: 65001\n      families: [ipv6]']],
      'cloud-a.families[0]: the peer cloud has no inside address of that family',
    ],
    [
      'selectors that do not take the session',
      [['routes: bgp', 'networks: [10.2.0.0/16]\n    routes: bgp']],
      '169.254.10.1 is in no network of the peer cloud',
    ],
    [
      'both ways to a password',
      [['as: 65001', 'as: 65001\n      password: {}']],
      'cloud-a.password: it names neither file nor env',
    ],
  ]
  it.each(cases)('%s', (_, pairs, expected) => {
    const texts = faultTexts(changed(...pairs))
    expect(texts.join('\n')).toContain(expected)
    expect(texts.every((text) => /^isthmus\.yaml:\d+:\d+: /.test(text))).toBe(true)
  })

  it('come all at once', () => {
    expect(
      faultTexts(changed(['peer: cloud\n', 'peer: x\n'], ['le: 24', 'le: 40'], ['as: 64512', 'as: 0'])).length,
    ).toBe(3)
  })

  it('two tunnels cannot have one inner network, nor two neighbours one address', () => {
    const other = `  second:
    address: 198.51.100.8
    secret: { file: /etc/isthmus/branch.key }
    inside: [169.254.10.1/30]
    routes: bgp
bgp:`
    const texts = faultTexts(
      changed(
        ['bgp:\n', `${other}\n`],
        [
          '  prefix_lists',
          '    cloud-b: { peer: cloud, address: 169.254.10.1, as: 65001, import: from-cloud, export: to-cloud }\n  prefix_lists',
        ],
      ),
    ).join('\n')
    expect(texts).toContain('169.254.10.1 lies in 169.254.10.0/30, which is inside the tunnel to cloud')
    expect(texts).toContain('169.254.10.1 is also the neighbour cloud-a')
  })
})

it('an external neighbour without policies is warned of, and so is a peer that waits for BGP in vain', () => {
  const bare = loaded(changed(['      import: from-cloud\n      export: to-cloud\n', '']))
  expect(bare.warnings.map(({ message }) => message)).toEqual([
    'there is no import policy: nothing is taken from it (RFC 8212)',
    'there is no export policy: it is told nothing (RFC 8212)',
  ])
  const alone = loaded(GOOD.slice(0, GOOD.indexOf('bgp:\n')))
  expect(alone.warnings.map(({ message }) => message)).toEqual([
    'its routes come by BGP, but no neighbour is reached through it',
  ])
})
