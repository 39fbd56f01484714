/** `isthmus control` as a process, its sub-verbs, and login, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT } from '../handle.ts'
import { runCli } from './run.ts'
import { recordedIo } from './testing.ts'

const MAIN = join(import.meta.dirname, '../main.ts')

let directory: string
let running: ChildProcess | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-control-'))
})
afterEach(async () => {
  if (running !== undefined && running.exitCode === null && running.signalCode === null) {
    running.kill('SIGKILL')
    await once(running, 'exit')
  }
  running = undefined
  rmSync(directory, { recursive: true, force: true })
})

const env = () => ({ XDG_CONFIG_HOME: join(directory, 'config') })
const store = () => ['--directory', join(directory, 'store')]
const credentials = () => join(directory, 'config/isthmus/credentials.json')

interface Started {
  readonly url: string
  readonly text: () => string
  readonly exited: Promise<unknown[]>
}

async function start(...words: string[]): Promise<Started> {
  const vector = [MAIN, 'control', '--host', '127.0.0.1', '--port', '0', ...store(), ...words]
  const child = spawn(process.execPath, vector, { env: { PATH: process.env.PATH, ...env() } })
  running = child
  let text = ''
  const exited = once(child, 'exit')
  const url = await new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      text += chunk.toString()
      const started = /"event":"started","url":"([^"]+)"/.exec(text)
      if (started !== null) resolve(started[1]!)
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.on('exit', () => reject(new Error(`ended early:\n${text}`)))
  })
  return { url, text: () => text, exited }
}

async function stop({ exited }: Started): Promise<void> {
  running!.kill('SIGTERM')
  expect(await exited).toEqual([EXIT.ok, null])
}

async function run(...words: string[]) {
  const io = recordedIo(env())
  const code = await runCli(words, io)
  return { code, out: io.out(), err: io.err() }
}

test('the first start shows the token once, logs in, and a site can be added at once', async () => {
  const first = await start('--login')
  const token = /ist_admin_[\w-]{43}/.exec(first.text())![0]
  expect(statSync(credentials()).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(credentials(), 'utf8'))).toEqual({ url: first.url, token })
  const added = await run('site', 'add', 'hq', '--prefix', '10.1.0.0/16')
  expect(added).toMatchObject({ code: EXIT.ok, err: '' })
  expect(added.out).toContain(`sudo isthmus join ${first.url} ist_join_`)
  await stop(first)
  const again = await start('--login')
  expect(again.text()).not.toContain('ist_admin_')
  await stop(again)
})

test('without a terminal nobody is logged in unasked, and a login that is there stays', async () => {
  const first = await start()
  expect(existsSync(credentials())).toBe(false)
  expect(first.text()).toContain(`isthmus login ${first.url}`)
  const token = /ist_admin_[\w-]{43}/.exec(first.text())![0]
  expect(await run('login', first.url, '--token', token)).toMatchObject({
    code: EXIT.ok,
    err: expect.not.stringContaining(token),
  })
  const kept = readFileSync(credentials(), 'utf8')
  await stop(first)
  rmSync(join(directory, 'store'), { recursive: true })
  const other = await start('--login')
  expect(readFileSync(credentials(), 'utf8')).toBe(kept)
  await stop(other)
  expect(await run('logout')).toMatchObject({ code: EXIT.ok })
  expect(existsSync(credentials())).toBe(false)
})

test('login keeps no token that is not good', async () => {
  const { url } = await start()
  const wrong = `ist_admin_${'x'.repeat(43)}`
  expect(await run('login', url, '--token', wrong)).toMatchObject({
    code: EXIT.failed,
    err: expect.stringMatching(/not one of this installation/),
  })
  expect(await run('login', url, '--token', 'nonsense')).toMatchObject({ code: EXIT.usage })
  expect(await run('login', url, '--token', 'ist_join_x')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('isthmus join'),
  })
  expect(await run('login', 'nowhere', '--token', wrong)).toMatchObject({ code: EXIT.usage })
  expect(await run('login', 'http://127.0.0.1:1', '--token', wrong)).toMatchObject({ code: EXIT.noControl })
  expect(existsSync(credentials())).toBe(false)
})

test('a backup of the running store restores into an empty one, and into no other', async () => {
  const first = await start('--login')
  await run('site', 'add', 'hq', '--prefix', '10.1.0.0/16')
  const file = join(directory, 'backup')
  expect(await run('control', 'backup', file, ...store())).toMatchObject({ code: EXIT.ok })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(await run('control', 'backup', file, ...store())).toMatchObject({ code: EXIT.unreadableFile })
  expect((await run('control', 'backup', '-', ...store())).out).toBe(readFileSync(file, 'utf8'))
  expect(await run('control', 'restore', file, ...store())).toMatchObject({ code: EXIT.unreadableFile })
  await stop(first)
  const restored = ['--directory', join(directory, 'restored')]
  expect(await run('control', 'restore', file, ...restored)).toMatchObject({
    code: EXIT.ok,
    err: expect.stringContaining('1 networks'),
  })
  expect((await run('control', 'backup', '-', ...restored)).out).toBe(readFileSync(file, 'utf8'))
  writeFileSync(file, readFileSync(file, 'utf8').replace('"hq"', '"hx"'))
  const altered = ['--directory', join(directory, 'altered')]
  expect(await run('control', 'restore', file, ...altered)).toMatchObject({
    code: EXIT.unreadableFile,
    err: expect.stringContaining('no whole backup'),
  })
  expect(await run('control', 'restore', join(directory, 'none'), ...altered)).toMatchObject({
    code: EXIT.unreadableFile,
  })
  expect(await run('control', 'backup', '-', '--directory', join(directory, 'none'))).toMatchObject({
    code: EXIT.unreadableFile,
  })
})

test('a new admin token takes the place of the old one', async () => {
  const first = await start('--login')
  await stop(first)
  const { code, out } = await run('control', 'admin-token', ...store())
  expect(code).toBe(EXIT.ok)
  const again = await start()
  expect(await run('login', again.url, '--token', out.trim())).toMatchObject({ code: EXIT.ok })
  const old = /ist_admin_[\w-]{43}/.exec(first.text())![0]
  expect(await run('login', again.url, '--token', old)).toMatchObject({ code: EXIT.failed })
})

test('what does not fit is told before anything begins', async () => {
  const { url } = await start()
  const port = new URL(url).port
  const other = ['--directory', join(directory, 'other'), '--host', '127.0.0.1']
  expect(await run('control', ...other, '--port', port)).toMatchObject({ code: EXIT.portBusy })
  expect(await run('control', ...other, '--port', '70000')).toMatchObject({ code: EXIT.usage })
  expect(await run('control', ...other, '--url', 'https://x/path')).toMatchObject({ code: EXIT.usage })
  expect(await run('control', ...other, '--log-level', 'loud')).toMatchObject({ code: EXIT.usage })
  expect(await run('control', ...other, '--host', '192.0.2.77', '--port', '0')).toMatchObject({ code: EXIT.usage })
  writeFileSync(join(directory, 'file'), '')
  const place = ['--directory', join(directory, 'file'), '--host', '127.0.0.1', '--port', '0']
  expect(await run('control', ...place)).toMatchObject({ code: EXIT.unreadableFile })
})
