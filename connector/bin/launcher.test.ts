import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT } from '../handle.ts'

const LAUNCHER = join(import.meta.dirname, 'isthmus.cjs')
let directory: string

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'isthmus-test-')))
})
afterAll(() => rmSync(directory, { recursive: true }))

function launch(words: string[], options: { launcher?: string; env?: Record<string, string>; before?: string[] } = {}) {
  const args = [...(options.before ?? []), options.launcher ?? LAUNCHER, ...words]
  const result = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...options.env },
  })
  return { code: result.status, out: result.stdout, err: result.stderr }
}

test('passes words, output and exit code', () => {
  expect(launch(['--help'])).toMatchObject({ code: EXIT.ok, err: '', out: expect.stringContaining('Usage: isthmus') })
  expect(launch(['nonsense'])).toMatchObject({ code: EXIT.usage, out: '' })
  expect(launch(['check', join(directory, 'none.yaml')])).toMatchObject({ code: EXIT.unreadableFile, out: '' })
  const socket = join(directory, 'none')
  expect(launch(['status', '--socket', socket])).toMatchObject({ code: EXIT.notRunning, out: '' })
})

test('no colour without a terminal, unless it is asked for', () => {
  expect(launch(['doctor', '--socket', join(directory, 'none')]).out).not.toContain('\u001b[')
  const env = { FORCE_COLOR: '1' }
  expect(launch(['doctor', '--socket', join(directory, 'none')], { env }).out).toContain('\u001b[')
  expect(launch(['doctor', '--socket', join(directory, 'none')], { env: { ...env, NO_COLOR: '1' } }).out).not.toContain(
    '\u001b[',
  )
})

/** A launcher in a folder of its own, whose `main.ts` tells what it was called with. */
function strangeFolder(name: string): string {
  const root = join(directory, name)
  mkdirSync(join(root, 'connector/bin'), { recursive: true })
  copyFileSync(LAUNCHER, join(root, 'connector/bin/isthmus.cjs'))
  writeFileSync(join(root, 'connector/main.ts'), 'export {}\n')
  return root
}

/** Makes the running Node.js claim to be 20, as on the machines that the launcher is for. */
function pretendOld(root: string): string[] {
  const preload = join(root, 'old.cjs')
  writeFileSync(preload, "Object.defineProperty(process.versions, 'node', { value: '20.20.2' })\n")
  return ['--require', preload]
}

function fakeNode(root: string, script: string): void {
  const bin = join(root, 'node_modules/.bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'node'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, 'node'), 0o755)
}

test('with an old Node.js it runs the one beside it', () => {
  const root = strangeFolder('old')
  fakeNode(root, 'echo "$@"; exit 7')
  const launcher = join(root, 'connector/bin/isthmus.cjs')
  const { code, out } = launch(['up', '--config', 'a b'], { launcher, before: pretendOld(root) })
  expect({ code, out }).toEqual({ code: 7, out: `${join(root, 'connector/main.ts')} up --config a b\n` })
})

test('with an old Node.js and none beside it, it says what to do', () => {
  const root = strangeFolder('bare')
  const launcher = join(root, 'connector/bin/isthmus.cjs')
  const { code, err } = launch(['up'], { launcher, before: pretendOld(root) })
  expect(code).toBe(EXIT.failed)
  expect(err).toContain('Node.js 20.20.2 cannot run it: 22.18 or later is needed')
  expect(err).toContain('What to do: run npm ci')
})

test('ISTHMUS_NODE names another; one that does not start is told', () => {
  const root = strangeFolder('named')
  const launcher = join(root, 'connector/bin/isthmus.cjs')
  const { code, err } = launch(['up'], { launcher, env: { ISTHMUS_NODE: join(root, 'none') } })
  expect(code).toBe(EXIT.failed)
  expect(err).toContain('does not start')
})

test('signals reach the program, and its end by a signal is ours', async () => {
  const root = strangeFolder('signals')
  fakeNode(
    root,
    'trap "echo got; trap - TERM; kill -TERM $$" TERM; echo ready; for i in $(seq 200); do sleep 0.05; done',
  )
  const launcher = join(root, 'connector/bin/isthmus.cjs')
  const child = spawn(process.execPath, [...pretendOld(root), launcher, 'up'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    if (out === 'ready\n') child.kill('SIGTERM')
  })
  const ended = await new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
  expect(out).toBe('ready\ngot\n')
  expect(ended).toEqual({ code: null, signal: 'SIGTERM' })
})
