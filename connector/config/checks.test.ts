import { expect, test } from 'vitest'
import { formatFault, loadConfig } from '../config.ts'
import { faultTexts, files, loaded, SIMPLE } from './testing.ts'

const TWO_PEERS = (first: string, second: string) => `site: hq
address: 192.0.2.1
networks: [10.1.0.0/16]
peers:
  a: { secret: { file: k }, ${first} }
  b: { secret: { file: k }, ${second} }
`

test.each([
  [
    'address: 198.51.100.7, networks: [10.2.0.0/16]',
    'address: 198.51.100.7, networks: [10.3.0.0/16]',
    /peers.b.address: a has the same address and identity/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: X, networks: [10.3.0.0/16]',
    /peers.b.id: a has the same identity: nothing tells/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: y, networks: [10.2.0.0/16]',
    /peers.b.networks\[0\]: 10.2.0.0\/16 is also a network of a/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: 192.0.2.1, networks: [10.3.0.0/16]',
    /peers.b.id: both ends have this identity/,
  ],
  ['id: x, networks: [10.2.0.0/16]', 'networks: [10.3.0.0/16]', /peers.b.id: a peer without an address needs an id/],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: y, initiate: true, networks: [10.3.0.0/16]',
    /peers.b.initiate: a peer without an address cannot be called/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'address: 2001:db8::9, networks: [10.3.0.0/16]',
    /peers.b.address: our address 192.0.2.1 and the peer's are of different families/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'address: 192.0.2.1, networks: [10.3.0.0/16]',
    /peers.b.address: this is our own address/,
  ],
  ['id: x, networks: [10.2.0.0/16]', 'id: y', /peers.b.networks: it is missing/],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: y, networks: [10.3.0.0/16], children: { c: { remote_ports: 80 } }',
    /remote_ports: ports mean nothing/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: y, networks: [10.3.0.0/16], esp: { expire_bytes: 1GB }',
    /expire_bytes: there is no rekey_bytes/,
  ],
  [
    'id: x, networks: [10.2.0.0/16]',
    'id: y, networks: [10.3.0.0/16], ike: { jitter: 5h }',
    /jitter: 5h is not less than rekey \(4h\)/,
  ],
])('what spans keys: %s and %s', (first, second, expected) => {
  expect(faultTexts(TWO_PEERS(first, second)).join('\n')).toMatch(expected)
})

test('what may be meant is a warning', () => {
  const overlap = loaded(TWO_PEERS('id: x, networks: [10.2.0.0/16]', 'id: y, networks: [10.2.5.0/24]'))
  expect(overlap.warnings.map(formatFault)).toEqual([
    'isthmus.yaml:6:47: peers.b.networks[0]: 10.2.5.0/24 overlaps with 10.2.0.0/16 of a: of 10.2.0.0/16, the part 10.2.5.0/24 goes to b; the longest prefix wins; if that is meant, all is well',
  ])
  const sameId = TWO_PEERS(
    'id: x, address: 198.51.100.7, networks: [10.2.0.0/16]',
    'id: x, address: 198.51.100.8, networks: [10.3.0.0/16]',
  )
  expect(loaded(sameId).warnings).toMatchObject([{ path: 'peers.b.id' }])
  const open = loadConfig('/site/isthmus.yaml', {
    ...files({ '/site/isthmus.yaml': SIMPLE }),
    fileMode: () => 0o100644,
  })
  expect('warnings' in open && open.warnings.map(formatFault)).toEqual([
    '/site/isthmus.yaml:8:21: peers.branch.secret.file: others than its owner may open /etc/isthmus/branch.key (mode 0644); chmod 600 /etc/isthmus/branch.key',
  ])
  expect(loaded(`${SIMPLE}key_log: /tmp/k\n`).warnings).toMatchObject([{ line: 9, path: 'key_log' }])
  expect(loaded(SIMPLE, { '/etc/isthmus/branch.key': 'short\n' }).warnings[0]!.message).toContain('only 5 bytes')
})
