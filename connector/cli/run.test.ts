import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT, StartFailure } from '../handle.ts'
import { startControlApi } from '../ops/control-api.ts'
import { type Command, everyCommand } from './command.ts'
import { COMMANDS } from './commands.ts'
import { runCli } from './run.ts'
import { fakeConnector, recordedIo, sampleStatus, sampleTunnel } from './testing.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

async function run(...words: string[]) {
  const io = recordedIo({ ISTHMUS_CONFIG: join(directory, 'none.yaml') })
  const code = await runCli(words, io)
  return { code, out: io.out(), err: io.err() }
}

test.each(everyCommand(COMMANDS).map(({ words }) => words))('%s --help shows examples and exit codes', async (name) => {
  const { code, out, err } = await run(...name.split(' '), '--help')
  expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
  expect(out).toContain(`Usage: isthmus ${name}`)
  expect(out).toMatch(/\nExamples:\n {2}(sudo )?isthmus /)
  expect(out).toMatch(/\nExit codes:\n {2,3}0 {2}done\n/)
})

test('help and mistakes on the command line', async () => {
  expect(await run()).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('Commands:') })
  expect(await run('--help')).toMatchObject({ code: EXIT.ok, out: expect.stringContaining('demo') })
  expect(await run('--version')).toMatchObject({ code: EXIT.ok, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  expect(await run('stauts')).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('Did you mean status?') })
  expect(await run('status', '--jsn')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('isthmus status --help'),
  })
  expect(await run('rekey')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining("missing required argument 'peer'"),
  })
  expect(await run('check', 'a', 'b')).toMatchObject({ code: EXIT.usage })
})

test.each(['status', 'down', 'rekey'])('%s without a connector says how to start one', async (verb) => {
  const words = [verb, ...(verb === 'rekey' ? ['branch'] : []), '--socket', join(directory, 'none')]
  expect(await run(...words)).toEqual({
    code: EXIT.notRunning,
    out: '',
    err: `isthmus ${verb}: the connector is not running: nobody answers on ${join(directory, 'none')}.\n  What to do: start it with isthmus up; if it runs with another control_socket, name that with --socket.\n`,
  })
})

test('status, rekey and down talk to a running connector', async () => {
  const socket = join(directory, 's')
  const handle = fakeConnector()
  const metrics = { text: async () => '', contentType: 'text/plain' }
  const api = await startControlApi(socket, { handle, metrics, onStop: () => void api.close(), onError: () => {} })
  const status = await run('status', '-s', socket)
  expect(status).toMatchObject({ code: EXIT.ok, err: '', out: expect.stringContaining('hq: UP') })
  expect(JSON.parse((await run('status', '--json', '-s', socket)).out)).toEqual(sampleStatus())
  expect(await run('rekey', 'branch', 'net', '-s', socket)).toMatchObject({ code: EXIT.ok })
  expect(await run('rekey', 'brunch', '-s', socket)).toMatchObject({
    code: EXIT.failed,
    err: expect.stringContaining('What to do: isthmus status lists the peers'),
  })
  expect(handle.calls).toEqual(['rekey branch net', 'rekey brunch ike'])
  expect(await run('down', '-s', socket)).toMatchObject({ code: EXIT.ok, out: expect.stringContaining('has stopped') })
})

test('status tells a script that a tunnel is down', async () => {
  const socket = join(directory, 'd')
  const handle = fakeConnector(sampleStatus(sampleTunnel({ state: 'waiting' })))
  const metrics = { text: async () => '', contentType: 'text/plain' }
  const api = await startControlApi(socket, { handle, metrics, onStop: () => {}, onError: () => {} })
  expect((await run('status', '-s', socket)).code).toBe(EXIT.tunnelDown)
  await api.close()
})

test('check reports all faults with their places, and its exit code tells files from mistakes', async () => {
  const file = join(directory, 'isthmus.yaml')
  const text =
    'site: hq\naddress: 192.0.2.1\nnetworks: [10.1.0.0/16]\npeers:\n  b: { address: 198.51.100.7, networks: [10.2.0.0/16], secret: { file: k } }\n'
  writeFileSync(file, text)
  expect(await run('check', file)).toMatchObject({
    code: EXIT.unreadableFile,
    err: expect.stringContaining(`${file}:5:72: peers.b.secret.file: there is no file`),
  })
  writeFileSync(join(directory, 'k'), 'correct horse battery staple\n', { mode: 0o600 })
  expect(await run('check', file)).toEqual({
    code: EXIT.ok,
    err: '',
    out: `${file} is sound: site hq, peers b. Next: isthmus up\n`,
  })
  writeFileSync(file, `${text}sitee: x\n`)
  const bad = await run('check', '--config', file)
  expect(bad).toMatchObject({ code: EXIT.badConfig, out: '' })
  expect(bad.err).toBe(
    `${file}:6:1: sitee: there is no such key; did you mean site?\nOne fault. Correct and run isthmus check again.\n`,
  )
  const json = JSON.parse((await run('check', file, '--json')).out) as object
  expect(json).toMatchObject({ ok: false, faults: [{ line: 6, column: 1, path: 'sitee' }] })
  expect(await run('up', '--config', file)).toMatchObject({
    code: EXIT.badConfig,
    err: expect.stringContaining('6:1: sitee'),
  })
})

test('keygen writes a new key, shows it to nobody and overwrites nothing', async () => {
  const file = join(directory, 'new.key')
  const { code, out, err } = await run('keygen', file)
  expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
  const key = readFileSync(file, 'utf8')
  expect(key).toMatch(/^[A-Za-z][A-Za-z0-9]{42}\n$/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(out).toContain(`secret: { file: ${file} }`)
  expect(out).not.toContain(key.trim())
  expect(await run('keygen', file)).toMatchObject({ code: EXIT.failed, err: expect.stringContaining('exists already') })
  expect(readFileSync(file, 'utf8')).toBe(key)
  expect(await run('keygen', join(directory, 'no/such'))).toMatchObject({
    code: EXIT.failed,
    err: expect.stringContaining('does not exist'),
  })
  expect(await run('keygen', 'x', '--length', '5')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('20 to 64'),
  })
  const second = join(directory, 'second.key')
  await run('keygen', second, '--length', '64')
  expect(readFileSync(second, 'utf8')).toHaveLength(65)
})

test('ping needs an address to ask', async () => {
  expect(await run('ping', 'branch')).toMatchObject({
    code: EXIT.badConfig,
    err: expect.stringContaining('isthmus check'),
  })
  expect(await run('ping', '10.2.0.1', '--source', 'x')).toMatchObject({ code: EXIT.usage })
  const file = join(directory, 'p.yaml')
  writeFileSync(
    file,
    'site: hq\naddress: 192.0.2.1\nnetworks: [10.1.0.0/16]\npeers:\n  b: { address: 198.51.100.7, networks: [10.2.0.0/16], secret: { env: PATH } }\n',
  )
  expect(await run('ping', 'b', '-c', file)).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('peers.b.probe'),
  })
  expect(await run('ping', 'c', '-c', file)).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('one of b'),
  })
  expect(await run('ping', '127.0.0.1', '-n', '0')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('--count "0"'),
  })
})

test('failures look alike, and an error of ours says so', async () => {
  const failing = (error: Error): Command => ({
    name: 'x',
    summary: 's',
    description: 'd',
    examples: [{ command: 'isthmus x', what: 'w' }],
    action: () => Promise.reject(error),
  })
  const io = recordedIo()
  expect(
    await runCli(['x'], io, [
      failing(new StartFailure('no-tun', 'There is no TUN device', 'modprobe tun', EXIT.noTun)),
    ]),
  ).toBe(EXIT.noTun)
  expect(io.err()).toBe('isthmus x: There is no TUN device.\n  What to do: modprobe tun.\n')
  const other = recordedIo()
  expect(await runCli(['x'], other, [failing(new TypeError('oops'))])).toBe(EXIT.failed)
  expect(other.err()).toContain('this should not happen: oops.\n  What to do: run isthmus doctor')
  expect(other.err()).not.toMatch(/^ +at /m)
})
