import { expect, test } from 'vitest'
import { address } from '../../protocol/net.ts'
import { failoverEvent, steeredEvent } from '../core/paths/words.ts'
import type { ConnectorEvent } from '../handle.ts'
import { StartFailure } from '../handle.ts'
import { createLogger, logEvent, logFailure } from './log.ts'

const SECRET = 'hunter2hunter2'

function record(format: 'json' | 'text', level: 'info' | 'warn' = 'info') {
  const lines: string[] = []
  return { lines, log: createLogger({ level, format, write: (line) => lines.push(line) }) }
}

const failed: ConnectorEvent = {
  type: 'ike',
  connection: 'branch',
  event: { type: 'failed', code: 'no-response', cause: 'The peer did not\u001b[2J answer.', remedy: 'Check UDP 500.' },
}

test('an event is one JSON line with named fields', () => {
  const { log, lines } = record('json')
  const remote = { address: address('198.51.100.7'), port: 500 }
  logEvent(log, { type: 'ike', connection: 'branch', event: { type: 'initiating', remote } })
  logEvent(log, failed)
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines.every((line) => line.endsWith('}\n'))).toBe(true)
  expect(parsed[0]).toMatchObject({ level: 'info', event: 'initiating', peer: 'branch', remote: '198.51.100.7:500' })
  expect(Date.parse(String(parsed[0]!.time))).toBeGreaterThan(0)
  expect(parsed[1]).toMatchObject({ level: 'warn', event: 'failed', code: 'no-response', remedy: 'Check UDP 500.' })
  expect(parsed[1]!.msg).toContain('The peer did not')
})

test('a stream of a function is an audit line, without the words of its request but its path', () => {
  const { log, lines } = record('json')
  const stream = {
    startedAt: 1000,
    endedAt: 1250,
    session: 's1',
    stream: 3,
    via: 'relay',
    function: 'fn_00000000000000000000',
    functionName: 'orders',
    kind: 'http',
    host: 'erp.internal',
    port: 8000,
    service: 'erp',
    request: 'GET /orders/42',
    status: 200,
    bytesIn: 120,
    bytesOut: 3400,
    outcome: 'ok',
  } as const
  logEvent(log, { type: 'stream', record: stream })
  const { service: _, request: _request, status: _status, ...nowhere } = stream
  logEvent(log, { type: 'stream', record: { ...nowhere, outcome: 'unknown-service', cause: 'No such service.' } })
  logEvent(log, { type: 'services', services: 1, message: 'serving functions: erp' })
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(parsed[0]).toMatchObject({
    level: 'info',
    event: 'function-stream',
    function: 'fn_00000000000000000000',
    name: 'orders',
    service: 'erp',
    kind: 'http',
    asked: 'erp.internal:8000',
    bytesIn: 120,
    bytesOut: 3400,
    ms: 250,
    outcome: 'ok',
    session: 's1',
    via: 'relay',
    msg: 'function orders used erp',
  })
  expect(parsed[1]).toMatchObject({
    level: 'warn',
    outcome: 'unknown-service',
    msg: 'function orders and erp.internal:8000: No such service.',
  })
  expect(parsed[2]).toMatchObject({ event: 'services', services: 1 })
})

test('every event has a line', () => {
  const { log, lines } = record('json')
  const there = { address: address('2001:db8::1'), port: 4500 }
  const ike: Extract<ConnectorEvent, { type: 'ike' }>['event'][] = [
    { type: 'ike-established', initiatorSpi: '00', responderSpi: '11', suite: 's', natDetected: true },
    { type: 'ike-rekeyed', initiatorSpi: '00', responderSpi: '11' },
    { type: 'ike-closed', reason: 'r' },
    { type: 'child-established', child: 'net', id: 1, suite: 's', resource: 0 },
    { type: 'child-rekeyed', child: 'net', id: 2, replaces: 1, resource: 0 },
    { type: 'child-closed', child: 'net', id: 2, reason: 'r' },
    { type: 'peer-moved', from: there, to: there },
  ]
  for (const event of ike) logEvent(log, { type: 'ike', connection: 'branch', event })
  logEvent(log, { type: 'started', site: 'hq' })
  logEvent(log, { type: 'routes-cleaned', count: 2 })
  logEvent(log, { type: 'warning', code: 'c', message: 'm' })
  logEvent(log, { type: 'stopping' })
  logFailure(log, new StartFailure('port-busy', 'cause', 'remedy', 5))
  const events = lines.map((line) => (JSON.parse(line) as { event?: string }).event)
  const own = ['started', 'routes-cleaned', 'warning', 'stopping', undefined]
  expect(events).toEqual([...ike.map(({ type }) => type), ...own])
  expect(lines[6]).toContain('"to":"[2001:db8::1]:4500"')
})

test('news of paths have their cause, their figures and a remedy', () => {
  const { log, lines } = record('json')
  const failover = { at: 0, to: ['two'], cause: 'probe', ms: 231.4, lostPackets: 40 } as const
  logEvent(log, { type: 'path', event: failoverEvent('one', failover) })
  const move = { from: 'one', to: 'two', because: 'loss' } as const
  logEvent(log, { type: 'path', event: steeredEvent('voice', move) })
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(first).toMatchObject({
    ...{ level: 'warn', event: 'path', code: 'failover', tunnel: 'one', cause: 'probe', ms: 231, lostPackets: 40 },
    msg: 'one gives way to two, since probes are not answered: 231 ms without a path, about 40 packets lost',
    remedy: expect.stringContaining('isthmus paths'),
  })
  expect(second).toMatchObject({ code: 'steered', class: 'voice', tunnel: 'two', because: 'loss' })
})

test('secrets are blanked wherever they turn up', () => {
  const { log, lines } = record('json')
  log.warn(
    { psk: SECRET, ike: { psk: SECRET, deep: { key: SECRET, keys: [SECRET] } }, skEi: SECRET, salt: SECRET },
    'x',
  )
  log.error({ secret: { file: SECRET }, child: { inbound: { key: SECRET, salt: SECRET } } }, 'x')
  // A careless caller that logs a whole event gets named fields only.
  const careless = { type: 'ike-closed', reason: 'r', psk: SECRET } as const
  logEvent(log, { type: 'ike', connection: 'branch', event: careless })
  expect(lines).toHaveLength(3)
  expect(lines.join('')).not.toContain(SECRET)
  expect(lines[0]).toContain('[secret]')
})

test('text for people is one line, and a peer cannot steer the terminal', () => {
  const { log, lines } = record('text')
  logEvent(log, failed)
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}branch: The peer did not \[2J answer\. {2}code=no-response remedy="Check UDP 500\."\n$/,
  )
})

test('the level is the least that is written', () => {
  const { log, lines } = record('json', 'warn')
  logEvent(log, { type: 'started', site: 'hq' })
  logEvent(log, failed)
  expect(lines).toHaveLength(1)
})

test('a malformed UPDATE is there as hex (RFC 7606 section 6)', () => {
  const { log, lines } = record('json')
  const event = { code: 'fault' as const, level: 'warn' as const, text: 'origin-value', update: Uint8Array.of(0xff, 2) }
  logEvent(log, { type: 'bgp', neighbour: 'cloud', event })
  expect(JSON.parse(lines[0]!)).toMatchObject({ neighbour: 'cloud', code: 'fault', update: 'ff02' })
})
