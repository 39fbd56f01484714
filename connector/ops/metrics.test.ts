import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { address } from '../../protocol/net.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { sampleStatus, sampleTunnel, sampleWorkers } from '../cli/testing.ts'
import type { IkeEvent } from '../core/ike/types.ts'
import { METRICS } from './metric-names.ts'
import { createMetrics } from './metrics.ts'
import { readiness, startMetricsServer } from './metrics-server.ts'

const statusOf = (status: ConnectorStatus) => ({ status: () => status, now: () => 0, processMetrics: false })

test('a scrape tells the state of every tunnel', async () => {
  const far = sampleTunnel({ name: 'far', state: 'waiting', children: [] })
  const samples = parse(await createMetrics(statusOf(sampleStatus(sampleTunnel(), far))).text())
  expect(samples.get('isthmus_info{site="hq",engine="wasm",build="relaxed-simd"}')).toBe(1)
  expect(samples.get('isthmus_tun_up')).toBe(1)
  expect(samples.get('isthmus_tunnel_up{peer="branch"}')).toBe(1)
  expect(samples.get('isthmus_tunnel_up{peer="far"}')).toBe(0)
  expect(samples.get('isthmus_tunnel_state{peer="far",state="waiting"}')).toBe(1)
  expect(samples.get('isthmus_tunnel_state{peer="far",state="up"}')).toBe(0)
  expect(samples.get('isthmus_tunnel_packets_total{peer="branch",direction="in"}')).toBe(1_234_567)
  expect(samples.get('isthmus_tunnel_bytes_total{peer="branch",direction="out"}')).toBe(812)
  expect(samples.get('isthmus_tunnel_dropped_packets_total{peer="branch",reason="replayed"}')).toBe(1200)
  expect(samples.get('isthmus_dropped_packets_total{reason="no_route"}')).toBe(3)
  expect(samples.get('isthmus_dropped_packets_total{reason="auth_failed"}')).toBe(0)
  expect(samples.get('isthmus_ike_datagrams_total{reason="unknown_spi"}')).toBe(2)
  expect(samples.get('isthmus_tunnel_rtt_seconds{peer="branch"}')).toBeCloseTo(0.0119)
  expect(samples.get('isthmus_tunnel_mtu_bytes{peer="branch",kind="inner"}')).toBe(1438)
  expect(samples.get('isthmus_child_sa_rekey_in_seconds{peer="branch",child="net",worker="0"}')).toBe(2280)
  expect(samples.has('isthmus_child_sa_age_seconds{peer="far",child="net",worker="0"}')).toBe(false)
})

test('a second scrape states values anew and forgets what is gone', async () => {
  let status = sampleStatus()
  const metrics = createMetrics({ ...statusOf(status), status: () => status })
  await metrics.text()
  status = sampleStatus(sampleTunnel({ children: [], traffic: { ...sampleTunnel().traffic, inPackets: 1_234_600 } }))
  const samples = parse(await metrics.text())
  expect(samples.get('isthmus_tunnel_packets_total{peer="branch",direction="in"}')).toBe(1_234_600)
  expect(samples.has('isthmus_child_sa_age_seconds{peer="branch",child="net",worker="0"}')).toBe(false)
  expect(samples.get('isthmus_child_sas{peer="branch"}')).toBe(0)
})

test('what never came goes up and down, and is absent where it is not known', async () => {
  const missing = 'isthmus_tunnel_missing_packets{peer="branch"}'
  let traffic = sampleTunnel().traffic
  const metrics = createMetrics({ ...statusOf(sampleStatus()), status: () => sampleStatus(sampleTunnel({ traffic })) })
  expect(parse(await metrics.text()).has(missing)).toBe(false)
  for (const inMissing of [0, 7, 5]) {
    traffic = { ...traffic, inMissing }
    expect(parse(await metrics.text()).get(missing)).toBe(inMissing)
  }
})

test('each packet worker has its figures, each of its Child SAs its own age', async () => {
  const [net] = sampleTunnel().children
  const children = [0, 1].map((worker) => ({ ...net!, worker, ageMs: 1000 * (worker + 1) }))
  const status = { ...sampleStatus(sampleTunnel({ children })), workers: sampleWorkers(), drops: { hand_over: 4 } }
  const samples = parse(await createMetrics(statusOf(status)).text())
  expect(samples.get('isthmus_child_sa_age_seconds{peer="branch",child="net",worker="0"}')).toBe(1)
  expect(samples.get('isthmus_child_sa_age_seconds{peer="branch",child="net",worker="1"}')).toBe(2)
  expect(samples.get('isthmus_worker_packets_total{worker="0",direction="in"}')).toBe(30)
  expect(samples.get('isthmus_worker_bytes_total{worker="1",direction="out"}')).toBe(60)
  expect(samples.get('isthmus_worker_handed_over_packets_total{worker="0"}')).toBe(1500)
  expect(samples.get('isthmus_worker_busy_ratio{worker="0"}')).toBe(0.973)
  expect(samples.has('isthmus_worker_busy_ratio{worker="1"}')).toBe(false)
  expect(samples.get('isthmus_dropped_packets_total{reason="hand_over"}')).toBe(4)
  expect(samples.get('isthmus_dropped_packets_total{reason="send_full"}')).toBe(0)
})

test('events are counted, and the time to establish is measured', async () => {
  let now = 1000
  const metrics = createMetrics({ ...statusOf(sampleStatus()), now: () => now })
  const ike = (event: IkeEvent) => metrics.observe({ type: 'ike', connection: 'branch', event })
  ike({ type: 'initiating', remote: { address: address('198.51.100.7'), port: 500 } })
  now += 70
  ike({ type: 'ike-established', initiatorSpi: '0', responderSpi: '1', suite: 's', natDetected: false })
  ike({ type: 'ike-established', initiatorSpi: '0', responderSpi: '1', suite: 's', natDetected: false })
  ike({ type: 'ike-rekeyed', initiatorSpi: '0', responderSpi: '1' })
  ike({ type: 'child-rekeyed', child: 'net', id: 2, replaces: 1, resource: 0 })
  ike({ type: 'child-rekeyed', child: 'net', id: 3, replaces: 2, resource: 0 })
  ike({ type: 'failed', code: 'no-response', cause: 'c', remedy: 'r' })
  metrics.observe({ type: 'warning', code: 'x', message: 'm' })
  const samples = parse(await metrics.text())
  expect(samples.get('isthmus_ike_sas_established_total{peer="branch"}')).toBe(2)
  expect(samples.get('isthmus_ike_sa_rekeys_total{peer="branch"}')).toBe(1)
  expect(samples.get('isthmus_child_sa_rekeys_total{peer="branch",child="net"}')).toBe(2)
  expect(samples.get('isthmus_tunnel_failures_total{peer="branch",code="no-response"}')).toBe(1)
  expect(samples.get('isthmus_warnings_total')).toBe(1)
  expect(samples.get('isthmus_tunnel_establish_seconds_count{peer="branch"}')).toBe(1)
  expect(samples.get('isthmus_tunnel_establish_seconds_sum{peer="branch"}')).toBeCloseTo(0.07)
})

test('names follow the conventions, and every one has help and type', async () => {
  for (const [name, { type }] of Object.entries(METRICS)) {
    expect(name).toMatch(/^isthmus_[a-z_]+$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
  }
  const text = await createMetrics(statusOf(sampleStatus())).text()
  for (const name of Object.keys(METRICS)) {
    expect(text).toContain(`# HELP ${name} `)
    expect(text).toContain(`# TYPE ${name} ${METRICS[name as keyof typeof METRICS].type}\n`)
  }
})

test('process metrics come on top when asked for', async () => {
  const text = await createMetrics({ ...statusOf(sampleStatus()), processMetrics: true }).text()
  expect(parse(text).get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
})

test('the port serves metrics and health', async () => {
  let status = sampleStatus()
  const metrics = createMetrics({ ...statusOf(status), status: () => status })
  const server = await startMetricsServer({
    address: '127.0.0.1',
    port: 0,
    metrics,
    status: () => status,
    onError: () => {},
  })
  if (!('close' in server)) throw new Error(server.cause)
  try {
    const get = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`)
    const scrape = await get('/metrics')
    expect(scrape.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    expect(parse(await scrape.text()).get('isthmus_tun_up')).toBe(1)
    expect(await (await get('/healthz')).text()).toBe('ok\n')
    expect((await get('/readyz')).status).toBe(200)
    status = sampleStatus(sampleTunnel({ state: 'connecting' }))
    expect((await get('/readyz')).status).toBe(503)
    expect(await (await get('/readyz')).json()).toEqual({ ready: false, tunnels: { branch: 'connecting' } })
    expect((await get('/stop')).status).toBe(404)
  } finally {
    await server.close()
  }
})

test('a tunnel that waits for its peer to call is no obstacle; a failed device is', () => {
  const idle = sampleStatus(sampleTunnel({ state: 'idle' }))
  expect(readiness(idle).ready).toBe(true)
  expect(readiness({ ...idle, tun: { ...idle.tun, state: 'failed' } }).ready).toBe(false)
})

test('a busy port is a refusal with a remedy', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const status = () => sampleStatus()
  const metrics = createMetrics({ status, now: () => 0, processMetrics: false })
  const onError = () => {}
  const busy = await startMetricsServer({ address: '127.0.0.1', port, metrics, status, onError })
  expect(busy).toMatchObject({
    cause: expect.stringContaining(`127.0.0.1 port ${port}`),
    remedy: expect.stringContaining('metrics.port'),
  })
  const absent = await startMetricsServer({ address: '192.0.2.55', port: 0, metrics, status, onError })
  expect(absent).toMatchObject({ cause: expect.stringContaining('192.0.2.55 is not an address of this host') })
  await new Promise((resolve) => other.close(resolve))
})

/** Samples of the text format by name and labels; throws at a line that is none. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line)
    if (match === null || !/^(nan|[+-]?(inf|[\d.]+(e[+-]?\d+)?))$/i.test(match[2]!) || samples.has(match[1]!))
      throw new Error(`not a sample: ${line}`)
    samples.set(match[1]!, Number(match[2]))
  }
  return samples
}
