import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT } from '../handle.ts'
import { startControlApi } from '../ops/control-api.ts'
import { runDoctor } from './doctor.ts'
import { checkHost, type DoctorPlan } from './doctor-checks.ts'
import { type DoctorHost, systemHost } from './doctor-host.ts'
import { fakeConnector, recordedIo, sampleStatus, sampleTunnel } from './testing.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

const FILES: Record<string, string> = {
  '/proc/sys/kernel/osrelease': '6.18.0\n',
  '/proc/self/status': 'Name:\tnode\nCapEff:\t000001ffffffffff\n',
  '/proc/sys/net/ipv4/ip_forward': '1\n',
  '/proc/sys/net/ipv6/conf/all/forwarding': '1\n',
  '/proc/sys/net/ipv4/conf/all/rp_filter': '2\n',
  '/proc/sys/user/max_user_namespaces': '31000\n',
}

function host(changes: Partial<DoctorHost> = {}, files: Record<string, string> = {}): DoctorHost {
  const all = { ...FILES, ...files }
  return {
    platform: 'linux',
    nodeVersion: '26.0.0',
    uid: 1000,
    wallClock: Date.UTC(2026, 5, 1),
    readText: (path) => all[path],
    exists: () => true,
    openError: () => undefined,
    run: async () => 'ip utility',
    bindError: async () => undefined,
    ffiError: async () => undefined,
    ...changes,
  }
}

const PLAN: DoctorPlan = { ports: [500, 4500], wantsIpv6: true, isRunning: false, wasmFiles: ['engine.wasm'] }

test('a host that fits has no finding but ok', async () => {
  const findings = await checkHost(host(), PLAN)
  expect(findings.filter(({ state }) => state !== 'ok')).toEqual([])
  expect(findings.length).toBeGreaterThanOrEqual(13)
})

const WITHOUT_RIGHTS = { '/proc/self/status': 'CapEff:\t0000000000000000\n' }

test.each([
  ['fail', 'system', host({ platform: 'darwin' })],
  ['fail', 'tun', host({ openError: () => 'ENOENT' })],
  ['fail', 'tun', host({ openError: () => 'EACCES' })],
  ['fail', 'CAP_NET_ADMIN', host({}, WITHOUT_RIGHTS)],
  ['warn', 'CAP_NET_RAW', host({}, WITHOUT_RIGHTS)],
  ['fail', 'CAP_NET_BIND_SERVICE', host({}, WITHOUT_RIGHTS)],
  ['warn', 'capabilities', host({}, { '/proc/self/status': '' })],
  ['fail', 'ip', host({ run: async () => undefined })],
  ['fail', 'ffi', host({ ffiError: async () => 'no libc' })],
  ['fail', 'engine', host({ exists: () => false })],
  ['fail', 'UDP 500', host({ bindError: async (port) => (port === 500 ? 'EADDRINUSE' : undefined) })],
  ['fail', 'UDP 4500', host({ bindError: async () => 'EACCES' })],
  ['warn', 'forwarding ipv4', host({}, { '/proc/sys/net/ipv4/ip_forward': '0' })],
  ['warn', 'forwarding ipv6', host({}, { '/proc/sys/net/ipv6/conf/all/forwarding': '0' })],
  ['warn', 'rp_filter', host({}, { '/proc/sys/net/ipv4/conf/all/rp_filter': '1' })],
  ['warn', 'user namespaces', host({}, { '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' })],
  ['warn', 'clock', host({ wallClock: 0 })],
])('%s: %s has a remedy', async (state, name, machine) => {
  const finding = (await checkHost(machine, PLAN)).find((candidate) => candidate.name === name)
  expect(finding).toMatchObject({ state, remedy: expect.stringMatching(/\w{3}/) })
})

test('ports of the running connector are its own', async () => {
  const busy = host({ bindError: async () => 'EADDRINUSE' })
  const findings = await checkHost(busy, { ...PLAN, isRunning: true })
  expect(findings.filter(({ state }) => state === 'fail')).toEqual([])
})

test('the whole report: machine, configuration, tunnels', async () => {
  const config = join(directory, 'isthmus.yaml')
  const socket = join(directory, 's')
  writeFileSync(config, `site: hq\ncontrol_socket: ${socket}\n`)
  const handle = fakeConnector(
    sampleStatus(
      sampleTunnel({
        state: 'waiting',
        lastError: { at: '', code: 'no-response', cause: 'silence', remedy: 'call them' },
      }),
      sampleTunnel({ name: 'new', state: 'connecting' }),
      sampleTunnel({ name: 'good' }),
    ),
  )
  const metrics = { text: async () => '', contentType: 'text/plain' }
  const api = await startControlApi(socket, { handle, metrics, onStop: () => {}, onError: () => {} })
  try {
    const io = recordedIo()
    expect(await runDoctor({ args: [], options: { config } }, io, host())).toBe(EXIT.failed)
    expect(io.out()).toContain(`fail  config: ${config}:1:1: address: it is missing`)
    expect(io.out()).toContain('fail  tunnel branch: waiting: silence\n      What to do: call them\n')
    expect(io.out()).toContain('warn  tunnel new: connecting\n')
    expect(io.out()).toContain('ok    tunnel good: up\n')
    expect(io.out()).toMatch(/\d+ ok, 1 warnings, \d+ failed\. Mend what failed/)
  } finally {
    await api.close()
  }
})

test('as JSON, without a configuration', async () => {
  const io = recordedIo()
  const options = { config: join(directory, 'none'), socket: join(directory, 'none.s'), json: true }
  expect(await runDoctor({ args: [], options }, io, host())).toBe(EXIT.ok)
  const report = JSON.parse(io.out()) as { ok: boolean; findings: { name: string; state: string }[] }
  expect(report.ok).toBe(true)
  expect(report.findings.filter(({ state }) => state === 'warn').map(({ name }) => name)).toEqual(['config'])
})

test('the door to this machine answers without throwing', async () => {
  expect(systemHost.readText('/no/such/file')).toBeUndefined()
  expect(systemHost.openError('/no/such/file')).toBe('ENOENT')
  expect(await systemHost.run('no-such-program', [])).toBeUndefined()
  expect(await systemHost.run('echo', ['one\ntwo'])).toBe('one')
  expect(await systemHost.bindError(0)).toBeUndefined()
})
