import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT, StartFailure } from '../handle.ts'
import { controlClient, controlRequest } from '../ops/client.ts'
import { runCli } from './run.ts'
import { fakeConnector, recordedIo } from './testing.ts'
import { runUp, type StartConnector } from './up.ts'

let directory: string
let socket: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
  socket = join(directory, 's')
  writeFileSync(join(directory, 'k'), 'correct horse battery staple\n', { mode: 0o600 })
})
afterEach(() => rmSync(directory, { recursive: true }))

function begin(start: StartConnector, metrics = '{ enabled: false }') {
  const config = join(directory, 'isthmus.yaml')
  const text = `site: hq
address: 192.0.2.1
networks: [10.1.0.0/16]
peers: { branch: { address: 198.51.100.7, networks: [10.2.0.0/16], secret: { file: k } } }
control_socket: s
metrics: ${metrics}
`
  writeFileSync(config, text)
  const io = recordedIo()
  return { io, ended: runUp({ args: [], options: { config } }, io, start) }
}

test('runs until it is told to stop, and leaves nothing', async () => {
  const connector = fakeConnector()
  const listeners = process.listenerCount('SIGTERM')
  const { io, ended } = begin(async (plan, { onEvent }) => {
    expect(plan.site).toBe('hq')
    onEvent({ type: 'started', site: plan.site })
    onEvent({ type: 'ike', connection: 'branch', event: { type: 'ike-closed', reason: 'r' } })
    return connector
  })
  await answers()
  expect(await controlClient(socket).status()).toMatchObject({ site: 'hq' })
  await controlClient(socket).stop()
  expect(await ended).toBe(EXIT.ok)
  expect(connector.calls).toEqual(['stop'])
  expect(existsSync(socket)).toBe(false)
  expect(process.listenerCount('SIGTERM')).toBe(listeners)
  const events = io
    .out()
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event)
  expect(events).toEqual(['started', 'ike-closed', 'stop-requested'])
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s is an orderly stop', async (signal) => {
  const connector = fakeConnector()
  const { ended } = begin(async () => connector)
  await answers()
  process.emit(signal)
  process.emit(signal)
  expect(await ended).toBe(EXIT.ok)
  expect(connector.calls).toEqual(['stop'])
})

test('a connector that cannot start gives its reason, and its remedy to the log', async () => {
  const failure = new StartFailure('no-tun', 'there is no TUN device', 'modprobe tun', EXIT.noTun)
  const { io, ended } = begin(() => Promise.reject(failure))
  await expect(ended).rejects.toBe(failure)
  expect(JSON.parse(io.out())).toMatchObject({
    level: 'error',
    code: 'no-tun',
    remedy: 'modprobe tun',
    exitCode: EXIT.noTun,
  })
  expect(existsSync(socket)).toBe(false)
})

test('a failure in the field ends it with that failure', async () => {
  const connector = fakeConnector()
  const { ended } = begin(async () => connector)
  await answers()
  const failure = new StartFailure('worker', 'the packet thread ended', 'look into the log', EXIT.failed)
  connector.fail(failure)
  await expect(ended).rejects.toBe(failure)
  expect(connector.calls).toEqual(['stop'])
})

test('a second connector is refused before anything is touched', async () => {
  const first = begin(async () => fakeConnector())
  await answers()
  let isTouched = false
  const second = begin(async () => {
    isTouched = true
    return fakeConnector()
  })
  await expect(second.ended).rejects.toMatchObject({ code: 'already-running' })
  expect(isTouched).toBe(false)
  await controlClient(socket).stop()
  expect(await first.ended).toBe(EXIT.ok)
})

test('metrics are served, and a busy port does not keep the tunnels down', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const busy = begin(async () => fakeConnector(), `{ port: ${port} }`)
  await answers()
  await expect(controlRequest(socket, 'GET', '/healthz')).rejects.toMatchObject({ message: 'the answer is not JSON' })
  await controlClient(socket).stop()
  expect(await busy.ended).toBe(EXIT.ok)
  expect(busy.io.out()).toContain('"code":"metrics"')
  await new Promise((resolve) => other.close(resolve))

  const free = begin(async () => fakeConnector(), `{ port: ${port} }`)
  await answers()
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(text).toContain('isthmus_tunnel_up{peer="branch"} 1')
  await controlClient(socket).stop()
  expect(await free.ended).toBe(EXIT.ok)
})

async function answers(): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      await controlClient(socket).status()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  throw new Error('the connector does not answer')
}

test('services are for a connector that belongs to a network', async () => {
  const io = recordedIo()
  const words = [
    'up',
    '--state-directory',
    directory,
    '--config',
    join(directory, 'isthmus.yaml'),
    '--services',
    'x.yaml',
  ]
  expect(await runCli(words, io)).toBe(EXIT.usage)
  expect(io.err()).toContain('isthmus join')
})
