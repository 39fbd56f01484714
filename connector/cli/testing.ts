/** What the tests of CLI and local API share: a terminal that remembers, a connector that only pretends, a status. */
import type { ConnectorStatus, TunnelStatus, WorkerStatus } from '../../protocol/status.ts'
import type { ConnectorHandle, StartFailure } from '../handle.ts'
import type { CliIo } from './command.ts'

export interface RecordedIo extends CliIo {
  out(): string
  err(): string
}

export function recordedIo(env: Record<string, string> = {}): RecordedIo {
  let out = ''
  let err = ''
  return {
    stdout: (text) => {
      out += text
    },
    stderr: (text) => {
      err += text
    },
    env,
    isTty: false,
    columns: 100,
    color: false,
    out: () => out,
    err: () => err,
  }
}

export interface FakeConnector extends ConnectorHandle {
  /** What was asked of it, in order. */
  readonly calls: string[]
  /** Ends it as a failure in the field would. */
  fail(failure: StartFailure): void
}

/** One peer, `branch`, with one child, `net`. */
export function fakeConnector(status: ConnectorStatus = sampleStatus()): FakeConnector {
  const calls: string[] = []
  let end: (failure: StartFailure | undefined) => void = () => {}
  const ended = new Promise<StartFailure | undefined>((resolve) => {
    end = resolve
  })
  const known = (call: string, peer: string) => {
    calls.push(call)
    return peer === 'branch'
  }
  return {
    calls,
    ended,
    status: () => status,
    initiate: (peer) => known(`initiate ${peer}`, peer),
    terminate: (peer) => known(`terminate ${peer}`, peer),
    rekey: (peer, what) => known(`rekey ${peer} ${what}`, peer) && (what === 'ike' || what === 'net'),
    apply: async (plan) => {
      calls.push(`apply ${plan.connections.map(({ ike }) => ike.name).join(' ')}`)
    },
    refresh: async () => undefined,
    stop: async () => {
      calls.push('stop')
      end(undefined)
    },
    fail: (failure) => end(failure),
  }
}

export function sampleStatus(...tunnels: TunnelStatus[]): ConnectorStatus {
  return {
    version: 1,
    site: 'hq',
    pid: 4711,
    startedAt: '2026-03-01T06:00:00.000Z',
    now: '2026-03-01T10:30:00.000Z',
    engine: { kind: 'wasm', build: 'relaxed-simd', why: 'the host has relaxed SIMD' },
    tun: { name: 'isthmus0', mtu: 1500, state: 'up' },
    tunnels: tunnels.length === 0 ? [sampleTunnel()] : tunnels,
    drops: { no_route: 3, replayed: 1200 },
    ike: { malformed: 0, unknownSpi: 2 },
  }
}

/** A busy one that hands over, and one about whose load the host does not tell. */
export function sampleWorkers(): WorkerStatus[] {
  const { engine } = sampleStatus()
  return [
    { index: 0, engine, inPackets: 30, inBytes: 4100, outPackets: 7, outBytes: 812, handedOver: 1500, busy: 0.973 },
    { index: 1, engine, inPackets: 0, inBytes: 0, outPackets: 1, outBytes: 60, handedOver: 0 },
  ]
}

export function sampleTunnel(changes: Partial<TunnelStatus> = {}): TunnelStatus {
  return {
    name: 'branch',
    state: 'up',
    since: '2026-03-01T08:27:00.000Z',
    role: 'initiator',
    local: '192.0.2.1:4500',
    remote: '198.51.100.7:4500',
    encapsulation: 'udp',
    suite: 'aes256gcm16-prfsha256-x25519',
    initiatorSpi: '0011223344556677',
    responderSpi: '8899aabbccddeeff',
    ageMs: 7_380_000,
    rekeyInMs: 6_600_000,
    ikeRekeys: 1,
    children: [
      {
        name: 'net',
        suite: 'aes-256-gcm',
        inboundSpi: '0xc0ffee01',
        outboundSpi: '0xdeadbeef',
        active: true,
        ageMs: 720_000,
        rekeyInMs: 2_280_000,
        rekeys: 2,
        local: ['10.1.0.0/16'],
        remote: ['10.2.0.0/16'],
        traffic: { inPackets: 10, inBytes: 1000, outPackets: 20, outBytes: 2000, drops: {} },
      },
    ],
    traffic: { inPackets: 1_234_567, inBytes: 1_230_000_000, outPackets: 7, outBytes: 812, drops: { replayed: 1200 } },
    rtt: { lastMs: 12.5, medianMs: 11.9, samples: 20 },
    loss: { ratio: 0.025, sent: 40, lost: 1 },
    mtu: { path: 1500, inner: 1438, mss4: 1398, why: 'ESP in UDP over IPv4 takes 62 bytes' },
    ...changes,
  }
}
