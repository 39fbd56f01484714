import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { renderStatus } from './status-view.ts'
import { sampleStatus, sampleTunnel, sampleWorkers } from './testing.ts'

const LOST = {
  at: '2026-03-01T10:29:50.000Z',
  code: 'no-response',
  cause: 'The peer 203.0.113.9 did not answer 8 requests within 49 s.',
  remedy: 'Check its address, and that UDP 500 and 4500 reach it.',
}

test('a tunnel that is up, whole', () => {
  expect(renderStatus(sampleStatus(), 100, false)).toBe(`hq: UP, 1 of 1 tunnel for 2h 3m

branch: up for 2h 3m
  peer       198.51.100.7:4500 (we called, ESP in UDP, from 192.0.2.1:4500)
  IKE SA     aes256gcm16-prfsha256-x25519; age 2h 3m, rekey in 1h 50m, rekeyed once
  SA net     aes-256-gcm; age 12m, rekey in 38m, rekeyed 2 times; SPI in 0xc0ffee01 out 0xdeadbeef;
             10.1.0.0/16 <-> 10.2.0.0/16
  traffic    received 1.2 GB in 1,234,567 packets, sent 812 B in 7 packets
  path       RTT 11.9 ms (last 12.5 ms, 20 samples), loss 2.5 % of 40 requests
  MTU        1500 outside, 1438 inside, TCP MSS 1398 (ESP in UDP over IPv4 takes 62 bytes)
  dropped    replayed 1,200

  connector  process 4711, running for 4h 30m, device isthmus0 with MTU 1500
  engine     wasm relaxed-simd (the host has relaxed SIMD)
  dropped    replayed 1,200, no_route 3
  IKE        unknown SPI 2`)
})

test('several packet workers: what each does, and which Child SA is whose', () => {
  const [net] = sampleTunnel().children
  const children = [0, 1].map((worker) => ({ ...net!, worker }))
  const text = renderStatus({ ...sampleStatus(sampleTunnel({ children })), workers: sampleWorkers() }, 120, false)
  for (const worker of [0, 1]) expect(text).toContain(`SA net     aes-256-gcm; worker ${worker}; age 12m`)
  expect(text).toContain(`
  worker 0   wasm relaxed-simd, busy 97 %, received 4.1 KB in 30 packets, sent 812 B in 7 packets, handed over 1,500
             packets
  worker 1   wasm relaxed-simd, received 0 B in 0 packets, sent 60 B in 1 packet
`)
})

test('a path that is asked about: what probes tell, in place of what IKE has seen', () => {
  const mtu = { pathMtu: 1440, searching: false, why: 'largest probe that was answered', configured: 1500 }
  const path = { state: 'up', rttMs: 12.345, jitterMs: 1.2, lossOut: 0.021, lossIn: 0, mtu } as const
  const line = (changes: object): string =>
    renderStatus(sampleStatus(sampleTunnel({ path: { ...path, ...changes } })), 200, false).match(/ {2}path +(.*)/)![1]!
  expect(line({})).toBe(
    'up, 12.3 ms ± 1.20 ms, loss 2.1 %/0 %, MTU 1440 (largest probe that was answered; 1500 configured)',
  )
  expect(line({ mtu: { ...mtu, configured: 1440 }, lossIn: undefined })).toBe(
    'up, 12.3 ms ± 1.20 ms, loss 2.1 %, MTU 1440 (largest probe that was answered)',
  )
  expect(renderStatus(sampleStatus(sampleTunnel({ path: { state: 'unknown' } })), 200, false)).toContain(
    '  path       no probe was answered so far\n',
  )
})

test('packets that never came stand behind those that did', () => {
  const traffic = { ...sampleTunnel().traffic, inMissing: 1234 }
  const text = (changes: object) =>
    renderStatus(sampleStatus(sampleTunnel({ traffic: { ...traffic, ...changes } })), 120, false)
  expect(text({})).toContain('received 1.2 GB in 1,234,567 packets (1,234 never came), sent 812 B in 7 packets')
  expect(text({ inMissing: 0 })).toContain('received 1.2 GB in 1,234,567 packets, sent 812 B in 7 packets')
})

const CONTROL = {
  url: 'https://control.example.net',
  network: 'net_0123456789abcdefghjk',
  connector: 'con_0123456789abcdefghjk',
  identityKey: 'x'.repeat(43),
  state: 'open',
  detail: 'linked',
  since: '2026-03-01T10:28:00.000Z',
  version: 12,
} as const

test('a connector that has joined: the link, the identity key to compare, and which key a tunnel is under', () => {
  const status = { ...sampleStatus(sampleTunnel({ keyId: 'epoch-3' })), control: CONTROL }
  const text = renderStatus(status, 120, false)
  expect(text).toContain(`
  control    https://control.example.net, linked for 2m; con_0123456789abcdefghjk, document 12
  identity   key ${CONTROL.identityKey}
`)
  expect(text).toContain('aes256gcm16-prfsha256-x25519; under key epoch-3, age 2h 3m')
  expect(text.split('\n')[1]).toBe('')
})

test.each([
  ['waiting', 'it cannot be reached', '  control plane: it cannot be reached\n    Next: the tunnels go on;'],
  [
    'revoked',
    'by anna',
    '  control plane: this connector was revoked: by anna\n    Next: if it is to come back: isthmus leave',
  ],
] as const)('a link that is %s is told first', (state, detail, expected) => {
  const text = renderStatus({ ...sampleStatus(), control: { ...CONTROL, state, detail } }, 120, false)
  expect(text).toContain(`hq: UP, 1 of 1 tunnel for 2h 3m\n${expected}`)
})

test('what is not carried out of the document is told, and what to do', () => {
  const refused = ['aws-1 is not carried out: its key k2 cannot be opened with our sealing key.']
  const text = renderStatus({ ...sampleStatus(), control: { ...CONTROL, refused } }, 120, false)
  expect(text).toContain(`  document: ${refused[0]}\n    Next: correct it at the control plane`)
})

test('a single packet worker: no word at the Child SAs', () => {
  const children = [{ ...sampleTunnel().children[0]!, worker: 0 }]
  const status = { ...sampleStatus(sampleTunnel({ children })), workers: sampleWorkers().slice(0, 1) }
  expect(renderStatus(status, 100, false)).toContain('SA net     aes-256-gcm; age 12m')
})

test('what is wrong and what to do stand first', () => {
  const far = sampleTunnel({ name: 'far', state: 'waiting', children: [], lastError: LOST })
  const roam = sampleTunnel({ name: 'roam', state: 'idle' })
  const lines = renderStatus(sampleStatus(sampleTunnel(), far, roam), 100, false).split('\n')
  expect(lines.slice(0, 4)).toEqual([
    'hq: PARTLY UP, 1 of 3 tunnels up',
    '  far: The peer 203.0.113.9 did not answer 8 requests within 49 s.',
    '    Next: Check its address, and that UDP 500 and 4500 reach it.',
    '  roam: waits for the peer to call',
  ])
  expect(lines).toContain('  last error 10s ago: The peer 203.0.113.9 did not answer 8 requests within 49 s.')
})

test.each([
  [
    sampleStatus(sampleTunnel({ state: 'connecting', since: '2026-03-01T10:29:57.000Z' })),
    'hq: DOWN, 0 of 1 tunnel up\n  branch: calling the peer since 3s\n    Next: wait;',
  ],
  [sampleStatus(sampleTunnel({ state: 'degraded' })), '  branch: a child is missing since 2h 3m\n    Next: compare'],
  [sampleStatus(sampleTunnel({ state: 'closing' })), '  branch: saying goodbye'],
  [
    sampleStatus(sampleTunnel({ state: 'idle' })),
    'hq: WAITING, 0 of 1 tunnel up\n  branch: waits for the peer to call',
  ],
  [
    { ...sampleStatus(), tun: { name: 'isthmus0', mtu: 1500, state: 'failed' as const, error: LOST } },
    'hq: DOWN, the device isthmus0 does not work\n  device: The peer',
  ],
])('headline %#', (status, expected) => expect(renderStatus(status, 100, false)).toContain(expected))

test.each([50, 60, 80, 120])('no line is wider than %d, save for one long word', (width) => {
  const text = renderStatus(sampleStatus(sampleTunnel({ lastError: LOST })), width, false)
  for (const line of text.split('\n')) {
    if (line.trim().split(/\s+/).length > 2) expect(line.length, line).toBeLessThanOrEqual(width)
    expect(line).toBe(line.trimEnd())
  }
})

test('colour adds nothing but colour', () => {
  const status = sampleStatus(sampleTunnel(), sampleTunnel({ name: 'far', state: 'waiting', lastError: LOST }))
  const coloured = renderStatus(status, 80, true)
  expect(coloured).toContain('\u001b[')
  expect(stripVTControlCharacters(coloured)).toBe(renderStatus(status, 80, false))
})

test('words of a peer do not steer the terminal', () => {
  const lastError = { ...LOST, cause: 'it said \u001b[2J\u0007\r\nand more' }
  const tunnel = sampleTunnel({ name: 'far', state: 'waiting', suite: 'x\u001b[1m', lastError })
  const text = renderStatus(sampleStatus(tunnel), 100, false)
  expect([...text].filter((char) => char !== '\n' && char < ' ')).toEqual([])
})
