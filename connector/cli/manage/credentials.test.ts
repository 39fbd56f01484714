import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT } from '../../handle.ts'
import { recordedIo } from '../testing.ts'
import { accessOf, credentialsPath, forgetCredentials, readCredentials, writeCredentials } from './credentials.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const saved = { url: 'https://a.example', token: 'kept', network: 'net_0123456789abcdefghjk' }
const io = (env: Record<string, string> = {}) => recordedIo({ HOME: home, ...env })
const asked = (options: Record<string, string> = {}, env: Record<string, string> = {}) =>
  accessOf({ args: [], options }, io(env))

test('options come before the environment, and that before the file', () => {
  writeCredentials(io(), saved)
  expect(asked()).toEqual(saved)
  const env = { ISTHMUS_URL: 'https://a.example/', ISTHMUS_TOKEN: 'env', ISTHMUS_NETWORK: 'acme' }
  expect(asked({}, env)).toEqual({ url: 'https://a.example/', token: 'env', network: 'acme' })
  expect(asked({ token: 'opt', network: 'b' }, env)).toEqual({ url: 'https://a.example/', token: 'opt', network: 'b' })
  expect(asked({}, { ISTHMUS_TOKEN: '' })).toEqual(saved)
})

test('a token that was kept for one control plane does not go to another', () => {
  writeCredentials(io(), saved)
  expect(() => asked({ url: 'https://b.example' })).toThrow('there is no token for https://b.example')
  expect(asked({ url: 'https://b.example', token: 'given' })).toEqual({ url: 'https://b.example', token: 'given' })
})

test('without anything it says how to log in', () => {
  expect(() => asked()).toThrow(
    expect.objectContaining({ exitCode: EXIT.usage, remedy: expect.stringContaining('login') }),
  )
})

test('the file is for its owner, and goes with logout', () => {
  const path = writeCredentials(io(), saved)
  expect(path).toBe(join(home, '.config/isthmus/credentials.json'))
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(saved)
  expect(credentialsPath(io({ XDG_CONFIG_HOME: '/x' }))).toBe('/x/isthmus/credentials.json')
  writeFileSync(path, '{"url":')
  expect(() => readCredentials(io())).toThrow(expect.objectContaining({ exitCode: EXIT.unreadableFile }))
  forgetCredentials(io())
  expect(readCredentials(io())).toBeUndefined()
  forgetCredentials(io())
})
