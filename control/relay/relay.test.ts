import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WAIT_MS } from './exchange.ts'
import { Relay, type RelayOptions, type RelaySocket } from './relay.ts'
import type { Caller } from './types.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const HQ = { network: 'net', connector: 'hq' } as const
const ORDERS: Caller = { ...HQ, function: 'orders', issuedAt: 1 }
const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value)

class FakeSocket implements RelaySocket {
  readonly did: string[] = []

  send(data: Uint8Array | string): void {
    this.did.push(typeof data === 'string' ? data : `${data.length} of ${data[0]}`)
  }
  close(code: number): void {
    this.did.push(`close ${code}`)
  }
  pause(): void {
    this.did.push('pause')
  }
  resume(): void {
    this.did.push('resume')
  }
}

function world(call: RelayOptions['call'] = () => true) {
  const log: { fields: Readonly<Record<string, unknown>>; message: string }[] = []
  const note = (fields: Readonly<Record<string, unknown>>, message: string) => void log.push({ fields, message })
  const called: number[] = []
  const relay = new Relay({
    log: { info: note, warn: note, error: note },
    clock: () => Date.now(),
    call: (names, count) => {
      called.push(count)
      return call(names, count)
    },
  })
  const come = (caller: Caller = ORDERS) => {
    const socket = new FakeSocket()
    return { socket, held: relay.call(socket, caller) }
  }
  const serve = () => {
    const socket = new FakeSocket()
    return { socket, held: relay.serve(socket, HQ) }
  }
  return { relay, log, called, come, serve }
}

test('who waits is told when the time is up, by one timer that goes when nobody waits', async () => {
  const { come, relay, log } = world()
  const [first, second] = [come(), come()]
  await vi.advanceTimersByTimeAsync(WAIT_MS - 1)
  const third = come()
  expect([first.socket.did, vi.getTimerCount()]).toEqual([[], 1])
  await vi.advanceTimersByTimeAsync(1)
  expect([first.socket.did, second.socket.did, third.socket.did]).toEqual([['close 4404'], ['close 4404'], []])
  third.held.closed(1000, '')
  expect([vi.getTimerCount(), relay.counts.connectors]).toEqual([0, 0])
  expect(log.map(({ fields }) => fields.why)).toEqual(['no-connector', 'no-connector', 'left'])
})

test('calls of one turn go together, and those that come while one is under way after it', async () => {
  let answer: (linked: boolean) => void = () => {}
  const { come, called } = world(() => new Promise((resolve) => (answer = resolve)))
  for (let n = 0; n < 3; n++) come()
  await vi.advanceTimersByTimeAsync(0)
  expect(called).toEqual([3])
  for (let n = 0; n < 2; n++) come()
  await vi.advanceTimersByTimeAsync(0)
  expect(called).toEqual([3])
  answer(true)
  await vi.advanceTimersByTimeAsync(0)
  expect(called).toEqual([3, 2])
})

test.each([
  ['has no link', () => false],
  ['cannot be asked', () => Promise.reject(new Error('no object'))],
])('a connector that %s: whoever waits for it is told so', async (_, call) => {
  const { come } = world(call)
  const { socket } = come()
  await vi.advanceTimersByTimeAsync(0)
  expect(socket.did).toEqual(['close 4404'])
})

test('what passes is counted each way, the first flight too, and told in one line', () => {
  const { come, serve, log } = world()
  const server = serve()
  const caller = come({ ...ORDERS, first: bytes(10) })
  caller.held.message(bytes(5, 2))
  server.held.message(bytes(7, 3))
  caller.held.message(bytes(0))
  vi.advanceTimersByTime(40)
  caller.held.closed(1000, '')
  expect(server.socket.did).toEqual(['{"type":"call"}', '10 of 1', '5 of 2', '0 of undefined', 'resume', 'close 1000'])
  expect(caller.socket.did).toEqual(['7 of 3', 'resume'])
  const counted = { fromFunction: 15, fromConnector: 7, ms: 40, why: 'function-closed' }
  expect(log).toEqual([{ message: 'a relayed session ended', fields: { ...HQ, function: 'orders', ...counted } }])
})

test('a socket that is full has the other one wait, each way', () => {
  const { come, serve } = world()
  const server = serve()
  const caller = come()
  server.held.full()
  server.held.drained()
  caller.held.full()
  expect(caller.socket.did).toEqual(['pause', 'resume'])
  expect(server.socket.did).toEqual(['{"type":"call"}', 'pause'])
  caller.held.closed(1006, '')
  // What ends is read again, or its end would never be seen.
  expect(server.socket.did.slice(2)).toEqual(['resume', 'close 1001'])
})

test('nothing that comes on a socket that ends goes anywhere', () => {
  const { come, serve, relay } = world()
  const server = serve()
  const caller = come()
  relay.functionRevoked('net', 'orders', 1)
  const before = [...server.socket.did, ...caller.socket.did]
  for (const { held } of [caller, server]) {
    held.message(bytes(3))
    held.misfit()
    held.full()
    held.closed(1000, '')
    held.closed(1000, '')
  }
  expect([...server.socket.did, ...caller.socket.did]).toEqual(before)
  expect(relay.counts).toMatchObject({ pairs: 0, waiting: 0, spares: 0 })
})

test('a flight that waits is a copy: what it came in may be used again', () => {
  const { come, serve } = world()
  const caller = come()
  const chunk = bytes(4, 9)
  caller.held.message(chunk)
  chunk.fill(0)
  expect(serve().socket.did).toEqual(['{"type":"call"}', '4 of 9'])
})

test('when it stops, everybody is told, and nobody is taken any more', () => {
  const { come, serve, relay } = world()
  const server = serve()
  const caller = come()
  const waiting = come()
  relay.stop()
  const late = [come(), serve()]
  for (const { socket } of [server, caller, waiting, ...late]) expect(socket.did.at(-1)).toBe('close 4503')
  expect(vi.getTimerCount()).toBe(0)
})

test('who is present is told by network', () => {
  const { come, serve, relay } = world()
  serve()
  come()
  come({ network: 'other', connector: 'x', function: 'f', issuedAt: 1 })
  expect(Object.fromEntries(relay.present())).toEqual({
    net: { connectors: new Set(['hq']), functions: new Set(['orders']) },
    other: { connectors: new Set(['x']), functions: new Set(['f']) },
  })
})
