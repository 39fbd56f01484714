import { availableParallelism } from 'node:os'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { address } from '../protocol/net.ts'
import type { SecretSource } from './config/secret.ts'
import { faultsOf, faultTexts, files, load, loaded, SECRET, SIMPLE } from './config/testing.ts'
import { controlSocketOf, formatFault, loadConfig } from './config.ts'

test('the simple case is a whole plan', () => {
  const { plan, log, warnings } = loaded(SIMPLE)
  expect(warnings).toEqual([])
  expect(log).toEqual({ level: 'info', format: 'auto' })
  expect(plan.metrics).toEqual({ address: '127.0.0.1', port: 9700 })
  expect(plan.tun).toEqual({ name: 'isthmus0', mtu: 1500, addresses: [] })
  expect(plan.ports).toEqual({ port: 500, natPort: 4500 })
  expect(plan.controlSocket).toBe('/run/isthmus/control.sock')
  expect(plan.stateDirectory).toBe('/var/lib/isthmus')
  expect(plan.keyLog).toBeUndefined()
  const [connection] = plan.connections
  expect(connection).toMatchObject({ routes: ['10.2.0.0/16'], pathMtu: 1500, clampMss: true, copyDscp: true })
  expect(connection!.ike).toMatchObject({
    name: 'branch',
    localId: { type: 'ipv4', value: '192.0.2.1' },
    remoteId: { type: 'ipv4', value: '198.51.100.7' },
    initiate: true,
    encapsulation: 'udp',
    dpdIntervalMs: 10_000,
    natKeepaliveMs: 20_000,
    fragmentSize: 1280,
    lifetime: { softMs: 14_400_000, hardMs: 17_280_000, jitterMs: 1_440_000 },
  })
  expect(connection!.ike.proposals[0]).toEqual({ encryption: 'aes256gcm16', prf: 'prfsha256', group: 'x25519' })
  expect(new TextDecoder().decode(connection!.ike.psk)).toBe(SECRET)
  const [child] = connection!.ike.children
  expect(child).toMatchObject({ name: 'net', replayWindow: 1024 })
  expect(child!.lifetime).toMatchObject({ softMs: 3_000_000, hardMs: 3_600_000, softPackets: 2e9, hardPackets: 2.4e9 })
  expect(child!.local).toEqual([
    { protocol: 0, startPort: 0, endPort: 65_535, startAddress: '10.1.0.0', endAddress: '10.1.255.255' },
  ])
  expect(child!.proposals[0]).toEqual({ encryption: 'aes256gcm16', group: 'x25519', esn: true })
  expect(child!.proposals).toHaveLength(16)
  expect(child!.proposals.at(-1)).toEqual({ encryption: 'chacha20poly1305', esn: false })
})

test('more packet workers than cores are taken, with a warning', () => {
  const cores = availableParallelism()
  const { plan, warnings } = loaded(`${SIMPLE}workers: 16\n`)
  expect(plan.workers).toBe(16)
  expect(warnings.map(formatFault)).toEqual(
    cores < 16 ? [expect.stringMatching(/^isthmus.yaml:9:10: workers: there are more packet workers than/)] : [],
  )
  expect(loaded(`${SIMPLE}workers: 1\n`).warnings).toEqual([])
})

test('every key reaches the plan', () => {
  const { plan, probes } = loaded(`site: hq
address: 2001:db8::1
id: hq.example.net
networks: [2001:db8:1::/48, 10.1.0.0/16]
ports: { ike: 1500, nat: 14500 }
tun: { name: vpn0, mtu: 9000, addresses: [10.1.0.1] }
metrics: { enabled: false }
limits: { retransmit: 300ms, retransmit_factor: 1.2, retransmit_tries: 12, retry: 500ms, retry_max: 2s, cookie_threshold: 0, max_half_open: 9 }
state_directory: state
control_socket: c.sock
key_log: keys.jsonl
peers:
  branch:
    address: 198.51.100.7
    local_address: 192.0.2.1
    id: keyid:0A0b
    local_id: me@example.net
    networks: [0.0.0.0/0]
    routes: [10.2.0.0/16]
    secret: { env: BRANCH }
    initiate: false
    probe: 10.2.0.1
    encapsulation: auto
    path_mtu: 1400
    clamp_mss: false
    copy_dscp: false
    dpd: off
    nat_keepalive: 5s
    fragment_size: 0
    ports: { ike: 5000, nat: 5001 }
    ike: { proposals: [aes256-sha384-modp3072], rekey: 1h30m, expire: 2h, jitter: 0s }
    esp: { proposals: [aes128gcm16-noesn, chacha20poly1305-ecp256], esn: require, rekey: 5s, rekey_bytes: 10GB, rekey_packets: 1000, expire_packets: 1001, replay_window: 0 }
    children:
      web: { protocol: tcp, remote: [10.2.5.0/24], remote_ports: 8000-8010, local_ports: 443 }
      rest: {}
`)
  expect(plan).toMatchObject({
    tun: { name: 'vpn0', mtu: 9000, addresses: ['10.1.0.1'] },
    ports: { port: 1500, natPort: 14_500 },
    stateDirectory: '/site/state',
    controlSocket: '/site/c.sock',
    keyLog: '/site/keys.jsonl',
    limits: {
      retransmitMs: 300,
      retransmitFactor: 1.2,
      retransmitTries: 12,
      retryMs: 500,
      retryMaxMs: 2000,
      cookieThreshold: 0,
      maxHalfOpen: 9,
    },
  })
  expect(plan.metrics).toBeUndefined()
  expect(probes.get('branch')).toBe(address('10.2.0.1'))
  const [connection] = plan.connections
  expect(connection).toMatchObject({ routes: ['10.2.0.0/16'], pathMtu: 1400, clampMss: false, copyDscp: false })
  expect(connection!.ike).toMatchObject({
    localAddress: '192.0.2.1',
    localId: { type: 'email', value: 'me@example.net' },
    remoteId: { type: 'key-id', value: '0a0b' },
    remotePort: 5000,
    remoteNatPort: 5001,
    initiate: false,
    encapsulation: 'auto',
    dpdIntervalMs: 0,
    natKeepaliveMs: 5000,
    fragmentSize: 0,
    proposals: [{ encryption: 'aes256', integrity: 'sha384', prf: 'prfsha384', group: 'modp3072' }],
    lifetime: { softMs: 5_400_000, hardMs: 7_200_000, jitterMs: 0 },
  })
  expect(connection!.ike.children).toMatchObject([
    {
      name: 'web',
      local: [
        { protocol: 6, startPort: 443, endPort: 443 },
        { protocol: 6, startAddress: '10.1.0.0' },
      ],
      remote: [{ protocol: 6, startPort: 8000, endPort: 8010, startAddress: '10.2.5.0', endAddress: '10.2.5.255' }],
      replayWindow: 0,
      lifetime: {
        softMs: 5000,
        hardMs: 6000,
        jitterMs: 500,
        softBytes: 1e10,
        hardBytes: 1.2e10,
        softPackets: 1000,
        hardPackets: 1001,
      },
      proposals: [
        { encryption: 'aes128gcm16', esn: false },
        { encryption: 'chacha20poly1305', group: 'ecp256', esn: true },
      ],
    },
    { name: 'rest', remote: [{ protocol: 0, startAddress: '0.0.0.0', endAddress: '255.255.255.255' }] },
  ])
})

test('all faults come at once, in the order of the text', () => {
  const text = `site: h q
adress: 192.0.2.1
networks: [10.1.0.5/16, 10.3.0.0/33]
peers:
  branch:
    address: 198.51.100.700
    networks: 10.2.0.0/16
    secret: hunter2
    dpd: 30
  two:
    address: 198.51.100.7
    networks: [10.1.0.0/16, 198.51.100.0/24]
    secret: { file: nope.key }
    ike: { proposals: [aes256-x25519], rekey: 1h, expire: 30m }
    esp: { replay_window: 100 }
metrics:
`
  expect(faultTexts(text)).toEqual([
    'isthmus.yaml:1:1: address: it is missing: an IP address; write one like 192.0.2.1 or 2001:db8::1 (names are not looked up)',
    'isthmus.yaml:1:7: site: "h q" is not a name for this site; write 1 to 63 letters, digits, dots, dashes or underscores, like hq',
    'isthmus.yaml:2:1: adress: there is no such key; did you mean address?',
    'isthmus.yaml:3:12: networks[0]: "10.1.0.5/16" has bits set behind its prefix length; write 10.1.0.0/16',
    'isthmus.yaml:3:25: networks[1]: "10.3.0.0/33" is not a network; write one like 10.1.0.0/16 or 2001:db8:1::/48',
    'isthmus.yaml:6:14: peers.branch.address: "198.51.100.700" is not an IP address; write one like 192.0.2.1 or 2001:db8::1 (names are not looked up)',
    'isthmus.yaml:7:15: peers.branch.networks: "10.2.0.0/16" is not a list of networks; write [one, two] or one per line with a dash',
    'isthmus.yaml:8:13: peers.branch.secret: a secret does not stand in this file; put it into a file of mode 0600 and write secret: { file: <path> }; isthmus keygen <path> makes a new one',
    'isthmus.yaml:9:10: peers.branch.dpd: "30" is not a duration; write a number with a unit, like 30s, 50m or 8h (1s to 1h, or off)',
    'isthmus.yaml:12:16: peers.two.networks[0]: 10.1.0.0/16 is also a network of this site; renumber one side, or list only what lies at the peer',
    "isthmus.yaml:12:29: peers.two.networks[1]: the peer's own address 198.51.100.7 lies in 198.51.100.0/24: the tunnel's packets would enter the tunnel; list narrower networks under routes",
    'isthmus.yaml:13:21: peers.two.secret.file: there is no file /site/nope.key; write the secret into it, or make a new one: isthmus keygen /site/nope.key',
    'isthmus.yaml:14:24: peers.two.ike.proposals[0]: aes256 needs an integrity algorithm, for example sha256; write one like aes256gcm16-prfsha384-ecp384 or aes256-sha256-modp2048 (docs/config.md lists all)',
    'isthmus.yaml:14:59: peers.two.ike.expire: 30m is not more than rekey (1h); choose more, so that a rekey has time to succeed',
    'isthmus.yaml:15:27: peers.two.esp.replay_window: the window is a multiple of 64 from 64 to 4096, or 0; choose for example 1024',
    'isthmus.yaml:16:9: metrics: it is empty, but should be a mapping of keys to values; write its keys below it, indented, or leave it out',
  ])
})

test.each([
  ['a: [1\nb: 2\n', /^isthmus.yaml:2:1: this is not valid YAML: /],
  [
    'site: a\nsite: b\n',
    /^isthmus.yaml:2:1: this is not valid YAML: Map keys must be unique; keep one of the two keys$/,
  ],
  ['site:\n\t- x\n', /^isthmus.yaml:2:1: .*indent with spaces$/],
  [
    'a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c]\n',
    /its aliases expand too far/,
  ],
  ['', /^isthmus.yaml:1:1: site: it is missing/],
  ['[]', /^isthmus.yaml:1:1: a list is not a mapping/],
  ['42', /^isthmus.yaml:1:1: "42" is not a mapping/],
  ['__proto__: { x: 1 }\n', /__proto__: there is no such key/],
])('what is no configuration at all is a fault too: %j', (text, expected) => {
  expect(faultTexts(text).join('\n')).toMatch(expected)
})

test('a missing file, one that may not be read and one that is no text', () => {
  const only = (code: string) => faultsOf(loadConfig('x.yaml', files({}, code)))
  expect(only('ENOENT')).toMatchObject([{ kind: 'file', message: 'there is no such file' }])
  expect(only('EACCES')).toMatchObject([{ kind: 'file', remedy: 'run as a user who may read it' }])
  const binary: SecretSource = { ...files({}), readFile: () => Uint8Array.of(0xff, 0xfe, 0x00) }
  expect(faultsOf(loadConfig('x.yaml', binary))).toMatchObject([{ message: 'it is not UTF-8 text' }])
})

test('whatever is typed, the answer is a plan or faults with places in the text', () => {
  const pieces = [
    '',
    ' ',
    ':',
    '- ',
    '{',
    ']',
    '"',
    '#',
    '&a ',
    '*a',
    '!!map ',
    '? ',
    '~',
    '0',
    '-1',
    '1e999',
    '.nan',
    '|',
    '\n',
    '\t',
    '\u0000',
    'peers:',
    '<<: ',
    '__proto__',
    '[[[]]]',
    '2001:db8::/129',
    '5s',
    'é',
  ]
  const edit = fc.record({ at: fc.nat(), cut: fc.nat(12), piece: fc.constantFrom(...pieces) })
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = SIMPLE
      for (const { at, cut, piece } of edits) {
        const place = at % (text.length + 1)
        text = text.slice(0, place) + piece + text.slice(place + cut)
      }
      const lines = text.split('\n').length
      for (const fault of faultsOf(load(text))) {
        expect(fault.line).toBeGreaterThanOrEqual(1)
        expect(fault.line).toBeLessThanOrEqual(lines)
        expect(fault.column).toBeGreaterThanOrEqual(1)
        expect(fault.message).not.toContain('undefined')
        expect(fault.remedy).not.toBe('')
      }
    }),
    { numRuns: 1500 },
  )
})

test('the control socket is found also in a faulty configuration', () => {
  const source = files({
    '/site/a.yaml': 'control_socket: c.sock\nsite: [}\n',
    '/site/b.yaml': 'control_socket: c.sock\nx: 1\n',
  })
  expect(controlSocketOf('/site/a.yaml', source)).toBe('/run/isthmus/control.sock')
  expect(controlSocketOf('/site/b.yaml', source)).toBe('/site/c.sock')
  expect(controlSocketOf('/site/none.yaml', source)).toBe('/run/isthmus/control.sock')
})
