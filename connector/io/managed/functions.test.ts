import { createPublicKey, verify } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { streamKeySchema } from '../../../protocol/control/grant.ts'
import type { ConnectorEvent } from '../../handle.ts'
import { leaveNetwork, openIdentity, openStreamKey } from '../../store/enrollment.ts'
import type { FunctionHost } from '../functions/host.ts'
import { freePort } from '../testing/free-port.ts'
import { ControlClient } from './control-client.ts'
import { startFunctions } from './functions.ts'

const NETWORK = 'net_00000000000000000000'
const CONNECTOR = 'con_00000000000000000000'
const ENROLLMENT = { format: 1, url: 'http://127.0.0.1:9', network: NETWORK, connector: CONNECTOR, site: 'hq' } as const
const SERVICES = "services: { erp: { target: 'http://10.1.0.20:8000', allow: [orders], warm: 0 } }\n"

let directory: string
let host: FunctionHost | undefined
let events: ConnectorEvent[]
let reports: number

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-functions-test-'))
  events = []
  reports = 0
})

afterEach(async () => {
  await host?.stop()
  host = undefined
  rmSync(directory, { recursive: true, force: true })
})

const file = () => join(directory, 'services.yaml')

/** A second later each time: two writes within one tick of the file system's clock look alike. */
let written = 0
function write(text: string): void {
  writeFileSync(file(), text)
  const at = Date.now() / 1000 + ++written
  utimesSync(file(), at, at)
}

async function start(named = false): Promise<FunctionHost> {
  const identity = openIdentity(directory)
  host = await startFunctions({
    enrollment: ENROLLMENT,
    services: { path: file(), named },
    identity,
    client: new ControlClient(ENROLLMENT, identity),
    directory,
    document: () => undefined,
    onEvent: (event) => events.push(event),
    onReport: () => reports++,
  })
  return host
}

const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))

it('makes the stream key once, keeps it to itself, and forgets it with the network', () => {
  const made = openStreamKey(directory)
  expect(openStreamKey(directory)).toEqual(made)
  expect(statSync(join(directory, 'stream.key')).mode & 0o777).toBe(0o600)
  writeFileSync(join(directory, 'stream.key'), 'nonsense')
  expect(() => openStreamKey(directory)).toThrow(/no X25519 key/)
  leaveNetwork(directory)
  expect(existsSync(join(directory, 'stream.key'))).toBe(false)
})

it('reports the services, and the stream key under the identity', async () => {
  write(SERVICES)
  const report = (await start()).report()!
  expect(report).toMatchObject({ services: [{ name: 'erp', kind: 'http' }] })
  expect(report.direct).toBeUndefined()
  const [head, payload, signature] = report.streamKey.split('.')
  const x = openIdentity(directory).publicKey
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  expect(verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature!, 'base64url'))).toBe(true)
  const claims = streamKeySchema.parse(JSON.parse(Buffer.from(payload!, 'base64url').toString()))
  const { publicKey } = openStreamKey(directory)
  expect(claims).toMatchObject({ network: NETWORK, connector: CONNECTOR })
  expect(Buffer.from(claims.key, 'base64url')).toEqual(Buffer.from(publicKey))
  expect(reports).toBe(1)
})

it('serves nothing and says nothing where there is no file, until there is one', async () => {
  const it = await start()
  expect([it.report(), it.status(), events]).toEqual([undefined, undefined, []])
  it.linked(2)
  it.called(1)
  write(SERVICES)
  await vi.waitFor(() => expect(it.report()?.services).toHaveLength(1), { timeout: 10_000 })
  expect(events).toContainEqual(expect.objectContaining({ type: 'services', services: 1 }))
})

it('says that a file that was named is not there', async () => {
  const it = await start(true)
  expect(warnings()).toEqual([expect.stringContaining('there is no such file')])
  expect(it.report()).toBeUndefined()
  expect(it.status()?.fault).toContain('there is no such file')
})

it('follows the file, and goes on with what it has where the new one has faults', async () => {
  write(SERVICES)
  const it = await start()
  write('services: { erp: { target: nowhere } }\n')
  await vi.waitFor(() => expect(warnings()).toHaveLength(1), { timeout: 10_000 })
  expect(warnings()[0]).toMatch(/services\.yaml:1:28: .*what was read before stays in force/)
  expect(it.status()).toMatchObject({ fault: expect.stringContaining('is not a target') })
  expect(it.report()?.services).toEqual([{ name: 'erp', kind: 'http' }])
  rmSync(file())
  await vi.waitFor(() => expect(warnings()).toHaveLength(2), { timeout: 10_000 })
  expect(it.report()?.services).toHaveLength(1)
  write(SERVICES.replace('erp', 'shop'))
  await vi.waitFor(() => expect(it.report()?.services).toEqual([{ name: 'shop', kind: 'http' }]), { timeout: 10_000 })
  expect(it.status()?.fault).toBeUndefined()
})

it('tells where functions may come straight while it listens there', async () => {
  const port = await freePort()
  write(`${SERVICES}listen: { address: 127.0.0.1, port: ${port}, url: 'ws://hq.example.net:${port}/' }\n`)
  const first = await start()
  expect(first.report()?.direct).toBe(`ws://hq.example.net:${port}/`)
  const second = await start()
  expect(second.report()?.direct).toBeUndefined()
  expect(second.status()?.listen).toEqual({ url: `ws://hq.example.net:${port}/`, listening: false })
  expect(warnings()).toEqual([expect.stringContaining('cannot be had (EADDRINUSE)')])
  await first.stop()
})
