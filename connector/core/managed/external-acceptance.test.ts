import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ConnectorDocument, DocumentTunnel } from '../../../protocol/control/document.ts'
import type { DocumentExternal, ExternalRouting } from '../../../protocol/control/external.ts'
import { address, type Prefix, prefix } from '../../../protocol/net.ts'
import { acceptExternals } from './external-acceptance.ts'
import { type ExternalPlan, ikeKeyId, type OpenedKey, parseIkeKeyId } from './externals.ts'
import { bgpExternal, ONE, openedKeys, sampleExternal, TWO } from './testing/externals.ts'

type Document = Pick<ConnectorDocument, 'tunnels' | 'routing' | 'externals'>
const SELF = address('192.0.2.1')
const OWNS = [prefix('10.1.0.0/16')]

const TUNNEL = { id: `tun_${'0'.repeat(20)}`, name: 'branch', peer: { endpoint: { address: '198.51.100.9' } } }

interface Around {
  readonly owns?: readonly Prefix[]
  readonly keys?: ReadonlyMap<string, OpenedKey>
  readonly running?: readonly ExternalPlan[]
  readonly document?: Partial<Document>
}

function judge(externals: readonly DocumentExternal[], around: Around = {}) {
  const document = { tunnels: [TUNNEL as unknown as DocumentTunnel], externals: [...externals], ...around.document }
  return acceptExternals(document, {
    address: SELF,
    owns: around.owns ?? OWNS,
    keys: around.keys ?? openedKeys(externals),
    running: new Map(around.running?.map((plan) => [plan.external.id, plan])),
  })
}

const names = (plans: readonly ExternalPlan[]) => plans.map(({ external }) => external.name)
const first = (external: DocumentExternal, around?: Around) => judge([external], around).plans[0]?.routing

describe('tunnels to other gateways', () => {
  it('are carried out as the document has them, in its order', () => {
    const { plans, refusals, refused } = judge([sampleExternal(TWO), sampleExternal(ONE)])
    expect(names(plans)).toEqual(['aws-2', 'aws-1'])
    expect(plans[1]!.keys.map(({ id }) => id)).toEqual(['k1'])
    expect([refusals.size, refused]).toEqual([0, []])
  })

  it('have keys of another name with another generation, so that they are set up anew', () => {
    expect(judge([sampleExternal(ONE, { generation: 3 })]).plans[0]!.keys.map(({ id }) => id)).toEqual(['k1.3'])
    for (const generation of [0, 1, 12]) {
      expect(parseIkeKeyId(ikeKeyId('k7', generation))).toEqual({ key: 'k7', generation })
    }
  })

  it('have a replay window that the engine has', () => {
    const windowOf = (replayWindow: number) =>
      judge([sampleExternal(ONE, { replayWindow })]).plans[0]!.external.replayWindow
    expect([64, 65, 1_000, 4_096].map(windowOf)).toEqual([64, 128, 1_024, 4_096])
  })

  it.each<[string, Partial<DocumentExternal>, string]>([
    ['the name of a tunnel', { name: 'branch' }, 'another tunnel has its name'],
    ['a peer of another family', { peer: { address: '2001:db8::1' } }, "no address of 192.0.2.1's family"],
    ['ourselves as peer', { peer: { address: '192.0.2.1' } }, 'our own address'],
    ...['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '169.254.1.1'].map(
      (text): [string, Partial<DocumentExternal>, string] => [text, { peer: { address: text } }, "no host's address"],
    ),
    ['an identity that is none', { peer: { address: '203.0.113.1', identity: 'dn:zz' } }, 'identity of its peer'],
    [
      'one identity at both ends',
      { identity: '203.0.113.1', peer: { address: '203.0.113.1', identity: '203.0.113.1' } },
      'both ends have the same identity',
    ],
    [
      'addresses that are not inside',
      { inside: { local: '10.0.0.2', peer: '10.0.0.1' } },
      'not both in 169.254.0.0/16',
    ],
    ['IPv6 inside', { inside: { local: 'fd00::2', peer: 'fd00::1' } }, 'not both in 169.254.0.0/16'],
    ['two networks', { inside: { local: '169.254.20.2', peer: '169.254.20.5' } }, 'not the two hosts of one /30'],
    ['its broadcast', { inside: { local: '169.254.20.3', peer: '169.254.20.1' } }, 'not the two hosts of one /30'],
    ['one address', { inside: { local: '169.254.20.1', peer: '169.254.20.1' } }, 'not the two hosts of one /30'],
    [
      'the metadata of clouds',
      { inside: { local: '169.254.169.254', peer: '169.254.169.253' } },
      'by which clouds tell',
    ],
    ['no suite for IKE', { ike: ['3des-sha1-modp1024'] }, 'suites for IKE'],
    ['no suite for ESP', { esp: ['aes256-sha256'] }, 'suites for ESP'],
    ['a key twice', { keys: [sampleExternal(ONE).keys[0]!, sampleExternal(ONE).keys[0]!] }, 'it has k1 twice'],
  ])('are refused with %s, and the others go on', (_, change, words) => {
    const externals = [sampleExternal(ONE, change), sampleExternal(TWO)]
    const { plans, refusals, refused } = judge(externals)
    expect(names(plans)).toEqual(['aws-2'])
    expect(refusals.get(ONE.id)?.cause).toContain(words)
    expect(refused.join('\n')).toContain(words)
  })

  it('take no inside network, name, identifier or peer of one another', () => {
    const clash = (change: Partial<DocumentExternal>) => {
      const { plans, refused } = judge([sampleExternal(ONE), sampleExternal(TWO, change)])
      expect(names(plans)).toEqual(['aws-1'])
      return refused.join()
    }
    expect(clash({ inside: sampleExternal(ONE).inside })).toContain('169.254.20.0/30 is that of another tunnel')
    expect(clash({ name: 'aws-1' })).toContain('another tunnel has its name')
    expect(clash({ peer: sampleExternal(ONE).peer })).toContain('nothing tells it from another one')
    const twin = { ...sampleExternal(TWO), id: ONE.id }
    const { plans, refused } = judge([sampleExternal(ONE), twin], { keys: openedKeys([sampleExternal(ONE)]) })
    expect(names(plans)).toEqual(['aws-1'])
    expect(refused.join()).toContain('is there twice')
  })

  it('take no inside network of the routing between sites', () => {
    const neighbours = [{ local: '169.254.20.1', as: 4_200_000_002 }]
    const routing = { as: 65_010, groups: [], neighbours, transit: false } as unknown as ConnectorDocument['routing']
    expect(judge([bgpExternal(ONE)], { document: { routing } as Partial<Document> }).refused.join()).toContain(
      '169.254.20.0/30 is that of another tunnel',
    )
  })

  it('offer the suites that we have, and tell of the others', () => {
    const external = sampleExternal(ONE, {
      ike: ['aes256gcm16-prfsha384-ecp384', 'aes256-sha1-modp1024'],
      esp: ['aes256-sha256', 'aes256gcm16-ecp384-noesn'],
    })
    const { plans, refused } = judge([external])
    expect(plans[0]!.external).toMatchObject({ ike: [external.ike[0]], esp: [external.esp[1]] })
    expect(refused).toEqual([
      expect.stringContaining('aes256-sha1-modp1024 is not offered to aws-1'),
      expect.stringContaining('aes256-sha256 is not offered to aws-1'),
    ])
  })
})

describe('a key that cannot be opened', () => {
  const running = judge([sampleExternal(ONE), sampleExternal(TWO)]).plans
  const bad = new Map<string, OpenedKey>([[`${ONE.id}/k2`, { fault: 'cannot be opened with our sealing key' }]])

  it('leaves what ran before as it is', () => {
    const externals = [
      sampleExternal(ONE, { drained: true, keys: [{ ...sampleExternal(ONE).keys[0]!, id: 'k2' }] }),
      sampleExternal(TWO),
    ]
    const keys = new Map([...openedKeys([sampleExternal(TWO)]), ...bad])
    const { plans, refusals } = judge(externals, { keys, running })
    expect(plans).toEqual(running)
    expect(refusals.get(ONE.id)).toMatchObject({
      code: 'key-refused',
      cause: 'aws-1 is not carried out: its key k2 cannot be opened with our sealing key.',
    })
  })

  it('and what never ran does not begin; nor does one whose key nobody opened', () => {
    const external = sampleExternal(ONE, { keys: [{ ...sampleExternal(ONE).keys[0]!, id: 'k2' }] })
    for (const keys of [bad, new Map()]) expect(judge([external], { keys }).plans).toEqual([])
  })

  it('what ran gives way to a tunnel that has its name now', () => {
    const document = { tunnels: [{ ...TUNNEL, name: 'aws-1' } as unknown as DocumentTunnel] }
    const { plans } = judge([sampleExternal(ONE), sampleExternal(TWO)], { running, document })
    expect(names(plans)).toEqual(['aws-2'])
  })

  it('one that the document does not have any more does not go on', () => {
    expect(names(judge([sampleExternal(TWO)], { running }).plans)).toEqual(['aws-2'])
  })
})

describe('what leads through them', () => {
  const statics = (...prefixes: string[]) => sampleExternal(ONE, { routing: { kind: 'static', prefixes } })

  it.each([
    ['10.9.0.0/16', '10.1.4.0/24', 'this site owns it'],
    ['10.9.0.0/16', '0.0.0.0/0', "the tunnel's own packets"],
    ['10.9.0.0/16', '192.0.2.0/24', "the tunnel's own packets"],
    ['10.9.0.0/16', '198.51.100.0/24', "the tunnel's own packets"],
    ['10.9.0.0/16', '127.0.0.0/8', 'nobody may have it'],
    ['10.9.0.0/16', '169.254.0.0/16', 'nobody may have it'],
    ['10.9.0.0/16', 'fd00::/48', 'only IPv4'],
  ])('%s, and not %s', (good, bad, words) => {
    const { plans, refused } = judge([statics(good, bad)])
    expect(plans[0]!.routing).toMatchObject({ prefixes: [good] })
    expect(refused.join()).toContain(words)
  })

  it('what covers our own is for others of it', () => {
    expect(first(statics('10.0.0.0/8'))).toMatchObject({ prefixes: ['10.0.0.0/8'] })
  })

  it('by BGP nothing is taken that is ours, and told only what is', () => {
    const routing = { accept: ['10.9.0.0/16', '10.1.2.0/24'], advertise: ['10.1.0.0/16', '10.2.0.0/16', 'fd00::/48'] }
    const { plans, refused } = judge([bgpExternal(ONE, routing)])
    expect(plans[0]!.routing).toMatchObject({ accept: ['10.9.0.0/16'], advertise: ['10.1.0.0/16'] })
    expect(refused.join('\n')).toMatch(/10\.2\.0\.0\/16 is not told to aws-1: this site does not own it/)
  })

  it('a hub speaks for others', () => {
    const routing = { as: 65_010, groups: [], neighbours: [], transit: true } as unknown as ConnectorDocument['routing']
    const external = bgpExternal(ONE, { advertise: ['10.1.0.0/16', '10.2.0.0/16'] })
    const document = { routing } as Partial<Document>
    expect(first(external, { document })).toMatchObject({ advertise: ['10.1.0.0/16', '10.2.0.0/16'] })
  })

  it.each<[string, Partial<Extract<ExternalRouting, { kind: 'bgp' }>>, string]>([
    ['our own AS', { peerAs: 65_010 }, 'its AS 65010 is ours'],
    ['AS_TRANS', { peerAs: 23_456 }, 'nobody has its AS'],
    ['a reserved AS', { localAs: 65_535 }, 'nobody has its AS'],
  ])('no BGP with %s: the tunnel is up, and leads nowhere', (_, change, words) => {
    const { plans, refused } = judge([bgpExternal(ONE, change)])
    expect(names(plans)).toEqual(['aws-1'])
    expect(plans[0]!.routing).toBeUndefined()
    expect(refused.join()).toContain(words)
  })

  it('all of them have one AS: that of the routing between sites, else that of the first', () => {
    const two = judge([bgpExternal(ONE), bgpExternal(TWO, { localAs: 65_011 })])
    expect(two.plans.map(({ routing }) => routing !== undefined)).toEqual([true, false])
    expect(two.refused.join()).toContain('we are AS 65010 already, and cannot be AS 65011 as well')
    const routing = { as: 4_200_000_001, groups: [], neighbours: [], transit: false }
    const document = { routing } as unknown as Partial<Document>
    expect(first(bgpExternal(ONE), { document })).toBeUndefined()
    expect(first(bgpExternal(ONE, { localAs: 4_200_000_001 }), { document })).toBeDefined()
  })

  it('no peer has the AS of a site: its routes would pass for that site', () => {
    const origins = [{ as: 4_200_000_003, ranges: [{ prefix: '10.3.0.0/16' }] }]
    const neighbours = [{ as: 4_200_000_002, local: '169.254.0.1' }]
    const routing = { as: 65_010, groups: [{ name: 'all', origins }], neighbours, transit: false }
    const document = { routing } as unknown as Partial<Document>
    for (const peerAs of [4_200_000_002, 4_200_000_003]) {
      expect(first(bgpExternal(ONE, { peerAs }), { document })).toBeUndefined()
    }
    expect(first(bgpExternal(ONE, { peerAs: 4_200_000_004 }), { document })).toBeDefined()
  })
})

it('whatever a control plane sends: names, networks and ends are apart, nothing ours is taken, words are bounded', () => {
  const some = <T>(...values: T[]) => fc.constantFrom(...values)
  const prefixes = fc.subarray(['10.9.0.0/16', '10.1.0.0/16', '0.0.0.0/0', '203.0.113.0/24', 'fd00::/8', '127.0.0.0/8'])
  const routing = fc.oneof(
    fc.record({ kind: fc.constant('static' as const), prefixes }),
    fc.record({
      kind: fc.constant('bgp' as const),
      localAs: some(65_010, 65_011),
      peerAs: some(64_512, 65_010),
      advertise: prefixes,
      accept: prefixes,
      maxPrefixes: fc.constant(10),
      holdTimeS: fc.constant(30),
    }),
  )
  const external = fc
    .record({
      id: some(ONE.id, TWO.id, `ext_${'3'.repeat(20)}`),
      name: some('aws-1', 'aws-2', 'branch', 'local'),
      peer: fc.record({ address: some('203.0.113.1', '203.0.113.2', '192.0.2.1', '2001:db8::1') }),
      inside: fc.record({
        local: some('169.254.20.2', '169.254.20.6', '10.0.0.1'),
        peer: some('169.254.20.1', '169.254.20.5'),
      }),
      routing,
    })
    .map((change) => ({ ...sampleExternal(ONE), ...change }) as DocumentExternal)
  fc.assert(
    fc.property(fc.array(external, { maxLength: 6 }), fc.array(external, { maxLength: 3 }), (externals, before) => {
      const running = judge(before).plans
      const { plans, refused } = judge(externals, { running })
      for (const of of [
        ({ external: { name } }: ExternalPlan) => name,
        ({ external: { id } }: ExternalPlan) => id,
        ({ external: { inside } }: ExternalPlan) => inside.local,
        ({ external: { peer } }: ExternalPlan) => peer.address,
      ]) {
        expect(new Set(plans.map(of)).size).toBe(plans.length)
      }
      expect(names(plans)).not.toContain('branch')
      const taken = plans.flatMap((plan) =>
        plan.routing?.kind === 'bgp' ? plan.routing.accept : (plan.routing?.prefixes ?? []),
      )
      expect(taken).not.toContain('10.1.0.0/16')
      const led = plans.flatMap((plan) => (plan.routing?.kind === 'static' ? plan.routing.prefixes : []))
      expect(led).not.toContain('0.0.0.0/0')
      expect(led).not.toContain('203.0.113.0/24')
      expect(refused.every((words) => words.length <= 512)).toBe(true)
    }),
  )
})
