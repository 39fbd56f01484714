import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { parseInside } from './leaf.ts'
import { otherEnd } from './other-end.ts'
import { faultTexts, loaded, SECRET, SIMPLE } from './testing.ts'
import { parseDscp, parsePercent, parseProtocol } from './words.ts'

const GOOD = `site: hq
address: 192.0.2.1
networks: [10.1.0.0/16]
peers:
  a: { id: a, networks: [10.2.0.0/16], secret: { file: k }, probe: fast, transit: true }
  b: { id: b, networks: [10.2.0.0/16], secret: { file: k }, transit: true, reverse_path: strict }
  c:
    id: c
    networks: [10.3.0.0/16]
    children: { net: { local: [0.0.0.0/0], remote: [0.0.0.0/0] } }
    routes: [10.3.0.0/16]
    secret: { file: k }
    inside: [169.254.10.2/30]
    probe: { kind: tcp, target: 10.3.0.1, port: 443, interval: 2s, multiplier: 3 }
    bfd: { interval: 100ms, multiplier: 4 }
groups:
  hubs: { weights: { a: 3, b: 1 } }
steering:
  voice:
    match:
      - { dscp: ef }
      - { protocol: udp, to: 10.2.9.0/24, to_ports: 10000-20000 }
    prefer: [b, a]
    limits: { loss: 2%, rtt: 150ms, jitter: 30ms }
    hold: 1m
  backup:
    match: [{ from: 10.1.7.0/24, protocol: tcp, from_ports: 873, dscp: 8 }]
    prefer: [a]
refuse:
  - { prefix: 10.0.0.0/8 }
  - { prefix: 'fd00::/8', answer: blackhole }
`

const changed = (...pairs: readonly (readonly [string, string])[]) =>
  pairs.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`there is no ${from}`)
    return text.replace(from, to)
  }, GOOD)

describe('a configuration of paths', () => {
  it('means spreads, classes and refusals', () => {
    const { plan, warnings } = loaded(GOOD)
    expect(warnings).toEqual([])
    expect(plan.spreads).toEqual([{ name: 'hubs', weights: new Map(Object.entries({ a: 3, b: 1 })) }])
    expect(plan.classes).toEqual([
      {
        name: 'voice',
        matches: [
          { dscp: 46 },
          { protocol: 17, destination: '10.2.9.0/24', destinationPorts: { start: 10_000, end: 20_000 } },
        ],
        prefer: ['b', 'a'],
        limits: { loss: 0.02, rttMs: 150, jitterMs: 30 },
        holdMs: 60_000,
      },
      {
        name: 'backup',
        matches: [{ source: '10.1.7.0/24', protocol: 6, sourcePorts: { start: 873, end: 873 }, dscp: 8 }],
        prefer: ['a'],
        limits: {},
        holdMs: 30_000,
      },
    ])
    expect(plan.refusals).toEqual([
      { prefix: '10.0.0.0/8', answer: 'unreachable' },
      { prefix: 'fd00::/8', answer: 'blackhole' },
    ])
  })

  it('and of each tunnel how its path is watched', () => {
    const { plan, probes } = loaded(GOOD)
    const [a, b, c] = plan.connections
    expect(a).toMatchObject({ probe: { kind: 'auto', intervalMs: 50, multiplier: 4, mtu: true }, transit: true })
    expect(a).not.toHaveProperty('reversePath')
    expect(b).toMatchObject({
      probe: { kind: 'auto', intervalMs: 1_000, multiplier: 4, mtu: true },
      reversePath: 'strict',
    })
    expect(c!.probe).toEqual({ kind: 'tcp', target: '10.3.0.1', port: 443, intervalMs: 2_000, multiplier: 3 })
    expect(c!.bfd).toEqual({
      local: '169.254.10.2',
      remote: '169.254.10.1',
      timers: { desiredMinTxMs: 100, requiredMinRxMs: 100, detectMult: 4, adaptMaxMs: 2_000 },
    })
    expect([...probes]).toEqual([['c', '10.3.0.1']])
  })

  it.each([
    ['auto', { kind: 'auto', intervalMs: 1_000, multiplier: 4, mtu: true }],
    ['off', undefined],
    ['10.2.0.1', { kind: 'auto', intervalMs: 1_000, multiplier: 4, mtu: true }],
    ['{ kind: esp, mtu: false }', { kind: 'esp', intervalMs: 1_000, multiplier: 4, mtu: false }],
    ['{ kind: icmp, target: 10.2.0.1 }', { kind: 'icmp', target: '10.2.0.1', intervalMs: 1_000, multiplier: 4 }],
  ])('probe: %s', (text, expected) => {
    expect(loaded(changed(['probe: fast', `probe: ${text}`])).plan.connections[0]!.probe).toEqual(expected)
  })

  it('has the members of a group in its order, which may not be that of the file', () => {
    const { plan } = loaded(changed(['weights: { a: 3, b: 1 }', 'order: [b, a]']))
    expect(plan.connections.map(({ ike }) => [ike.name, ike.resource])).toEqual([
      ['b', 1 % plan.workers],
      ['a', 0],
      ['c', 2 % plan.workers],
    ])
    expect(plan.spreads).toBeUndefined()
  })

  it('checks the way back by itself where BGP chooses the way', () => {
    const { plan } = loaded(`${SIMPLE}    routes: bgp\n`)
    expect(plan.connections[0]!.reversePath).toBe('loose')
    expect(loaded(`${SIMPLE}    routes: bgp\n    reverse_path: off\n`).plan.connections[0]).not.toHaveProperty(
      'reversePath',
    )
  })
})

test.each<[string, [string, string][], string]>([
  [
    'one network, no group',
    [['groups:\n  hubs: { weights: { a: 3, b: 1 } }\n', '']],
    'peers.b.networks[0]: 10.2.0.0/16 is also a network of a; leave it to one of the two, or make them a group',
  ],
  [
    'an unknown member',
    [['{ a: 3, b: 1 }', '{ a: 3, bb: 1 }']],
    'groups.hubs.weights.bb: there is no peer bb; did you mean b?',
  ],
  [
    'a weight',
    [['a: 3', 'a: 256']],
    'groups.hubs.weights.a: "256" is not a weight; write a whole number from 1 to 255',
  ],
  [
    'both ways to share',
    [['{ a: 3, b: 1 } }', '{ a: 3, b: 1 }, order: [c] }']],
    'groups.hubs: it has both weights and an order',
  ],
  [
    'neither way to share',
    [['hubs: { weights: { a: 3, b: 1 } }', 'hubs: {}']],
    'groups.hubs: it has neither weights nor an order',
  ],
  [
    'two groups',
    [['groups:\n', 'groups:\n  more: { order: [c, a] }\n']],
    'groups.hubs.weights.a: a is in the group more already',
  ],
  ['twice in a group', [['weights: { a: 3, b: 1 }', 'order: [a, b, a]']], 'groups.hubs.order[2]: a is in it twice'],
  ['a group of one', [['{ a: 3, b: 1 }', '{ c: 3 }']], 'groups.hubs.weights.c: one peer alone is no group'],
  ['an unknown preference', [['prefer: [b, a]', 'prefer: [b, x]']], 'steering.voice.prefer[1]: there is no peer x'],
  ['a preference twice', [['prefer: [b, a]', 'prefer: [b, b]']], 'steering.voice.prefer[1]: b is in it twice'],
  [
    'ports alone',
    [['protocol: tcp, from_ports', 'from_ports']],
    'steering.backup.match[0].from_ports: ports mean nothing',
  ],
  [
    'ports of ICMP',
    [['protocol: tcp, from_ports', 'protocol: icmp, from_ports']],
    'match[0].from_ports: ports mean nothing',
  ],
  ['a match of nothing', [['{ dscp: ef }', '{}']], 'steering.voice.match[0]: it fits every packet'],
  [
    'a DSCP',
    [['dscp: ef', 'dscp: af44']],
    'steering.voice.match[0].dscp: "af44" is not a DSCP; write a name like ef, af41 or cs5',
  ],
  ['a protocol', [['protocol: udp', 'protocol: upd']], 'steering.voice.match[1].protocol: "upd" is not an IP protocol'],
  [
    'two families',
    [['from: 10.1.7.0/24', 'from: 10.1.7.0/24, to: "fd00::/8"']],
    'match[0].to: from and to are of different families',
  ],
  ['a share', [['loss: 2%', 'loss: 2']], 'steering.voice.limits.loss: "2" is not a percentage; write one like 2%'],
  ['a share out of range', [['loss: 2%', 'loss: 200%']], 'steering.voice.limits.loss: 200% is out of range'],
  ['a name of digits', [['  backup:', '  "7":']], 'steering.7: a name of digits alone has no place in the order'],
  ['a key of a class', [['hold: 1m', 'holt: 1m']], 'steering.voice.holt: there is no such key; did you mean hold?'],
  ['a refusal twice', [["'fd00::/8'", '10.0.0.0/8']], 'refuse[1].prefix: 10.0.0.0/8 is refused twice'],
  ['our own network', [['10.0.0.0/8', '10.1.0.0/16']], 'refuse[0].prefix: 10.1.0.0/16 is a network of this site'],
  [
    "a peer's address",
    [
      ['id: c\n', 'address: 198.51.100.7\n'],
      ['10.0.0.0/8', '198.51.100.0/24'],
    ],
    'refuse[0].prefix: the address 198.51.100.7 of the peer c lies in it',
  ],
  [
    'an answer',
    [['answer: blackhole', 'answer: silence']],
    'refuse[1].answer: "silence" is not one of unreachable, prohibited, blackhole',
  ],
  [
    'a probe',
    [['probe: fast', 'probe: quick']],
    'peers.a.probe: "quick" is not auto, fast, off, an address, or a mapping',
  ],
  [
    'a key of a probe',
    [['probe: fast', 'probe: { interval: 1s, ports: 3 }']],
    'peers.a.probe.ports: there is no such key; did you mean port?',
  ],
  ['no target', [['probe: fast', 'probe: { kind: icmp }']], 'peers.a.probe.target: it is missing: icmp needs it'],
  ['no port', [['port: 443, ', '']], 'peers.c.probe.port: it is missing: tcp needs it'],
  ['a port of nothing', [['kind: tcp', 'kind: icmp']], 'peers.c.probe.port: only tcp has a port'],
  ['a path MTU by ICMP', [['port: 443', 'port: 443, mtu: true']], 'peers.c.probe.mtu: only probes within ESP measure'],
  [
    'a target too often',
    [['interval: 2s', 'interval: 50ms']],
    'peers.c.probe.interval: 50ms is too often for a target',
  ],
  [
    'a target elsewhere',
    [['target: 10.3.0.1', 'target: 10.4.0.1']],
    'peers.c.probe.target: 10.4.0.1 is in no network that is routed to c',
  ],
  [
    'BFD without an inside',
    [['    inside: [169.254.10.2/30]\n', '']],
    'peers.c.bfd: BFD needs an address inside the tunnel',
  ],
  [
    'BFD with ourselves',
    [['bfd: { ', 'bfd: { address: 169.254.10.2, ']],
    'peers.c.bfd.address: this is our own address',
  ],
  [
    'BFD elsewhere',
    [['bfd: { ', 'bfd: { address: 169.254.11.1, ']],
    'peers.c.bfd.address: 169.254.11.1 is not in 169.254.10.0/30',
  ],
  [
    'BFD with whom?',
    [['inside: [169.254.10.2/30]', 'inside: [169.254.10.2/29]']],
    'peers.c.bfd.address: it is missing',
  ],
  [
    'BFD that the tunnel does not take',
    [['remote: [0.0.0.0/0] } }', 'remote: [10.3.0.0/16] } }']],
    'peers.c.bfd: no child takes packets from 169.254.10.2 to 169.254.10.1: the tunnel would not carry BFD; list 169.254.10.2/32 in networks of the site and 169.254.10.1/32 in those of c',
  ],
  [
    'BFD twice',
    [
      [
        'groups:\n',
        'bgp:\n  as: 64512\n  neighbours: { n: { peer: c, address: 169.254.10.1, as: 64513, bfd: {} } }\ngroups:\n',
      ],
    ],
    'peers.c.bfd: the BGP neighbour n has BFD through this tunnel already',
  ],
])('%s is a fault', (_, pairs, expected) => {
  const texts = faultTexts(changed(...pairs))
  expect(texts.join('\n')).toContain(expected)
  expect(texts.every((text) => /^isthmus\.yaml:\d+:\d+: /.test(text))).toBe(true)
})

test('more classes or matches than the engine holds are a fault', () => {
  const classes = Array.from({ length: 33 }, (_, i) => `  c${i}: { match: [{ dscp: ${i} }], prefer: [a] }\n`).join('')
  expect(faultTexts(changed(['steering:\n', `steering:\n${classes}`])).join()).toContain(
    'steering: 35 classes with 36 matches',
  )
})

test('what may be meant is a warning', () => {
  const messages = (...pairs: [string, string][]) => loaded(changed(...pairs)).warnings.map(({ message }) => message)
  expect(messages(['10.0.0.0/8', '0.0.0.0/0'])).toEqual([
    '0.0.0.0/0 refuses everything that no other route leads to, for this host too',
  ])
  expect(messages([', transit: true, reverse', ', reverse'])).toEqual([
    'no other tunnel has it: nothing can leave there',
  ])
  expect(messages(['probe: fast', 'probe: off'])).toEqual(['the limits are nothing to a, whose path is not measured'])
})

describe('words', () => {
  it.each([
    ['ef', 46],
    ['AF41', 34],
    ['af13', 14],
    ['cs5', 40],
    ['cs0', 0],
    ['be', 0],
    ['va', 44],
    ['le', 1],
    ['63', 63],
    ['64', undefined],
    ['af51', undefined],
    ['cs8', undefined],
    ['constructor', undefined],
    ['', undefined],
  ])('DSCP %s', (text, expected) => {
    expect(parseDscp(text)).toBe(expected)
  })

  it.each([
    ['tcp', 6],
    ['UDP', 17],
    ['255', 255],
    ['256', undefined],
    ['__proto__', undefined],
  ])('protocol %s', (text, expected) => {
    expect(parseProtocol(text)).toBe(expected)
  })

  it.each([
    ['2%', 0.02],
    ['0.5 %', 0.005],
    ['2', undefined],
    ['-2%', undefined],
  ])('share %s', (text, expected) => {
    expect(parsePercent(text)).toBe(expected)
  })
})

test.each([
  ['169.254.10.1/30', '169.254.10.2'],
  ['169.254.10.6/30', '169.254.10.5'],
  ['10.0.0.4/31', '10.0.0.5'],
  ['10.0.0.5/31', '10.0.0.4'],
  ['fd00::2/126', 'fd00::1'],
  ['fd00::/127', 'fd00::1'],
  ['169.254.10.3/30', undefined],
  ['169.254.10.1/29', undefined],
  ['169.254.10.1/32', undefined],
])('the other end of %s', (text, expected) => {
  expect(otherEnd(parseInside(text)!)).toBe(expected)
})

test('the examples of docs/bgp.md are sound', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/bgp.md'), 'utf8')
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
  expect(examples).toHaveLength(2)
  for (const example of examples) {
    const keys = [...example.matchAll(/file: (\S+) }/g)].map(([, file]) => [file!, `${SECRET}\n`] as const)
    expect(loaded(example, Object.fromEntries(keys)).warnings).toEqual([])
  }
})
