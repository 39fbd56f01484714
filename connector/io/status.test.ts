import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import type { ConnectionStatus, IkeCounters, KeyLogEntry } from '../core/ike/types.ts'
import type { ConnectorPlan } from '../plan.ts'
import { Children } from './children.ts'
import { formatSpi, KeyLog } from './key-log.ts'
import { buildStatus, formatSelector } from './status.ts'

const range = (start: string, end: string, protocol = 0, startPort = 0, endPort = 65535) => ({
  protocol,
  startPort,
  endPort,
  startAddress: address(start),
  endAddress: address(end),
})
const IKE: IkeCounters = {
  malformed: 1,
  unknownVersion: 0,
  unknownSpi: 0,
  integrityFailed: 0,
  replayed: 0,
  cookiesDemanded: 0,
  halfOpenRefused: 0,
  retransmits: 2,
  noConnection: 0,
}
const PLAN = {
  site: 'berlin',
  tun: { name: 'isthmus0', mtu: 1400, addresses: [] },
  connections: [
    {
      ike: { name: 'paris', localAddress: address('192.0.2.1'), children: [{ name: 'one' }, { name: 'two' }] },
      routes: [],
      pathMtu: 1500,
    },
  ],
} as unknown as ConnectorPlan

const child = (name: string, id: number) => ({
  id,
  child: name,
  suite: 'aes128gcm16',
  inboundSpi: 0xc0000001,
  outboundSpi: 255,
  establishedAt: 8000,
  rekeyAt: 20_000,
  resource: 0,
  active: true,
  rekeys: 0,
  local: [range('10.1.0.0', '10.1.255.255')],
  remote: [],
})

const ESTABLISHED: ConnectionStatus = {
  connection: 'paris',
  state: 'established',
  since: 7000,
  remote: { address: address('2001:db8::2'), port: 4500 },
  establishedAt: 7000,
  rekeyAt: 30_000,
  ikeRekeys: 0,
  rtt: { lastMs: 2, medianMs: 3, samples: 4 },
  requestsSent: 8,
  requestsRetransmitted: 2,
  children: [child('one', 1)],
  lastError: { code: 'no-response', cause: 'c', remedy: 'r', at: 6000 },
}

const ENGINE = { kind: 'wasm', build: 'relaxed', why: 'w' } as const

function status(connection: ConnectionStatus, failure?: { code: string; message: string; remedy: string }) {
  return buildStatus({
    plan: PLAN,
    engines: [ENGINE, ENGINE],
    loads: [{ handedOver: 0 }, { handedOver: 7, busy: 0.12345 }],
    offloads: { tun: 'tso', udpSend: 'gso', udpReceive: 'single', why: 'w' },
    children: new Children(PLAN.connections, [[], []], async () => ({})),
    connections: [connection],
    ike: IKE,
    sendFailures: 5,
    routing: undefined,
    drops: { replayed: 3 },
    failure,
    now: 10_000,
    wallClock: Date.UTC(2030, 0, 1, 0, 0, 10),
    startedAt: 5000,
  })
}

describe('the status document', () => {
  it('has a line for each worker', () => {
    const idle = { inPackets: 0, inBytes: 0, inMissing: 0, outPackets: 0, outBytes: 0, engine: ENGINE }
    expect(status(ESTABLISHED).workers).toEqual([
      { index: 0, ...idle, handedOver: 0 },
      { index: 1, ...idle, handedOver: 7, busy: 0.123 },
    ])
  })

  it('turns instants into times of day and ages', () => {
    const document = status(ESTABLISHED)
    expect(document).toMatchObject({
      site: 'berlin',
      now: '2030-01-01T00:00:10.000Z',
      startedAt: '2030-01-01T00:00:05.000Z',
      tun: { state: 'up' },
      drops: { replayed: 3 },
      ike: { malformed: 1, sendFailures: 5 },
    })
    expect(document.tunnels[0]).toMatchObject({
      since: '2030-01-01T00:00:07.000Z',
      remote: '[2001:db8::2]:4500',
      ageMs: 3000,
      rekeyInMs: 20_000,
      rtt: { medianMs: 3 },
      loss: { ratio: 0.25, sent: 8, lost: 2 },
      lastError: { code: 'no-response', at: '2030-01-01T00:00:06.000Z' },
      children: [{ inboundSpi: '0xc0000001', outboundSpi: '0x000000ff', ageMs: 2000, local: ['10.1.0.0/16'] }],
    })
    expect(document.tunnels[0]).not.toHaveProperty('role')
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })

  it('tells the key only where it has a name', () => {
    expect(status({ ...ESTABLISHED, keyId: '', keyConfirmed: true }).tunnels[0]).not.toHaveProperty('keyConfirmed')
    const named = status({ ...ESTABLISHED, keyId: 'epoch-3', keyConfirmed: false }).tunnels[0]
    expect(named).toMatchObject({ keyId: 'epoch-3', keyConfirmed: false })
  })

  it('is up only with every configured child', () => {
    expect(status(ESTABLISHED).tunnels[0]!.state).toBe('degraded')
    const both = { ...ESTABLISHED, children: [child('one', 1), child('two', 2)] }
    expect(status(both).tunnels[0]!.state).toBe('up')
    expect(status({ ...ESTABLISHED, state: 'waiting' }).tunnels[0]!.state).toBe('waiting')
  })

  it('works out the MTU before there is a Child SA', () => {
    expect(status(ESTABLISHED).tunnels[0]!.mtu).toEqual({
      path: 1500,
      inner: 1418,
      mss4: 1378,
      why: 'path MTU 1500 less 40 IPv6, 8 UDP, 8 ESP, 8 IV, 16 tag, 2 trailer',
    })
  })

  it('carries the failure of the packet path', () => {
    expect(status(ESTABLISHED, { code: 'packet-path', message: 'm', remedy: 'r' }).tun).toMatchObject({
      state: 'failed',
      error: { code: 'packet-path', cause: 'm', remedy: 'r' },
    })
  })
})

describe('selectors in words', () => {
  it.each([
    [range('10.0.0.0', '10.255.255.255'), '10.0.0.0/8'],
    [range('0.0.0.0', '255.255.255.255'), '0.0.0.0/0'],
    [range('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), '::/0'],
    [range('192.0.2.7', '192.0.2.7', 17, 53, 53), '192.0.2.7/32 proto 17 port 53'],
    [range('10.0.0.1', '10.0.0.6', 6, 80, 90), '10.0.0.1-10.0.0.6 proto 6 port 80-90'],
    [range('10.0.0.4', '10.0.0.9'), '10.0.0.4-10.0.0.9'],
    [range('fd00::', 'fd00::ffff'), 'fd00::/112'],
  ])('%o', (selector, text) => {
    expect(formatSelector(selector)).toBe(text)
  })
})

describe('the key log', () => {
  it('has a line for each entry, for its owner alone, and is appended to', () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-keys-'))
    const path = join(directory, 'keys.jsonl')
    writeFileSync(path, '', { mode: 0o644 })
    const entry = (spi: number): KeyLogEntry => ({
      kind: 'esp',
      spi: formatSpi(spi),
      encryption: 'aes128gcm16',
      key: '11'.repeat(16),
      salt: '01020304',
      esn: false,
    })
    for (const spi of [0x11, -1]) {
      const log = new KeyLog(path)
      log.write(entry(spi))
      log.close()
    }
    const lines = readFileSync(path, 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([entry(0x11), entry(-1)])
    expect(JSON.parse(lines[1]!)).toMatchObject({ spi: '0xffffffff' })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    rmSync(directory, { recursive: true })
    expect(() => new KeyLog(join(directory, 'gone', 'keys'))).toThrow('cannot be written')
  })
})
